//! What an API server makes of an object by the definition: defaults, the keywords of the schema, and CEL rules.

use std::cell::RefCell;
use std::collections::HashMap;
use std::sync::LazyLock;

use kube_cel::{CompiledSchema, Validator, compile_schema};
use regex::Regex;
use serde_json::Value;

/// The schema of the only version.
pub(crate) fn schema() -> &'static Value {
    static SCHEMA: LazyLock<Value> = LazyLock::new(|| {
        let crd = serde_json::to_value(operator::spec::definition()).unwrap();
        crd["spec"]["versions"][0]["schema"]["openAPIV3Schema"].clone()
    });
    &SCHEMA
}

thread_local! {
    static COMPILED: CompiledSchema = compile_schema(schema());
    static PATTERNS: RefCell<HashMap<String, Regex>> = RefCell::default();
}

fn matches(pattern: &str, text: &str) -> bool {
    PATTERNS.with_borrow_mut(|patterns| {
        let compiled = patterns.entry(pattern.to_owned());
        compiled
            .or_insert_with(|| Regex::new(pattern).unwrap())
            .is_match(text)
    })
}

/// All reasons why an object would be refused, or why it may not replace another one.
pub(crate) fn refusals(object: &Value, old: Option<&Value>) -> Vec<String> {
    let schema = schema();
    let mut found = Vec::new();
    let with_defaults = kube_cel::apply_defaults(schema, object);
    keywords(schema, &with_defaults, "", &mut found);
    // Rules are asked of what is of the right shape only.
    if found.is_empty() {
        let old = old.map(|old| kube_cel::apply_defaults(schema, old));
        let ruled = COMPILED.with(|compiled| {
            Validator::new().validate_compiled(compiled, &with_defaults, old.as_ref())
        });
        if let Err(errors) = ruled {
            let errors = errors.into_vec();
            found.extend(
                errors
                    .iter()
                    .map(|e| format!("{}: {}", e.field_path, e.message)),
            );
        }
    }
    found
}

/// The keywords that the definition uses, and no others: one that is not known here fails the test.
fn keywords(schema: &Value, value: &Value, path: &str, found: &mut Vec<String>) {
    if schema["x-kubernetes-int-or-string"] == true && value.is_i64() {
        return;
    }
    for (keyword, arg) in schema.as_object().unwrap() {
        if let Some(rule) = keyword_broken(schema, keyword, arg, value) {
            found.push(format!("{path}: {value} breaks {rule}"));
        }
    }
    match value {
        Value::Object(fields) => {
            for (name, value) in fields {
                let known = &schema["properties"][name];
                let schema = if known.is_null() {
                    &schema["additionalProperties"]
                } else {
                    known
                };
                if schema.is_object() {
                    keywords(schema, value, &format!("{path}.{name}"), found);
                }
            }
        }
        Value::Array(items) => {
            for (at, item) in items.iter().enumerate() {
                keywords(&schema["items"], item, &format!("{path}[{at}]"), found);
            }
        }
        _ => {}
    }
}

fn keyword_broken(schema: &Value, keyword: &str, arg: &Value, value: &Value) -> Option<String> {
    let text = value.as_str();
    let len = text.map(|text| text.chars().count() as u64);
    let items = value.as_array();
    let number = value.as_f64();
    let count = |most: bool, len: Option<usize>| {
        let (len, arg) = (len.map(|len| len as u64), arg.as_u64().unwrap());
        len.is_none_or(|len| if most { len <= arg } else { len >= arg })
    };
    let holds = match keyword {
        "type" => match arg.as_str().unwrap() {
            "object" => value.is_object(),
            "array" => value.is_array(),
            "string" => value.is_string(),
            "integer" => value.is_i64(),
            "boolean" => value.is_boolean(),
            other => panic!("type {other}"),
        },
        "enum" => arg.as_array().unwrap().contains(value),
        "pattern" => text.is_none_or(|text| matches(arg.as_str().unwrap(), text)),
        "maxLength" => len.is_none_or(|len| len <= arg.as_u64().unwrap()),
        "minLength" => len.is_none_or(|len| len >= arg.as_u64().unwrap()),
        "maxItems" => count(true, items.map(Vec::len)),
        "minItems" => count(false, items.map(Vec::len)),
        "maxProperties" => count(true, value.as_object().map(serde_json::Map::len)),
        "minimum" => number.is_none_or(|number| number >= arg.as_f64().unwrap()),
        "maximum" => number.is_none_or(|number| number <= arg.as_f64().unwrap()),
        "required" => arg
            .as_array()
            .unwrap()
            .iter()
            .all(|name| value.get(name.as_str().unwrap()).is_some()),
        "x-kubernetes-list-type" => is_unique(schema, arg.as_str().unwrap(), items?),
        "default"
        | "description"
        | "format"
        | "items"
        | "properties"
        | "additionalProperties"
        | "title"
        | "x-kubernetes-validations"
        | "x-kubernetes-list-map-keys"
        | "x-kubernetes-int-or-string"
        | "x-kubernetes-map-type" => true,
        other => panic!("keyword {other}"),
    };
    (!holds).then(|| format!("{keyword} {arg}"))
}

fn is_unique(schema: &Value, list: &str, items: &[Value]) -> bool {
    let keys = match list {
        "atomic" => return true,
        "set" => Vec::new(),
        "map" => schema["x-kubernetes-list-map-keys"]
            .as_array()
            .unwrap()
            .clone(),
        other => panic!("list type {other}"),
    };
    let key = |item: &Value| match &keys[..] {
        [] => item.to_string(),
        keys => keys
            .iter()
            .map(|key| item[key.as_str().unwrap()].to_string())
            .collect(),
    };
    let distinct: std::collections::BTreeSet<String> = items.iter().map(key).collect();
    distinct.len() == items.len()
}
