//! What is wrong is refused twice: by the definition, at apply, and by the operator, for which a definition may be an older
//! one.

use operator::plan;
use operator::validate;
use serde_json::{Value, json};

use super::feeds::{by_operator, check, good, with};
use super::schema::refusals;

/// What is said of pods.
mod pods;

#[test]
fn what_is_good_is_refused_by_neither() {
    assert_eq!(refusals(&good(), None), [""; 0]);
    assert_eq!(by_operator(&good()), "");
}

#[test]
fn durations() {
    let of = [
        (
            "reorderWindow",
            "/spec/aggregation/reorderWindow",
            "2s to 1m",
            ["1s", "1999ms", "61s", "2m"],
        ),
        (
            "updateInterval",
            "/spec/aggregation/updateInterval",
            "10ms to 1m",
            ["9ms", "2m", "61s", "99999s"],
        ),
        (
            "duration",
            "/spec/gateway/drain/duration",
            "1s to 30m",
            ["999ms", "31m", "1801s", "9999m"],
        ),
    ];
    for (field, pointer, range, beyond) in of {
        for text in beyond {
            check(pointer, json!(text), range, field, range);
        }
        for text in ["", "5", "s", "1.5s", "2h", "-2s", "2 s", "0s", "PT2S"] {
            let found = refusals(&with(pointer, json!(text)), None);
            assert!(
                found.iter().any(|refusal| refusal.contains(range)),
                "{text:?}: {found:?}"
            );
            let said = by_operator(&with(pointer, json!(text)));
            assert!(
                said.contains(field) && said.contains("no "),
                "{text:?}: {said}"
            );
        }
    }
}

#[test]
fn numbers() {
    let of = [
        ("/spec/marketdata/shards", 0, 257, "spec.marketdata.shards"),
        (
            "/spec/marketdata/standbys",
            -1,
            5,
            "spec.marketdata.standbys",
        ),
        ("/spec/nats/replicas", 0, 6, "spec.nats.replicas"),
        ("/spec/gateway/replicas", 0, 1_001, "spec.gateway.replicas"),
        (
            "/spec/gateway/autoscaling/minReplicas",
            0,
            1_001,
            "spec.gateway.autoscaling.minReplicas",
        ),
        (
            "/spec/gateway/autoscaling/maxReplicas",
            0,
            1_001,
            "spec.gateway.autoscaling.maxReplicas",
        ),
        (
            "/spec/gateway/autoscaling/cpuUtilization",
            0,
            101,
            "spec.gateway.autoscaling.cpuUtilization",
        ),
        (
            "/spec/gateway/autoscaling/connectionsPerPod",
            0,
            1_000_001,
            "spec.gateway.autoscaling.connectionsPerPod",
        ),
        (
            "/spec/gateway/limits/connectionsPerPod",
            0,
            1_000_001,
            "spec.gateway.limits.connectionsPerPod",
        ),
        (
            "/spec/gateway/service/port",
            0,
            65_536,
            "spec.gateway.service.port",
        ),
        (
            "/spec/telemetry/samplesPerMillion",
            -1,
            1_000_001,
            "spec.telemetry.samplesPerMillion",
        ),
    ];
    for (pointer, below, above, path) in of {
        check(
            pointer,
            json!(below),
            "minimum",
            path,
            "is out of range: write",
        );
        check(
            pointer,
            json!(above),
            "maximum",
            path,
            "is out of range: write",
        );
        assert!(
            !refusals(&with(pointer, json!(1.5)), None).is_empty(),
            "{pointer}: a float"
        );
    }
    let autoscaling = json!({ "minReplicas": 5, "maxReplicas": 2 });
    let path = "spec.gateway.autoscaling.minReplicas";
    check(
        "/spec/gateway/autoscaling",
        autoscaling,
        "write a minReplicas that is not above it",
        path,
        "above maxReplicas, which is 2",
    );
}

#[test]
fn names() {
    let path = "/metadata/name";
    check(
        path,
        json!("a".repeat(41)),
        "write 40 characters at most",
        "metadata.name",
        "write 40 at most",
    );
    check(path, json!("a.b"), "no dots", "metadata.name", "no dots");
    check(
        path,
        json!("1crypto"),
        "begin with a letter",
        "metadata.name",
        "begin with a letter",
    );
    assert_eq!(refusals(&with(path, json!("a".repeat(40))), None), [""; 0]);
    assert_eq!(by_operator(&with(path, json!("a".repeat(40)))), "");
}

#[test]
fn the_bus() {
    let path = "/spec/nats/urls";
    check(
        path,
        json!([]),
        "minItems",
        "spec.nats.urls",
        "write at least one",
    );
    check(
        path,
        json!(["nats://a:1", "nats://a:1"]),
        "list-type \"set\"",
        "spec.nats.urls[1]",
        "list it once",
    );
    for wrong in [
        "nats:4222",
        "http://nats:4222",
        "nats://user:pass@nats:4222",
        "nats://",
        "nats://a/b",
        "ws://nats",
    ] {
        check(
            path,
            json!([wrong]),
            "write nats://host:4222",
            "spec.nats.urls[0]",
            "write nats://host:4222",
        );
    }
    for wrong in ["Prod", "a.b", "-a", "a b", "a>"] {
        check(
            "/spec/nats/environment",
            json!(wrong),
            "write lower-case letters",
            "spec.nats.environment",
            "lower-case",
        );
        check(
            "/spec/nats/region",
            json!(wrong),
            "write lower-case letters",
            "spec.nats.region",
            "lower-case",
        );
    }
    let secret = |name: &str, key: &str| json!({ "name": name, "key": key });
    let path = "spec.nats.credentialsSecretRef";
    check(
        "/spec/nats/credentialsSecretRef",
        secret("Nats", "x"),
        "names no Secret",
        path,
        "names no Secret",
    );
    check(
        "/spec/nats/credentialsSecretRef",
        secret("nats", "a/b"),
        "no key of a Secret",
        path,
        "no key of a Secret",
    );
    let mut without = good();
    without["spec"].as_object_mut().unwrap().remove("nats");
    assert!(
        refusals(&without, None)
            .iter()
            .any(|refusal| refusal.contains("required"))
    );
    assert!(by_operator(&without).contains("missing field `nats`"));
}

