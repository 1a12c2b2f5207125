//! How the operator goes, and its feeds stay.

use std::collections::BTreeSet;
use std::future::pending;
use std::time::Duration;

use kube::Client;
use operator::controller::Where;
use operator::leave::home::let_go_at_home;
use operator::leave::{Error, Leave, leave};
use serde_json::{Value, json};

use super::api::Api;

const DEPLOYMENT: &str = "/apis/apps/v1/namespaces/system/deployments/mf-operator";

fn feed_path(namespace: &str, name: &str) -> String {
    format!("/apis/marketfeed.dev/v1alpha1/namespaces/{namespace}/marketfeeds/{name}")
}

fn put_feed(api: &Api, namespace: &str, name: &str, spec: &Value) {
    let meta = json!({
        "name": name, "namespace": namespace, "finalizers": ["other/one", "marketfeed.dev/purge"],
    });
    let feed = json!({
        "apiVersion": "marketfeed.dev/v1alpha1", "kind": "MarketFeed", "metadata": meta, "spec": spec,
    });
    api.put(&feed_path(namespace, name), feed);
}

fn put_pod(api: &Api, name: &str, owner: &str) {
    let owner = json!({ "apiVersion": "v1", "kind": owner, "name": "x", "uid": "u" });
    let meta = json!({ "name": name, "namespace": "system", "ownerReferences": [owner] });
    let pod = json!({ "apiVersion": "v1", "kind": "Pod", "metadata": meta });
    api.put(&format!("/api/v1/namespaces/system/pods/{name}"), pod);
}

/// An operator, and a feed that uses another NATS than its own.
fn scene() -> (Api, Client, Leave) {
    let api = Api::default();
    api.let_read();
    let spec =
        json!({ "replicas": 2, "selector": { "matchLabels": { "app": "mf" } }, "template": {} });
    let deployment = json!({
        "apiVersion": "apps/v1", "kind": "Deployment",
        "metadata": { "name": "mf-operator", "namespace": "system" }, "spec": spec,
    });
    api.put(DEPLOYMENT, deployment);
    // The Job's own pod, which has the labels of the release.
    put_pod(&api, "hook", "Job");
    put_feed(
        &api,
        "market",
        "crypto",
        &json!({ "nats": { "urls": ["nats://nats:4222"] } }),
    );
    let what = Leave {
        deployment: "mf-operator".to_owned(),
        namespace: "system".to_owned(),
        place: Where::Everywhere {
            except: ["other".to_owned()].into(),
        },
        bundled: vec!["mf-nats".parse().unwrap()],
    };
    let client = api.client();
    (api, client, what)
}

fn finalizers(api: &Api, name: &str) -> Value {
    api.get("marketfeeds", name)["metadata"]["finalizers"].clone()
}

fn replicas(api: &Api) -> Value {
    api.get("deployments", "mf-operator")["spec"]["replicas"].clone()
}

#[tokio::test(start_paused = true)]
async fn it_ends_the_operator_and_lets_all_feeds_go() {
    let (api, client, what) = scene();
    // One that nobody can decode, one in a namespace of another operator, and one that others change all the time.
    put_feed(&api, "market", "broken", &json!("nothing of ours"));
    put_feed(&api, "other", "theirs", &json!({}));
    put_feed(&api, "market", "busy", &json!({}));
    api.contend(&feed_path("market", "busy"), 3);
    leave(&client, &what, pending()).await.unwrap();
    assert_eq!(replicas(&api), 0);
    for name in ["crypto", "broken", "busy"] {
        assert_eq!(finalizers(&api, name), json!(["other/one"]), "{name}");
    }
    assert_eq!(
        finalizers(&api, "theirs"),
        json!(["other/one", "marketfeed.dev/purge"])
    );
    // Once more, and without the operator, there is nothing to do.
    api.writes();
    api.remove(DEPLOYMENT);
    leave(&client, &what, pending()).await.unwrap();
    assert_eq!(api.writes(), []);
}

#[tokio::test(start_paused = true)]
async fn nothing_is_done_while_its_nats_is_used() {
    let (api, client, what) = scene();
    let urls = json!({ "nats": { "urls": ["nats://mf-nats.system.svc:4222"] }, "sources": 7 });
    put_feed(&api, "market", "user", &urls);
    let error = leave(&client, &what, pending()).await.unwrap_err();
    let Error::InUse { feeds } = &error else {
        panic!("{error}")
    };
    assert_eq!(feeds[..], ["market/user"]);
    assert!(
        error.to_string().contains("kubectl delete marketfeed"),
        "{error}"
    );
    assert_eq!(api.writes(), []);
}

/// What the operator's last pod would set again is removed after it has gone.
#[tokio::test(start_paused = true)]
async fn feeds_are_let_go_after_the_operators_pods() {
    let (api, client, what) = scene();
    put_pod(&api, "mf-operator-x", "ReplicaSet");
    let leaving = leave(&client, &what, pending());
    tokio::pin!(leaving);
    let held = tokio::time::timeout(Duration::from_secs(20), &mut leaving);
    assert!(held.await.is_err(), "it waits for the pod");
    assert_eq!(replicas(&api), 0);
    assert_eq!(finalizers(&api, "crypto").as_array().unwrap().len(), 2);
    api.remove("/api/v1/namespaces/system/pods/mf-operator-x");
    leaving.await.unwrap();
    assert_eq!(finalizers(&api, "crypto"), json!(["other/one"]));
}

