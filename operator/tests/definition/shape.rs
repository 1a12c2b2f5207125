//! What the definition is like as a whole.

use std::collections::BTreeSet;

use kube_cel::{compile_schema, estimate_rule_cost};
use operator::spec::{CRD_NAME, crd_yaml, definition};
use serde_json::Value;

use super::schema::schema;

/// Set to write the file instead of comparing it.
const WRITE: &str = "MARKETFEED_WRITE_CRDS";

#[test]
fn the_file_is_of_these_types() {
    let path = format!("{}/../crds/{CRD_NAME}.yaml", env!("CARGO_MANIFEST_DIR"));
    let yaml = crd_yaml().unwrap();
    if std::env::var_os(WRITE).is_some() {
        std::fs::write(&path, &yaml).unwrap();
    }
    let written = std::fs::read_to_string(&path).unwrap_or_default();
    assert!(
        written == yaml,
        "crds/{CRD_NAME}.yaml is of other types: run this test with {WRITE}=1 to write it"
    );
    let read: Value = serde_yaml_ng::from_str(&written).unwrap();
    assert_eq!(read["metadata"]["name"], CRD_NAME);
}

/// `kubectl apply` keeps what was applied in an annotation, of which all together may have 262,144 bytes.
#[test]
fn it_is_small_enough_for_client_side_apply() {
    let len = serde_json::to_vec(&definition()).unwrap().len();
    println!("the definition has {len} bytes as JSON");
    assert!(len < 100_000, "{len} bytes: find out what made it grow");
}

/// Calls `look` with every schema in the definition and its path.
fn each(schema: &Value, path: &str, look: &mut impl FnMut(&Value, &str)) {
    look(schema, path);
    for (name, inner) in schema["properties"].as_object().into_iter().flatten() {
        each(inner, &format!("{path}.{name}"), look);
    }
    for inner in ["items", "additionalProperties"] {
        if schema[inner].is_object() {
            each(&schema[inner], &format!("{path}[]"), look);
        }
    }
}

#[test]
fn it_is_structural_and_every_list_text_and_map_has_a_bound() {
    let mut seen = 0;
    each(schema(), "", &mut |schema, path| {
        seen += 1;
        let has = |keyword: &str| !schema[keyword].is_null();
        for keyword in ["oneOf", "allOf", "not", "$ref", "const", "nullable"] {
            assert!(!has(keyword), "{path} has {keyword}");
        }
        if has("x-kubernetes-int-or-string") {
            // A choice of types beside it would have to be of a certain form, which is not needed.
            assert!(!has("anyOf") && !has("type"), "{path}");
            return;
        }
        assert!(!has("anyOf"), "{path} has anyOf");
        let kind = schema["type"].as_str();
        let kind = kind.unwrap_or_else(|| panic!("{path} is of no type"));
        match kind {
            "array" => assert!(has("maxItems") && schema["items"].is_object(), "{path}"),
            "string" => {
                let bound = has("maxLength") || has("enum") || schema["format"] == "date-time";
                assert!(bound, "{path} may be of any length");
            }
            "object" => {
                let free = schema["additionalProperties"].is_object();
                assert!(
                    !free || has("maxProperties"),
                    "{path} may have any number of keys"
                );
                assert!(
                    schema["additionalProperties"] != true,
                    "{path} takes anything"
                );
            }
            "integer" => {
                let format = schema["format"].as_str().unwrap_or("int64");
                assert!(
                    ["int32", "int64"].contains(&format),
                    "{path}: {format} is not known to Kubernetes"
                );
            }
            "boolean" => {}
            // No floats.
            other => panic!("{path} is a {other}"),
        }
    });
    assert!(seen > 200, "only {seen} schemas were looked at");
}

#[test]
fn every_field_of_ours_is_explained() {
    each(schema(), "", &mut |schema, path| {
        // What is as in a Pod is explained there; items are, where they have fields.
        let foreign = [
            ".affinity.",
            ".tolerations[]",
            ".topologySpreadConstraints[]",
            ".imagePullSecrets[]",
        ];
        let is_entry = path.ends_with("[]") && schema["type"] != "object";
        if foreign.iter().any(|part| path.contains(part))
            || is_entry
            || path.ends_with("conditions[]")
        {
            return;
        }
        // The API server explains the object's own parts.
        if ["apiVersion", "kind", "metadata"]
            .iter()
            .any(|name| path.trim_start_matches('.') == *name)
        {
            return;
        }
        let text = schema["description"].as_str().unwrap_or_default();
        let is_sentence = text.ends_with('.') && !text.contains("  ") && !text.contains('\n');
        let is_root = path.is_empty();
        assert!(
            is_sentence || (is_root && !text.is_empty()),
            "{path}: {text:?}"
        );
    });
}

#[test]
fn enums_are_pascal_case_and_the_venues_are_those_that_are_spoken() {
    let mut venues = Vec::new();
    each(schema(), "", &mut |schema, path| {
        for word in schema["enum"].as_array().into_iter().flatten() {
            let word = word.as_str().unwrap();
            if path.ends_with(".venue") {
                venues.push(word.to_owned());
            } else {
                assert!(
                    word.starts_with(|c: char| c.is_ascii_uppercase()),
                    "{path}: {word}"
                );
                assert!(
                    word.chars().all(|c| c.is_ascii_alphabetic()),
                    "{path}: {word}"
                );
            }
        }
    });
    assert_eq!(venues, wire::Venue::KNOWN);
}

#[test]
fn rules_can_be_read_have_a_bound_cost_and_say_what_to_write() {
    let root = schema();
    let compiled_root = compile_schema(root);
    assert!(
        !compiled_root.has_errors(),
        "{:?}",
        compiled_root.compilation_errors()
    );
    let mut rules = BTreeSet::new();
    each(root, "", &mut |schema, path| {
        for rule in schema["x-kubernetes-validations"]
            .as_array()
            .into_iter()
            .flatten()
        {
            let text = rule["rule"].as_str().unwrap();
            let compiled = compile_schema(schema);
            assert!(
                !compiled.has_errors(),
                "{path}: {:?}",
                compiled.compilation_errors()
            );
            let warnings = estimate_rule_cost(text, &compiled);
            assert!(warnings.is_empty(), "{path}: {text}: {warnings:?}");
            let message = rule["message"].as_str().unwrap_or_default();
            let helps = ["write ", "list "]
                .iter()
                .any(|word| message.contains(word));
            assert!(helps, "{path}: {message:?} does not say what is right");
            rules.insert(text.to_owned());
        }
    });
    assert!(rules.len() >= 10, "{rules:?}");
}

#[test]
fn kubectl_get_shows_what_matters() {
    let crd = definition();
    let names = &crd.spec.names;
    assert_eq!(names.short_names.as_deref(), Some(&["mf".to_owned()][..]));
    assert_eq!(
        names.categories.as_deref(),
        Some(&["marketfeed".to_owned()][..])
    );
    let version = &crd.spec.versions[0];
    assert!(
        version
            .subresources
            .as_ref()
            .is_some_and(|sub| sub.status.is_some())
    );
    let columns = version.additional_printer_columns.iter().flatten();
    let columns: Vec<_> = columns
        .map(|column| (&column.name[..], column.priority.unwrap_or(0)))
        .collect();
    assert_eq!(
        columns,
        [
            ("Ready", 0),
            ("Shards", 0),
            ("Instruments", 0),
            ("Gateways", 0),
            ("Fresh", 0),
            ("Age", 0),
            ("Reason", 1),
            ("Message", 1),
        ]
    );
}
