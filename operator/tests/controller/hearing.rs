//! What gateways are asked, and what follows from what they hear.

use std::sync::Arc;
use std::time::Duration;

use operator::controller::ShardAnswer;
use serde_json::json;
use tokio::sync::Barrier;

use super::scene::{Operator, Scene};

const SYMBOLS: [&str; 4] = ["BTC-USDT", "ETH-USDT", "SOL-USDT", "XRP-USDT"];

/// Gateways hear all, each instrument under an epoch.
fn hear(scene: &Scene, epoch: impl Fn(&str) -> u64) {
    let instruments = SYMBOLS.map(|symbol| {
        json!({
            "venue": "binance-spot", "symbol": symbol, "epoch": epoch(symbol), "event_time": 1, "age": 5, "heard": 5,
            "fresh": true, "open_bars": 1, "fenced": 0, "closes": 1, "breaks": 0, "intervals": [],
        })
    });
    let totals = json!({ "instruments": 4, "fresh": 4, "open_bars": 1, "fenced": 0, "closes": 1, "breaks": 0 });
    let report = json!({
        "env": "market-crypto", "region": "local", "now": 1, "totals": totals, "instruments": instruments,
    });
    let report = serde_json::from_value(report).unwrap();
    scene.pods.say(|says| says.feed = Some(report));
}

fn asked(scene: &Scene) -> Vec<String> {
    let mut asked = Vec::new();
    scene
        .pods
        .say(|says| asked = std::mem::take(&mut says.asked));
    asked
}

/// One after the other each of them would wait for the other's answer.
#[tokio::test]
async fn two_gateways_are_asked_at_the_same_time() {
    let scene = Scene::new(&json!({}));
    let operator = scene.operator();
    for at in 1..=2 {
        let address = format!("10.0.0.{at}");
        scene.run_pod(&format!("crypto-gateway-{at}"), "gateway", &address);
    }
    let meeting = Some(Arc::new(Barrier::new(2)));
    scene.pods.say(|says| says.meeting = meeting);
    let look = scene.look(&operator);
    let looked = tokio::time::timeout(Duration::from_secs(60), look).await;
    looked.unwrap().unwrap();
    assert_eq!(asked(&scene).len(), 2);
}

#[tokio::test]
async fn a_gateway_that_does_not_answer_is_left_alone_for_a_while() {
    let scene = Scene::new(&json!({}));
    let operator = scene.operator();
    for at in 1..=3 {
        let address = format!("10.0.0.{at}");
        scene.run_pod(&format!("crypto-gateway-{at}"), "gateway", &address);
    }
    hear(&scene, |_| 7);
    scene.pods.say(|says| {
        says.silent.insert("10.0.0.1".to_owned());
    });
    scene.look(&operator).await.unwrap();
    assert_eq!(asked(&scene), ["10.0.0.1", "10.0.0.2"]);
    scene.look(&operator).await.unwrap();
    assert_eq!(asked(&scene), ["10.0.0.2", "10.0.0.3"]);
    // It is tried again, after those that answer.
    scene.pods.say(|says| {
        says.silent.insert("10.0.0.3".to_owned());
    });
    scene.pass(10);
    scene.look(&operator).await.unwrap();
    assert_eq!(asked(&scene), ["10.0.0.2", "10.0.0.3"]);
    scene.look(&operator).await.unwrap();
    assert_eq!(asked(&scene), ["10.0.0.2", "10.0.0.1"]);
}

/// What the pod of the second shard says that it has, and which assignment it has read.
fn has(scene: &Scene, generation: u64, instruments: u64) {
    let answer = ShardAnswer {
        role: "active".to_owned(),
        generation: Some(generation),
        owned: Some(instruments),
        leaving: Some(instruments),
        ..ShardAnswer::default()
    };
    scene.pods.say(|says| {
        says.shards.insert(SECOND.to_owned(), answer);
    });
}

const SECOND: &str = "10.0.0.2";

/// Two shards that run, of which shards that are not wanted go on for a while.
async fn two_shards() -> (Scene, Operator) {
    let mut scene = Scene::new(&json!({}));
    scene.linger = (Duration::from_secs(30), Duration::from_secs(600));
    let operator = scene.operator();
    scene.run_pod("crypto-gateway-x", "gateway", "10.0.0.1");
    scene.run_pod("crypto-shard-1-x", "marketdata", SECOND);
    hear(&scene, |_| 7);
    has(&scene, 1, 2);
    scene.settle(&operator).await;
    (scene, operator)
}

/// That nothing was left was true of the assignment before: no shard was unwanted by it.
#[tokio::test]
async fn a_shard_stays_while_nobody_was_told_that_it_goes() {
    let (scene, operator) = two_shards().await;
    scene.settle_all_pods();
    scene.settle(&operator).await;
    scene.respec(&json!({ "marketdata": { "shards": 1 } }));
    // The assignment is written, and then the API server is away for as long as a shard goes on at least.
    scene.api.fail_after(Some(1));
    scene.look(&operator).await.unwrap_err();
    scene.pass(40);
    scene.api.fail_after(None);
    scene.look(&operator).await.unwrap();
    scene.api.get("deployments", "crypto-shard-1");
    has(&scene, 2, 0);
    scene.settle_all_pods();
    // One look hears of it, the next one goes by it.
    scene.look(&operator).await.unwrap();
    scene.look(&operator).await.unwrap();
    assert_eq!(scene.api.all("deployments").len(), 2);
}

/// A shard that is not wanted goes when it has nothing left that others are to take, and after a long time otherwise.
#[tokio::test]
async fn a_shard_goes_when_others_have_taken_over_what_it_had() {
    for (taken_over, gone_after) in [(true, 30), (false, 600)] {
        let (scene, operator) = two_shards().await;
        scene.respec(&json!({ "marketdata": { "shards": 1 } }));
        scene.settle(&operator).await;
        scene.settle_all_pods();
        has(&scene, 2, if taken_over { 0 } else { 1 });
        scene.settle(&operator).await;
        scene.pass(gone_after - 1);
        scene.settle(&operator).await;
        scene.api.get("deployments", "crypto-shard-1");
        scene.pass(1);
        scene.settle(&operator).await;
        assert_eq!(scene.api.all("deployments").len(), 2, "{taken_over}");
    }
}

/// Nothing of it is lost with an operator that ends: not where the feed shrinks while none runs, and not after it has written
/// the assignment.
#[tokio::test]
async fn a_shard_goes_on_for_what_it_has_left_under_another_operator() {
    for has_written in [false, true] {
        let (scene, operator) = two_shards().await;
        scene.respec(&json!({ "marketdata": { "shards": 1 } }));
        if has_written {
            scene.look(&operator).await.unwrap();
        }
        let next = scene.operator();
        scene.settle(&next).await;
        scene.settle_all_pods();
        // It has not read yet that it goes, then it knows, and then it has nothing left.
        for (generation, left, shards) in [(1, 0, 2), (2, 1, 2), (2, 0, 1)] {
            has(&scene, generation, left);
            scene.settle(&next).await;
            scene.pass(60);
            scene.settle(&next).await;
            let deployments = scene.api.all("deployments").len();
            assert_eq!(deployments, 1 + shards, "{generation} {left}");
        }
    }
}
