//! What is said of a feed, and how often.

use kube::core::DeserializeGuard;
use operator::controller::undecodable;
use operator::spec::MarketFeed;
use serde_json::{Value, json};

use super::scene::{FEED, Scene};

fn ready(scene: &Scene) -> Value {
    let feed = scene.api.get("marketfeeds", "crypto");
    let conditions = feed["status"]["conditions"].as_array().unwrap();
    conditions
        .iter()
        .find(|condition| condition["type"] == "Ready")
        .unwrap()
        .clone()
}

#[tokio::test]
async fn a_feed_that_cannot_run_says_why_and_goes_on_as_it_was() {
    let scene = Scene::new(&json!({}));
    let operator = scene.operator();
    scene.settle(&operator).await;
    let before = scene.api.all("deployments");
    scene.respec(&json!({ "intervals": ["7s"] }));
    assert_eq!(scene.settle(&operator).await, 1);
    let ready = ready(&scene);
    assert_eq!(
        (&ready["status"], &ready["reason"]),
        (&json!("False"), &json!("Invalid"))
    );
    assert!(
        ready["message"]
            .as_str()
            .unwrap()
            .starts_with("spec.intervals[0]: ")
    );
    assert_eq!(scene.api.all("deployments"), before);
}

#[tokio::test]
async fn what_gateways_hear_is_said_once() {
    let scene = Scene::new(&json!({}));
    let operator = scene.operator();
    scene.settle(&operator).await;
    assert_eq!(ready(&scene)["status"], "False");
    for name in ["crypto-gateway", "crypto-shard-0", "crypto-shard-1"] {
        let path = format!("/apis/apps/v1/namespaces/market/deployments/{name}");
        scene.api.change(&path, |object| {
            let status = json!({ "replicas": 2, "readyReplicas": 2, "updatedReplicas": 2, "availableReplicas": 2, "observedGeneration": 9 });
            object["status"] = status;
        });
    }
    scene.run_pod("crypto-gateway-x", "gateway", "10.0.0.2");
    let instrument = |symbol: &str, age: u64| {
        json!({
            "venue": "binance-spot", "symbol": symbol, "epoch": 1_000, "event_time": 1, "age": age, "heard": age,
            "fresh": true, "open_bars": age, "fenced": 0, "closes": 1, "breaks": 0, "intervals": [],
        })
    };
    let report = |age: u64| {
        let instruments =
            ["BTC-USDT", "ETH-USDT", "SOL-USDT", "XRP-USDT"].map(|symbol| instrument(symbol, age));
        let totals = json!({ "instruments": 4, "fresh": 4, "open_bars": 1, "fenced": 0, "closes": 1, "breaks": 0 });
        let report = json!({ "env": "market-crypto", "region": "local", "now": 1, "totals": totals, "instruments": instruments });
        serde_json::from_value(report).unwrap()
    };
    *scene.gateways.0.lock().unwrap() = Some(report(100));
    assert_eq!(scene.settle(&operator).await, 1);
    let ready = ready(&scene);
    assert_eq!(
        (&ready["status"], &ready["message"]),
        (
            &json!("True"),
            &json!("4 instruments on 2 shards, 2 gateways")
        )
    );
    *scene.gateways.0.lock().unwrap() = Some(report(9_000));
    assert_eq!(scene.settle(&operator).await, 0);
}

#[tokio::test]
async fn one_that_cannot_be_read_is_told_of_once() {
    let scene = Scene::new(&json!({}));
    let operator = scene.operator();
    scene.api.change(FEED, |object| {
        object["spec"]["nats"] = json!("nats://nats:4222");
    });
    let object = scene.api.get("marketfeeds", "crypto");
    let guarded: DeserializeGuard<MarketFeed> = serde_json::from_value(object).unwrap();
    let invalid = guarded.0.unwrap_err();
    scene.api.writes();
    for expect in [1, 0, 0] {
        undecodable(&invalid, operator.context()).await.unwrap();
        assert_eq!(scene.api.writes().len(), expect);
    }
    assert_eq!(ready(&scene)["reason"], "Undecodable");
}
