//! Gateways are scaled by the CPU that clients cost them.

use std::time::{Duration, Instant};

use anyhow::Result;
use cluster::wait::{self, PATIENCE};
use cluster::{Checker, Persistence};
use serde_json::json;

use super::Measured;
use super::feed::{Feed, Wanted};
use super::place::{Place, none, secs};
use super::pods::Pod;

/// Clients that are more than one gateway is to bear.
const CLIENTS: usize = 150;

/// The autoscaler looks at the last minute.
const UP_MAX: Duration = Duration::from_secs(240);

/// It waits for five minutes before it takes a gateway away, and takes one a minute.
const DOWN_MAX: Duration = Duration::from_secs(780);

pub(super) async fn run(place: &mut Place) -> Measured {
    place.install().await?;
    let wanted = Wanted::new("e2e-scaling").with(&json!({
        "aggregation": { "updateInterval": "100ms" },
        "marketdata": { "shards": 1, "standbys": 0 },
        "gateway": {
            "autoscaling": { "minReplicas": 1, "maxReplicas": 3, "cpuUtilization": 60 },
            "resources": { "requests": { "cpu": "50m", "memory": "64Mi" } },
            "drain": { "duration": "5s" },
        },
    }));
    let (feed, _) = Feed::create(place, wanted).await?;
    feed.wait_for("ScalingActive", "True", UP_MAX).await?;
    // What the start itself cost may have made them more.
    gateways(place, &feed, DOWN_MAX, |gateways| gateways == 1).await?;
    feed.settle().await?;
    let before = feed.pods(place).await?;
    let started = Instant::now();
    let texts: Vec<String> = feed.topics.iter().map(ToString::to_string).collect();
    let crowd: Vec<Checker> = (0..CLIENTS)
        .map(|n| {
            let name = format!("client {n}");
            Checker::start(name, feed.way.address, texts.clone(), Persistence::Returns)
        })
        .collect();
    gateways(place, &feed, UP_MAX, |gateways| gateways > 1).await?;
    let up = secs(started);
    let serves = another_serves(place, &feed, &before).await?;
    for client in &crowd {
        none(client.name(), &client.violations())?;
    }
    drop(crowd);
    let started = Instant::now();
    gateways(place, &feed, DOWN_MAX, |gateways| gateways == 1).await?;
    let down = secs(started);
    feed.closes(2, PATIENCE).await?;
    let told = feed.check()?;
    feed.delete().await?;
    Ok(vec![
        format!(
            "{CLIENTS} clients: more gateways after {up}, {serves} serves; without them one again after {down}"
        ),
        told,
    ])
}

/// Waits for a gateway that there was not before, until a client of its own has had closes of it; its name.
async fn another_serves(place: &Place, feed: &Feed, before: &[Pod]) -> Result<String> {
    let gateway = wait::until("another gateway", UP_MAX, async || {
        let pods = feed.pods(place).await?.into_iter();
        let mut others = pods.filter(|pod| {
            let is_new = before.iter().all(|there| there.uid != pod.uid);
            is_new && pod.is_ready && pod.component == "gateway"
        });
        Ok(others.next())
    })
    .await?;
    let path = "jsonpath={.status.podIP}";
    let get = ["get", "pod", &gateway.name, "-n", &feed.namespace];
    let address = place.kubectl().run(get.into_iter().chain(["-o", path]));
    let address = address.await?;
    let address = format!("{}:8080", address.trim());
    let way = place.cluster.forward_to(&address).await?;
    let texts = feed.topics.iter().map(ToString::to_string).collect();
    let name = format!("client of {}", gateway.name);
    let client = Checker::start(name, way.address, texts, Persistence::Stays);
    client
        .wait_for_closes(&feed.topics, Duration::ZERO, 2, PATIENCE)
        .await?;
    none(client.name(), &client.violations())?;
    Ok(gateway.name)
}

/// Waits until so many are wanted.
async fn gateways(
    place: &Place,
    feed: &Feed,
    bound: Duration,
    enough: impl Fn(u64) -> bool,
) -> Result<()> {
    let deployment = format!("{}-gateway", feed.name);
    let what = "the autoscaler's number of gateways";
    wait::until(what, bound, async || {
        let get = ["get", "deployment", &deployment, "-n", &feed.namespace];
        let deployment = place.kubectl().json(get).await?;
        let wanted = deployment["spec"]["replicas"].as_u64();
        Ok(wanted.is_some_and(&enough).then_some(()))
    })
    .await
}
