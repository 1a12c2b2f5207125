//! A feed that cannot be read, and one that cannot run, are their own trouble alone.

use cluster::wait::{self, PATIENCE};
use e2e::ApiServer;
use kube::Client;
use serde_json::{Value, json};

use super::operator::{Start, is_built};
use super::support::{
    ACCOUNT, SYSTEM, definition, feed, looked_at, make, make_namespace, parts, reason, server,
};

#[tokio::test]
async fn a_feed_that_is_wrong_holds_up_no_other() {
    if !is_built() {
        return;
    }
    let Some(server) = server().await else {
        return;
    };
    let client = server.client().await.unwrap();
    make_namespace(&client, "market").await;
    make_undecodable(&server, &client, &[]).await;
    // To Binance both are BTCUSDT, which no schema can tell.
    let one = json!([{ "venue": "binance-spot", "symbols": ["BTC-USDT", "BT-CUSDT"] }]);
    make(
        &client,
        &feed("market", "invalid", &json!({ "sources": one })),
    )
    .await;
    let account = server.kubeconfig_of(SYSTEM, ACCOUNT).await.unwrap();
    let _operator = Start::everywhere(&account, server.folder()).start();
    make(&client, &feed("market", "right", &json!({}))).await;
    looked_at(&client, "market", "right").await;
    assert!(parts(&client, "market", "right").await.len() >= 6);
    says(&client, "invalid", "Invalid").await;
    says(&client, "undecodable", "Undecodable").await;
    for wrong in ["invalid", "undecodable"] {
        assert!(parts(&client, "market", wrong).await.is_empty());
    }
    // And not only at first: a change of the right one is seen to.
    let right = feed("market", "right", &json!({ "marketdata": { "shards": 2 } }));
    server.kubectl().apply(&right.to_string()).await.unwrap();
    looked_at(&client, "market", "right").await;
    let parts = parts(&client, "market", "right").await;
    assert!(
        parts.contains_key("Deployment right-shard-1"),
        "{:?}",
        parts.keys()
    );
}

/// A feed `undecodable` with finalizers, as another release's definition would have let it in: for a moment, one that takes anything is in force.
pub(crate) async fn make_undecodable(server: &ApiServer, client: &Client, finalizers: &[&str]) {
    let mut lax: Value = serde_yaml_ng::from_str(&definition()).unwrap();
    let anything = json!({ "type": "object", "x-kubernetes-preserve-unknown-fields": true });
    lax["spec"]["versions"][0]["schema"]["openAPIV3Schema"] = anything;
    let kubectl = server.kubectl();
    kubectl
        .run(["delete", "crd", "marketfeeds.marketfeed.dev"])
        .await
        .unwrap();
    kubectl.apply(&lax.to_string()).await.unwrap();
    let mut feed = feed("market", "undecodable", &json!({}));
    feed["metadata"]["finalizers"] = json!(finalizers);
    feed["spec"]["intervals"] = json!({ "every": "minute" });
    let text = feed.to_string();
    wait::until("the lax definition in force", PATIENCE, async || {
        Ok(kubectl.try_apply(&text, &[]).await?.ok.then_some(()))
    })
    .await
    .unwrap();
    kubectl.apply(&definition()).await.unwrap();
    // It is in force when what was taken before is refused.
    feed["metadata"]["name"] = json!("another");
    let text = feed.to_string();
    wait::until("the definition in force again", PATIENCE, async || {
        let said = kubectl.try_apply(&text, &["--dry-run=server"]).await?;
        Ok((!said.ok).then_some(()))
    })
    .await
    .unwrap();
    super::support::feeds(client, "market")
        .get("undecodable")
        .await
        .unwrap();
}

async fn says(client: &Client, name: &str, expect: &str) {
    let what = format!("{name} says that it is {expect}");
    wait::until(&what, PATIENCE, async || {
        let found = reason(client, "market", name, "Ready").await;
        Ok((found.as_deref() == Some(expect)).then_some(()))
    })
    .await
    .unwrap();
}
