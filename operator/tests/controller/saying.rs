//! What is said of a feed, and how often.

use kube::core::DeserializeGuard;
use operator::controller::{reconcile, undecodable};
use operator::spec::MarketFeed;
use serde_json::{Value, json};

use super::scene::{FEED, Operator, Scene};

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
    scene.pods.say(|says| says.feed = Some(report(100)));
    assert_eq!(scene.api.events(), [], "what is said first is no change");
    assert_eq!(scene.settle(&operator).await, 1);
    let events: Vec<_> = scene.api.events();
    let events: Vec<(&str, &str)> = events
        .iter()
        .map(|(reason, kind)| (&reason[..], &kind[..]))
        .collect();
    let normal = ["Running", "Heard", "Heard", "AllReady", "Fresh", "Settled"];
    assert_eq!(events, normal.map(|reason| (reason, "Normal")));
    let ready = ready(&scene);
    assert_eq!(
        (&ready["status"], &ready["message"]),
        (
            &json!("True"),
            &json!("4 instruments on 2 shards, 2 gateways")
        )
    );
    scene.pods.say(|says| says.feed = Some(report(9_000)));
    assert_eq!(scene.settle(&operator).await, 0);
    assert_eq!(scene.api.events(), []);
    scene.respec(&json!({ "intervals": ["7s"] }));
    scene.settle(&operator).await;
    assert_eq!(
        scene.api.events(),
        [("Invalid".to_owned(), "Warning".to_owned())]
    );
}

#[tokio::test]
async fn one_that_cannot_be_read_is_told_of_once() {
    let (scene, operator, invalid) = unreadable(|_| {});
    scene.api.writes();
    for expect in [1, 0, 0] {
        undecodable(&invalid, operator.context()).await.unwrap();
        assert_eq!(scene.api.writes().len(), expect);
    }
    assert_eq!(ready(&scene)["reason"], "Undecodable");
}

/// It is told of again when it was mended meanwhile, and not by another process.
#[tokio::test]
async fn one_that_cannot_be_read_is_told_of_each_time() {
    let (scene, operator, invalid) = unreadable(|_| {});
    undecodable(&invalid, operator.context()).await.unwrap();
    let first = ready(&scene);
    scene.api.writes();
    scene.pass(100);
    undecodable(&invalid, scene.operator().context())
        .await
        .unwrap();
    assert_eq!(scene.api.writes(), []);
    let unreadable = scene.api.get("marketfeeds", "crypto")["spec"]["nats"].clone();
    scene.respec(&json!({ "nats": { "urls": ["nats://nats:4222"] } }));
    scene.settle(&operator).await;
    assert_ne!(ready(&scene)["reason"], "Undecodable");
    scene.respec(&json!({ "nats": unreadable }));
    scene.api.events();
    undecodable(&invalid, operator.context()).await.unwrap();
    let event = ("Undecodable".to_owned(), "Warning".to_owned());
    assert_eq!(scene.api.events(), [event]);
    let again = ready(&scene);
    assert_eq!(again["reason"], "Undecodable");
    // It was not ready all the time.
    assert_eq!(again["lastTransitionTime"], first["lastTransitionTime"]);
}

/// What could not be told is told later.
#[tokio::test]
async fn one_that_cannot_be_read_is_told_of_again_if_that_failed() {
    let (scene, operator, invalid) = unreadable(|_| {});
    scene.api.fail_after(Some(0));
    assert!(undecodable(&invalid, operator.context()).await.is_err());
    scene.api.fail_after(None);
    undecodable(&invalid, operator.context()).await.unwrap();
    assert_eq!(ready(&scene)["reason"], "Undecodable");
}

/// Nobody can tell what it has on NATS; it goes all the same.
#[tokio::test]
async fn one_that_cannot_be_read_is_let_go_when_it_is_deleted() {
    let (scene, operator, invalid) = unreadable(|object| {
        object["metadata"]["finalizers"] = json!(["marketfeed.dev/purge"]);
        object["metadata"]["deletionTimestamp"] = json!("2026-01-01T00:00:00Z");
    });
    undecodable(&invalid, operator.context()).await.unwrap();
    assert!(scene.feed().is_none());
    assert_eq!(operator.context().remembered(), 0);
}

