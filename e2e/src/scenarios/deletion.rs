//! A feed is deleted: nothing of it stays.

use std::collections::BTreeSet;

use anyhow::{Context, Result, ensure};
use cluster::wait::{self, PATIENCE};

use super::Measured;
use super::place::{Nats, Place};

/// What a namespace has of its own, as `kubectl get -o name` names it.
const OWN: [&str; 2] = ["configmap/kube-root-ca.crt", "serviceaccount/default"];

pub(super) async fn run(place: &mut Place) -> Measured {
    let feed = place.take_feed().await?;
    let told = feed.check()?;
    let part = format!("MF_{}-{}_", feed.namespace, feed.name);
    let nats = Nats::first();
    let before = place.streams(&nats, &part).await?;
    // Closes, open bars, and the bucket of leases.
    ensure!(before.len() == 3, "its streams are {before:?}");
    let kinds = kinds(place).await?;
    let made = objects(place, &kinds, &feed.namespace).await?;
    let is_seen = made.iter().any(|name| name.starts_with("deployment"));
    ensure!(is_seen, "of the feed that runs is seen {made:?}");
    let took = feed.delete().await?;
    let after = place.streams(&nats, &part).await?;
    ensure!(after.is_empty(), "streams are left: {after:?}");
    let mut left = BTreeSet::new();
    let gone = wait::until("the end of its objects", PATIENCE, async || {
        left = objects(place, &kinds, &feed.namespace).await?;
        Ok(left.is_empty().then_some(()))
    })
    .await;
    gone.with_context(|| format!("left in {}: {left:?}", feed.namespace))?;
    Ok(vec![
        format!(
            "gone after {took} with {} streams; of {} objects none is left",
            before.len(),
            made.len()
        ),
        told,
    ])
}

/// All kinds of objects that a namespace may have, but for events, which go by themselves, and measurements, which are no objects.
async fn kinds(place: &Place) -> Result<String> {
    let list = [
        "api-resources",
        "--verbs=list",
        "--namespaced",
        "-o",
        "name",
    ];
    let said = place.kubectl().run(list).await?;
    let is_kept = |kind: &&str| {
        let is_event = *kind == "events" || kind.starts_with("events.");
        !is_event && !kind.ends_with(".metrics.k8s.io")
    };
    let kinds: Vec<&str> = said.split_whitespace().filter(is_kept).collect();
    ensure!(kinds.contains(&"pods"), "the kinds are {kinds:?}");
    Ok(kinds.join(","))
}

/// What is in a namespace beside its own, whatever its labels are.
async fn objects(place: &Place, kinds: &str, namespace: &str) -> Result<BTreeSet<String>> {
    let get = ["get", kinds, "-n", namespace, "-o", "name"];
    let said = place.kubectl().run(get).await?;
    let names = said.split_whitespace().filter(|name| !OWN.contains(name));
    Ok(names.map(str::to_owned).collect())
}
