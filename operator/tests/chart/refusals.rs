//! Wrong values are refused before anything is installed, in a sentence that names the value.

use super::rendered::NAMESPACE;
use super::tools::{Helm, text};

#[test]
fn wrong_values() {
    let Some(helm) = Helm::new() else { return };
    let check = |value: &str, parts: &[&str]| {
        let output = helm.run(&[
            "template",
            "marketfeed",
            "charts/marketfeed",
            "--namespace",
            NAMESPACE,
            "--set",
            value,
        ]);
        let told = text(&output.stderr);
        assert!(!output.status.success(), "{value} is taken");
        for part in parts {
            assert!(told.contains(part), "{value}: no {part:?} in {told}");
        }
    };
    // Misspelled.
    check("operater.replicas=2", &["operater"]);
    check("operator.replica=2", &["operator", "replica"]);
    check("nats.persistence.storageClass=fast", &["storageClass"]);
    // Of another type or out of bounds.
    check("nats.replicas=2", &["nats/replicas", "1", "3"]);
    check("operator.replicas=-1", &["operator/replicas", "0"]);
    check("nats.enabled=maybe", &["nats/enabled", "boolean"]);
    check("simulator.rate=0", &["simulator/rate", "1"]);
    check("test.port=70000", &["test/port", "65,535"]);
    check("operator.logFormat=xml", &["operator/logFormat", "json"]);
    check(
        "image.pullPolicy=Sometimes",
        &["image/pullPolicy", "IfNotPresent"],
    );
    check("leave.timeoutSeconds=60", &["leave/timeoutSeconds", "120"]);
    // Malformed.
    check("image.digest=sha256:abc", &["image/digest"]);
    check("nats.image.digest=2.15.2", &["nats/image/digest"]);
    check(
        "operator.watchNamespace=Market",
        &["operator/watchNamespace"],
    );
    check("simulator.generate={BTCUSDT}", &["simulator/generate"]);
    check("simulator.generate=", &["simulator/generate"]);
    check("nats.jetstream.file=2GB", &["nats/jetstream/file"]);
    check("test.timeout=60", &["test/timeout"]);
    check("test.topic=kline:*:BTC-USDT", &["test/topic"]);
    check("image.repository=marketfeed:0.1.0", &["image/repository"]);
    check(
        "fullnameOverride=a-name-that-is-longer-than-forty-characters",
        &["fullnameOverride", "40"],
    );
    // What goes together, and what does not.
    check(
        "operator.watchNamespace=market,operator.exceptNamespaces={staging}",
        &["operator.watchNamespace", "operator.exceptNamespaces"],
    );
    check(
        "operator.extraEnv[0].name=MARKETFEED_WATCH_NAMESPACE",
        &["operator.extraEnv", "MARKETFEED_WATCH_NAMESPACE", "options"],
    );
    check("serviceAccount.create=false", &["serviceAccount.name"]);
    check(
        "nats.enabled=true,nats.persistence.enabled=true,nats.persistence.size=1Gi",
        &["nats.persistence.size", "nats.jetstream.file"],
    );
}