/// A feed that this release cannot read, with another change of it.
fn unreadable(
    change: impl FnOnce(&mut Value),
) -> (Scene, Operator, kube::core::error_boundary::InvalidObject) {
    let scene = Scene::new(&json!({}));
    scene.api.let_read();
    let operator = scene.operator();
    scene.api.change(FEED, |object| {
        object["spec"]["nats"] = json!("nats://nats:4222");
        change(object);
    });
    let object = scene.api.get("marketfeeds", "crypto");
    let guarded: DeserializeGuard<MarketFeed> = serde_json::from_value(object).unwrap();
    (scene, operator, guarded.0.unwrap_err())
}

#[tokio::test]
async fn what_it_does_is_counted() {
    let scene = Scene::new(&json!({}));
    let operator = scene.operator();
    scene.settle(&operator).await;
    let check = |name: &str, expect: &str| assert_eq!(operator.shown(name), expect, "{name}");
    check("feeds{ready=\"false\"}", "1");
    check("reconciles_total{outcome=\"done\"}", "2");
    check("reconcile_seconds_count", "2");
    // Three, and the number of gateways.
    check(
        "object_writes_total{kind=\"Deployment\",verb=\"apply\"}",
        "4",
    );
    check(
        "object_writes_total{kind=\"ConfigMap\",verb=\"create\"}",
        "1",
    );
    check(
        "object_writes_total{kind=\"MarketFeed\",verb=\"apply\"}",
        "1",
    );
    scene.respec(&json!({ "intervals": ["7s"] }));
    scene.look(&operator).await.unwrap();
    check("reconciles_total{outcome=\"refused\"}", "1");
    scene.api.fail_after(Some(0));
    scene.respec(&json!({ "intervals": ["1m"], "marketdata": { "shards": 1 } }));
    scene.look(&operator).await.unwrap_err();
    check("reconciles_total{outcome=\"failed\"}", "1");
    check("feeds{ready=\"false\"}", "1");
    operator
        .context()
        .forget_others(&std::collections::BTreeSet::new());
    check("feeds{ready=\"false\"}", "0");
}

/// As it is seen a moment later, the feed has no status yet and the gateways are as many as Kubernetes makes by itself.
#[tokio::test]
async fn what_was_written_is_not_written_again_while_what_is_watched_is_behind() {
    let scene = Scene::new(&json!({ "gateway": { "replicas": 3 } }));
    let operator = scene.operator();
    // The gateways' Deployment is in sight, and their number is not written yet.
    scene.api.fail_after(Some(5));
    scene.look(&operator).await.unwrap_err();
    scene.api.fail_after(None);
    let before = scene.feed().unwrap();
    scene.look(&operator).await.unwrap();
    let said = ready(&scene);
    assert!(
        said["message"].as_str().unwrap().contains("of 3 gateways"),
        "{said}"
    );
    scene.api.writes();
    scene.pass(1);
    reconcile(&before, operator.context()).await.unwrap();
    let written: Vec<String> = scene.api.writes().into_iter().map(|it| it.path).collect();
    let again =
        |path: &&String| path.ends_with("/status") || path.ends_with("/deployments/crypto-gateway");
    assert_eq!(written.iter().filter(again).count(), 0, "{written:?}");
    // Where it was made anew, its number is written anew.
    let gateway = "/apis/apps/v1/namespaces/market/deployments/crypto-gateway";
    scene.api.remove(gateway);
    scene.look(&operator).await.unwrap();
    assert_eq!(
        scene.api.get("deployments", "crypto-gateway")["spec"]["replicas"],
        3
    );
}

/// What the API server says of pods that it refuses, which no pod can say. Each try of Kubernetes' is of another pod, and none
/// is written.
#[tokio::test]
async fn pods_that_are_refused_are_told_of_once() {
    let scene = Scene::new(&json!({}));
    let operator = scene.operator();
    scene.settle(&operator).await;
    let refuse = |pod: &str| {
        let message = format!(
            "pods \"crypto-gateway-{pod}\" is forbidden: violates PodSecurity \"restricted\""
        );
        scene.api.change(
            "/apis/apps/v1/namespaces/market/deployments/crypto-gateway",
            |object| {
                object["status"] = json!({ "conditions": [
                    { "type": "ReplicaFailure", "status": "True", "reason": "FailedCreate", "message": message },
                ] });
            },
        );
    };
    refuse("7d4b9c8f7d-6jgxv");
    assert_eq!(scene.settle(&operator).await, 1);
    let told = ready(&scene);
    assert_eq!(told["reason"], "PodsRefused");
    let message = told["message"].as_str().unwrap();
    assert!(message.contains("violates PodSecurity"), "{message}");
    refuse("7d4b9c8f7d-zz2k8");
    assert_eq!(scene.settle(&operator).await, 0);
}
