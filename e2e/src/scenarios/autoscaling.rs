//! Gateways are scaled by the CPU that clients cost them.

use std::time::{Duration, Instant};

use anyhow::{Result, ensure};
use cluster::wait::{self, PATIENCE};
use cluster::{Checker, Persistence};
use serde_json::{Value, json};

use super::Measured;
use super::feed::{Feed, HANDOVER_MAX, Wanted};
use super::place::{Place, none, secs};
use super::pods::Pod;

/// The use of its CPU that a gateway is to have, in percent of what it requests.
const TARGET: u64 = 60;

/// Samples by which the start is over.
const QUIET_SAMPLES: usize = 2;

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
            "autoscaling": { "minReplicas": 1, "maxReplicas": 3, "cpuUtilization": TARGET },
            "resources": { "requests": { "cpu": "50m", "memory": "64Mi" } },
            "drain": { "duration": "5s" },
        },
    }));
    let (feed, _) = Feed::create(place, wanted).await?;
    feed.wait_for("ScalingActive", "True", UP_MAX).await?;
    // What the start itself cost may have made them more, and must not be what does later.
    gateways(place, &feed, DOWN_MAX, |gateways| gateways == 1).await?;
    let idle = quiet(place, &feed).await?;
    feed.settle().await?;
    let before = feed.pods(place).await?;
    let since = feed.client.now();
    let started = Instant::now();
    let texts: Vec<String> = feed.topics.iter().map(ToString::to_string).collect();
    let crowd: Vec<Checker> = (0..CLIENTS)
        .map(|n| {
            let name = format!("client {n}");
            Checker::start(name, feed.way.address, texts.clone(), Persistence::Returns)
        })
        .collect();
    let busy = scaled_up(place, &feed).await?;
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
    let late = feed.late_since(since, HANDOVER_MAX)?;
    let told = feed.check()?;
    feed.delete().await?;
    Ok(vec![
        format!(
            "{CLIENTS} clients: from {idle} % to {busy} % of the CPU, of which {TARGET} % are the target; more gateways after {up}, \
             {serves} serves; without them one again after {down}"
        ),
        late,
        told,
    ])
}

/// Waits until the autoscaler has seen less than its target in several measurements, one after the other; what it saw last, in
/// percent.
async fn quiet(place: &Place, feed: &Feed) -> Result<u64> {
    // By their times; one that is above begins them anew.
    let mut samples: Vec<String> = Vec::new();
    wait::until("gateways that are idle", UP_MAX, async || {
        let utilization = utilization(&autoscaler(place, feed).await?);
        let measured = measured_at(place, feed).await?;
        let (Some(utilization), Some(measured)) = (utilization, measured) else {
            return Ok(None);
        };
        if utilization >= TARGET {
            samples.clear();
        } else if samples.last() != Some(&measured) {
            samples.push(measured);
        }
        Ok((samples.len() >= QUIET_SAMPLES).then_some(utilization))
    })
    .await
}

/// Waits until the autoscaler wants more than one; what it saw then, in percent, is above its target.
async fn scaled_up(place: &Place, feed: &Feed) -> Result<u64> {
    let what = "an autoscaler that wants more gateways";
    let found = wait::until(what, UP_MAX, async || {
        let autoscaler = autoscaler(place, feed).await?;
        let wanted = autoscaler["status"]["desiredReplicas"].as_u64();
        Ok((wanted > Some(1)).then_some(autoscaler))
    })
    .await?;
    // Both are of one look of it.
    let seen = utilization(&found).unwrap_or(0);
    ensure!(
        seen > TARGET,
        "gateways became more by {seen} % of their CPU: {}",
        found["status"]
    );
    gateways(place, feed, UP_MAX, |gateways| gateways > 1).await?;
    Ok(seen)
}

/// The autoscaler of a feed's gateways.
pub(super) async fn autoscaler(place: &Place, feed: &Feed) -> Result<Value> {
    let name = format!("{}-gateway", feed.name);
    let kind = "horizontalpodautoscaler";
    let get = ["get", kind, &name, "-n", &feed.namespace];
    place.kubectl().json(get).await
}

/// What an autoscaler saw of the CPU last, in percent.
fn utilization(autoscaler: &Value) -> Option<u64> {
    let current = autoscaler["status"]["currentMetrics"].as_array()?;
    let mut cpu = current
        .iter()
        .filter(|metric| metric["resource"]["name"] == "cpu");
    cpu.next()?["resource"]["current"]["averageUtilization"].as_u64()
}

/// When the CPU of a gateway was measured last.
async fn measured_at(place: &Place, feed: &Feed) -> Result<Option<String>> {
    let path = format!(
        "/apis/metrics.k8s.io/v1beta1/namespaces/{}/pods?labelSelector=app.kubernetes.io/component%3Dgateway",
        feed.namespace
    );
    let said = place.kubectl().try_run(["get", "--raw", &path]).await?;
    let pods: Value = serde_json::from_str(&said.out).unwrap_or_default();
    let at = pods["items"][0]["timestamp"].as_str();
    Ok(at.map(str::to_owned))
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
