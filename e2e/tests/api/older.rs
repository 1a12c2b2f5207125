//! An operator that is newer than the definition, as where the chart does not bring it: what the definition knows of the status is
//! said, once.

use cluster::wait::{self, PATIENCE};
use serde_json::{Value, json};

use super::many::silence;
use super::operator::{Start, is_built};
use super::support::{
    ACCOUNT, SYSTEM, definition, feed, feeds, looked_at, make, make_namespace, server_with,
};

#[tokio::test]
async fn of_a_status_that_the_definition_does_not_know_all_else_is_said_once() {
    if !is_built() {
        return;
    }
    let mut older: Value = serde_yaml_ng::from_str(&definition()).unwrap();
    let version = &mut older["spec"]["versions"][0];
    let status = &mut version["schema"]["openAPIV3Schema"]["properties"]["status"]["properties"];
    assert!(status.as_object_mut().unwrap().remove("summary").is_some());
    let Some(server) = server_with(&older.to_string()).await else {
        return;
    };
    let client = server.client().await.unwrap();
    make_namespace(&client, "market").await;
    make(
        &client,
        &feed(
            "market",
            "crypto",
            &json!({ "marketdata": { "shards": 2 } }),
        ),
    )
    .await;
    let account = server.kubeconfig_of(SYSTEM, ACCOUNT).await.unwrap();
    let operator = Start::everywhere(&account, server.folder()).start();
    looked_at(&client, "market", "crypto").await;
    // It looks again and again, and does not say the same each time.
    silence(&server.audit()).await;
    let there = feeds(&client, "market").get("crypto").await.unwrap();
    let status = &there.data["status"];
    assert!(status["summary"].is_null(), "{status}");
    assert!(status["assignment"].is_object(), "{status}");
    let log = operator.log_text().unwrap();
    assert!(log.contains("older than this operator"), "{log}");

    // With the newer one all is said again, and what was said by parts leaves nothing behind.
    let kubectl = server.kubectl();
    kubectl.apply(&definition()).await.unwrap();
    let one = feed(
        "market",
        "crypto",
        &json!({ "marketdata": { "shards": 1 } }),
    );
    kubectl.apply(&one.to_string()).await.unwrap();
    wait::until("all of the status", PATIENCE, async || {
        let there = feeds(&client, "market").get("crypto").await?;
        let status = &there.data["status"];
        let shards = status["summary"]["shards"].as_str();
        Ok(shards.filter(|shards| shards.ends_with("/1")).map(|_| ()))
    })
    .await
    .unwrap();
    silence(&server.audit()).await;
}
