//! `docs/telemetry.md` names the operator's metrics, and no others as its own.

#![allow(clippy::unwrap_used, reason = "what fails here fails a test")]

use std::collections::BTreeSet;

use runtime::telemetry::Metrics;

const DOCUMENT: &str = include_str!("../../docs/telemetry.md");

/// What the first column of its table has, as registered: without labels and without `_total`.
fn documented() -> BTreeSet<String> {
    let rows = DOCUMENT
        .lines()
        .skip_while(|line| !line.starts_with("| metric of the operator"));
    let rows = rows.skip(2).take_while(|line| line.starts_with('|'));
    let name = |row: &str| {
        let name = row.split(['`', '{']).nth(1).unwrap();
        name.strip_suffix("_total").unwrap_or(name).to_owned()
    };
    rows.map(name).collect()
}

#[test]
fn every_metric_is_documented_and_every_documented_metric_is_there() {
    let metrics = Metrics::new();
    let registry = metrics.register(|registry| {
        let _ = operator::metrics::Metrics::register(registry);
        format!("{registry:?}")
    });
    let names = registry.split("Descriptor { name: \"").skip(1);
    let registered: BTreeSet<String> = names
        .map(|rest| rest.split('"').next().unwrap().to_owned())
        .collect();
    assert_eq!(registered, documented());
    assert!(registered.len() >= 5);
}
