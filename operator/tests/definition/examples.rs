//! Every example is a MarketFeed that an API server takes and that can run.

use std::path::PathBuf;

use operator::spec::MarketFeed;
use operator::{ValidFeed, plan, validate};
use serde_json::Value;

use super::schema::refusals;

fn examples() -> Vec<(PathBuf, String)> {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/../examples");
    let entries = std::fs::read_dir(folder).unwrap();
    let mut paths: Vec<PathBuf> = entries.map(|entry| entry.unwrap().path()).collect();
    paths.retain(|path| path.extension().is_some_and(|ext| ext == "yaml"));
    paths.sort();
    let read = |path: PathBuf| (path.clone(), std::fs::read_to_string(path).unwrap());
    // Beside them are ways in for clients.
    let is_feed = |(_, text): &(PathBuf, String)| text.contains("\nkind: MarketFeed\n");
    paths.into_iter().map(read).filter(is_feed).collect()
}

#[test]
fn they_are_taken_and_can_run() {
    let examples = examples();
    assert!(examples.len() >= 3);
    for (path, text) in examples {
        let object: Value = serde_yaml_ng::from_str(&text).unwrap();
        assert_eq!(refusals(&object, None), [""; 0], "{}", path.display());
        let feed = plan::parse(&text, "default").unwrap();
        let valid: ValidFeed =
            validate(&feed).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
        plan::assignment(&valid, None).unwrap();
    }
}

/// What is written comes back from what was read: no field is dropped on the way, and defaults are those of the schema.
#[test]
fn defaults_are_the_same_in_the_types_and_in_the_definition() {
    for (path, text) in examples() {
        let object: Value = serde_yaml_ng::from_str(&text).unwrap();
        let by_schema = kube_cel::apply_defaults(super::schema::schema(), &object);
        let typed: MarketFeed = serde_json::from_value(object).unwrap();
        let by_types = serde_json::to_value(&typed).unwrap();
        // A whole number of CPUs is text for the types.
        let by_schema: MarketFeed = serde_json::from_value(by_schema).unwrap();
        assert_eq!(
            serde_json::to_value(&by_schema).unwrap()["spec"],
            by_types["spec"],
            "{}",
            path.display()
        );
    }
}
