//! The variables that pods are given are ones that their programs read. A misspelled one would be passed over in silence.

use std::collections::BTreeSet;
use std::path::Path;

use serde_json::{Value, json};

use super::feeds::{all, feed, find, templates};

/// Variables that the arguments in a source file are read from.
fn read_by(files: &[&str]) -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    for file in files {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("..").join(file);
        let text = std::fs::read_to_string(path).unwrap();
        let parts = text.split("env = \"MARKETFEED_").skip(1);
        found.extend(parts.map(|part| format!("MARKETFEED_{}", part.split('"').next().unwrap())));
    }
    assert!(found.len() > 10, "{found:?}");
    found
}

const SHARED: [&str; 2] = ["runtime/src/args.rs", "runtime/src/broker/nats/options.rs"];

/// A feed for which every variable is set.
fn full() -> Value {
    json!({
        "nats": {
            "urls": ["tls://nats:4222", "tls://nats-1:4222"],
            "region": "eu",
            "credentialsSecretRef": { "name": "publisher", "key": "p.creds" },
            "tls": { "required": true, "caSecretRef": { "name": "ca", "key": "ca.crt" }, "clientSecretRef": { "name": "client" } },
        },
        "aggregation": { "whenFull": "Wait" },
        "telemetry": { "otlpEndpoint": "http://otel:4317" },
    })
}

#[test]
fn they_are_known_to_the_programs() {
    let marketdata = read_by(&[&["marketdata/src/process/args.rs"], &SHARED[..]].concat());
    let gateway = read_by(&[&["gateway/src/args.rs"], &SHARED[..]].concat());
    let objects = all(&feed(&full()));
    for (name, template) in templates(&objects) {
        let known = if name == "crypto-gateway" {
            &gateway
        } else {
            &marketdata
        };
        let container = &template["spec"]["containers"][0];
        let mut set = BTreeSet::new();
        for variable in container["env"].as_array().unwrap() {
            let variable = variable["name"].as_str().unwrap();
            assert!(
                known.contains(variable),
                "{name}: no {variable} in {known:?}"
            );
            assert!(set.insert(variable), "{name}: {variable} twice");
        }
        let word = container["command"][0].as_str().unwrap();
        let expect = if name == "crypto-gateway" {
            "marketfeed-gateway"
        } else {
            "marketfeed-marketdata"
        };
        assert_eq!(word, expect);
    }
}

#[test]
fn they_say_what_the_feed_says() {
    let objects = all(&feed(&full()));
    let value = |deployment: &str, variable: &str| {
        let template = &find(&objects, "Deployment", deployment)["spec"]["template"];
        let env = template["spec"]["containers"][0]["env"].as_array().unwrap();
        let name = format!("MARKETFEED_{variable}");
        env.iter().find(|var| var["name"] == name[..]).unwrap()["value"].clone()
    };
    for (variable, expect) in [
        ("ENV", "market-crypto"),
        ("REGION", "eu"),
        ("SHARD", "1"),
        ("WHEN_FULL", "wait"),
        ("NATS_URL", "tls://nats:4222,tls://nats-1:4222"),
        ("NATS_OWNER", "1b4e28ba"),
        ("NATS_REPLICAS", "3"),
        ("REORDER_WINDOW", "2s"),
        ("UPDATE_INTERVAL", "250ms"),
        ("TRACE_SAMPLES_PER_MILLION", "10000"),
        ("OTLP_ENDPOINT", "http://otel:4317"),
    ] {
        assert_eq!(value("crypto-shard-1", variable), expect, "{variable}");
    }
    for (variable, expect) in [
        ("DRAIN", "30s"),
        ("CONNECTIONS_MAX", "15000"),
        ("ENV", "market-crypto"),
    ] {
        assert_eq!(value("crypto-gateway", variable), expect, "{variable}");
    }
}
