//! How a feed goes.

use std::time::Duration;

use operator::controller::deletion::{PATIENCE_S, QUIET_S};
use operator::controller::ending::ASKED_FOR_S;
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
    scene.api.let_read();
    let operator = scene.operator();
    scene.run_pod("crypto-shard-0-x", "marketdata", "10.0.0.1");
    scene.settle(&operator).await;
    (scene, operator)
}

/// Looks until nothing that publishes was seen for long enough.
async fn quiet(scene: &Scene, operator: &Operator) {
    scene.look(operator).await.unwrap();
    scene.look(operator).await.unwrap();
    scene.pass(QUIET_S);
    scene.look(operator).await.unwrap();
}

const POD: &str = "/api/v1/namespaces/market/pods/crypto-shard-0-x";
const SHARD: &str = "/apis/apps/v1/namespaces/market/deployments/crypto-shard-0";
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
    scene.pass(QUIET_S - 1);
    scene.look(&operator).await.unwrap();
    assert!(scene.api.all("jobs").is_empty());
    scene.pass(1);
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
    quiet(&scene, &operator).await;
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

/// Its pods run still: the purge could not be made, however long they are waited for.
#[tokio::test]
async fn a_namespace_that_goes_is_not_held_up() {
    let (scene, operator) = started(&json!({})).await;
    delete(&scene);
    scene.api.terminate_namespace();
    scene.look(&operator).await.unwrap();
    assert!(scene.feed().is_none());
}

fn is_held(scene: &Scene) -> bool {
    let finalizers = scene.feed().unwrap().metadata.finalizers;
    finalizers.is_some_and(|finalizers| !finalizers.is_empty())
}

/// Its pod is being removed, and takes a while to stop.
fn end_pod(scene: &Scene) {
    scene.api.change(POD, |pod| {
        pod["metadata"]["finalizers"] = json!(["test/stops"]);
        pod["metadata"]["deletionTimestamp"] = json!("2026-01-01T00:00:00Z");
    });
}

/// With the namespace goes what the operator may do in it, before the feed does: pods are the first to go.
#[tokio::test]
async fn a_feed_whose_namespace_goes_is_let_go_before_it_is_deleted() {
    type Sign = fn(&Scene);
    let pods: Sign = end_pod;
    let told: Sign = |scene| {
        let message = "pods \"crypto-shard-0-x\" is forbidden: unable to create new content in namespace market \
                       because it is being terminated";
        scene.api.change(SHARD, |object| {
            object["status"] = json!({ "conditions": [
                { "type": "ReplicaFailure", "status": "True", "reason": "FailedCreate", "message": message },
            ] });
        });
    };
    let refused: Sign = |scene| scene.api.remove(SHARD);
    for (sign, of) in [(pods, "pods"), (told, "told"), (refused, "refused")] {
        let (scene, operator) = started(&json!({})).await;
        scene.api.terminate_namespace();
        scene.look(&operator).await.unwrap();
        assert!(is_held(&scene), "nobody has said so yet");
        sign(&scene);
        scene.look(&operator).await.unwrap();
        assert!(!is_held(&scene), "{of}");
        scene.api.writes();
        scene.api.remove_all("deployments");
        scene.look(&operator).await.unwrap();
        scene.pass(1_000);
        scene.look(&operator).await.unwrap();
        assert!(!is_held(&scene), "{of}");
        assert_eq!(scene.api.writes(), [], "{of}");
    }
}

#[tokio::test]
async fn one_that_became_invalid_is_let_go_with_its_namespace() {
    let (scene, operator) = started(&json!({})).await;
    scene.respec(&json!({ "intervals": ["7s"] }));
    scene.settle(&operator).await;
    assert!(is_held(&scene), "what it has is to be purged");
    scene.api.terminate_namespace();
    end_pod(&scene);
    scene.look(&operator).await.unwrap();
    assert!(!is_held(&scene));
}

/// All pods may go for another reason.
#[tokio::test]
async fn a_namespace_that_stays_is_asked_for_now_and_then() {
    let (scene, operator) = started(&json!({})).await;
    assert_eq!(scene.api.dry_runs(), 0);
    end_pod(&scene);
    for expect in [1, 0, 0] {
        scene.look(&operator).await.unwrap();
        assert_eq!(scene.api.dry_runs(), expect);
    }
    assert!(is_held(&scene));
    scene.run_pod("crypto-shard-0-y", "marketdata", "10.0.0.2");
    scene.pass(ASKED_FOR_S);
    scene.look(&operator).await.unwrap();
    assert_eq!(scene.api.dry_runs(), 0);
}

/// Nobody looked at it for longer than all of it may take: the time counts from the first look.
#[tokio::test]
async fn one_that_was_deleted_while_no_operator_ran_is_purged() {
    let (scene, _) = started(&json!({})).await;
    scene.api.change(FEED, |object| {
        object["metadata"]["deletionTimestamp"] = json!("2026-01-01T00:00:00Z");
    });
    scene.api.remove(POD);
    let operator = scene.operator();
    quiet(&scene, &operator).await;
    scene.api.get("jobs", "crypto-purge");
    // It ends all the same.
    scene.pass(PATIENCE_S);
    scene.look(&operator).await.unwrap();
    assert!(scene.feed().is_none());
}

