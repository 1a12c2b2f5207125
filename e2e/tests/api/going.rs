//! What is deleted goes, and nothing hangs: with the controllers that let go of what is deleted.

use cluster::wait::{self, PATIENCE};
use e2e::ApiServer;
use e2e::api_server::COLLECTORS;
use kube::Client;
use kube::api::{DeleteParams, Patch, PatchParams};
use serde_json::json;

use super::operator::{Start, is_built};
use super::support::{
    ACCOUNT, SYSTEM, api, feed, feeds, looked_at, make, make_namespace, parts, server,
};

#[tokio::test]
async fn what_is_deleted_goes() {
    if !is_built() {
        return;
    }
    let Some(mut server) = server().await else {
        return;
    };
    server.start_controllers(&COLLECTORS).unwrap();
    let client = server.client().await.unwrap();
    let account = server.kubeconfig_of(SYSTEM, ACCOUNT).await.unwrap();
    let _operator = Start::everywhere(&account, server.folder()).start();
    a_feed_goes_when_its_streams_are_removed(&client).await;
    a_feed_that_leaves_its_streams_goes_at_once(&client).await;
    a_namespace_goes_with_its_feeds(&server, &client).await;
}

async fn a_feed_goes_when_its_streams_are_removed(client: &Client) {
    make_namespace(client, "going").await;
    make(client, &feed("going", "crypto", &json!({}))).await;
    looked_at(client, "going", "crypto").await;
    let all = feeds(client, "going");
    all.delete("crypto", &DeleteParams::default())
        .await
        .unwrap();
    purged(client, "going").await;
    nothing_is_left(client, "going").await;
}

async fn a_feed_that_leaves_its_streams_goes_at_once(client: &Client) {
    let nats = json!({ "urls": ["nats://nats:4222"], "deletionPolicy": "Retain" });
    make(client, &feed("going", "crypto", &json!({ "nats": nats }))).await;
    looked_at(client, "going", "crypto").await;
    feeds(client, "going")
        .delete("crypto", &DeleteParams::default())
        .await
        .unwrap();
    nothing_is_left(client, "going").await;
}

/// Waits for the Job that removes the streams of a feed that is deleted, and runs it: no node does here.
pub(crate) async fn purged(client: &Client, namespace: &str) {
    let jobs = api(client, namespace, ("batch", "v1", "Job"));
    wait::until("the Job that removes the streams", PATIENCE, async || {
        Ok(jobs.get_opt("crypto-purge").await?)
    })
    .await
    .unwrap();
    let left = parts(client, namespace, "crypto").await;
    assert!(
        !left.keys().any(|part| part.starts_with("Deployment")),
        "{left:?}"
    );
    let all = feeds(client, namespace);
    assert!(
        all.get_opt("crypto").await.unwrap().is_some(),
        "it is kept until the Job is done"
    );
    let done = json!({ "status": {
        "startTime": "2026-01-01T00:00:00Z", "completionTime": "2026-01-01T00:00:01Z", "succeeded": 1,
        "uncountedTerminatedPods": {},
        "conditions": [
            { "type": "SuccessCriteriaMet", "status": "True", "reason": "CompletionsReached" },
            { "type": "Complete", "status": "True", "reason": "CompletionsReached" },
        ],
    } });
    jobs.patch_status(
        "crypto-purge",
        &PatchParams::default(),
        &Patch::Merge(&done),
    )
    .await
    .unwrap();
}

/// Waits until neither the feed nor anything of it is there.
pub(crate) async fn nothing_is_left(client: &Client, namespace: &str) {
    let all = feeds(client, namespace);
    wait::until("the end of the feed and its parts", PATIENCE, async || {
        let gone = all.get_opt("crypto").await?.is_none();
        Ok((gone && parts(client, namespace, "crypto").await.is_empty()).then_some(()))
    })
    .await
    .unwrap();
}

async fn a_namespace_goes_with_its_feeds(server: &ApiServer, client: &Client) {
    make_namespace(client, "leaving").await;
    for name in ["one", "two"] {
        make(client, &feed("leaving", name, &json!({}))).await;
        looked_at(client, "leaving", name).await;
    }
    // kubectl waits for its end.
    let delete = ["delete", "namespace", "leaving", "--timeout=90s"];
    server.kubectl().run(delete).await.unwrap();
}
