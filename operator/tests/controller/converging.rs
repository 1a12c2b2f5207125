//! To what is wanted, from wherever it was.

use serde_json::{Value, json};
use wire::Assignment;

use super::scene::{FEED, Scene};

fn assignment(scene: &Scene) -> Assignment {
    let map = scene.api.get("configmaps", "crypto-assignment");
    Assignment::parse(map["data"]["assignment.json"].as_str().unwrap().as_bytes()).unwrap()
}

fn names(scene: &Scene, resource: &str) -> Vec<String> {
    let objects = scene.api.all(resource);
    objects
        .iter()
        .map(|object| object["metadata"]["name"].as_str().unwrap().to_owned())
        .collect()
}

#[tokio::test]
async fn a_feed_is_there_after_as_many_writes_as_it_has_children_and_a_few() {
    let scene = Scene::new(&json!({}));
    let operator = scene.operator();
    scene.api.writes();
    scene.look(&operator).await.unwrap();
    let written = scene.api.writes();
    // ConfigMap, Service, 3 Deployments, 3 budgets; the finalizer, the gateways' number, the status.
    assert_eq!(written.len(), 8 + 3, "{written:?}");
    assert_eq!(
        names(&scene, "deployments"),
        ["crypto-gateway", "crypto-shard-0", "crypto-shard-1"]
    );
    assert_eq!(
        scene.api.get("deployments", "crypto-gateway")["spec"]["replicas"],
        2
    );
    assert_eq!(
        scene.api.get("marketfeeds", "crypto")["metadata"]["finalizers"],
        json!(["marketfeed.dev/purge"])
    );
}

#[tokio::test]
async fn a_steady_feed_causes_no_write() {
    let scene = Scene::new(&json!({ "networkPolicies": {}, "gateway": { "autoscaling": {} } }));
    let operator = scene.operator();
    scene.settle(&operator).await;
    for at in 0..5 {
        // What controllers say of them, and what others add, is nobody's wish.
        for resource in ["horizontalpodautoscalers", "services", "deployments"] {
            scene.api.change_all(resource, |object| {
                object["status"] = json!({ "observedGeneration": at });
                object["metadata"]["annotations"]["theirs"] = json!(at.to_string());
            });
        }
        scene.look(&operator).await.unwrap();
        assert_eq!(scene.api.writes(), []);
    }
}

/// Whatever it is of what is applied, of each kind; whether or not it is watched then.
#[tokio::test]
async fn labels_owners_and_annotations_are_put_right() {
    let scene = Scene::new(&json!({ "networkPolicies": {}, "gateway": { "autoscaling": {} } }));
    scene.api.let_read();
    let operator = scene.operator();
    scene.settle(&operator).await;
    let changes: [fn(&mut Value); 4] = [
        |object| object["metadata"]["labels"]["app.kubernetes.io/name"] = json!("other"),
        |object| object["metadata"]["labels"]["app.kubernetes.io/managed-by"] = json!("other"),
        |object| object["metadata"]["ownerReferences"] = json!([]),
        |object| {
            object["metadata"]["annotations"]["marketfeed.dev/made-from"] = json!("other");
        },
    ];
    let meta = |object: &Value| {
        let mut meta = object["metadata"].clone();
        for counted in ["resourceVersion", "generation"] {
            meta.as_object_mut().unwrap().remove(counted);
        }
        meta
    };
    for resource in [
        "configmaps",
        "services",
        "deployments",
        "poddisruptionbudgets",
        "horizontalpodautoscalers",
        "networkpolicies",
    ] {
        let changes = &changes[..if resource == "deployments" { 4 } else { 3 }];
        for (at, change) in changes.iter().enumerate() {
            let before: Vec<Value> = scene.api.all(resource).iter().map(meta).collect();
            scene.api.change_all(resource, change);
            scene.api.meddle_all(resource);
            // The assignment is written over only when it is known.
            let _ = scene.look(&operator).await;
            scene.settle(&operator).await;
            let now: Vec<Value> = scene.api.all(resource).iter().map(meta).collect();
            assert_eq!(now, before, "{resource} {at}");
        }
    }
}

