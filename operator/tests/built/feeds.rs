//! Feeds to build, and what comes out as JSON.

use operator::build::{Release, build, purge_job};
use operator::{ValidFeed, plan, validate};
use serde_json::{Value, json};
use wire::Assignment;

pub(crate) fn release() -> Release {
    Release {
        image: "marketfeed:test".to_owned(),
        namespace: "marketfeed-system".to_owned(),
    }
}

/// A feed of two shards, with other parts of its spec.
pub(crate) fn feed(spec: &Value) -> ValidFeed {
    let mut object = json!({
        "apiVersion": "marketfeed.dev/v1alpha1",
        "kind": "MarketFeed",
        "metadata": { "name": "crypto", "namespace": "market", "uid": "1b4e28ba" },
        "spec": {
            "sources": [{ "venue": "binance-spot", "symbols": ["BTC-USDT", "ETH-USDT"] }],
            "marketdata": { "shards": 2 },
            "nats": { "urls": ["nats://nats:4222"] },
        },
    });
    for (name, value) in spec.as_object().unwrap() {
        object["spec"][name] = value.clone();
    }
    parsed(&serde_yaml_ng::to_string(&object).unwrap())
}

pub(crate) fn parsed(yaml: &str) -> ValidFeed {
    validate(&plan::parse(yaml, "default").unwrap()).unwrap()
}

/// All objects, the Job that runs at the end included.
pub(crate) fn all(feed: &ValidFeed) -> Vec<Value> {
    let assignment = plan::assignment(feed, None).unwrap();
    let mut all = objects(feed, &assignment);
    all.push(serde_json::to_value(purge_job(feed, &release())).unwrap());
    all
}

pub(crate) fn objects(feed: &ValidFeed, assignment: &Assignment) -> Vec<Value> {
    build(feed, assignment, &release()).to_json().unwrap()
}

/// The one of a kind and name.
#[track_caller]
pub(crate) fn find<'a>(objects: &'a [Value], kind: &str, name: &str) -> &'a Value {
    let is_it = |object: &&Value| object["kind"] == kind && object["metadata"]["name"] == name;
    objects
        .iter()
        .find(is_it)
        .unwrap_or_else(|| panic!("no {kind} {name}"))
}

/// Pods' templates with the name of what they are of.
pub(crate) fn templates(objects: &[Value]) -> Vec<(String, &Value)> {
    let name = |object: &Value| object["metadata"]["name"].as_str().unwrap().to_owned();
    let template = |object| (name(object), &object["spec"]["template"]);
    objects
        .iter()
        .map(template)
        .filter(|(_, template)| template.is_object())
        .collect()
}
