//! Five minutes in which nothing is changed: nobody writes anything.

use std::collections::BTreeMap;
use std::time::Duration;

use anyhow::{Context, ensure};

use super::Measured;
use super::feed::Feed;
use super::place::{Place, SYSTEM};
use crate::Entry;

/// Closes of one second each: five minutes.
const CLOSES: usize = 300;

/// How long they may take.
const CLOSES_MAX: Duration = Duration::from_secs(420);

pub(super) async fn run(place: &mut Place) -> Measured {
    let feed = place.take_feed().await?;
    let measured = on(place, &feed).await?;
    place.put_back(feed);
    Ok(measured)
}

async fn on(place: &Place, feed: &Feed) -> Measured {
    let audit = place.cluster.audit().context("there is no audit log")?;
    feed.settle().await?;
    // What a change before this one still causes comes before that.
    feed.closes(20, CLOSES_MAX).await?;
    let mark = audit.mark()?;
    feed.closes(CLOSES, CLOSES_MAX).await?;
    let writes: Vec<Entry> = audit
        .since(mark)?
        .into_iter()
        .filter(Entry::is_write)
        .collect();
    let mut ours: Vec<String> = writes
        .iter()
        .filter(|entry| is_ours(entry, feed))
        .map(line)
        .collect();
    ours.sort();
    ensure!(
        ours.is_empty(),
        "{} writes, as {:?}",
        ours.len(),
        &ours[..ours.len().min(5)]
    );
    let mut others: BTreeMap<String, usize> = BTreeMap::new();
    for entry in &writes {
        *others.entry(line(entry)).or_default() += 1;
    }
    let mut measured =
        vec!["no write by the operator or to anything of the feed; what others wrote:".to_owned()];
    measured.extend(
        others
            .into_iter()
            .map(|(line, count)| format!("  {count} {line}")),
    );
    measured.push(feed.check()?);
    Ok(measured)
}

/// Of the operator, but for its Lease, or to what is in the feed's namespace, whoever wrote it.
fn is_ours(entry: &Entry, feed: &Feed) -> bool {
    let is_operator = entry
        .user
        .starts_with(&format!("system:serviceaccount:{SYSTEM}:"));
    (is_operator && entry.resource != "leases") || entry.namespace == feed.namespace
}

fn line(entry: &Entry) -> String {
    format!("{} {} by {}", entry.verb, entry.what(), entry.user)
}
