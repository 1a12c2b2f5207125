//! The release goes: not while a feed needs its NATS.

use std::time::Instant;

use anyhow::ensure;

use super::Measured;
use super::place::{Place, SYSTEM, secs};

pub(super) async fn run(place: &mut Place) -> Measured {
    let feed = place.take_feed().await?;
    let before = feed.pods(place).await?;
    let refused = place
        .uninstall()
        .await
        .err()
        .map(|error| format!("{error:#}"));
    let refused = refused.unwrap_or_default();
    let named = format!("{}/{}", feed.namespace, feed.name);
    ensure!(
        refused.contains(&named),
        "it did not refuse because of {named}: {refused}"
    );
    feed.same_pods(place, &before).await?;
    feed.delete().await?;
    let started = Instant::now();
    place.uninstall().await?;
    let took = secs(started);
    let left = ["get", "all", "-n", SYSTEM, "-o", "name"];
    let left = place.kubectl().run(left).await?;
    ensure!(left.trim().is_empty(), "it left {left}");
    let definition = ["get", "crd", "marketfeeds.marketfeed.dev", "-o", "name"];
    place.kubectl().run(definition).await?;
    Ok(vec![format!(
        "refused while a feed used its NATS; without feeds gone after {took}, the definition stays"
    )])
}
