//! How a feed goes.

use serde_json::json;

use super::scene::{FEED, Operator, Scene};

fn delete(scene: &Scene) {
    let now = k8s_openapi::jiff::Timestamp::now();
    scene.api.change(FEED, |object| {
        object["metadata"]["deletionTimestamp"] = json!(now.to_string());
    });
}

async fn started(spec: &serde_json::Value) -> (Scene, Operator) {
    let scene = Scene::new(spec);
    let operator = scene.operator();
    scene.run_pod("crypto-shard-0-x", "marketdata", "10.0.0.1");
    scene.settle(&operator).await;
    (scene, operator)
}

const POD: &str = "/api/v1/namespaces/market/pods/crypto-shard-0-x";
const JOB: &str = "/apis/batch/v1/namespaces/market/jobs/crypto-purge";

#[tokio::test]
async fn workloads_then_pods_then_what_is_on_the_bus() {
    let (scene, operator) = started(&json!({})).await;
    delete(&scene);
    scene.look(&operator).await.unwrap();
    assert!(scene.api.all("deployments").is_empty());
    // Its pod still runs: what is purged now would be made anew.
    scene.look(&operator).await.unwrap();
    assert!(scene.api.all("jobs").is_empty());
    scene.api.remove(POD);
    scene.look(&operator).await.unwrap();
    assert_eq!(
        scene.api.get("jobs", "crypto-purge")["spec"]["activeDeadlineSeconds"],
        60
    );
    scene.look(&operator).await.unwrap();
    assert!(scene.feed().is_some());
    scene.api.change(JOB, |job| {
        job["status"] = json!({ "conditions": [{ "type": "Complete", "status": "True" }] });
    });
    scene.look(&operator).await.unwrap();
    assert!(scene.feed().is_none(), "it is let go");
}

#[tokio::test]
async fn a_purge_that_fails_holds_nothing() {
    let (scene, operator) = started(&json!({})).await;
    delete(&scene);
    scene.api.remove(POD);
    scene.look(&operator).await.unwrap();
    scene.look(&operator).await.unwrap();
    scene.api.change(JOB, |job| job["status"] = json!({ "conditions": [{ "type": "Failed", "status": "True", "message": "no rights" }] }));
    scene.look(&operator).await.unwrap();
    assert!(scene.feed().is_none());
}

#[tokio::test]
async fn one_whose_streams_stay_is_never_held() {
    let nats = json!({ "urls": ["nats://nats:4222"], "deletionPolicy": "Retain" });
    let (scene, operator) = started(&json!({ "nats": nats })).await;
    assert!(
        scene
            .feed()
            .unwrap()
            .metadata
            .finalizers
            .unwrap_or_default()
            .is_empty()
    );
    // One that was held before is not from then on.
    let purged = json!({ "urls": ["nats://nats:4222"], "deletionPolicy": "Delete" });
    scene.respec(&json!({ "nats": purged }));
    scene.settle(&operator).await;
    assert_eq!(scene.feed().unwrap().metadata.finalizers.unwrap().len(), 1);
    scene.respec(&json!({ "nats": nats }));
    scene.settle(&operator).await;
    assert!(
        scene
            .feed()
            .unwrap()
            .metadata
            .finalizers
            .unwrap_or_default()
            .is_empty()
    );
}

#[tokio::test]
async fn a_namespace_that_goes_is_not_held_up() {
    let (scene, operator) = started(&json!({})).await;
    delete(&scene);
    scene.api.terminate_namespace();
    scene.api.remove(POD);
    scene.look(&operator).await.unwrap();
    scene.look(&operator).await.unwrap();
    assert!(scene.feed().is_none());
}

#[tokio::test]
async fn one_that_became_invalid_is_let_go() {
    let (scene, operator) = started(&json!({})).await;
    scene.respec(&json!({ "sources": [] }));
    delete(&scene);
    scene.look(&operator).await.unwrap();
    assert!(scene.feed().is_none());
}
