//! What there is of others: former feeds of the same name, and objects that are somebody else's.

use std::collections::BTreeSet;

use operator::controller::ledger::TAKEN_FOR_S;
use serde_json::{Value, json};

use super::scene::{FEED, Operator, Scene};

fn ready(scene: &Scene) -> (String, String) {
    let status = scene.feed().unwrap().status.unwrap();
    let mut conditions = status.conditions.into_iter();
    let found = conditions.find(|one| one.type_ == "Ready").unwrap();
    (found.reason, found.message)
}

/// A feed that has run, and was deleted: what it had is there still.
async fn made_again(spec: &Value) -> (Scene, Operator) {
    let scene = Scene::new(spec);
    let operator = scene.operator();
    scene.settle(&operator).await;
    scene.api.remove(FEED);
    scene.put_feed("crypto");
    scene.respec(spec);
    (scene, operator)
}

/// Kubernetes removes what a feed that is gone has owned, also after it was applied for another one.
#[tokio::test]
async fn a_feed_made_again_waits_for_what_the_former_one_had() {
    let (scene, operator) = made_again(&json!({})).await;
    let before = scene.api.all("deployments");
    scene.api.writes();
    scene.look(&operator).await.unwrap();
    let written: Vec<String> = scene
        .api
        .writes()
        .into_iter()
        .map(|write| write.path)
        .collect();
    assert_eq!(written, [FEED.to_owned(), format!("{FEED}/status")]);
    assert_eq!(scene.api.all("deployments"), before);
    let (reason, message) = ready(&scene);
    assert_eq!(reason, "Leftovers");
    assert!(message.contains("ConfigMap crypto-assignment"), "{message}");
    scene.look(&operator).await.unwrap();
    assert_eq!(scene.api.writes(), [], "it says so once");
    // Kubernetes removes them, the last one after a while.
    let uid = scene.feed().unwrap().metadata.uid.unwrap();
    let resources = [
        "configmaps",
        "services",
        "deployments",
        "poddisruptionbudgets",
    ];
    for (at, resource) in resources.into_iter().enumerate() {
        scene.look(&operator).await.unwrap();
        assert_eq!(ready(&scene).0, "Leftovers", "{at}");
        scene.api.remove_all(resource);
    }
    scene.settle(&operator).await;
    assert_ne!(ready(&scene).0, "Leftovers");
    for resource in resources {
        for object in scene.api.all(resource) {
            assert_eq!(object["metadata"]["ownerReferences"][0]["uid"], uid);
        }
    }
    assert_eq!(scene.api.all("deployments").len(), 3);
}

/// What has our label and no owner, as a restored backup or a deletion that keeps what depends, is taken over.
#[tokio::test]
async fn what_lost_its_owner_is_taken_over() {
    let (scene, operator) = made_again(&json!({})).await;
    for resource in [
        "configmaps",
        "services",
        "deployments",
        "poddisruptionbudgets",
    ] {
        scene.api.change_all(resource, |object| {
            object["metadata"]
                .as_object_mut()
                .unwrap()
                .remove("ownerReferences");
        });
    }
    // Of a ConfigMap nothing tells whose it was but its owner.
    scene.api.remove_all("configmaps");
    scene.settle(&operator).await;
    assert_eq!(scene.api.all("deployments").len(), 3);
    let uid = scene.feed().unwrap().metadata.uid.unwrap();
    for object in scene.api.all("deployments") {
        assert_eq!(object["metadata"]["ownerReferences"][0]["uid"], uid);
    }
}

fn somebodys(kind: &str, api: &str, name: &str) -> Value {
    json!({
        "apiVersion": api, "kind": kind, "metadata": { "name": name, "namespace": "market" },
        "spec": { "selector": { "app": "other" } },
    })
}

