//! What changes a pod's template restarts it; and what is built again is the same.

use operator::ValidFeed;
use operator::plan;
use serde_json::{Value, json};

use super::feeds::{feed, find, objects, templates};

fn source(symbols: &[&str]) -> Value {
    json!([{ "venue": "binance-spot", "symbols": symbols }])
}

/// The objects before and after, the assignment going on from the one before.
fn change(before: &ValidFeed, after: &ValidFeed) -> (Vec<Value>, Vec<Value>) {
    let old = plan::assignment(before, None).unwrap();
    let new = plan::assignment(after, Some(&old)).unwrap();
    (objects(before, &old), objects(after, &new))
}

/// Whose pods would restart.
fn restarted(before: &ValidFeed, after: &ValidFeed) -> Vec<String> {
    let (before, after) = change(before, after);
    let (before, after) = (templates(&before), templates(&after));
    let changed = |(name, template): &(String, &Value)| {
        let same = after.iter().find(|(other, _)| other == name);
        same.is_some_and(|(_, other)| other != template)
            .then(|| name.clone())
    };
    before.iter().filter_map(changed).collect()
}

#[test]
fn symbols_and_shards_restart_nobody() {
    let before = feed(&json!({}));
    let of = |spec: Value| restarted(&before, &feed(&spec));
    assert_eq!(of(json!({})), [""; 0]);
    assert_eq!(
        of(json!({ "sources": source(&["BTC-USDT", "SOL-USDT", "XRP-USDT"]) })),
        [""; 0]
    );
    assert_eq!(of(json!({ "sources": source(&["ETH-USDT"]) })), [""; 0]);
    assert_eq!(of(json!({ "marketdata": { "shards": 4 } })), [""; 0]);
    assert_eq!(of(json!({ "marketdata": { "shards": 1 } })), [""; 0]);
    assert_eq!(
        of(json!({ "marketdata": { "shards": 2, "standbys": 2 } })),
        [""; 0]
    );
    let autoscaling = json!({ "autoscaling": { "minReplicas": 2, "maxReplicas": 9 } });
    assert_eq!(of(json!({ "gateway": autoscaling })), [""; 0]);
    // The order in which bar lengths are written says nothing.
    assert_eq!(
        of(json!({ "intervals": ["1d", "1h", "1m", "1s"] })),
        [""; 0]
    );
}

#[test]
fn what_a_process_takes_at_its_start_only_restarts_it() {
    let before = feed(&json!({}));
    let of = |spec: Value| restarted(&before, &feed(&spec));
    let shards = ["crypto-shard-0", "crypto-shard-1"];
    assert_eq!(of(json!({ "intervals": ["1s", "1m"] })), shards);
    assert_eq!(
        of(json!({ "aggregation": { "reorderWindow": "3s" } })),
        shards
    );
    assert_eq!(
        of(json!({ "gateway": { "drain": { "duration": "31s" } } })),
        ["crypto-gateway"]
    );
    let all = ["crypto-gateway", "crypto-shard-0", "crypto-shard-1"];
    assert_eq!(of(json!({ "image": "other:1" })), all);
    assert_eq!(of(json!({ "telemetry": { "log": "debug" } })), all);
}

#[test]
fn a_change_of_symbols_reaches_the_pods_by_the_config_map() {
    let (before, after) = change(
        &feed(&json!({})),
        &feed(&json!({ "sources": source(&["BTC-USDT", "ETH-USDT", "SOL-USDT"]) })),
    );
    let changed: Vec<&Value> = after
        .iter()
        .filter(|object| !before.contains(object))
        .collect();
    assert_eq!(changed.len(), 1, "{changed:?}");
    let map = changed[0];
    assert_eq!(map["kind"], "ConfigMap");
    let text = map["data"]["assignment.json"].as_str().unwrap();
    let assignment = wire::Assignment::parse(text.as_bytes()).unwrap();
    assert_eq!(assignment.generation(), 2);
    assert_eq!(
        map["metadata"]["annotations"]["marketfeed.dev/assignment-generation"],
        "2"
    );
}

#[test]
fn a_shard_more_is_a_deployment_and_a_budget_more() {
    let (before, after) = change(
        &feed(&json!({})),
        &feed(&json!({ "marketdata": { "shards": 3 } })),
    );
    let new: Vec<_> = after
        .iter()
        .filter(|object| !before.contains(object))
        .collect();
    let names: Vec<_> = new
        .iter()
        .map(|object| (&object["kind"], &object["metadata"]["name"]))
        .collect();
    assert_eq!(
        names,
        [
            (&json!("ConfigMap"), &json!("crypto-assignment")),
            (&json!("Deployment"), &json!("crypto-shard-2")),
            (&json!("PodDisruptionBudget"), &json!("crypto-shard-2")),
        ]
    );
}

#[test]
fn the_number_of_gateways_is_the_autoscalers_where_there_is_one() {
    let fixed = feed(&json!({ "gateway": { "replicas": 3 } }));
    let scaled = feed(&json!({
        "gateway": { "replicas": 3, "autoscaling": { "minReplicas": 2, "maxReplicas": 9, "connectionsPerPod": 5000 } },
    }));
    let (fixed, scaled) = change(&fixed, &scaled);
    assert_eq!(
        find(&fixed, "Deployment", "crypto-gateway")["spec"]["replicas"],
        3
    );
    assert!(
        !fixed
            .iter()
            .any(|object| object["kind"] == "HorizontalPodAutoscaler")
    );
    let deployment = &find(&scaled, "Deployment", "crypto-gateway")["spec"];
    assert!(deployment.get("replicas").is_none());
    let autoscaler = &find(&scaled, "HorizontalPodAutoscaler", "crypto-gateway")["spec"];
    assert_eq!(
        (&autoscaler["minReplicas"], &autoscaler["maxReplicas"]),
        (&json!(2), &json!(9))
    );
    assert_eq!(
        autoscaler["metrics"][0]["resource"]["target"]["averageUtilization"],
        60
    );
    assert_eq!(
        autoscaler["metrics"][1]["pods"]["metric"]["name"],
        "ws_connections"
    );
    assert_eq!(
        autoscaler["metrics"][1]["pods"]["target"]["averageValue"],
        "5000"
    );
}
