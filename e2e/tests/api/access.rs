//! What the operator asks is allowed, and what it is allowed it asks: through all that a feed may go through.

use std::collections::BTreeSet;

use cluster::wait::{self, PATIENCE};
use e2e::Entry;
use kube::Client;
use kube::api::{DeleteParams, Patch, PatchParams};
use serde_json::{Value, json};

use super::operator::{Start, is_built};
use super::rules::{Right, Rules, of_operator};
use super::support::{
    ACCOUNT, SYSTEM, api, default_account, feed, feeds, looked_at, make, make_namespace, parts,
    server,
};

/// Granted and not used here: a shard that is not wanted, and its budget, go when others are heard in its place, which no
/// gateway says without nodes. The scenario `reshard` has it on a whole cluster.
const UNUSED: [&str; 1] = ["delete poddisruptionbudgets.policy"];

#[tokio::test]
async fn rights_are_those_that_are_used() {
    if !is_built() {
        return;
    }
    let Some(server) = server().await else {
        return;
    };
    let client = server.client().await.unwrap();
    let account = server.kubeconfig_of(SYSTEM, ACCOUNT).await.unwrap();
    let begun = server.audit().mark().unwrap();
    let mut operator = Start::everywhere(&account, server.folder()).start();
    everything(&client).await;
    // At its end it gives the Lease up; a watch is in the log when it is over.
    operator.terminate(PATIENCE).await.unwrap();

    let entries = server.audit().since(begun).unwrap();
    let unseen = compare(&entries, ACCOUNT, &of_operator());
    assert_eq!(unseen, UNUSED, "granted and not used");
}

/// Fails if an account was refused something, or asked what it has no right to; gives the rights that it did not use.
pub(crate) fn compare(entries: &[Entry], account: &str, rules: &Rules) -> Vec<String> {
    let user = format!("system:serviceaccount:{SYSTEM}:{account}");
    let asked = entries.iter().filter(|entry| entry.user == user);
    let asked: Vec<&Entry> = asked.filter(|entry| !entry.resource.is_empty()).collect();
    let refused: Vec<_> = asked.iter().filter(|entry| entry.code == 403).collect();
    assert!(refused.is_empty(), "{refused:?}");
    let used: BTreeSet<Right> = asked.iter().flat_map(|entry| rights(entry)).collect();
    let granted = rules.rights();
    let beyond: Vec<_> = used.difference(&granted).collect();
    assert!(beyond.is_empty(), "used and not documented: {beyond:?}");
    granted.difference(&used).cloned().collect()
}

/// What has to be granted for a request: applying what is not there also makes it.
fn rights(entry: &Entry) -> Vec<Right> {
    let mut rights = vec![format!("{} {}", entry.verb, entry.what())];
    if entry.verb == "patch" && entry.code == 201 {
        rights.push(format!("create {}", entry.what()));
    }
    rights
}

/// A feed with all that it may have, then without, then deleted.
async fn everything(client: &Client) {
    make_namespace(client, "market").await;
    let whole = json!({ "marketdata": { "shards": 2 }, "gateway": { "autoscaling": {} }, "networkPolicies": {} });
    make(client, &feed("market", "crypto", &whole)).await;
    looked_at(client, "market", "crypto").await;
    make_pod(client).await;
    let pods = api(client, "market", ("", "v1", "Pod"));
    wait::until("the pod is told of the assignment", PATIENCE, async || {
        let pod = pods.get("crypto-shard-0-x").await?;
        let told = pod.metadata.annotations.unwrap_or_default();
        Ok(told
            .contains_key("marketfeed.dev/assignment-generation")
            .then_some(()))
    })
    .await
    .unwrap();
    changes_of_state(client).await;
    let less = json!({ "spec": { "marketdata": { "shards": 1 }, "gateway": { "autoscaling": null }, "networkPolicies": null } });
    let all = feeds(client, "market");
    all.patch("crypto", &PatchParams::default(), &Patch::Merge(&less))
        .await
        .unwrap();
    let unwanted = [
        "HorizontalPodAutoscaler crypto-gateway",
        "NetworkPolicy crypto-gateway",
    ];
    wait::until(
        "what is not wanted any more is gone",
        PATIENCE,
        async || {
            let parts = parts(client, "market", "crypto").await;
            Ok((!unwanted.iter().any(|name| parts.contains_key(*name))).then_some(()))
        },
    )
    .await
    .unwrap();
    all.delete("crypto", &DeleteParams::default())
        .await
        .unwrap();
    pods.delete("crypto-shard-0-x", &DeleteParams::default().grace_period(0))
        .await
        .unwrap();
    let jobs = api(client, "market", ("batch", "v1", "Job"));
    wait::until("the Job that removes the streams", PATIENCE, async || {
        Ok(jobs.get_opt("crypto-purge").await?)
    })
    .await
    .unwrap();
}

/// Each change of a condition is an Event, and one that comes again is counted on.
async fn changes_of_state(client: &Client) {
    let all = feeds(client, "market");
    for symbols in [json!(["BTC-USDT", "BT-CUSDT"]), json!(["BTC-USDT"])]
        .iter()
        .cycle()
        .take(4)
    {
        let sources = json!([{ "venue": "binance-spot", "symbols": symbols }]);
        let patch = Patch::Merge(json!({ "spec": { "sources": sources } }));
        all.patch("crypto", &PatchParams::default(), &patch)
            .await
            .unwrap();
        looked_at(client, "market", "crypto").await;
    }
}

/// One of a shard's pods, as a cluster would make it.
async fn make_pod(client: &Client) {
    make(client, &default_account("market")).await;
    let labels: Value = json!({
        "marketfeed.dev/feed": "crypto",
        "app.kubernetes.io/component": "marketdata",
        "app.kubernetes.io/managed-by": "marketfeed-operator",
    });
    let pod = json!({
        "apiVersion": "v1", "kind": "Pod",
        "metadata": { "name": "crypto-shard-0-x", "namespace": "market", "labels": labels },
        "spec": { "containers": [{ "name": "marketfeed", "image": "marketfeed:test" }], "automountServiceAccountToken": false },
    });
    make(client, &pod).await;
}
