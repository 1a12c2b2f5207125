// Pure: the definition as text, and what of an object it does not know.
#![deny(clippy::disallowed_methods)]

use std::fmt;

use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::{
    CustomResourceDefinition, JSONSchemaProps, JSONSchemaPropsOrArray, JSONSchemaPropsOrBool,
};
use kube::CustomResourceExt;
use serde_json::Value;

use super::MarketFeed;

/// The definition's name.
pub const CRD_NAME: &str = "marketfeeds.marketfeed.dev";

/// The definition, as the API server is given it.
#[must_use]
pub fn definition() -> CustomResourceDefinition {
    let mut crd = MarketFeed::crd();
    for version in &mut crd.spec.versions {
        let schema = version.schema.as_mut();
        if let Some(schema) = schema.and_then(|schema| schema.open_api_v3_schema.as_mut()) {
            tidy(schema);
        }
    }
    crd
}

/// The definition as `marketfeed-operator crd` prints it and `crds/` holds it.
///
/// # Errors
/// Never for the types as they are, which a test sees.
pub fn crd_yaml() -> Result<String, serde_yaml_ng::Error> {
    const HEAD: &str = "# Written by `marketfeed-operator crd` from the types in operator/src/spec; a test compares.\n";
    let mut value = serde_yaml_ng::to_value(definition())?;
    whole_numbers(&mut value);
    Ok(format!("{HEAD}{}", serde_yaml_ng::to_string(&value)?))
}

/// Texts lose the line breaks of the source, so that `kubectl explain` breaks them where its reader's lines end. And no
/// field may be null: Kubernetes then takes a null for an absent field, where it would hand it to rules otherwise.
fn tidy(schema: &mut JSONSchemaProps) {
    if let Some(text) = &mut schema.description {
        *text = text.split_whitespace().collect::<Vec<_>>().join(" ");
    }
    schema.nullable = None;
    if let Some(JSONSchemaPropsOrArray::Schema(items)) = &mut schema.items {
        tidy(items);
    }
    if let Some(JSONSchemaPropsOrBool::Schema(values)) = &mut schema.additional_properties {
        tidy(values);
    }
    for schema in schema
        .properties
        .iter_mut()
        .flat_map(|known| known.values_mut())
    {
        tidy(schema);
    }
}

/// Bounds are floats to Kubernetes; people write 1 and not 1.0.
fn whole_numbers(value: &mut serde_yaml_ng::Value) {
    use serde_yaml_ng::Value;
    match value {
        Value::Number(number) => {
            let text = number.to_string();
            if let Some(whole) = text
                .strip_suffix(".0")
                .and_then(|text| text.parse::<i64>().ok())
            {
                *value = Value::Number(whole.into());
            }
        }
        Value::Sequence(items) => items.iter_mut().for_each(whole_numbers),
        Value::Mapping(fields) => fields.values_mut().for_each(whole_numbers),
        Value::Null | Value::Bool(_) | Value::String(_) | Value::Tagged(_) => {}
    }
}

/// A field that the definition has not: most likely misspelled.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UnknownField {
    /// Where, such as `spec.gateway.drain.durration`.
    pub path: String,
    /// What there is instead.
    pub known: Vec<String>,
}

impl fmt::Display for UnknownField {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { path, known } = self;
        write!(
            f,
            "{path}: there is no such field; write one of {}",
            known.join(", ")
        )
    }
}

/// Fields of an object that the definition has not. The API server would drop them, or refuse them where `kubectl` asks
/// it to; nothing of them is seen by who reads the typed object.
#[must_use]
pub fn unknown_fields(object: &Value) -> Vec<UnknownField> {
    let mut found = Vec::new();
    let version = definition().spec.versions.into_iter().next();
    let schema = version.and_then(|version| version.schema?.open_api_v3_schema);
    if let Some(schema) = schema {
        for (name, schema) in schema.properties.unwrap_or_default() {
            // What every object has besides is Kubernetes' own.
            if let ("spec" | "status", Some(value)) = (&name[..], object.get(&name)) {
                walk(&schema, value, &name, &mut found);
            }
        }
    }
    found
}

fn walk(schema: &JSONSchemaProps, value: &Value, path: &str, found: &mut Vec<UnknownField>) {
    match value {
        Value::Object(fields) => {
            for (name, value) in fields {
                let path = format!("{path}.{name}");
                let known = schema.properties.as_ref().and_then(|known| known.get(name));
                match (known, &schema.additional_properties) {
                    (Some(schema), _) => walk(schema, value, &path, found),
                    (None, Some(JSONSchemaPropsOrBool::Schema(schema))) => {
                        walk(schema, value, &path, found);
                    }
                    (None, Some(JSONSchemaPropsOrBool::Bool(true))) => {}
                    (None, _) => found.push(UnknownField {
                        path,
                        known: schema
                            .properties
                            .iter()
                            .flatten()
                            .map(|(name, _)| name.clone())
                            .collect(),
                    }),
                }
            }
        }
        Value::Array(items) => {
            if let Some(JSONSchemaPropsOrArray::Schema(schema)) = &schema.items {
                for (at, item) in items.iter().enumerate() {
                    walk(schema, item, &format!("{path}[{at}]"), found);
                }
            }
        }
        _ => {}
    }
}