/// A process that begins anew applies all of it once, which changes nothing: no pod is restarted by it.
#[tokio::test]
async fn a_restart_changes_nothing() {
    let scene = Scene::new(&json!({}));
    scene.settle(&scene.operator()).await;
    let before = [
        scene.api.all("deployments"),
        scene.api.all("configmaps"),
        scene.api.all("marketfeeds"),
    ];
    scene.settle(&scene.operator()).await;
    assert_eq!(
        [
            scene.api.all("deployments"),
            scene.api.all("configmaps"),
            scene.api.all("marketfeeds")
        ],
        before
    );
}

/// Stopped after each of its writes, and begun anew: it gets to the same, and no two assignments bear one number.
#[tokio::test]
async fn it_gets_there_from_wherever_it_was_stopped() {
    let changes = [
        json!({}),
        json!({ "marketdata": { "shards": 3 } }),
        json!({ "marketdata": { "shards": 1 } }),
    ];
    for stopped_after in 0..16 {
        let scene = Scene::new(&json!({}));
        let mut seen: std::collections::BTreeMap<u64, Assignment> =
            std::collections::BTreeMap::new();
        for change in &changes {
            scene.respec(change);
            scene.api.fail_after(Some(stopped_after));
            let _ = scene.look(&scene.operator()).await;
            scene.api.fail_after(None);
            if let Some(map) = scene.api.all("configmaps").pop() {
                let text = map["data"]["assignment.json"].as_str().unwrap().to_owned();
                let found = Assignment::parse(text.as_bytes()).unwrap();
                let other = seen.insert(found.generation(), found.clone());
                assert!(other.is_none_or(|other| other == found));
            }
            scene.settle(&scene.operator()).await;
            let now = assignment(&scene);
            let other = seen.insert(now.generation(), now.clone());
            assert!(other.is_none_or(|other| other == now), "two of one number");
        }
        assert_eq!(
            names(&scene, "deployments"),
            ["crypto-gateway", "crypto-shard-0"],
            "{stopped_after}"
        );
        assert_eq!(
            names(&scene, "poddisruptionbudgets"),
            ["crypto-gateway", "crypto-shard-0"]
        );
        assert_eq!(assignment(&scene).generation(), 3);
    }
}

#[tokio::test]
async fn symbols_change_the_config_map_and_the_pods_are_told() {
    let scene = Scene::new(&json!({}));
    let operator = scene.operator();
    scene.run_pod("crypto-shard-0-x", "marketdata", "10.0.0.1");
    scene.run_pod("crypto-gateway-x", "gateway", "10.0.0.2");
    scene.settle(&operator).await;
    let before = scene.api.all("deployments");
    let symbols = json!([{ "venue": "binance-spot", "symbols": ["BTC-USDT", "ADA-USDT"] }]);
    scene.respec(&json!({ "sources": symbols }));
    scene.look(&operator).await.unwrap();
    let paths: Vec<String> = scene
        .api
        .writes()
        .into_iter()
        .map(|write| write.path)
        .collect();
    assert_eq!(
        paths,
        [
            "/api/v1/namespaces/market/configmaps/crypto-assignment".to_owned(),
            "/api/v1/namespaces/market/pods/crypto-shard-0-x".to_owned(),
            format!("{FEED}/status"),
        ]
    );
    assert_eq!(scene.api.all("deployments"), before);
    let pod = scene.api.get("pods", "crypto-shard-0-x");
    assert_eq!(
        pod["metadata"]["annotations"]["marketfeed.dev/assignment-generation"],
        "2"
    );
}

#[tokio::test]
async fn what_others_change_or_remove_is_put_right() {
    let scene = Scene::new(&json!({}));
    let operator = scene.operator();
    scene.settle(&operator).await;
    let shard = "/apis/apps/v1/namespaces/market/deployments/crypto-shard-0";
    scene
        .api
        .change(shard, |object| object["spec"]["replicas"] = json!(7));
    scene
        .api
        .remove("/api/v1/namespaces/market/services/crypto-gateway");
    assert_eq!(scene.settle(&operator).await, 2);
    assert_eq!(
        scene.api.get("deployments", "crypto-shard-0")["spec"]["replicas"],
        2
    );
    scene.api.get("services", "crypto-gateway");
    // A status is nobody's wish.
    scene.api.change(shard, |object| {
        object["status"] = json!({ "readyReplicas": 1 });
    });
    scene.look(&operator).await.unwrap();
    assert!(!scene.api.writes().iter().any(|write| write.path == shard));
}

