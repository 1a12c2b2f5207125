//! The definition on a real API server: it is taken, it explains itself, and it refuses what is wrong in a sentence that says what
//! is right.

use std::fs;

use e2e::{ApiServer, Kubectl};
use kube::api::{Patch, PatchParams};
use serde_json::{Value, json};

use super::support::{feed, feeds, make_namespace, root, server};

/// One server for all of it: starting one takes longer than the rest.
#[tokio::test]
async fn the_definition_on_a_real_server() {
    let Some(server) = server().await else {
        return;
    };
    let kubectl = server.kubectl();
    it_explains_itself(&kubectl).await;
    every_example_is_taken(&server, &kubectl).await;
    what_is_wrong_is_refused(&kubectl).await;
    what_cannot_be_changed_is_refused(&kubectl).await;
    one_line_says_how_it_is(&server, &kubectl).await;
}

async fn it_explains_itself(kubectl: &Kubectl) {
    let said = kubectl
        .run(["explain", "marketfeed.spec.gateway.drain"])
        .await
        .unwrap();
    let words = said.split_whitespace().collect::<Vec<_>>().join(" ");
    for part in [
        "GROUP: marketfeed.dev",
        "VERSION: v1alpha1",
        "FIELD: drain <Object>",
        "duration <string>",
    ] {
        assert!(words.contains(part), "{part:?} is not in\n{said}");
    }
    let (_, description) = said.split_once("DESCRIPTION:").unwrap();
    let sentence = description.lines().nth(1).unwrap().trim();
    assert!(
        sentence.len() > 20 && !sentence.contains("<empty>"),
        "{said}"
    );
    // Every field says what it is.
    let all = kubectl
        .run(["explain", "marketfeed.spec", "--recursive"])
        .await
        .unwrap();
    assert!(all.contains("connectionsPerPod"), "{all}");
}

async fn every_example_is_taken(server: &ApiServer, kubectl: &Kubectl) {
    make_namespace(&server.client().await.unwrap(), "market").await;
    let mut taken = 0;
    for entry in fs::read_dir(root().join("examples")).unwrap() {
        let file = entry.unwrap().path();
        if file.extension().is_none_or(|end| end != "yaml") {
            continue;
        }
        let text = fs::read_to_string(&file).unwrap();
        // Objects of other projects' definitions are not known here.
        if text.contains("gateway.networking.k8s.io") {
            continue;
        }
        for flags in [
            &["--dry-run=server"][..],
            &["--dry-run=server", "--server-side"],
        ] {
            let said = kubectl.try_apply(&text, flags).await.unwrap();
            assert!(
                said.ok && said.err.is_empty(),
                "{}: {}",
                file.display(),
                said.err
            );
        }
        taken += 1;
    }
    assert!(taken >= 5, "only {taken} examples");
}

/// What is written wrong, the field, and what is said of it.
const WRONG: [(&str, &str, &str); 19] = [
    (
        r#"{"sources":[{"venue":"kraken","symbols":["BTC-USDT"]}]}"#,
        "spec.sources[0].venue",
        r#"supported values: "binance-spot", "coinbase", "coinbase-advanced""#,
    ),
    (
        r#"{"sources":[{"venue":"coinbase","symbols":["BTC-USD","BTC-USD"]}]}"#,
        "spec.sources[0].symbols[1]",
        "Duplicate value: \"BTC-USD\"",
    ),
    (
        r#"{"sources":[{"venue":"coinbase","symbols":["btcusd"]}]}"#,
        "spec.sources[0].symbols[0]",
        "write BASE-QUOTE in upper case, such as BTC-USDT",
    ),
    (
        r#"{"sources":[{"venue":"coinbase","symbols":[]}]}"#,
        "spec.sources[0].symbols",
        "should have at least 1 items",
    ),
    (
        r#"{"sources":[]}"#,
        "spec.sources",
        "should have at least 1 items",
    ),
    (
        r#"{"sources":[{"venue":"coinbase","symbols":["A-B"]},{"venue":"coinbase","symbols":["C-D"]}]}"#,
        "spec.sources[1]",
        "Duplicate value",
    ),
    (
        r#"{"intervals":[]}"#,
        "spec.intervals",
        "should have at least 1 items",
    ),
    (
        r#"{"intervals":["hourly"]}"#,
        "spec.intervals[0]",
        "that is no interval",
    ),
    (
        r#"{"sources":[{"venue":"coinbase","symbols":["BTC-USD"],"endpoints":{"ws":"localhost:80","rest":"http://sim"}}]}"#,
        "spec.sources[0].endpoints.ws",
        "write wss://host/path or ws://host:port/path",
    ),
    (
        r#"{"nats":{"urls":["nats:4222"]}}"#,
        "spec.nats.urls[0]",
        "write nats://host:4222",
    ),
    (
        r#"{"nats":{"urls":["nats://nats:4222"],"environment":"Prod EU"}}"#,
        "spec.nats.environment",
        "write lower-case letters, digits and inner hyphens",
    ),
    (
        r#"{"aggregation":{"reorderWindow":"two seconds"}}"#,
        "spec.aggregation.reorderWindow",
        "write a duration from 2s to 1m",
    ),
    (
        r#"{"gateway":{"resources":{"requests":{"memory":"512MB"}}}}"#,
        "spec.gateway.resources.requests[memory]",
        "write one as 500m or 2 (CPU), or 512Mi",
    ),
    (
        r#"{"marketdata":{"pod":{"labels":{"team":"two words"}}}}"#,
        "spec.marketdata.pod.labels[team]",
        "write letters, digits and inner hyphens",
    ),
    (
        r#"{"intervals":["7s"]}"#,
        "spec.intervals[0]",
        "write 1s, 5s, 1m",
    ),
    (
        r#"{"gateway":{"autoscaling":{"minReplicas":5,"maxReplicas":2}}}"#,
        "spec.gateway.autoscaling",
        "write a minReplicas that is not above it",
    ),
    (
        r#"{"gateway":{"drain":{"duration":"31m"}}}"#,
        "spec.gateway.drain.duration",
        "write a duration from 1s to 30m",
    ),
    (
        r#"{"marketdata":{"shards":0}}"#,
        "spec.marketdata.shards",
        "greater than or equal to 1",
    ),
    (
        r#"{"nats":{"urls":[]}}"#,
        "spec.nats.urls",
        "should have at least 1 items",
    ),
];

