//! A MarketFeed in the cluster with a client outside of it that checks what it is told.

use std::fs;
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use cluster::wait::{self, PATIENCE};
use cluster::{Checker, Persistence};
use serde_json::{Value, json};
use wire::assignment::Difference;
use wire::{Assignment, Topic};

use super::place::{Place, none, secs};
use super::pods::{self, Pod};
use super::tidy::make_namespace;
use crate::{Forward, Kubectl};

/// When nothing of it is on its way to be otherwise.
mod settled;

/// How late its closes may be.
mod lateness;

pub(crate) use lateness::{CRASH_MAX, ELECTION_MAX, HANDOVER_MAX, UNTOUCHED_MAX};

/// How long a change may take until all pods are as they should be: gateways drain half a minute each.
pub(crate) const SETTLE_MAX: Duration = Duration::from_secs(300);

/// How long closes are waited for when something breaks. How late they may be then is another question: `lateness`.
pub(crate) const GAP_MAX: Duration = Duration::from_secs(60);

/// A feed as it is to be.
pub(crate) struct Wanted {
    pub(crate) namespace: String,
    pub(crate) spec: Value,
    name: String,
}

impl Wanted {
    /// `examples/simulator.yaml` in a namespace, with requests of CPU by which several of them fit on a small node.
    pub(crate) fn new(namespace: &str) -> Self {
        let requests = json!({ "resources": { "requests": { "cpu": "20m", "memory": "32Mi" } } });
        Self {
            namespace: namespace.to_owned(),
            spec: json!({ "gateway": requests, "marketdata": requests }),
            name: "demo".to_owned(),
        }
    }

    /// With something else in its spec: a merge patch.
    pub(crate) fn with(mut self, spec: &Value) -> Self {
        merge(&mut self.spec, spec);
        self
    }

    /// The object.
    pub(crate) fn object(&self, place: &Place) -> Result<Value> {
        let file = place.stock.root.join("examples/simulator.yaml");
        let text = fs::read_to_string(&file).with_context(|| format!("{}", file.display()))?;
        let mut feed: Value = serde_yaml_ng::from_str(&text).context("no MarketFeed")?;
        feed["metadata"] = json!({ "name": self.name, "namespace": self.namespace });
        merge(&mut feed["spec"], &self.spec);
        Ok(feed)
    }
}

/// A merge patch.
fn merge(value: &mut Value, patch: &Value) {
    match patch {
        Value::Object(fields) => {
            if !value.is_object() {
                *value = json!({});
            }
            for (name, patch) in fields {
                if patch.is_null() {
                    if let Some(fields) = value.as_object_mut() {
                        fields.remove(name);
                    }
                } else {
                    merge(&mut value[name], patch);
                }
            }
        }
        other => *value = other.clone(),
    }
}

/// A feed that runs, and its client.
pub(crate) struct Feed {
    pub(crate) namespace: String,
    pub(crate) name: String,
    /// Those of a second: each has a close every second.
    pub(crate) topics: Vec<Topic>,
    pub(crate) client: Checker,
    /// The way to its gateways.
    pub(crate) way: Forward,
    kubectl: Kubectl,
}

/// How long its parts took from the apply on.
pub(crate) struct Times {
    pub(crate) first_close: Duration,
    pub(crate) ready: Duration,
}

impl Feed {
    /// Applies it and waits until its client has had a close of every topic and it says that it is ready.
    pub(crate) async fn create(place: &Place, wanted: Wanted) -> Result<(Self, Times)> {
        let object = wanted.object(place)?;
        make_namespace(place.kubectl(), &wanted.namespace).await?;
        let started = Instant::now();
        place.kubectl().apply(&object.to_string()).await?;
        let topics = topics_of(&object["spec"], "1s")?;
        let Wanted {
            namespace, name, ..
        } = wanted;
        let service = format!("{name}-gateway");
        let kubectl = place.kubectl();
        wait::until("the gateways' Service", PATIENCE, async || {
            let get = ["get", "service", &service, "-n", &namespace];
            Ok(kubectl.try_run(get).await?.ok.then_some(()))
        })
        .await?;
        let way = place.cluster.forward(&namespace, &service, 8080).await?;
        let texts = topics.iter().map(ToString::to_string).collect();
        let client = Checker::start("client", way.address, texts, Persistence::Returns);
        let feed = Self {
            namespace,
            name,
            topics,
            client,
            way,
            kubectl: place.kubectl().clone(),
        };
        let closes = feed
            .client
            .wait_for_closes(&feed.topics, Duration::ZERO, 1, SETTLE_MAX)
            .await;
        let first_close = started.elapsed();
        closes.context(feed.in_words().await)?;
        feed.wait_for("Ready", "True", SETTLE_MAX).await?;
        let ready = started.elapsed();
        place.say(&format!(
            "{}/{}: a close of every topic after {:.1} s, ready after {:.1} s",
            feed.namespace,
            feed.name,
            first_close.as_secs_f64(),
            ready.as_secs_f64()
        ));
        Ok((feed, Times { first_close, ready }))
    }

    /// What the operator says of it.
    pub(crate) async fn object(&self) -> Result<Value> {
        let args = ["get", "marketfeed", &self.name, "-n", &self.namespace];
        self.kubectl.json(args).await
    }

    /// Its line in `kubectl get -o wide`, for errors.
    pub(crate) async fn in_words(&self) -> String {
        let args = ["get", "marketfeed", &self.name, "-n", &self.namespace];
        let said = self
            .kubectl
            .run(args.into_iter().chain(["-o", "wide", "--no-headers"]))
            .await;
        said.map_or_else(|error| format!("{error:#}"), |said| said.trim().to_owned())
    }

