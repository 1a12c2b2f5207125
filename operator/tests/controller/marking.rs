//! Who owns shards, and which pods go first.

use operator::controller::ShardAnswer;
use serde_json::{Value, json};

use super::scene::{Operator, Scene};

const COST: &str = "controller.kubernetes.io/pod-deletion-cost";

fn report(epoch: u64) -> Value {
    let instrument = |symbol: &str| {
        json!({
            "venue": "binance-spot", "symbol": symbol, "epoch": epoch, "event_time": 1, "age": 5, "heard": 5,
            "fresh": true, "open_bars": 1, "fenced": 0, "closes": 1, "breaks": 0, "intervals": [],
        })
    };
    let symbols = ["BTC-USDT", "ETH-USDT", "SOL-USDT", "XRP-USDT"];
    let totals = json!({ "instruments": 4, "fresh": 4, "open_bars": 1, "fenced": 0, "closes": 1, "breaks": 0 });
    json!({
        "env": "market-crypto", "region": "local", "now": 1, "totals": totals,
        "instruments": symbols.map(instrument),
    })
}

fn answer(role: &str, claim: Option<u64>) -> ShardAnswer {
    ShardAnswer {
        role: role.to_owned(),
        claim,
        ..ShardAnswer::default()
    }
}

fn hear(scene: &Scene, epoch: u64) {
    scene
        .pods
        .say(|says| says.feed = Some(serde_json::from_value(report(epoch)).unwrap()));
}

fn cost(scene: &Scene, pod: &str) -> Option<String> {
    let cost = &scene.api.get("pods", pod)["metadata"]["annotations"][COST];
    cost.as_str().map(str::to_owned)
}

fn owners(scene: &Scene) -> Vec<Option<String>> {
    let status = scene.feed().unwrap().status.unwrap();
    status.shards.into_iter().map(|shard| shard.owner).collect()
}

/// One shard with two pods, of which the first owns it.
async fn owned() -> (Scene, Operator) {
    let scene = Scene::new(&json!({ "marketdata": { "shards": 1 } }));
    let operator = scene.operator();
    scene.run_pod("crypto-gateway-x", "gateway", "10.0.0.9");
    scene.run_pod("crypto-shard-0-a", "marketdata", "10.0.0.1");
    scene.run_pod("crypto-shard-0-b", "marketdata", "10.0.0.2");
    scene.pods.say(|says| {
        says.shards
            .insert("10.0.0.1".to_owned(), answer("active", Some(1_000)));
        says.shards
            .insert("10.0.0.2".to_owned(), answer("standby", None));
    });
    hear(&scene, 1_000);
    scene.settle(&operator).await;
    (scene, operator)
}

#[tokio::test]
async fn the_owner_is_named_and_goes_last() {
    let (scene, operator) = owned().await;
    assert_eq!(owners(&scene), [Some("crypto-shard-0-a".to_owned())]);
    assert_eq!(cost(&scene, "crypto-shard-0-a").as_deref(), Some("1"));
    assert_eq!(cost(&scene, "crypto-shard-0-b"), None);
    // In a steady feed nobody is asked, and nothing is written.
    scene.pods.questions();
    scene.settle(&operator).await;
    assert_eq!(scene.pods.questions(), 0);
}

/// The new owner is named at once. What was written on a pod a moment ago is changed later.
#[tokio::test]
async fn another_owner_is_heard_of() {
    let (scene, operator) = owned().await;
    scene.pods.say(|says| {
        // It was cut off, and believes that it still is one.
        says.shards
            .insert("10.0.0.2".to_owned(), answer("active", Some(2_000)));
    });
    hear(&scene, 2_000);
    scene.settle(&operator).await;
    assert_eq!(owners(&scene), [Some("crypto-shard-0-b".to_owned())]);
    assert_eq!(cost(&scene, "crypto-shard-0-b").as_deref(), Some("1"));
    assert_eq!(cost(&scene, "crypto-shard-0-a").as_deref(), Some("1"));
    // A process that begins anew has written nothing yet.
    let next = scene.operator();
    scene.settle(&next).await;
    assert_eq!(cost(&scene, "crypto-shard-0-a").as_deref(), Some("0"));
}

#[tokio::test]
async fn an_owner_that_nobody_hears_is_not_named() {
    let (scene, operator) = owned().await;
    let mut silent = report(1_000);
    silent["instruments"] = json!([]);
    scene
        .pods
        .say(|says| says.feed = Some(serde_json::from_value(silent).unwrap()));
    scene.settle(&operator).await;
    assert_eq!(owners(&scene), [None]);
}

fn gateways(scene: &Scene, connections: &[u64]) {
    for (at, connections) in connections.iter().enumerate() {
        let address = format!("10.0.1.{at}");
        scene.run_pod(&format!("crypto-gateway-{at}"), "gateway", &address);
        scene.pods.say(|says| {
            says.connections.insert(address, *connections);
        });
    }
}

/// Where the number is fixed, pods are asked only when there are to be fewer, and before there are.
#[tokio::test]
async fn the_emptiest_gateway_goes_first_when_there_are_to_be_fewer() {
    let scene = Scene::new(&json!({ "gateway": { "replicas": 3 } }));
    let operator = scene.operator();
    gateways(&scene, &[900, 0, 5_000]);
    scene.settle(&operator).await;
    assert_eq!(scene.pods.questions(), 0);
    scene.respec(&json!({ "gateway": { "replicas": 2 } }));
    scene.look(&operator).await.unwrap();
    let costs = [0, 1, 2].map(|at| cost(&scene, &format!("crypto-gateway-{at}")));
    assert_eq!(costs, [Some("10".to_owned()), None, Some("13".to_owned())]);
    let paths = scene.api.writes().into_iter().map(|write| write.path);
    let paths: Vec<String> = paths.filter(|path| path.contains("-gateway")).collect();
    assert!(paths[0].ends_with("pods/crypto-gateway-0"), "{paths:?}");
    assert!(
        paths[2].ends_with("deployments/crypto-gateway"),
        "{paths:?}"
    );
}

/// Where an autoscaler may take some at any time, they are asked now and then, and steady traffic writes nothing.
#[tokio::test]
async fn an_autoscaler_finds_the_emptiest_gateway() {
    let scaled = json!({ "autoscaling": { "minReplicas": 1, "maxReplicas": 9 } });
    let scene = Scene::new(&json!({ "gateway": scaled }));
    let operator = scene.operator();
    gateways(&scene, &[900, 3]);
    scene.settle(&operator).await;
    // A Deployment that nobody has scaled has one pod, and there cannot be fewer.
    assert_eq!(scene.pods.questions(), 0);
    let path = "/apis/apps/v1/namespaces/market/deployments/crypto-gateway";
    scene
        .api
        .change(path, |object| object["spec"]["replicas"] = json!(2));
    scene.settle(&operator).await;
    assert_eq!(scene.pods.questions(), 2);
    assert_eq!(cost(&scene, "crypto-gateway-0").as_deref(), Some("10"));
    assert_eq!(cost(&scene, "crypto-gateway-1").as_deref(), Some("2"));
    // Some more clients, and another process that asks at once.
    gateways_say(&scene, &[1_100, 3]);
    assert_eq!(scene.settle(&scene.operator()).await, RESTART_WRITES);
}

/// What a process that begins anew applies once: eight children.
const RESTART_WRITES: usize = 9;

fn gateways_say(scene: &Scene, connections: &[u64]) {
    for (at, connections) in connections.iter().enumerate() {
        scene.pods.say(|says| {
            says.connections
                .insert(format!("10.0.1.{at}"), *connections);
        });
    }
}