async fn what_is_wrong_is_refused(kubectl: &Kubectl) {
    for (spec, field, sentence) in WRONG {
        let spec: Value = serde_json::from_str(spec).unwrap();
        refused(kubectl, &feed("market", "wrong", &spec), field, sentence).await;
    }
    let name = "a".repeat(41);
    let long = feed("market", &name, &json!({}));
    refused(kubectl, &long, "MarketFeed", "write 40 characters at most").await;
    let dotted = feed("market", "a.b", &json!({}));
    refused(kubectl, &dotted, "MarketFeed", "no dots").await;
    let misspelled = feed("market", "wrong", &json!({ "gatewy": {} }));
    refused(kubectl, &misspelled, "spec.gatewy", "unknown field").await;
}

async fn what_cannot_be_changed_is_refused(kubectl: &Kubectl) {
    let of = |nats: Value| feed("market", "fixed", &json!({ "nats": nats }));
    let urls = json!(["nats://nats:4222"]);
    let there = of(json!({ "urls": urls, "environment": "one" }));
    kubectl.apply(&there.to_string()).await.unwrap();
    let environment = of(json!({ "urls": urls, "environment": "two" }));
    refused(
        kubectl,
        &environment,
        "spec.nats",
        "environment names the streams",
    )
    .await;
    let replicas = of(json!({ "urls": urls, "environment": "one", "replicas": 1 }));
    refused(
        kubectl,
        &replicas,
        "spec.nats",
        "replicas is a setting of streams",
    )
    .await;
    kubectl
        .run(["delete", "marketfeed", "fixed", "-n", "market"])
        .await
        .unwrap();
}

/// At apply, naming the field. A server-side apply refuses it too; of lists it speaks in words of its own.
async fn refused(kubectl: &Kubectl, object: &Value, field: &str, sentence: &str) {
    let text = object.to_string();
    let said = kubectl
        .try_apply(&text, &["--dry-run=server"])
        .await
        .unwrap();
    let err = said.err.split_whitespace().collect::<Vec<_>>().join(" ");
    assert!(!said.ok, "{object} is taken");
    assert!(
        err.contains(field) && err.contains(sentence),
        "{field}: {sentence:?} is not in {err:?}"
    );
    let flags = ["--dry-run=server", "--server-side"];
    let said = kubectl.try_apply(&text, &flags).await.unwrap();
    assert!(!said.ok, "{object} is taken by the server's own apply");
}

async fn one_line_says_how_it_is(server: &ApiServer, kubectl: &Kubectl) {
    let client = server.client().await.unwrap();
    let text = feed("market", "crypto", &json!({})).to_string();
    kubectl.apply(&text).await.unwrap();
    let status = json!({ "status": {
        "summary": { "shards": "1/1", "instruments": 2, "gateways": "2/2", "fresh": "2/2" },
        "conditions": [{ "type": "Ready", "status": "True", "reason": "Ready", "message": "Bars flow.",
            "lastTransitionTime": "2026-01-01T00:00:00Z" }],
    } });
    feeds(&client, "market")
        .patch_status("crypto", &PatchParams::default(), &Patch::Merge(&status))
        .await
        .unwrap();
    // By its short name, and as one of its category.
    for what in ["mf", "marketfeeds", "marketfeed"] {
        let said = kubectl.run(["get", what, "-n", "market"]).await.unwrap();
        let words: Vec<Vec<&str>> = said
            .lines()
            .map(|line| line.split_whitespace().collect())
            .collect();
        assert_eq!(
            words[0],
            [
                "NAME",
                "READY",
                "SHARDS",
                "INSTRUMENTS",
                "GATEWAYS",
                "FRESH",
                "AGE"
            ],
            "{said}"
        );
        assert_eq!(
            words[1][..6],
            ["crypto", "True", "1/1", "2", "2/2", "2/2"],
            "{said}"
        );
    }
    let wide = kubectl
        .run(["get", "mf", "-n", "market", "-o", "wide"])
        .await
        .unwrap();
    assert!(
        wide.contains("REASON") && wide.contains("Bars flow."),
        "{wide}"
    );
    kubectl
        .run(["delete", "mf", "crypto", "-n", "market"])
        .await
        .unwrap();
}
