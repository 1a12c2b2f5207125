//! A second release, of one namespace, beside the first; and one of its three NATS servers is lost.

use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};
use cluster::wait::{self, PATIENCE};
use serde_json::{Value, json};

use super::Measured;
use super::feed::{Feed, GAP_MAX, Wanted};
use super::place::{MARKET, Nats, Place};
use super::pods;

/// Its name and its namespace, which it looks after.
pub(super) const SECOND: &str = "second";
pub(super) const NAMESPACE: &str = "e2e-second";

/// How long a server may take to be ready again.
const SERVER_MAX: Duration = Duration::from_secs(120);

/// Its NATS.
pub(super) fn nats() -> Nats {
    Nats::of(SECOND, NAMESPACE, 3)
}

/// Installed where it is not.
pub(super) async fn install(place: &mut Place) -> Result<()> {
    place.install().await?;
    let mut values = place.values();
    let mut value = |name: &str, value: &str| values.push((name.to_owned(), value.to_owned()));
    value("operator.watchNamespace", NAMESPACE);
    value("crds.enabled", "false");
    value("nats.enabled", "true");
    value("nats.replicas", "3");
    value("simulator.enabled", "true");
    value("simulator.generate", &format!("{{{MARKET}}}"));
    let chart = place.stock.chart();
    place.helm_install(SECOND, NAMESPACE, &chart, &values).await
}

/// A spec by which a feed is on its NATS and at its simulator.
pub(super) fn spec(place: &Place) -> Result<Value> {
    let object = Wanted::new(NAMESPACE).object(place)?;
    let simulator = super::place::full_name(SECOND, "exchange-sim");
    let mut sources = object["spec"]["sources"].clone();
    for source in sources.as_array_mut().into_iter().flatten() {
        let venue = source["venue"].as_str().unwrap_or_default();
        let host = format!("{simulator}.{NAMESPACE}.svc:9100/{venue}");
        source["endpoints"] =
            json!({ "ws": format!("ws://{host}"), "rest": format!("http://{host}") });
    }
    let nats = nats();
    Ok(json!({
        "sources": sources,
        "nats": { "urls": [nats.url()], "replicas": nats.servers },
    }))
}

/// Its own operator alone looks after its feed.
pub(super) async fn beside(place: &mut Place) -> Measured {
    install(place).await?;
    let first = place.take_feed().await?;
    let audit = place.cluster.audit().context("there is no audit log")?;
    let mark = audit.mark()?;
    let wanted = Wanted::new(NAMESPACE).with(&spec(place)?);
    let (feed, _) = Feed::create(place, wanted).await?;
    feed.settle().await?;
    feed.closes(2, PATIENCE).await?;
    let mut writers: Vec<String> = Vec::new();
    for entry in audit.since(mark)? {
        let is_operator = entry.user.ends_with("-operator");
        if entry.is_write()
            && entry.namespace == NAMESPACE
            && is_operator
            && entry.resource != "leases"
        {
            writers.push(entry.user);
        }
    }
    writers.sort();
    writers.dedup();
    let own = format!(
        "system:serviceaccount:{NAMESPACE}:{}",
        super::place::full_name(SECOND, "operator")
    );
    ensure!(writers == [own], "its feed was written by {writers:?}");
    first.closes(2, PATIENCE).await?;
    let told = first.check()?;
    place.put_back(first);
    let measured = vec![
        format!(
            "only its own operator wrote in its namespace; {}",
            feed.check()?
        ),
        format!("the first release's feed: {told}"),
    ];
    feed.delete().await?;
    Ok(measured)
}

/// The server that leads the closes is removed by force.
pub(super) async fn nats_lost(place: &mut Place) -> Measured {
    install(place).await?;
    let wanted = Wanted::new(NAMESPACE).with(&spec(place)?);
    let (feed, _) = Feed::create(place, wanted).await?;
    let before = feed.pods(place).await?;
    let since = feed.client.now();
    let lost = leader(place, &feed).await?;
    let uid = uid(place, &lost).await?;
    let delete = ["delete", "pod", &lost, "-n", NAMESPACE];
    let now = ["--grace-period=0", "--force"];
    place.kubectl().run(delete.into_iter().chain(now)).await?;
    feed.closes(5, GAP_MAX).await?;
    let gap = feed.gap_since(since);
    comes_again(place, &lost, &uid).await?;
    // All copies of the closes are there again.
    let leads = leader(place, &feed).await?;
    feed.settle().await?;
    feed.closes(3, PATIENCE).await?;
    feed.same_pods(place, &before).await?;
    let told = feed.check()?;
    feed.delete().await?;
    Ok(vec![
        format!("{lost}, which led, was lost; {gap}; then {leads} led"),
        told,
    ])
}

/// The server's pod is another one of the same name, and ready.
async fn comes_again(place: &Place, pod: &str, before: &str) -> Result<()> {
    wait::until("another pod of the server", SERVER_MAX, async || {
        let get = ["get", "pod", pod, "-n", NAMESPACE, "--ignore-not-found"];
        let list = place.kubectl().run(get.into_iter().chain(["-o", "json"]));
        let list = list.await?;
        if list.trim().is_empty() {
            return Ok(None);
        }
        let list = json!({ "items": [serde_json::from_str::<Value>(&list)?] });
        let mut now = pods::read(&list).into_iter();
        Ok(now
            .any(|now| now.uid != before && now.is_ready)
            .then_some(()))
    })
    .await
}

async fn uid(place: &Place, pod: &str) -> Result<String> {
    let path = "jsonpath={.metadata.uid}";
    let get = ["get", "pod", pod, "-n", NAMESPACE, "-o", path];
    place.kubectl().run(get).await
}

/// The pod of the server that leads the stream of closes.
async fn leader(place: &Place, feed: &Feed) -> Result<String> {
    let stream = format!("MF_{}-{}_local_CLOSES", feed.namespace, feed.name);
    let nats = nats();
    wait::until("a leader of the closes", PATIENCE, async || {
        let path = "/jsz?accounts=1&streams=1&config=1";
        for server in 0..nats.servers {
            // One that is being started does not answer.
            let Ok(said) = place.ask(NAMESPACE, &nats.pod(server), 8222, path).await else {
                continue;
            };
            let said: Value = serde_json::from_str(&said)?;
            let mut streams = cluster::nats::streams(&said).into_iter();
            let found = streams.find(|found| found.name == stream && found.is_whole());
            if let Some(leader) = found.and_then(|found| found.leader) {
                return Ok(Some(leader));
            }
        }
        Ok(None)
    })
    .await
}

/// The release that looks after all feeds goes while one is on another NATS, and comes again.
pub(super) async fn reinstall(place: &mut Place) -> Measured {
    install(place).await?;
    place.drop_feed().await?;
    let wanted = Wanted::new("e2e-apart").with(&spec(place)?);
    let (feed, _) = Feed::create(place, wanted).await?;
    let before = feed.pods(place).await?;
    place.uninstall().await?;
    let object = feed.object().await?;
    if object["metadata"]["finalizers"]
        .as_array()
        .is_some_and(|all| !all.is_empty())
    {
        bail!("it left {}", object["metadata"]["finalizers"]);
    }
    feed.closes(5, PATIENCE).await?;
    feed.same_pods(place, &before).await?;
    place.install().await?;
    feed.settle().await?;
    feed.is_looked_after().await?;
    feed.closes(3, PATIENCE).await?;
    feed.same_pods(place, &before).await?;
    let told = feed.check()?;
    feed.delete().await?;
    Ok(vec![format!("{} pods stayed; {told}", before.len())])
}
