//! Shards come and go: only what has to moves, and no pod that stays is started again.

use std::time::Instant;

use anyhow::{Result, ensure};
use cluster::wait::{self, PATIENCE};
use serde_json::json;
use wire::Assignment;
use wire::assignment::Difference;

use super::Measured;
use super::feed::{Feed, HANDOVER_MAX, SETTLE_MAX};
use super::place::{Place, none, secs};
use super::pods;

/// The example's, and as many as there are to be for a while.
const FEW: u16 = 2;
const MANY: u16 = 4;

pub(super) async fn run(place: &mut Place) -> Measured {
    let feed = place.take_feed().await?;
    let measured = on(place, &feed).await?;
    place.put_back(feed);
    Ok(measured)
}

async fn on(place: &Place, feed: &Feed) -> Measured {
    let before = feed.pods(place).await?;
    let few = feed.assignment().await?;
    let since = feed.client.now();

    let started = Instant::now();
    let (many, out) = reshard(feed, &few, MANY).await?;
    fewest_out(&out, &many)?;
    feed.settle().await?;
    feed.closes(2, PATIENCE).await?;
    let more = secs(started);
    let stayed: Vec<_> = feed
        .pods(place)
        .await?
        .into_iter()
        .filter(|pod| pod.shard.is_none_or(|shard| shard < u32::from(FEW)))
        .collect();
    none("pods have changed", &pods::changes(&before, &stayed))?;

    let started = Instant::now();
    let (_, back) = reshard(feed, &many, FEW).await?;
    let strays = back.moved.iter().filter(|moved| moved.from.0 < FEW);
    let strays: Vec<_> = strays.map(|moved| &moved.instrument).collect();
    none("instruments moved from a shard that stays", &strays)?;
    wait::until("the end of shards", SETTLE_MAX, async || {
        let now = feed.pods(place).await?;
        Ok(pods::changes(&before, &now).is_empty().then_some(()))
    })
    .await?;
    feed.settle().await?;
    feed.closes(2, PATIENCE).await?;
    let fewer = secs(started);
    let late = feed.late_since(since, HANDOVER_MAX)?;
    Ok(vec![
        format!(
            "{FEW} to {MANY} shards {more}, {} moved; back {fewer}, {} moved; {late}",
            out.moved.len(),
            back.moved.len()
        ),
        feed.check()?,
    ])
}

async fn reshard(feed: &Feed, from: &Assignment, shards: u16) -> Result<(Assignment, Difference)> {
    feed.change(&json!({ "marketdata": { "shards": shards } }))
        .await?;
    feed.assignment_after(from).await
}

/// To each new shard its share at most, and nothing between those that were there.
fn fewest_out(difference: &Difference, new: &Assignment) -> Result<()> {
    let strays = difference.moved.iter().filter(|moved| moved.to.0 < FEW);
    let strays: Vec<_> = strays.map(|moved| &moved.instrument).collect();
    none("instruments moved to a shard that was there", &strays)?;
    let share = new.instruments().count().div_ceil(usize::from(MANY));
    let most = share * usize::from(MANY - FEW);
    ensure!(
        !difference.moved.is_empty() && difference.moved.len() <= most,
        "{} instruments moved, {most} at most have to",
        difference.moved.len()
    );
    Ok(())
}
