//! The pod that publishes a shard is killed.

use std::time::Duration;

use anyhow::{Context, Result, ensure};
use cluster::wait::{self, PATIENCE};

use super::Measured;
use super::feed::{CRASH_MAX, Feed, GAP_MAX, HANDOVER_MAX};
use super::place::Place;
use super::pods::Pod;
use super::process;

pub(super) async fn run(place: &mut Place) -> Measured {
    let feed = place.take_feed().await?;
    let measured = on(place, &feed).await?;
    place.put_back(feed);
    Ok(measured)
}

async fn on(place: &Place, feed: &Feed) -> Measured {
    let owner = owner_of(place, feed, 0).await?;
    let since = feed.client.now();
    let (how, bound) = end(place, feed, &owner).await?;
    feed.closes(3, GAP_MAX).await?;
    let next = owner_of(place, feed, 0).await?;
    ensure!(next.uid != owner.uid, "{} publishes again", owner.name);
    feed.sees_changed(&owner).await?;
    feed.settle().await?;
    feed.closes(2, PATIENCE).await?;
    let late = feed.late_since(since, bound)?;
    Ok(vec![
        format!("{} {how}; {} went on; {late}", owner.name, next.name),
        feed.check()?,
    ])
}

/// The pod that publishes a shard, once one does.
pub(super) async fn owner_of(place: &Place, feed: &Feed, shard: u32) -> Result<Pod> {
    let held = format!("shard_lease_held{{shard=\"{shard}\"}} 1");
    let what = format!("the owner of shard {shard}");
    wait::until(&what, PATIENCE, async || {
        let pods = feed.pods(place).await?;
        for pod in pods {
            if pod.shard != Some(shard) || pod.is_going {
                continue;
            }
            // One that is being started does not answer.
            let metrics = place
                .ask(&feed.namespace, &pod.name, 9090, "/metrics")
                .await;
            if metrics.is_ok_and(|metrics| metrics.lines().any(|line| line == held)) {
                return Ok(Some(pod));
            }
        }
        Ok(None)
    })
    .await
}

/// kill -9 of its process where its node can be reached, else a stop in order; what was done, and how late closes may be then.
async fn end(place: &Place, feed: &Feed, pod: &Pod) -> Result<(&'static str, Duration)> {
    if !place.cluster.is_own() {
        remove(place, &feed.namespace, pod).await?;
        let how = "was stopped in order, as its process cannot be killed from here";
        return Ok((how, HANDOVER_MAX));
    }
    let killed = process::kill(&pod.uid, process::OURS);
    killed.with_context(|| format!("cannot kill {}", pod.name))?;
    Ok(("was killed with -9", CRASH_MAX))
}

/// Asks for its end and waits for nothing. Without a grace the kubelet would give it one all the same.
pub(super) async fn remove(place: &Place, namespace: &str, pod: &Pod) -> Result<()> {
    let delete = ["delete", "pod", &pod.name, "-n", namespace, "--wait=false"];
    place.kubectl().run(delete).await.map(drop)
}
