//! Other pods, one workload after the other and one feed after the other.

use serde_json::json;

use super::scene::{Operator, Scene};

/// Another image: the gateways first, then one shard, then the next, each when the one before is there; whether or not the
/// operator is the one that began.
#[tokio::test]
async fn an_upgrade_changes_one_workload_at_a_time() {
    let scene = Scene::new(&json!({}));
    let workloads = ["crypto-gateway", "crypto-shard-0", "crypto-shard-1"];
    let operator = scene.operator();
    scene.settle(&operator).await;
    for name in workloads {
        scene.settle_pods(name);
    }
    scene.settle(&operator).await;
    scene.respec(&json!({ "image": "marketfeed:next" }));
    let upgraded = || {
        let is_new = |name: &&&str| {
            let pod = scene.api.get("deployments", name)["spec"]["template"]["spec"].clone();
            pod["containers"][0]["image"] == "marketfeed:next"
        };
        workloads.iter().filter(is_new).copied().collect::<Vec<_>>()
    };
    for (at, name) in workloads.into_iter().enumerate() {
        let operator = scene.operator();
        scene.settle(&operator).await;
        assert_eq!(upgraded(), workloads[..=at]);
        scene.settle(&operator).await;
        assert_eq!(upgraded(), workloads[..=at], "it waits for {name}");
        scene.settle_pods(name);
    }
}

/// A feed that never ran, as its image was wrong: gateways get ready when shards run, and so they wait for nobody.
#[tokio::test]
async fn a_feed_that_never_ran_is_mended_at_once() {
    let scene = Scene::new(&json!({ "image": "marketfeed:wrong" }));
    let operator = scene.operator();
    scene.settle(&operator).await;
    scene.respec(&json!({ "image": "marketfeed:next" }));
    scene.settle(&operator).await;
    assert_eq!(upgraded(&scene).len(), 3);
}

/// The same of the operator's own image: feeds that never ran wait for no other feed's turn.
#[tokio::test]
async fn feeds_that_never_ran_wait_for_no_turn() {
    let mut scene = Scene::new(&json!({}));
    scene.put_feed("metals");
    look_at_both(&scene, &scene.operator()).await;
    scene.image = "marketfeed:next".to_owned();
    let operator = scene.operator();
    look_at_both(&scene, &operator).await;
    assert_eq!(upgraded(&scene).len(), 6);
}

/// Two feeds whose pods are all there.
async fn two() -> Scene {
    let scene = Scene::new(&json!({}));
    scene.put_feed("metals");
    let operator = scene.operator();
    for _ in 0..3 {
        look_at_both(&scene, &operator).await;
        scene.settle_all_pods();
    }
    scene
}

async fn look_at_both(scene: &Scene, operator: &Operator) {
    for name in ["crypto", "metals"] {
        scene.look_at(operator, name).await.unwrap();
    }
}

fn upgraded(scene: &Scene) -> Vec<String> {
    let mut found = scene.api.all("deployments");
    found.retain(|object| {
        object["spec"]["template"]["spec"]["containers"][0]["image"] == "marketfeed:next"
    });
    let name = |object: &serde_json::Value| object["metadata"]["name"].as_str().unwrap().to_owned();
    found.iter().map(name).collect()
}

fn progressing(scene: &Scene, feed: &str) -> (String, String) {
    let status = scene.feed_of(feed).unwrap().status.unwrap();
    let mut conditions = status.conditions.into_iter();
    let found = conditions.find(|one| one.type_ == "Progressing").unwrap();
    (found.reason, found.message)
}

/// Another release of the operator changes all feeds: one has its turn, and the next one when that is all there.
#[tokio::test]
async fn a_release_changes_one_feed_after_the_other() {
    let mut scene = two().await;
    scene.image = "marketfeed:next".to_owned();
    let operator = scene.operator();
    let turns = ["crypto-gateway", "crypto-shard-0", "crypto-shard-1"];
    for at in 0..turns.len() {
        look_at_both(&scene, &operator).await;
        look_at_both(&scene, &operator).await;
        assert_eq!(upgraded(&scene), turns[..=at]);
        let (reason, message) = progressing(&scene, "metals");
        assert_eq!(reason, "Waiting");
        assert!(message.contains("market/crypto"), "{message}");
        scene.settle_all_pods();
    }
    look_at_both(&scene, &operator).await;
    look_at_both(&scene, &operator).await;
    assert_eq!(upgraded(&scene).len(), 4);
    assert_eq!(progressing(&scene, "metals").0, "RollingOut");
    assert_eq!(progressing(&scene, "crypto").0, "Settled");
}

/// To say how many gateways there are is no upgrade of them.
#[tokio::test]
async fn a_number_of_gateways_does_not_end_an_upgrade() {
    let mut scene = two().await;
    scene.image = "marketfeed:next".to_owned();
    let operator = scene.operator();
    look_at_both(&scene, &operator).await;
    assert_eq!(upgraded(&scene), ["crypto-gateway"]);
    let path = "/apis/apps/v1/namespaces/market/deployments/metals-gateway";
    scene
        .api
        .change(path, |object| object["spec"]["replicas"] = json!(7));
    scene.settle_pods("metals-gateway");
    look_at_both(&scene, &operator).await;
    let gateway = scene.api.get("deployments", "metals-gateway");
    assert_eq!(gateway["spec"]["replicas"], 2);
    for _ in 0..5 {
        scene.settle_all_pods();
        look_at_both(&scene, &operator).await;
    }
    assert!(upgraded(&scene).contains(&"metals-gateway".to_owned()));
}

/// One that the API server refuses gives its turn back.
#[tokio::test]
async fn a_feed_that_is_refused_holds_up_nobody() {
    let mut scene = two().await;
    scene.image = "marketfeed:next".to_owned();
    let operator = scene.operator();
    scene
        .api
        .refuse("deployments/crypto-gateway", Some("over the quota"));
    scene.look(&operator).await.unwrap_err();
    scene.look_at(&operator, "metals").await.unwrap();
    assert_eq!(upgraded(&scene), ["metals-gateway"]);
}

/// What a user changes is not held up by another feed's upgrade.
#[tokio::test]
async fn what_a_user_changes_waits_for_no_other_feed() {
    let mut scene = two().await;
    scene.image = "marketfeed:next".to_owned();
    let operator = scene.operator();
    // In the order of the alphabet the first look is at the one whose turn it then is.
    scene.look_at(&operator, "metals").await.unwrap();
    scene.look(&operator).await.unwrap();
    assert_eq!(upgraded(&scene), ["metals-gateway"]);
    scene.respec(&json!({ "telemetry": { "log": "debug" } }));
    for expect in 2..=4 {
        scene.look(&operator).await.unwrap();
        scene.look(&operator).await.unwrap();
        assert_eq!(upgraded(&scene).len(), expect);
        for name in ["crypto-gateway", "crypto-shard-0", "crypto-shard-1"] {
            scene.settle_pods(name);
        }
    }
}

/// A feed that is deleted in its turn has none any more.
#[tokio::test]
async fn a_feed_that_is_gone_holds_up_nobody() {
    let mut scene = two().await;
    scene.image = "marketfeed:next".to_owned();
    let operator = scene.operator();
    look_at_both(&scene, &operator).await;
    assert_eq!(upgraded(&scene), ["crypto-gateway"]);
    let other = scene.feed_of("metals").unwrap().metadata.uid.unwrap();
    operator.context().forget_others(&[other].into());
    scene.look_at(&operator, "metals").await.unwrap();
    assert_eq!(upgraded(&scene).len(), 2);
}
