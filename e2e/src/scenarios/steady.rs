//! Five minutes in which nothing is changed: nobody writes anything. Neither of a feed as it is for a first try, nor of one that
//! is scaled by its load and has clients, whose numbers and whose load are written where they change.

use std::collections::BTreeMap;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use cluster::wait::{self, PATIENCE};
use cluster::{Checker, Persistence};
use serde_json::json;

use super::Measured;
use super::autoscaling::autoscaler;
use super::feed::{Feed, Wanted};
use super::place::{Place, SYSTEM, none};
use crate::Entry;

/// Closes of one second each: five minutes.
const CLOSES: usize = 300;

/// How long they may take.
const CLOSES_MAX: Duration = Duration::from_secs(420);

/// Closes before that: what a change before this one still causes comes in that time, as what is written once a minute at most.
const FIRST: usize = 75;

/// Clients of the feed that is scaled.
const CLIENTS: usize = 6;

/// Its gateways, as many as it has at least: its load is far below its target.
const GATEWAYS: u64 = 2;

/// Who writes what it has measured of the load, each time.
const AUTOSCALER: &str = "system:serviceaccount:kube-system:horizontal-pod-autoscaler";

pub(super) async fn run(place: &mut Place) -> Measured {
    let feed = place.take_feed().await?;
    let (scaled, _) = Feed::create(place, scaled()).await?;
    let measured = on(place, &feed, &scaled).await?;
    scaled.delete().await?;
    place.put_back(feed);
    Ok(measured)
}

fn scaled() -> Wanted {
    Wanted::new("e2e-scaled").with(&json!({
        "marketdata": { "shards": 1 },
        "gateway": {
            "autoscaling": { "minReplicas": GATEWAYS, "maxReplicas": 3, "cpuUtilization": 90 },
            "resources": { "requests": { "cpu": "200m" } },
        },
    }))
}

async fn on(place: &Place, feed: &Feed, scaled: &Feed) -> Measured {
    let audit = place.cluster.audit().context("there is no audit log")?;
    let texts: Vec<String> = scaled.topics.iter().map(ToString::to_string).collect();
    let clients: Vec<Checker> = (0..CLIENTS)
        .map(|n| {
            let name = format!("client {n}");
            Checker::start(name, scaled.way.address, texts.clone(), Persistence::Stays)
        })
        .collect();
    is_scaled(place, scaled).await?;
    for feed in [feed, scaled] {
        feed.settle().await?;
    }
    both(feed, scaled, FIRST).await?;
    let before = scaled.pods(place).await?;
    let mark = audit.mark()?;
    both(feed, scaled, CLOSES).await?;
    let writes: Vec<Entry> = audit
        .since(mark)?
        .into_iter()
        .filter(Entry::is_write)
        .collect();
    scaled.same_pods(place, &before).await?;
    let mut ours: Vec<String> = writes
        .iter()
        .filter(|entry| is_ours(entry, [feed, scaled]))
        .map(line)
        .collect();
    ours.sort();
    ensure!(
        ours.is_empty(),
        "{} writes, as {:?}",
        ours.len(),
        &ours[..ours.len().min(5)]
    );
    for client in &clients {
        none(client.name(), &client.violations())?;
    }
    let mut others: BTreeMap<String, usize> = BTreeMap::new();
    for entry in &writes {
        *others.entry(line(entry)).or_default() += 1;
    }
    let mut measured = vec![format!(
        "no write by the operator or to anything of two feeds, one of {GATEWAYS} to 3 gateways with {CLIENTS} clients; what others \
         wrote:"
    )];
    measured.extend(
        others
            .into_iter()
            .map(|(line, count)| format!("  {count} {line}")),
    );
    measured.extend([feed.check()?, scaled.check()?]);
    Ok(measured)
}

async fn both(feed: &Feed, scaled: &Feed, closes: usize) -> Result<()> {
    let (one, other) = tokio::join!(
        feed.closes(closes, CLOSES_MAX),
        scaled.closes(closes, CLOSES_MAX)
    );
    one.and(other)
}

/// The autoscaler goes by what it measures, and has as few gateways as there may be.
async fn is_scaled(place: &Place, feed: &Feed) -> Result<()> {
    feed.wait_for("ScalingActive", "True", CLOSES_MAX).await?;
    wait::until("an autoscaler that measures", PATIENCE, async || {
        let status = &autoscaler(place, feed).await?["status"];
        let is_so = ["currentReplicas", "desiredReplicas"]
            .into_iter()
            .all(|count| status[count] == GATEWAYS);
        Ok((is_so && !status["currentMetrics"].is_null()).then_some(()))
    })
    .await
}

/// Of the operator, but for its Lease, or to what is in a feed's namespace, whoever wrote it but who measures.
fn is_ours(entry: &Entry, feeds: [&Feed; 2]) -> bool {
    let is_operator = entry
        .user
        .starts_with(&format!("system:serviceaccount:{SYSTEM}:"));
    let is_there = feeds.iter().any(|feed| feed.namespace == entry.namespace);
    (is_operator && entry.resource != "leases") || (is_there && entry.user != AUTOSCALER)
}

fn line(entry: &Entry) -> String {
    format!("{} {} by {}", entry.verb, entry.what(), entry.user)
}
