//! Two feeds on one NATS know nothing of each other.

use anyhow::{Result, ensure};
use cluster::wait::PATIENCE;
use serde_json::json;

use super::Measured;
use super::feed::{Feed, UNTOUCHED_MAX, Wanted};
use super::place::{Nats, Place};

pub(super) async fn run(place: &mut Place) -> Measured {
    let feed = place.take_feed().await?;
    let measured = on(place, &feed).await?;
    place.put_back(feed);
    Ok(measured)
}

async fn on(place: &Place, feed: &Feed) -> Measured {
    let nats = Nats::first();
    let ours = streams(place, &nats, feed).await?;
    let before = feed.pods(place).await?;
    let since = feed.client.now();
    // One symbol that the other has too, and one that it has not.
    let object = feed.object().await?;
    let endpoints = &object["spec"]["sources"][0]["endpoints"];
    let source = json!({ "venue": "binance-spot", "symbols": ["BTC-USDT", "ADA-USDT"], "endpoints": endpoints });
    let wanted = Wanted::new("e2e-other").with(&json!({ "sources": [source] }));
    let (other, _) = Feed::create(place, wanted).await?;
    let theirs = streams(place, &nats, &other).await?;
    ensure!(theirs.len() == ours.len(), "{theirs:?} beside {ours:?}");
    for (of, lacks) in [(feed, "ADA-USDT"), (&other, "ETH-USDT")] {
        let topics = cluster::http::get_json(of.way.address, "/api/v1/topics").await?;
        let topics = topics.to_string();
        ensure!(
            topics.contains("BTC-USDT") && !topics.contains(lacks),
            "{}: {topics}",
            of.namespace
        );
    }
    feed.closes(3, PATIENCE).await?;
    other.closes(3, PATIENCE).await?;
    let told = other.check()?;
    other.delete().await?;
    let left = streams(place, &nats, &other).await?;
    ensure!(left.is_empty(), "streams are left: {left:?}");
    let stayed = streams(place, &nats, feed).await?;
    ensure!(
        stayed == ours,
        "the other's end left {stayed:?} of {ours:?}"
    );
    feed.closes(3, PATIENCE).await?;
    feed.same_pods(place, &before).await?;
    let late = feed.late_since(since, UNTOUCHED_MAX)?;
    Ok(vec![
        format!("while another came and went: {late}"),
        format!("the other: {told}"),
        feed.check()?,
    ])
}

async fn streams(place: &Place, nats: &Nats, feed: &Feed) -> Result<Vec<String>> {
    let part = format!("MF_{}-{}_", feed.namespace, feed.name);
    place.streams(nats, &part).await
}
