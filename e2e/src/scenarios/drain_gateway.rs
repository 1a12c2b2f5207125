//! The gateway that the client is on is asked to stop.

use anyhow::{Result, ensure};
use cluster::wait::{self, PATIENCE};

use super::Measured;
use super::feed::{Feed, HANDOVER_MAX, SETTLE_MAX};
use super::place::Place;
use super::pods::Pod;

pub(super) async fn run(place: &mut Place) -> Measured {
    let feed = place.take_feed().await?;
    let measured = on(place, &feed).await?;
    place.put_back(feed);
    Ok(measured)
}

async fn on(place: &Place, feed: &Feed) -> Measured {
    let first = gateway_of_client(place, feed).await?;
    let subscriptions = feed.client.subscriptions();
    let since = feed.client.now();
    let delete = [
        "delete",
        "pod",
        &first.name,
        "-n",
        &feed.namespace,
        "--wait=false",
    ];
    place.kubectl().run(delete).await?;
    wait::until("another subscription", SETTLE_MAX, async || {
        Ok((feed.client.subscriptions() > subscriptions).then_some(()))
    })
    .await?;
    let ends = feed.client.ends();
    let last = ends.last().map_or("", String::as_str);
    ensure!(
        last.ends_with("(1012)"),
        "the connection ended otherwise: {last}"
    );
    feed.closes(2, PATIENCE).await?;
    let next = gateway_of_client(place, feed).await?;
    ensure!(next.uid != first.uid, "it is on {} again", next.name);
    feed.settle().await?;
    let late = feed.late_since(since, HANDOVER_MAX)?;
    Ok(vec![format!("ended with {last:?}; {late}"), feed.check()?])
}

/// The gateway that has a WebSocket, one that is going too: there is one client. While it changes there may be two for a moment.
pub(super) async fn gateway_of_client(place: &Place, feed: &Feed) -> Result<Pod> {
    wait::until("the client's gateway", PATIENCE, async || {
        let mut found = Vec::new();
        for pod in feed.pods(place).await? {
            if pod.component != "gateway" {
                continue;
            }
            let metrics = place
                .ask(&feed.namespace, &pod.name, 9090, "/metrics")
                .await;
            let metrics = metrics.unwrap_or_default();
            if metrics.lines().any(|line| line == "ws_connections 1") {
                found.push(pod);
            }
        }
        let is_one = found.len() == 1;
        Ok(found.pop().filter(|_| is_one))
    })
    .await
}