#[tokio::test]
async fn the_number_of_gateways_is_handed_over_and_back() {
    let scene = Scene::new(&json!({ "gateway": { "replicas": 5 } }));
    let operator = scene.operator();
    scene.settle(&operator).await;
    let gateway = "/apis/apps/v1/namespaces/market/deployments/crypto-gateway";
    let replicas = || scene.api.get("deployments", "crypto-gateway")["spec"]["replicas"].clone();
    assert_eq!(replicas(), 5);
    let scaled = json!({ "gateway": { "replicas": 5, "autoscaling": { "minReplicas": 2, "maxReplicas": 9 } } });
    scene.respec(&scaled);
    scene.look(&operator).await.unwrap();
    let names_replicas =
        |body: &Value| !body["spec"]["replicas"].is_null() && body["kind"] == "Deployment";
    let written = scene.api.writes();
    assert!(
        !written.iter().any(|write| names_replicas(&write.body)),
        "{written:?}"
    );
    assert_eq!(replicas(), 5, "it never falls to one");
    // The autoscaler does its work, and nobody undoes it.
    scene
        .api
        .change(gateway, |object| object["spec"]["replicas"] = json!(8));
    scene.settle(&operator).await;
    assert_eq!(replicas(), 8);
    scene.respec(&json!({ "gateway": { "replicas": 3 } }));
    scene.settle(&operator).await;
    assert_eq!(replicas(), 3);
    assert!(scene.api.all("horizontalpodautoscalers").is_empty());
}

/// Two at a time, of which one has not seen what the other wrote: it writes nothing of its own number.
#[tokio::test]
async fn an_operator_that_is_behind_overwrites_no_assignment() {
    let scene = Scene::new(&json!({}));
    let (old, new) = (scene.operator(), scene.operator());
    scene.settle(&old).await;
    scene.respec(&json!({ "marketdata": { "shards": 3 } }));
    scene.look(&new).await.unwrap();
    let by_new = assignment(&scene);
    scene.respec(&json!({ "marketdata": { "shards": 4 } }));
    let error = scene.look_behind(&old).await.unwrap_err();
    assert!(
        error.to_string().contains("apply the assignment"),
        "{error}"
    );
    assert_eq!(assignment(&scene), by_new);
    scene.settle(&old).await;
    assert_eq!(
        (
            assignment(&scene).generation(),
            assignment(&scene).shards().get()
        ),
        (3, 4)
    );
}

/// The file is lost with all that knew it: its number goes on all the same.
#[tokio::test]
async fn a_lost_assignment_is_followed_by_a_higher_one() {
    let scene = Scene::new(&json!({}));
    scene.settle(&scene.operator()).await;
    scene.respec(&json!({ "marketdata": { "shards": 3 } }));
    scene.settle(&scene.operator()).await;
    scene
        .api
        .remove("/api/v1/namespaces/market/configmaps/crypto-assignment");
    scene.settle(&scene.operator()).await;
    assert_eq!(assignment(&scene).generation(), 3);
}

/// What a shard had is taken over from it, and not after it.
#[tokio::test]
async fn a_shard_that_is_not_wanted_goes_on_for_a_while() {
    let mut scene = Scene::new(&json!({}));
    let hour = std::time::Duration::from_secs(3_600);
    scene.linger = (hour, hour);
    let operator = scene.operator();
    scene.settle(&operator).await;
    scene.respec(&json!({ "marketdata": { "shards": 1 } }));
    scene.settle(&operator).await;
    assert_eq!(assignment(&scene).shards().get(), 1);
    scene.api.get("deployments", "crypto-shard-1");
    scene.api.get("poddisruptionbudgets", "crypto-shard-1");
}
