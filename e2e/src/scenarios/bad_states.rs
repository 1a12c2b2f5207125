//! What cannot run says why, and holds up nobody else.

use std::time::Duration;

use anyhow::{Context, Result, ensure};
use cluster::wait::{self, PATIENCE};
use serde_json::{Value, json};

use super::Measured;
use super::feed::{Feed, Wanted, condition};
use super::place::Place;
use super::tidy::make_namespace;

/// A pod is asked why it does not start after half a minute, and what was good is called bad after 20 s.
const TOLD_MAX: Duration = Duration::from_secs(180);

/// What is wrong, the condition that says so, its reason, and words of its message.
struct Bad {
    what: &'static str,
    namespace: &'static str,
    spec: Value,
    kind: &'static str,
    reason: &'static str,
    words: &'static str,
}

/// `taken` is the environment of a feed that is well.
fn cases(taken: &str) -> [Bad; 3] {
    [
        Bad {
            what: "a Secret that is missing",
            namespace: "e2e-bad-secret",
            spec: json!({ "nats": { "credentialsSecretRef": { "name": "nowhere", "key": "x.creds" } } }),
            kind: "Ready",
            reason: "FilesMissing",
            words: "are there the Secrets nowhere",
        },
        Bad {
            what: "NATS that is away",
            namespace: "e2e-bad-nats",
            spec: json!({ "nats": { "urls": ["nats://nowhere.e2e-bad-nats.svc:4222"] } }),
            kind: "NatsReady",
            reason: "NatsAway",
            words: "no connection to NATS",
        },
        Bad {
            what: "streams of another owner",
            namespace: "e2e-bad-owner",
            spec: json!({ "nats": { "environment": taken } }),
            kind: "NatsReady",
            reason: "NatsRefused",
            words: "belongs to",
        },
    ]
}

pub(super) async fn run(place: &mut Place) -> Measured {
    let feed = place.take_feed().await?;
    let before = feed.pods(place).await?;
    let cases = cases(&format!("{}-{}", feed.namespace, feed.name));
    for bad in &cases {
        make_namespace(place.kubectl(), bad.namespace).await?;
        let wanted = Wanted::new(bad.namespace).with(&bad.spec);
        place
            .kubectl()
            .apply(&wanted.object(place)?.to_string())
            .await?;
    }
    let mut measured = Vec::new();
    for bad in &cases {
        let found = told(place, bad).await.with_context(|| bad.what)?;
        measured.push(format!(
            "{}: {} {}",
            bad.what, found["reason"], found["message"]
        ));
    }
    for bad in &cases {
        let delete = ["delete", "marketfeed", "demo", "-n", bad.namespace];
        let delete = delete.into_iter().chain(["--timeout=250s"]);
        let deleted = place.kubectl().run(delete).await;
        deleted.with_context(|| bad.what)?;
    }
    well(place, &feed, &before).await?;
    measured.push(format!("the one that is well: {}", feed.check()?));
    place.put_back(feed);
    Ok(measured)
}

async fn told(place: &Place, bad: &Bad) -> Result<Value> {
    let look = async || -> Result<Option<Value>> {
        let get = ["get", "marketfeed", "demo", "-n", bad.namespace];
        let object = place.kubectl().json(get).await?;
        let found = condition(&object, bad.kind);
        Ok(found.filter(|found| {
            let reason = found["reason"].as_str().unwrap_or_default();
            let message = found["message"].as_str().unwrap_or_default();
            found["status"] == "False" && reason == bad.reason && message.contains(bad.words)
        }))
    };
    let found = wait::until("its condition", TOLD_MAX, look).await;
    if found.is_ok() {
        return found;
    }
    let get = [
        "get",
        "marketfeed",
        "demo",
        "-n",
        bad.namespace,
        "-o",
        "jsonpath={.status.conditions}",
    ];
    let said = place.kubectl().run(get).await?;
    found.with_context(|| format!("{} does not say so: {said}", bad.kind))
}

async fn well(place: &Place, feed: &Feed, before: &[super::pods::Pod]) -> Result<()> {
    feed.closes(3, PATIENCE).await?;
    feed.same_pods(place, before).await?;
    let ready = condition(&feed.object().await?, "Ready");
    ensure!(
        ready.is_some_and(|ready| ready["status"] == "True"),
        "it is not ready"
    );
    Ok(())
}
