//! The chart's README says what its values say, and every value is known to the schema and to a case.

use std::collections::BTreeSet;
use std::process::Command;

use serde_json::Value;

use super::tools::{chart, program, text};

/// Set to write the file instead of comparing it.
const WRITE: &str = "MARKETFEED_WRITE_README";

#[test]
fn the_readme_is_of_these_values() {
    let Some(docs) = program("helm-docs", "HELM_DOCS") else {
        return;
    };
    let output = Command::new(docs)
        .args([
            "--dry-run",
            "--log-level",
            "error",
            "--sort-values-order",
            "file",
            "--chart-search-root",
        ])
        .arg(chart())
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", text(&output.stderr));
    // It prints a line more than it would write.
    let made = format!("{}\n", text(&output.stdout).trim_end());
    let path = chart().join("README.md");
    if std::env::var_os(WRITE).is_some() {
        std::fs::write(&path, &made).unwrap();
    }
    let written = std::fs::read_to_string(&path).unwrap_or_default();
    assert!(
        written == made,
        "the chart's README.md is of other values: run this test with {WRITE}=1 to write it"
    );
}

fn yaml(file: &str) -> Value {
    serde_yaml_ng::from_str(&std::fs::read_to_string(chart().join(file)).unwrap()).unwrap()
}

/// Paths of the fields, where they are the chart's own: maps that are handed on have no fixed ones.
fn paths(value: &Value, path: &str, found: &mut BTreeSet<String>) {
    let handed_on = [
        "commonLabels",
        "resources",
        "nodeSelector",
        "affinity",
        "podLabels",
        "podAnnotations",
        "labels",
        "annotations",
    ];
    match value {
        Value::Object(fields) if !handed_on.iter().any(|name| path.ends_with(name)) => {
            for (name, inner) in fields {
                paths(inner, &format!("{path}.{name}"), found);
            }
        }
        _ => {
            found.insert(path.to_owned());
        }
    }
}

#[test]
fn every_value_is_in_the_schema_and_in_the_case_of_everything() {
    let mut values = BTreeSet::new();
    paths(&yaml("values.yaml"), "", &mut values);
    assert!(values.len() > 60, "{values:?}");
    let mut tried = BTreeSet::new();
    paths(&yaml("ci/everything-values.yaml"), "", &mut tried);
    assert_eq!(values, tried);
    let schema: Value =
        serde_json::from_str(&std::fs::read_to_string(chart().join("values.schema.json")).unwrap())
            .unwrap();
    let mut known = BTreeSet::new();
    of_schema(&schema, &schema, "", &mut known);
    // Helm gives it to charts within charts.
    assert!(known.remove(".global"));
    assert_eq!(values, known);
}

/// Paths of the fields that a schema has, and that all of them are explained.
fn of_schema(root: &Value, schema: &Value, path: &str, found: &mut BTreeSet<String>) {
    let referred = |schema: &Value| {
        let name = schema["$ref"]
            .as_str()
            .and_then(|name| name.strip_prefix("#/$defs/"));
        name.map(|name| root["$defs"][name].clone())
    };
    let target = referred(schema).unwrap_or_else(|| schema.clone());
    match target["properties"].as_object() {
        Some(fields) if !path.ends_with("resources") => {
            assert_eq!(
                target["additionalProperties"], false,
                "{path} takes any field"
            );
            for (name, inner) in fields {
                of_schema(root, inner, &format!("{path}.{name}"), found);
            }
        }
        _ => {
            assert!(schema["description"].is_string(), "{path} is not explained");
            found.insert(path.to_owned());
        }
    }
}
