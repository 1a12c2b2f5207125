//! The API server is away for a minute.

use std::time::Duration;

use anyhow::{Result, ensure};
use cluster::wait::{self, PATIENCE};

use super::Measured;
use super::feed::{Feed, UNTOUCHED_MAX};
use super::place::Place;

/// Closes of one second each: a minute.
const CLOSES: usize = 60;

/// How long they may take.
const CLOSES_MAX: Duration = Duration::from_secs(120);

pub(super) async fn run(place: &mut Place) -> Measured {
    let feed = place.take_feed().await?;
    let measured = on(place, &feed).await?;
    place.put_back(feed);
    Ok(measured)
}

async fn on(place: &Place, feed: &Feed) -> Measured {
    let before = feed.pods(place).await?;
    let since = feed.client.now();
    place.cluster.kill("kube-apiserver").await?;
    let came = feed
        .client
        .wait_for_closes(&feed.topics, since, CLOSES, CLOSES_MAX)
        .await;
    // It is still away: they came in that time, and one after the other.
    let late = feed.late_since(since, UNTOUCHED_MAX);
    let was_away = !answers(place).await?;
    // Whatever came of it: the next scenario needs it.
    place.cluster.restart("kube-apiserver").await?;
    wait::until("the API server", PATIENCE, async || {
        Ok(answers(place).await?.then_some(()))
    })
    .await?;
    came?;
    let late = late?;
    ensure!(was_away, "the API server was there all the time");
    // What is said of the feed is from before: the operator has to do something now.
    feed.is_looked_after().await?;
    feed.settle().await?;
    feed.closes(2, PATIENCE).await?;
    feed.same_pods(place, &before).await?;
    let all = feed.late_since(since, UNTOUCHED_MAX)?;
    Ok(vec![
        format!(
            "{CLOSES} closes of every topic meanwhile; {late}; after it too: {all}; {} pods stayed",
            before.len()
        ),
        feed.check()?,
    ])
}

async fn answers(place: &Place) -> Result<bool> {
    let get = ["get", "--raw", "/readyz", "--request-timeout=5s"];
    Ok(place.kubectl().try_run(get).await?.ok)
}
