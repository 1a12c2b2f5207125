//! A feed is deleted: nothing of it stays.

use anyhow::ensure;
use cluster::wait::{self, PATIENCE};

use super::Measured;
use super::place::{Nats, Place};

/// All kinds of objects that a feed is made of.
const KINDS: &str = "pods,deployments,replicasets,services,configmaps,jobs,poddisruptionbudgets,\
    horizontalpodautoscalers,networkpolicies,endpointslices";

pub(super) async fn run(place: &mut Place) -> Measured {
    let feed = place.take_feed().await?;
    let told = feed.check()?;
    let part = format!("MF_{}-{}_", feed.namespace, feed.name);
    let nats = Nats::first();
    let before = place.streams(&nats, &part).await?;
    // Closes, open bars, and the bucket of leases.
    ensure!(before.len() == 3, "its streams are {before:?}");
    let took = feed.delete().await?;
    let after = place.streams(&nats, &part).await?;
    ensure!(after.is_empty(), "streams are left: {after:?}");
    let label = format!("marketfeed.dev/feed={}", feed.name);
    wait::until("the end of its objects", PATIENCE, async || {
        let get = [
            "get",
            KINDS,
            "-n",
            &feed.namespace,
            "-l",
            &label,
            "-o",
            "name",
        ];
        let left = place.kubectl().run(get).await?;
        Ok(left.trim().is_empty().then_some(()))
    })
    .await?;
    Ok(vec![
        format!("gone after {took} with {} streams", before.len()),
        told,
    ])
}