#[test]
fn what_cannot_be_changed() {
    #[track_caller]
    fn change(from: &Value, to: &Value, expect: &str) {
        let found = refusals(to, Some(from));
        match expect {
            "" => assert_eq!(found, [""; 0]),
            expect => assert!(found.len() == 1 && found[0].contains(expect), "{found:?}"),
        }
    }
    let (one, two) = (
        with("/spec/nats/environment", json!("one")),
        with("/spec/nats/environment", json!("two")),
    );
    change(&one, &one, "");
    change(&one, &two, "environment names the streams");
    change(&good(), &one, "environment names the streams");
    change(&one, &good(), "environment names the streams");
    change(
        &good(),
        &with("/spec/nats/region", json!("eu")),
        "region names the streams",
    );
    change(&good(), &with("/spec/nats/region", json!("local")), "");
    change(
        &good(),
        &with("/spec/nats/replicas", json!(1)),
        "replicas is a setting of streams",
    );
    change(
        &good(),
        &with("/spec/nats/urls", json!(["nats://other:4222"])),
        "",
    );
    change(&good(), &with("/spec/marketdata/shards", json!(7)), "");
}

#[test]
fn words_and_addresses() {
    check(
        "/spec/aggregation/whenFull",
        json!("drop-newest"),
        "DropNewest",
        "whenFull",
        "`DropNewest` or `Wait`",
    );
    check(
        "/spec/nats/deletionPolicy",
        json!("Keep"),
        "Retain",
        "deletionPolicy",
        "`Delete` or `Retain`",
    );
    check(
        "/spec/gateway/service/type",
        json!("ExternalName"),
        "NodePort",
        "type",
        "`LoadBalancer`",
    );
    let path = "spec.telemetry.otlpEndpoint";
    for wrong in [
        "otel:4317",
        "https://otel:4317",
        "http://otel",
        "http://otel:4317/v1",
    ] {
        check(
            "/spec/telemetry/otlpEndpoint",
            json!(wrong),
            "write http://host:port",
            path,
            "write http://host:port",
        );
    }
    check(
        "/spec/telemetry/log",
        json!("in fo"),
        "write off, error",
        "spec.telemetry.log",
        "write off, error",
    );
    let path = "spec.networkPolicies.adminNamespaces[0]";
    check(
        "/spec/networkPolicies/adminNamespaces",
        json!(["A"]),
        "names no namespace",
        path,
        "names no namespace",
    );
    assert!(by_operator(&with("/spec/image", json!("a b"))).contains("spec.image"));
}

#[test]
fn all_that_is_wrong_is_told_at_once() {
    let mut object = with("/spec/intervals", json!(["7s"]));
    object["spec"]["sources"][1]["venue"] = json!("kraken");
    object["spec"]["nats"]["replicas"] = json!(9);
    let feed = plan::parse(&serde_yaml_ng::to_string(&object).unwrap(), "default").unwrap();
    let error = validate(&feed).unwrap_err();
    let paths: Vec<&str> = error.errors().iter().map(|error| &error.path[..]).collect();
    assert_eq!(
        paths,
        [
            "spec.sources[1].venue",
            "spec.intervals[0]",
            "spec.nats.replicas"
        ]
    );
}

/// What no rule of the definition looks at, and `plan` is given by a file or a flag.
#[test]
fn namespaces_and_ports() {
    for wrong in ["", "Bad NS", "a.b", "-a", "a-", &"a".repeat(64)] {
        let said = by_operator(&with("/metadata/namespace", json!(wrong)));
        assert!(
            said.contains("metadata.namespace") && said.contains("names no namespace"),
            "{wrong:?}: {said}"
        );
    }
    for wrong in [
        "nats://h:99999",
        "nats://:4222",
        "nats://::::",
        "tls://h:0",
        "nats://h:",
    ] {
        let said = by_operator(&with("/spec/nats/urls", json!([wrong])));
        assert!(said.contains("is no NATS address"), "{wrong}: {said}");
    }
    for right in [
        "nats://[::1]:4222",
        "tls://nats.market.svc",
        "nats://10.0.0.1:65535",
    ] {
        let object = with("/spec/nats/urls", json!([right]));
        assert_eq!(by_operator(&object), "", "{right}");
        assert_eq!(refusals(&object, None), [""; 0], "{right}");
    }
    for wrong in ["ws://h:99999/", "ws://:80", "ws://u:p@h/", "ws://[::1"] {
        let endpoints = json!({ "ws": wrong, "rest": "http://h" });
        let said = by_operator(&with("/spec/sources/0/endpoints", endpoints));
        assert!(said.contains("write wss://host/path"), "{wrong}: {said}");
    }
}
