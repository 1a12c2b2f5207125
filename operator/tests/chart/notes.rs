//! What is said after an installation leads to the next step.

use super::rendered::{NAMESPACE, names, values};
use super::tools::{Helm, root};

/// What people are told, who install it so.
fn notes(helm: &Helm, release: &str, namespace: &str, more: &[&str]) -> String {
    let install = [
        "install",
        release,
        "charts/marketfeed",
        "--namespace",
        namespace,
        "--dry-run=client",
    ];
    let told = helm.read(&[&install[..], more].concat());
    let (_, notes) = told.split_once("NOTES:\n").unwrap();
    notes.to_owned()
}

#[test]
fn the_next_command_fits_the_values() {
    let Some(helm) = Helm::new() else { return };
    let first_try = [
        "--set",
        "nats.enabled=true",
        "--set",
        "simulator.enabled=true",
    ];
    let scoped = ["--set", "operator.watchNamespace=market"];
    let own_nats = ["--set", "nats.enabled=true", "--set", "nats.replicas=3"];
    let scoped_nats = ["--set", "operator.watchNamespace=market,nats.enabled=true"];
    let reads = ["--set", "test.feed=demo"];
    for (release, namespace, more, parts) in [
        (
            "marketfeed",
            NAMESPACE,
            &first_try[..],
            &[
                "kubectl apply -n default -f examples/simulator.yaml",
                "for a first try",
            ][..],
        ),
        (
            "bars",
            "elsewhere",
            &first_try,
            &[
                "bars-marketfeed-nats.elsewhere.svc",
                "bars-marketfeed-exchange-sim.elsewhere.svc",
                "| kubectl apply",
            ],
        ),
        (
            "marketfeed",
            NAMESPACE,
            &[],
            &[
                "your NATS",
                "kubectl apply -n default -f examples/minimal.yaml",
            ],
        ),
        (
            "marketfeed",
            NAMESPACE,
            &scoped,
            &["the feeds of namespace market", "kubectl apply -n market"],
        ),
        (
            "marketfeed",
            NAMESPACE,
            &own_nats,
            &[
                "nats://marketfeed-nats.marketfeed-system.svc:4222",
                "replicas: 3",
            ],
        ),
        (
            "marketfeed",
            NAMESPACE,
            &scoped_nats,
            &["Only feeds of market should use it"],
        ),
        (
            "marketfeed",
            NAMESPACE,
            &["--set", "crds.enabled=false"],
            &["kubectl apply -f crds/"],
        ),
        (
            "marketfeed",
            NAMESPACE,
            &["--set", "dashboards.enabled=true"],
            &["ships no dashboards"],
        ),
        (
            "marketfeed",
            NAMESPACE,
            &reads,
            &["reads a live bar of the feed default/demo"],
        ),
        (
            "marketfeed",
            NAMESPACE,
            &[],
            &["asks whether the operator is ready", "--set test.feed="],
        ),
    ] {
        let told = notes(&helm, release, namespace, more);
        for part in parts {
            assert!(told.contains(part), "{more:?}: no {part:?} in {told}");
        }
    }
}

/// Files that people are told to apply are there, in every case.
#[test]
fn files_that_are_named_are_there() {
    let Some(helm) = Helm::new() else { return };
    for name in names() {
        let told = notes(
            &helm,
            "marketfeed",
            NAMESPACE,
            &["--values", &values(&name)],
        );
        let files = told
            .split_whitespace()
            .filter(|word| word.starts_with("examples/") || word.starts_with("crds/"));
        let files: Vec<&str> = files.collect();
        assert!(!files.is_empty(), "{name}: {told}");
        for file in files {
            assert!(root().join(file).is_file(), "{name}: {file}");
        }
    }
}
