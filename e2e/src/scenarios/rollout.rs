//! A release that writes other bars takes over, and the one before it again.

use std::time::Instant;

use anyhow::{Context, Result, ensure};
use cluster::wait::PATIENCE;
use serde_json::json;

use super::feed::{Feed, HANDOVER_MAX};
use super::place::{Place, secs};
use super::{Measured, socket};

/// What only the later release writes.
const MARK: &str = "a_field_of_a_later_release";

pub(super) async fn run(place: &mut Place) -> Measured {
    let feed = place.take_feed().await?;
    let measured = on(place, &feed).await?;
    place.put_back(feed);
    Ok(measured)
}

async fn on(place: &Place, feed: &Feed) -> Measured {
    let later = place.stock.later.as_ref();
    let later = later
        .context("there is no image of a later release")?
        .name();
    let topic = feed.topics.first().context("no topic")?.to_string();
    ensure!(!socket::bar(feed.way.address, &topic).await?.contains(MARK));

    let since = feed.client.now();
    let started = Instant::now();
    runs(place, feed, Some(&later), &later).await?;
    let there = secs(started);
    let bar = socket::bar(feed.way.address, &topic).await?;
    ensure!(bar.contains(MARK), "it is not the other release: {bar}");
    let told = feed.check()?;

    let started = Instant::now();
    runs(place, feed, None, &place.stock.image.name()).await?;
    let back = secs(started);
    let bar = socket::bar(feed.way.address, &topic).await?;
    ensure!(!bar.contains(MARK), "it is not this release: {bar}");
    let late = feed.late_since(since, HANDOVER_MAX)?;
    Ok(vec![
        format!("rolled out {there}, back {back}; {late}"),
        format!("half way: {told}"),
        feed.check()?,
    ])
}

/// Pins the image, or none, and waits until all pods run what is then wanted.
async fn runs(place: &Place, feed: &Feed, pinned: Option<&str>, wanted: &str) -> Result<()> {
    feed.change(&json!({ "image": pinned })).await?;
    feed.settle().await?;
    feed.closes(2, PATIENCE).await?;
    for pod in feed.pods(place).await? {
        ensure!(
            pod.is_going || pod.image == wanted,
            "{} runs {}",
            pod.name,
            pod.image
        );
    }
    Ok(())
}
