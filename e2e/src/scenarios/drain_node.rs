//! A node is drained: what runs there goes on elsewhere.

use std::time::Instant;

use anyhow::{Context, Result, bail, ensure};
use cluster::wait::{self, PATIENCE};

use super::Measured;
use super::drain_gateway::gateway_of_client;
use super::feed::{Feed, HANDOVER_MAX};
use super::kill_owner::{owner_of, remove};
use super::place::{Place, secs};
use super::pods::Pod;

/// NATS and the simulator are on the other one.
const NODE: &str = "node1";

/// How often an owner elsewhere is asked to stop, so that one of the node takes over.
const MOVES_MAX: usize = 4;

pub(super) async fn run(place: &mut Place) -> Measured {
    let feed = place.take_feed().await?;
    let measured = on(place, &feed).await?;
    place.put_back(feed);
    Ok(measured)
}

async fn on(place: &Place, feed: &Feed) -> Measured {
    let (shard, owner) = owner_there(place, feed).await?;
    let gateway = gateway_there(place, feed).await?;
    let there = |pods: Vec<Pod>| pods.iter().filter(|pod| pod.node == NODE).count();
    let before = there(feed.pods(place).await?);
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
    let after = feed.pods(place).await?;
    let next = owner_of(place, feed, shard).await;
    let other = gateway_of_client(place, feed).await;
    place.kubectl().run(["uncordon", NODE]).await?;
    drained?;
    let left = there(after);
    ensure!(left == 0, "{left} pods are on {NODE}");
    let (next, other) = (next?, other?);
    for (before, after) in [(&owner, &next), (&gateway, &other)] {
        let is_another = after.uid != before.uid && after.node != NODE;
        ensure!(
            is_another,
            "{} was to go on elsewhere, {} of {} did",
            before.name,
            after.name,
            after.node
        );
    }
    feed.settle().await?;
    feed.closes(3, PATIENCE).await?;
    let late = feed.late_since(since, HANDOVER_MAX)?;
    Ok(vec![
        format!(
            "{before} pods left {NODE} within {took}, with the owner of shard {shard} and the client's gateway; {late}"
        ),
        feed.check()?,
    ])
}

/// A shard whose owner is on the node; where there is none, owners elsewhere are stopped until one of the node takes over.
async fn owner_there(place: &Place, feed: &Feed) -> Result<(u32, Pod)> {
    for _ in 0..MOVES_MAX {
        feed.settle().await?;
        let pods = feed.pods(place).await?;
        let there = pods.iter().filter(|pod| pod.node == NODE);
        let shards: Vec<u32> = there.filter_map(|pod| pod.shard).collect();
        for shard in &shards {
            let owner = owner_of(place, feed, *shard).await?;
            if owner.node == NODE {
                return Ok((*shard, owner));
            }
        }
        let shard = shards.first().copied();
        let shard = shard.with_context(|| format!("no pod of a shard is on {NODE}"))?;
        let owner = owner_of(place, feed, shard).await?;
        remove(place, &feed.namespace, &owner).await?;
        feed.sees_changed(&owner).await?;
    }
    bail!("no owner came to {NODE} though {MOVES_MAX} elsewhere were stopped");
}

/// The client's gateway, once that is on the node: its connection is cut until it has come to one there.
async fn gateway_there(place: &Place, feed: &Feed) -> Result<Pod> {
    let what = format!("the client on a gateway of {NODE}");
    wait::until(&what, PATIENCE, async || {
        let gateway = gateway_of_client(place, feed).await?;
        if gateway.node == NODE {
            return Ok(Some(gateway));
        }
        feed.client.drop_connection();
        Ok(None)
    })
    .await
}