    /// Changes its spec: a merge patch.
    pub(crate) async fn change(&self, spec: &Value) -> Result<()> {
        let patch = json!({ "spec": spec }).to_string();
        let args = ["patch", "marketfeed", &self.name, "-n", &self.namespace];
        self.kubectl
            .run(args.into_iter().chain(["--type=merge", "-p", &patch]))
            .await
            .map(drop)
    }

    /// Waits until a condition says so of the spec as it is now.
    pub(crate) async fn wait_for(
        &self,
        kind: &str,
        status: &str,
        bound: Duration,
    ) -> Result<Value> {
        let found = wait::until("a condition", bound, async || {
            let object = self.object().await?;
            let found = condition(&object, kind);
            Ok(found.filter(|found| found["status"] == status))
        })
        .await;
        match found {
            Ok(found) => Ok(found),
            Err(error) => {
                let said = self.in_words().await;
                Err(error).with_context(|| format!("{kind} is not {status}: {said}"))
            }
        }
    }

    pub(crate) async fn pods(&self, place: &Place) -> Result<Vec<Pod>> {
        place.pods(&self.namespace, &self.name).await
    }

    /// Whether its pods are the same as before, none of them started again.
    pub(crate) async fn same_pods(&self, place: &Place, before: &[Pod]) -> Result<()> {
        let after = self.pods(place).await?;
        none("pods have changed", &pods::changes(before, &after))
    }

    /// Which shard has which instrument.
    pub(crate) async fn assignment(&self) -> Result<Assignment> {
        let map = format!("{}-assignment", self.name);
        let map = self
            .kubectl
            .json(["get", "configmap", &map, "-n", &self.namespace])
            .await?;
        let text = map["data"]["assignment.json"].as_str().unwrap_or_default();
        Ok(Assignment::parse(text.as_bytes())?)
    }

    /// Waits for another assignment than this one, and gives what it changes.
    pub(crate) async fn assignment_after(
        &self,
        before: &Assignment,
    ) -> Result<(Assignment, Difference)> {
        let after = wait::until("another assignment", PATIENCE, async || {
            let now = self.assignment().await?;
            Ok((now.generation() > before.generation()).then_some(now))
        })
        .await?;
        let difference = Difference::between(Some(before), &after);
        Ok((after, difference))
    }

    /// Waits until its client has had so many closes of every topic from now on.
    pub(crate) async fn closes(&self, count: usize, bound: Duration) -> Result<()> {
        let since = self.client.now();
        let came = self
            .client
            .wait_for_closes(&self.topics, since, count, bound)
            .await;
        match came {
            Ok(()) => Ok(()),
            Err(error) => Err(error.context(self.in_words().await)),
        }
    }

    /// Whether its client was told every close once and in order; how many they were.
    pub(crate) fn check(&self) -> Result<String> {
        none("the client was told wrong", &self.client.violations())?;
        let count = self.client.look(cluster::checker::Ledger::count);
        Ok(format!(
            "{count} closes at the client in order, {} subscriptions",
            self.client.subscriptions()
        ))
    }

    /// Deletes it and waits until it is gone; how long that took.
    pub(crate) async fn delete(&self) -> Result<String> {
        let started = Instant::now();
        let args = ["delete", "marketfeed", &self.name, "-n", &self.namespace];
        self.kubectl
            .run(args.into_iter().chain(["--timeout=250s"]))
            .await?;
        Ok(secs(started))
    }
}

/// A condition of a feed that speaks of its spec as it is now.
pub(crate) fn condition(object: &Value, kind: &str) -> Option<Value> {
    let status = &object["status"];
    if status["observedGeneration"] != object["metadata"]["generation"] {
        return None;
    }
    let mut conditions = status["conditions"].as_array()?.iter();
    conditions.find(|found| found["type"] == kind).cloned()
}

/// The topics of one interval of a spec: short ones, for the first venue to list a symbol.
fn topics_of(spec: &Value, interval: &str) -> Result<Vec<Topic>> {
    let mut topics: Vec<Topic> = Vec::new();
    for source in spec["sources"].as_array().into_iter().flatten() {
        for symbol in source["symbols"].as_array().into_iter().flatten() {
            let symbol = symbol.as_str().unwrap_or_default();
            let topic = format!("kline:{interval}:{symbol}");
            let topic = topic.parse().with_context(|| topic.clone())?;
            if !topics.contains(&topic) {
                topics.push(topic);
            }
        }
    }
    Ok(topics)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patches_are_merged() {
        let mut value = json!({ "a": { "b": 1, "c": [1] }, "d": 2 });
        merge(
            &mut value,
            &json!({ "a": { "c": [2], "b": null, "e": { "f": 3 } } }),
        );
        assert_eq!(value, json!({ "a": { "c": [2], "e": { "f": 3 } }, "d": 2 }));
    }

    #[test]
    fn topics_of_a_spec() {
        let spec = json!({ "sources": [{ "symbols": ["A-B", "C-D"] }, { "symbols": ["A-B"] }] });
        let topics = topics_of(&spec, "1s").unwrap();
        let texts: Vec<String> = topics.iter().map(ToString::to_string).collect();
        assert_eq!(texts, ["kline:1s:A-B", "kline:1s:C-D"]);
    }

    #[test]
    fn a_condition_of_an_older_spec_does_not_count() {
        let mut object = json!({ "metadata": { "generation": 2 }, "status": { "observedGeneration": 1,
            "conditions": [{ "type": "Ready", "status": "True" }] } });
        assert_eq!(condition(&object, "Ready"), None);
        object["status"]["observedGeneration"] = json!(2);
        assert_eq!(condition(&object, "Ready").unwrap()["status"], "True");
        assert_eq!(condition(&object, "Other"), None);
    }
}
