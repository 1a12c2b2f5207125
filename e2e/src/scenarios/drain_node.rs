//! A node is drained: what runs there goes on elsewhere.

use std::time::Instant;

use anyhow::ensure;
use cluster::wait::PATIENCE;

use super::Measured;
use super::feed::Feed;
use super::place::{Place, secs};

/// NATS and the simulator are on the other one.
const NODE: &str = "node1";

pub(super) async fn run(place: &mut Place) -> Measured {
    let feed = place.take_feed().await?;
    let measured = on(place, &feed).await?;
    place.put_back(feed);
    Ok(measured)
}

async fn on(place: &Place, feed: &Feed) -> Measured {
    feed.settle().await?;
    let there = |pods: Vec<super::pods::Pod>| pods.iter().filter(|pod| pod.node == NODE).count();
    let before = there(feed.pods(place).await?);
    ensure!(before > 0, "nothing of the feed is on {NODE}");
    let since = feed.client.now();
    let started = Instant::now();
    let drain = [
        "drain",
        NODE,
        "--ignore-daemonsets",
        "--delete-emptydir-data",
        "--timeout=240s",
    ];
    let drained = place.kubectl().run(drain).await;
    let took = secs(started);
    let gap = feed.gap_since(since);
    let after = feed.pods(place).await?;
    place.kubectl().run(["uncordon", NODE]).await?;
    drained?;
    let left = there(after);
    ensure!(left == 0, "{left} pods are on {NODE}");
    feed.settle().await?;
    feed.closes(3, PATIENCE).await?;
    Ok(vec![
        format!("{before} pods left {NODE} within {took}; {gap}"),
        feed.check()?,
    ])
}
