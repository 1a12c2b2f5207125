//! An API server with what a MarketFeed needs, and what is there of a feed.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use cluster::wait::{self, PATIENCE};
use e2e::ApiServer;
use kube::Client;
use kube::api::{Api, ApiResource, DynamicObject, GroupVersionKind, ListParams, PostParams};
use serde_json::{Value, json};

/// Where the operator's account is, and its Lease where nothing else is said.
pub(crate) const SYSTEM: &str = "marketfeed-system";

/// The operator's account.
pub(crate) const ACCOUNT: &str = "marketfeed-operator";

/// What a feed may consist of: group, version, kind.
const KINDS: [(&str, &str, &str); 7] = [
    ("", "v1", "ConfigMap"),
    ("", "v1", "Service"),
    ("apps", "v1", "Deployment"),
    ("policy", "v1", "PodDisruptionBudget"),
    ("autoscaling", "v2", "HorizontalPodAutoscaler"),
    ("networking.k8s.io", "v1", "NetworkPolicy"),
    ("batch", "v1", "Job"),
];

/// A server that knows MarketFeeds and has the operator's account with its rights; none where there can be no server, which is
/// said then.
pub(crate) async fn server() -> Option<ApiServer> {
    server_with(&definition()).await
}

/// One that has another definition.
pub(crate) async fn server_with(definition: &str) -> Option<ApiServer> {
    if let Some(why) = ApiServer::absent() {
        println!("skipped: {why}");
        return None;
    }
    let server = ApiServer::start().await.unwrap();
    let kubectl = server.kubectl();
    kubectl.apply(definition).await.unwrap();
    // It has no conditions at first, which `kubectl wait` takes for an error.
    wait::until("an established definition", PATIENCE, async || {
        let get = ["get", "crd", "marketfeeds.marketfeed.dev", "-o"];
        let of = "jsonpath={.status.conditions[?(@.type==\"Established\")].status}";
        let said = kubectl.try_run(get.into_iter().chain([of])).await?;
        Ok((said.out == "True").then_some(()))
    })
    .await
    .unwrap();
    // Who asks what there is is told a moment later.
    wait::until("a description of MarketFeeds", PATIENCE, async || {
        let said = kubectl.try_run(["explain", "marketfeed"]).await?;
        Ok(said.ok.then_some(()))
    })
    .await
    .unwrap();
    let rights = super::rules::of_operator().objects(ACCOUNT);
    kubectl.apply(&rights).await.unwrap();
    Some(server)
}

/// The definition, as it is shipped.
pub(crate) fn definition() -> String {
    let file = root().join("crds/marketfeeds.marketfeed.dev.yaml");
    fs::read_to_string(file).unwrap()
}

/// The root of the sources.
pub(crate) fn root() -> PathBuf {
    let own = Path::new(env!("CARGO_MANIFEST_DIR"));
    own.parent().unwrap().to_owned()
}

/// A feed of two symbols, with other parts of its spec.
pub(crate) fn feed(namespace: &str, name: &str, spec: &Value) -> Value {
    let mut feed = json!({
        "apiVersion": "marketfeed.dev/v1alpha1",
        "kind": "MarketFeed",
        "metadata": { "name": name, "namespace": namespace },
        "spec": {
            "sources": [{ "venue": "binance-spot", "symbols": ["BTC-USDT", "ETH-USDT"] }],
            "nats": { "urls": ["nats://nats:4222"] },
        },
    });
    for (name, value) in spec.as_object().unwrap() {
        feed["spec"][name] = value.clone();
    }
    feed
}

/// MarketFeeds of a namespace.
pub(crate) fn feeds(client: &Client, namespace: &str) -> Api<DynamicObject> {
    api(
        client,
        namespace,
        ("marketfeed.dev", "v1alpha1", "MarketFeed"),
    )
}

/// Objects of a kind.
pub(crate) fn api(
    client: &Client,
    namespace: &str,
    (group, version, kind): (&str, &str, &str),
) -> Api<DynamicObject> {
    let kind = GroupVersionKind::gvk(group, version, kind);
    let resource = ApiResource::from_gvk(&kind);
    Api::namespaced_with(client.clone(), namespace, &resource)
}

/// Makes a namespace.
pub(crate) async fn make_namespace(client: &Client, name: &str) {
    let kind = GroupVersionKind::gvk("", "v1", "Namespace");
    let all: Api<DynamicObject> = Api::all_with(client.clone(), &ApiResource::from_gvk(&kind));
    let object = json!({ "apiVersion": "v1", "kind": "Namespace", "metadata": { "name": name } });
    let object = serde_json::from_value(object).unwrap();
    all.create(&PostParams::default(), &object).await.unwrap();
}

/// The account of a namespace's pods, as a controller makes it elsewhere.
pub(crate) fn default_account(namespace: &str) -> Value {
    let meta = json!({ "name": "default", "namespace": namespace });
    json!({ "apiVersion": "v1", "kind": "ServiceAccount", "metadata": meta })
}

/// Makes an object of a namespace that it names.
pub(crate) async fn make(client: &Client, object: &Value) {
    let object: DynamicObject = serde_json::from_value(object.clone()).unwrap();
    let types = object.types.clone().unwrap();
    let kind = GroupVersionKind::try_from(&types).unwrap();
    let namespace = object.metadata.namespace.clone().unwrap();
    let all: Api<DynamicObject> =
        Api::namespaced_with(client.clone(), &namespace, &ApiResource::from_gvk(&kind));
    all.create(&PostParams::default(), &object).await.unwrap();
}

/// What is there of a feed, by kind and name.
pub(crate) async fn parts(client: &Client, namespace: &str, feed: &str) -> BTreeMap<String, Value> {
    let mut found = BTreeMap::new();
    let labelled = ListParams::default().labels(&format!("marketfeed.dev/feed={feed}"));
    for kind in KINDS {
        for object in api(client, namespace, kind).list(&labelled).await.unwrap() {
            let name = object.metadata.name.clone().unwrap();
            let object = serde_json::to_value(object).unwrap();
            found.insert(format!("{} {name}", kind.2), object);
        }
    }
    found
}

/// The reason of a condition of a feed's present generation; none while it is not said.
pub(crate) async fn reason(
    client: &Client,
    namespace: &str,
    name: &str,
    kind: &str,
) -> Option<String> {
    let feed = feeds(client, namespace).get(name).await.unwrap();
    let conditions = feed.data["status"]["conditions"].as_array()?;
    let found = conditions.iter().find(|found| found["type"] == kind)?;
    let of_now = found["observedGeneration"].as_i64() == feed.metadata.generation;
    of_now.then(|| found["reason"].as_str().unwrap_or_default().to_owned())
}

/// Waits until the operator has looked at a feed as it is: that is said last.
pub(crate) async fn looked_at(client: &Client, namespace: &str, name: &str) {
    let what = format!("a word on {namespace}/{name}");
    wait::until(&what, PATIENCE, async || {
        Ok(reason(client, namespace, name, "Ready").await)
    })
    .await
    .unwrap();
}
