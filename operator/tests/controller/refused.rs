//! What the API server refuses: it is told, and holds up nothing else.

use serde_json::json;

use super::scene::Scene;

const QUOTA: &str = "exceeded quota: market, requested: count/services=1";

fn ready(scene: &Scene) -> (String, String) {
    let status = scene.feed().unwrap().status.unwrap();
    let mut conditions = status.conditions.into_iter();
    let found = conditions.find(|one| one.type_ == "Ready").unwrap();
    (found.reason, found.message)
}

#[tokio::test]
async fn what_is_refused_is_told_and_all_else_is_made() {
    let scene = Scene::new(&json!({}));
    let operator = scene.operator();
    scene.api.refuse("services/crypto-gateway", Some(QUOTA));
    scene.look(&operator).await.unwrap_err();
    assert_eq!(scene.api.all("deployments").len(), 3);
    assert_eq!(scene.api.all("poddisruptionbudgets").len(), 3);
    let (reason, message) = ready(&scene);
    assert_eq!(reason, "Refused");
    assert!(message.contains("Service crypto-gateway"), "{message}");
    assert!(message.contains(QUOTA), "{message}");
    // It is tried again, and said once.
    scene.api.writes();
    scene.look(&operator).await.unwrap_err();
    let written = scene.api.writes();
    assert!(
        !written.iter().any(|write| write.path.ends_with("/status")),
        "{written:?}"
    );
    scene.api.refuse("services/crypto-gateway", None);
    scene.settle(&operator).await;
    assert_ne!(ready(&scene).0, "Refused");
}

/// The assignment of which a pod was told.
fn told(scene: &Scene, pod: &str) -> Option<String> {
    let annotations = scene.api.get("pods", pod)["metadata"]["annotations"].clone();
    let generation = &annotations["marketfeed.dev/assignment-generation"];
    generation.as_str().map(str::to_owned)
}

/// Pods would wait for a file that there is not, and what runs by another one goes on. Pods that run are told of it when it is
/// there, and not before.
#[tokio::test]
async fn where_the_assignment_is_refused_what_runs_goes_on() {
    let scene = Scene::new(&json!({}));
    let operator = scene.operator();
    let pods = ["crypto-shard-0-x", "crypto-shard-1-x"];
    scene.run_pod(pods[0], "marketdata", "10.0.0.1");
    scene.run_pod(pods[1], "marketdata", "10.0.0.2");
    scene.settle(&operator).await;
    assert_eq!(pods.map(|pod| told(&scene, pod).unwrap()), ["1", "1"]);
    scene
        .api
        .refuse("configmaps/crypto-assignment", Some("no more of them"));
    scene.respec(&json!({ "marketdata": { "shards": 1 }, "image": "marketfeed:next" }));
    let before = scene.api.all("deployments");
    scene.look(&operator).await.unwrap_err();
    scene.look(&operator).await.unwrap_err();
    assert_eq!(scene.api.all("deployments"), before);
    assert_eq!(ready(&scene).0, "Refused");
    assert_eq!(pods.map(|pod| told(&scene, pod).unwrap()), ["1", "1"]);
    scene.api.refuse("configmaps/crypto-assignment", None);
    scene.look(&operator).await.unwrap();
    assert_eq!(pods.map(|pod| told(&scene, pod).unwrap()), ["2", "2"]);
}

#[tokio::test]
async fn a_pod_that_cannot_be_told_of_the_assignment_is_told_of() {
    let scene = Scene::new(&json!({}));
    let operator = scene.operator();
    scene.run_pod("crypto-shard-0-x", "marketdata", "10.0.0.1");
    scene.run_pod("crypto-shard-1-x", "marketdata", "10.0.0.2");
    scene
        .api
        .refuse("pods/crypto-shard-0-x", Some("a webhook says no"));
    scene.look(&operator).await.unwrap_err();
    let (reason, message) = ready(&scene);
    assert_eq!(reason, "Refused");
    assert!(message.contains("Pod crypto-shard-0-x"), "{message}");
    assert_eq!(told(&scene, "crypto-shard-0-x"), None);
    assert!(told(&scene, "crypto-shard-1-x").is_some());
}