#[tokio::test]
async fn somebody_elses_object_of_that_name_is_left_alone() {
    let scene = Scene::new(&json!({}));
    scene.api.let_read();
    let path = "/api/v1/namespaces/market/services/crypto-gateway";
    let theirs = somebodys("Service", "v1", "crypto-gateway");
    scene.api.put(path, theirs);
    let before = scene.api.get("services", "crypto-gateway");
    let operator = scene.operator();
    for _ in 0..3 {
        scene.look(&operator).await.unwrap();
        assert_eq!(scene.api.get("services", "crypto-gateway"), before);
    }
    let (reason, message) = ready(&scene);
    assert_eq!(reason, "NameTaken");
    assert!(message.contains("Service crypto-gateway"), "{message}");
    // All else runs, and the name is not tried at each look.
    assert_eq!(scene.api.all("deployments").len(), 3);
    let written = scene.api.writes();
    let tries = written.iter().filter(|write| write.path == path).count();
    assert_eq!(tries, 1);
    // A process that begins anew finds that it is free.
    scene.api.remove(path);
    scene.settle(&scene.operator()).await;
    assert_ne!(ready(&scene).0, "NameTaken");
}

/// An autoscaler of ours would scale it.
#[tokio::test]
async fn somebody_elses_deployment_is_not_scaled() {
    let scene = Scene::new(&json!({ "gateway": { "autoscaling": {} } }));
    scene.api.let_read();
    let operator = scene.operator();
    scene.settle(&operator).await;
    assert_eq!(scene.api.all("horizontalpodautoscalers").len(), 1);
    let path = "/apis/apps/v1/namespaces/market/deployments/crypto-gateway";
    scene.api.remove(path);
    scene
        .api
        .put(path, somebodys("Deployment", "apps/v1", "crypto-gateway"));
    scene.settle(&operator).await;
    assert_eq!(ready(&scene).0, "NameTaken");
    assert!(scene.api.all("horizontalpodautoscalers").is_empty());
    // Nor by an operator that begins anew.
    scene.settle(&scene.operator()).await;
    assert!(scene.api.all("horizontalpodautoscalers").is_empty());
    scene.api.remove(path);
    scene.pass(TAKEN_FOR_S);
    scene.settle(&operator).await;
    assert_eq!(scene.api.all("horizontalpodautoscalers").len(), 1);
}

/// Pods would run by what somebody else has written.
#[tokio::test]
async fn no_pod_is_made_where_the_assignment_is_somebody_elses() {
    let scene = Scene::new(&json!({}));
    scene.api.let_read();
    let path = "/api/v1/namespaces/market/configmaps/crypto-assignment";
    scene
        .api
        .put(path, somebodys("ConfigMap", "v1", "crypto-assignment"));
    let before = scene.api.get("configmaps", "crypto-assignment");
    let operator = scene.operator();
    scene.look(&operator).await.unwrap();
    scene.look(&operator).await.unwrap();
    assert_eq!(scene.api.get("configmaps", "crypto-assignment"), before);
    assert!(scene.api.all("deployments").is_empty());
    assert_eq!(ready(&scene).0, "NameTaken");
}

/// What was made a moment ago, and is not watched yet, is our own.
#[tokio::test]
async fn what_is_not_seen_yet_is_not_called_somebody_elses() {
    let scene = Scene::new(&json!({}));
    scene.api.let_read();
    let (first, second) = (scene.operator(), scene.operator());
    scene.look(&first).await.unwrap();
    let error = scene.look_behind(&second).await.unwrap_err();
    assert!(error.to_string().contains("apply"), "{error}");
    scene.settle(&second).await;
    assert_ne!(ready(&scene).0, "NameTaken");
}

#[tokio::test]
async fn feeds_that_are_gone_are_forgotten() {
    let nats = json!({ "urls": ["nats://nats:4222"], "deletionPolicy": "Retain" });
    let scene = Scene::new(&json!({ "nats": nats }));
    let operator = scene.operator();
    scene.settle(&operator).await;
    assert_eq!(operator.context().remembered(), 1);
    // Nothing holds it, and so it is never seen while it is deleted.
    scene.api.remove(FEED);
    operator.context().forget_others(&BTreeSet::new());
    assert_eq!(operator.context().remembered(), 0);
}
