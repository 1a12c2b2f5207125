//! The release goes: not while a feed needs its NATS.

use std::time::{Duration, Instant};

use anyhow::{Context, ensure};
use cluster::wait::{self, PATIENCE};

use super::Measured;
use super::place::{Place, SYSTEM, secs};

/// A pod has half a minute to end.
const GONE_MAX: Duration = Duration::from_secs(90);

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
    feed.closes(2, PATIENCE).await?;
    place.stay().await?;
    feed.closes(2, PATIENCE).await?;
    feed.same_pods(place, &before).await?;
    let told = feed.check()?;
    feed.delete().await?;
    let started = Instant::now();
    place.uninstall().await?;
    let took = secs(started);
    // Helm waits for what it made itself; what came of that is removed by the cluster after it.
    let mut left = String::new();
    let gone = wait::until("the end of what it made", GONE_MAX, async || {
        let get = ["get", "all", "-n", SYSTEM, "-o", "name"];
        left = place.kubectl().run(get).await?;
        Ok(left.trim().is_empty().then_some(()))
    })
    .await;
    gone.with_context(|| format!("it left {left}"))?;
    let definition = ["get", "crd", "marketfeeds.marketfeed.dev", "-o", "name"];
    place.kubectl().run(definition).await?;
    Ok(vec![
        format!(
            "refused while a feed used its NATS, and upgraded after that; without feeds gone after {took}, the definition stays"
        ),
        told,
    ])
}