/// What was made a moment ago is not watched yet, nor are its pods: they would make the streams anew.
#[tokio::test]
async fn what_is_not_seen_yet_goes_first() {
    let scene = Scene::new(&json!({}));
    scene.api.let_read();
    let operator = scene.operator();
    scene.look(&operator).await.unwrap();
    delete(&scene);
    scene.look_behind(&operator).await.unwrap();
    assert!(scene.api.all("deployments").is_empty());
    // Its pod is there after all.
    scene.run_pod("crypto-shard-0-x", "marketdata", "10.0.0.1");
    scene.pass(QUIET_S);
    scene.look(&operator).await.unwrap();
    assert!(scene.api.all("jobs").is_empty());
    scene.api.remove(POD);
    quiet(&scene, &operator).await;
    scene.api.get("jobs", "crypto-purge");
}

/// It ran before somebody made it invalid.
#[tokio::test]
async fn one_that_became_invalid_is_purged_all_the_same() {
    let (scene, operator) = started(&json!({})).await;
    scene.respec(&json!({ "sources": [], "intervals": ["7s"] }));
    delete(&scene);
    scene.look(&operator).await.unwrap();
    assert!(scene.api.all("deployments").is_empty());
    scene.api.remove(POD);
    quiet(&scene, &operator).await;
    scene.api.change(JOB, |job| {
        job["status"] = json!({ "conditions": [{ "type": "Complete", "status": "True" }] });
    });
    scene.look(&operator).await.unwrap();
    assert!(scene.feed().is_none());
}

#[tokio::test]
async fn one_whose_nats_is_not_known_is_let_go() {
    let (scene, operator) = started(&json!({})).await;
    scene.respec(&json!({ "nats": { "urls": ["http://nats"] } }));
    delete(&scene);
    scene.look(&operator).await.unwrap();
    assert!(scene.feed().is_none());
    assert!(scene.api.all("jobs").is_empty());
}

/// What is said of whether it is ready.
fn said(scene: &Scene) -> (String, String) {
    let conditions = scene.feed().unwrap().status.unwrap().conditions;
    let mut ready = conditions.into_iter().filter(|one| one.type_ == "Ready");
    let ready = ready.next().unwrap();
    assert_eq!(ready.status, "False");
    (ready.reason, ready.message)
}

/// How often something was said since it was asked last.
fn times_said(scene: &Scene) -> usize {
    let writes = scene.api.writes().into_iter();
    writes
        .filter(|write| write.path.ends_with("/status"))
        .count()
}

#[tokio::test]
async fn what_a_deletion_waits_for_is_said_once() {
    let (scene, operator) = started(&json!({})).await;
    scene.api.events();
    delete(&scene);
    scene.api.writes();
    for expect in [1, 0, 0] {
        scene.look(&operator).await.unwrap();
        assert_eq!(times_said(&scene), expect);
    }
    let (reason, message) = said(&scene);
    assert_eq!(reason, "Deleting");
    assert!(
        message.contains("waits for its market-data pods"),
        "{message}"
    );
    let normal = ("Deleting".to_owned(), "Normal".to_owned());
    assert_eq!(scene.api.events(), [normal]);
    scene.api.remove(POD);
    quiet(&scene, &operator).await;
    assert!(said(&scene).1.contains("waits for its Job"));
    assert_eq!(times_said(&scene), 1);
    scene.look(&operator).await.unwrap();
    assert_eq!(times_said(&scene), 0);
    scene.api.change(JOB, |job| {
        job["status"] = json!({ "conditions": [{ "type": "Complete", "status": "True" }] });
    });
    scene.look(&operator).await.unwrap();
    assert!(scene.feed().is_none());
    assert_eq!(times_said(&scene), 0, "there is nobody to say it of");
}

/// What the API server refuses is said, and it ends in time; also where nothing can be said.
#[tokio::test]
async fn a_purge_that_is_refused_is_told_of_and_holds_nothing() {
    const QUOTA: &str = "exceeded quota: few, requested: count/jobs.batch=1";
    for may_say in [true, false] {
        let (scene, operator) = started(&json!({})).await;
        let uid = scene.feed().unwrap().metadata.uid.unwrap();
        delete(&scene);
        scene.api.remove(POD);
        scene.api.refuse("jobs/crypto-purge", Some(QUOTA));
        if !may_say {
            scene.api.refuse("crypto/status", Some("no rights"));
        }
        scene.look(&operator).await.unwrap();
        scene.look(&operator).await.unwrap();
        scene.pass(QUIET_S);
        scene.api.writes();
        scene.look(&operator).await.unwrap_err();
        if may_say {
            let (reason, message) = said(&scene);
            assert_eq!(reason, "Deleting");
            assert!(message.contains(QUOTA), "{message}");
            assert_eq!(times_said(&scene), 1);
            scene.look(&operator).await.unwrap_err();
            assert_eq!(times_said(&scene), 0);
        }
        scene.pass(PATIENCE_S - QUIET_S - 1);
        scene.look(&operator).await.unwrap_err();
        // However long pauses have become, it is looked at when its time is over.
        for _ in 0..10 {
            let pause = operator.context().handle_failure(&uid);
            assert!(pause <= Duration::from_secs(1), "{pause:?}");
        }
        scene.pass(1);
        scene.look(&operator).await.unwrap();
        assert!(scene.feed().is_none(), "{may_say}");
    }
}