/// One that was evicted, or ran on a node that was shut down, is there until Kubernetes collects it.
#[tokio::test(start_paused = true)]
async fn pods_that_have_ended_are_not_waited_for() {
    let (api, client, what) = scene();
    for (name, phase) in [("mf-operator-x", "Failed"), ("mf-operator-y", "Succeeded")] {
        put_pod(&api, name, "ReplicaSet");
        api.change_all("pods", |pod| {
            if pod["metadata"]["name"] == name {
                pod["status"] = json!({ "phase": phase });
            }
        });
    }
    let started = tokio::time::Instant::now();
    leave(&client, &what, pending()).await.unwrap();
    assert_eq!(started.elapsed(), Duration::ZERO);
    assert_eq!(finalizers(&api, "crypto"), json!(["other/one"]));
}

/// The release stays then: its feeds need their operator.
#[tokio::test(start_paused = true)]
async fn the_operator_goes_on_where_leaving_fails() {
    let (api, client, what) = scene();
    put_feed(&api, "market", "stuck", &json!({}));
    api.contend(&feed_path("market", "stuck"), usize::MAX);
    leave(&client, &what, pending()).await.unwrap_err();
    assert_eq!(replicas(&api), 2);
}

/// As a Job is whose time is over.
#[tokio::test(start_paused = true)]
async fn the_operator_goes_on_where_leaving_is_ended() {
    let (api, client, what) = scene();
    put_pod(&api, "mf-operator-x", "ReplicaSet");
    let ended = tokio::time::sleep(Duration::from_secs(20));
    let error = leave(&client, &what, ended).await.unwrap_err();
    assert!(matches!(error, Error::Ended), "{error}");
    assert_eq!(replicas(&api), 2);
    assert_eq!(finalizers(&api, "crypto").as_array().unwrap().len(), 2);
}

/// Their operator is another, but the NATS that goes is theirs.
#[tokio::test(start_paused = true)]
async fn feeds_of_other_operators_use_its_nats_too() {
    let (api, client, mut what) = scene();
    let urls = json!({ "nats": { "urls": ["nats://mf-nats.system.svc:4222"] } });
    put_feed(&api, "other", "user", &urls);
    let error = leave(&client, &what, pending()).await.unwrap_err();
    let Error::InUse { feeds } = &error else {
        panic!("{error}")
    };
    assert_eq!(feeds[..], ["other/user"]);
    assert_eq!(api.writes(), []);
    // One that has rights in a single namespace can ask no other.
    what.place = Where::Namespace("market".to_owned());
    leave(&client, &what, pending()).await.unwrap();
}

/// A pod of a node that is lost holds up nothing for ever.
#[tokio::test(start_paused = true)]
async fn a_pod_that_never_goes_is_not_waited_for_in_vain() {
    let (api, client, what) = scene();
    put_pod(&api, "mf-operator-x", "ReplicaSet");
    leave(&client, &what, pending()).await.unwrap();
    assert_eq!(finalizers(&api, "crypto"), json!(["other/one"]));
}

#[tokio::test(start_paused = true)]
async fn feeds_that_cannot_be_let_go_are_named_and_hold_up_no_other() {
    let (api, client, what) = scene();
    put_feed(&api, "market", "stuck", &json!({}));
    api.contend(&feed_path("market", "stuck"), usize::MAX);
    let error = leave(&client, &what, pending()).await.unwrap_err();
    let Error::Held { feeds } = &error else {
        panic!("{error}")
    };
    assert_eq!(feeds[..], ["market/stuck"]);
    assert_eq!(finalizers(&api, "crypto"), json!(["other/one"]));
}

#[tokio::test(start_paused = true)]
async fn only_feeds_of_its_own_namespace_are_let_go() {
    let (api, client, mut what) = scene();
    put_feed(&api, "another", "theirs", &json!({}));
    what.place = Where::Namespace("another".to_owned());
    leave(&client, &what, pending()).await.unwrap();
    assert_eq!(finalizers(&api, "theirs"), json!(["other/one"]));
    assert_eq!(finalizers(&api, "crypto").as_array().unwrap().len(), 2);
}

/// As it stops. One that is started anew elsewhere looks after them otherwise.
#[tokio::test]
async fn feeds_go_with_an_operator_whose_namespace_goes() {
    for (place, is_own) in [
        (Where::Namespace("market".to_owned()), true),
        (Where::Namespace("other".to_owned()), false),
        (
            Where::Everywhere {
                except: ["market".to_owned()].into(),
            },
            false,
        ),
        (
            Where::Everywhere {
                except: BTreeSet::new(),
            },
            true,
        ),
    ] {
        let api = Api::default();
        api.let_read();
        put_feed(&api, "market", "crypto", &json!({}));
        put_feed(&api, "elsewhere", "crypto", &json!({}));
        let client = api.client();
        let held = |namespace: &str| {
            let feeds = api.all("marketfeeds").into_iter();
            let mut of = feeds.filter(|feed| feed["metadata"]["namespace"] == namespace);
            let finalizers = of.next().unwrap()["metadata"]["finalizers"].to_string();
            finalizers.contains("marketfeed.dev/purge")
        };
        assert!(!let_go_at_home(&client, "market", &place).await.unwrap());
        assert!(held("market"), "{place:?}: it only stops");
        api.terminate_namespace();
        let went = let_go_at_home(&client, "market", &place).await.unwrap();
        assert_eq!((went, held("market")), (is_own, !is_own), "{place:?}");
        assert!(held("elsewhere"), "{place:?}");
    }
}
