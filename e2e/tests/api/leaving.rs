//! `marketfeed-operator leave`: it takes nothing away that is needed, lets all feeds go, and needs the rights that are documented.

use kube::Client;
use kube::api::{Patch, PatchParams};
use serde_json::{Value, json};

use super::access::compare;
use super::held_up::make_undecodable;
use super::operator::{is_built, run};
use super::rules::of_leave;
use super::support::{SYSTEM, api, feed, feeds, make, make_namespace, server};

/// Who leaves.
const ACCOUNT: &str = "marketfeed-leave";

/// The operator's Deployment.
const DEPLOYMENT: &str = "marketfeed-operator";

/// What would hold a feed for ever.
const FINALIZER: &str = "marketfeed.dev/purge";

#[tokio::test]
async fn it_leaves_feeds_that_nobody_holds() {
    if !is_built() {
        return;
    }
    let Some(server) = server().await else {
        return;
    };
    let client = server.client().await.unwrap();
    server
        .kubectl()
        .apply(&of_leave().objects(ACCOUNT))
        .await
        .unwrap();
    make_namespace(&client, "market").await;
    make_undecodable(&server, &client, &[FINALIZER, "example.org/other"]).await;
    let nats = json!({ "urls": ["nats://marketfeed-nats.marketfeed-system:4222"] });
    let mut held = feed("market", "crypto", &json!({ "nats": nats }));
    held["metadata"]["finalizers"] = json!([FINALIZER]);
    make(&client, &held).await;
    make(&client, &deployment()).await;
    let account = server.kubeconfig_of(SYSTEM, ACCOUNT).await.unwrap();
    let begun = server.audit().mark().unwrap();
    let args = [
        "leave",
        "--operator-deployment",
        DEPLOYMENT,
        "--operator-namespace",
        SYSTEM,
    ];

    let with_nats = [&args[..], &["--bundled-nats", "marketfeed-nats"]].concat();
    let (well, said) = run(&account, server.folder(), &with_nats).await;
    assert!(!well && said.contains("market/crypto"), "{said}");
    assert_eq!(state(&client).await, (json!([FINALIZER]), json!(2)));

    let other = json!({ "spec": { "nats": { "urls": ["nats://elsewhere:4222"] } } });
    let all = feeds(&client, "market");
    all.patch("crypto", &PatchParams::default(), &Patch::Merge(&other))
        .await
        .unwrap();
    let (well, said) = run(&account, server.folder(), &with_nats).await;
    assert!(well, "{said}");
    assert_eq!(state(&client).await, (Value::Null, json!(0)));
    let undecodable = all.get("undecodable").await.unwrap();
    assert_eq!(
        undecodable.metadata.finalizers.unwrap(),
        ["example.org/other"]
    );

    let entries = server.audit().since(begun).unwrap();
    assert_eq!(
        compare(&entries, ACCOUNT, &of_leave()),
        [""; 0],
        "granted and not used"
    );
}

/// A feed's finalizers, and how many operators there are to be.
async fn state(client: &Client) -> (Value, Value) {
    let feed = feeds(client, "market").get("crypto").await.unwrap();
    let deployments = api(client, SYSTEM, ("apps", "v1", "Deployment"));
    let operator = deployments.get(DEPLOYMENT).await.unwrap();
    (
        json!(feed.metadata.finalizers),
        operator.data["spec"]["replicas"].clone(),
    )
}

/// Nobody makes pods of it here.
fn deployment() -> Value {
    let labels = json!({ "app": DEPLOYMENT });
    json!({
        "apiVersion": "apps/v1", "kind": "Deployment",
        "metadata": { "name": DEPLOYMENT, "namespace": SYSTEM },
        "spec": {
            "replicas": 2,
            "selector": { "matchLabels": labels },
            "template": {
                "metadata": { "labels": labels },
                "spec": { "containers": [{ "name": "operator", "image": "marketfeed:test" }] },
            },
        },
    })
}
