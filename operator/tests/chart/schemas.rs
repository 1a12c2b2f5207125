//! JSON schemas of Kubernetes' objects out of its own OpenAPI document, for kubeconform, without a network.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::process::Command;

use operator::spec::{MarketFeed, definition};
use serde_json::{Map, Value, json};

/// Where to find each, for kubeconform.
pub(crate) const LOCATION: &str = "{{.ResourceKind}}{{.KindSuffix}}.json";

/// Kubernetes' OpenAPI document: the file that a variable names, or the one in Go's module cache.
pub(crate) fn swagger() -> Option<PathBuf> {
    if let Some(named) = std::env::var_os("KUBERNETES_SWAGGER").map(PathBuf::from) {
        assert!(
            named.is_file(),
            "KUBERNETES_SWAGGER names {}",
            named.display()
        );
        return Some(named);
    }
    let found = in_module_cache();
    if found.is_none() {
        println!(
            "skipped: Go's module cache has no k8s.io/kubernetes; `cargo xtask test` fetches it"
        );
    }
    found
}

fn in_module_cache() -> Option<PathBuf> {
    let asked = Command::new("go")
        .args(["env", "GOMODCACHE"])
        .output()
        .ok()?;
    let cache = String::from_utf8(asked.stdout).ok()?;
    let entries = std::fs::read_dir(Path::new(cache.trim()).join("k8s.io")).ok()?;
    let files = entries.filter_map(|entry| {
        let entry = entry.ok()?;
        let is_it = entry.file_name().to_str()?.starts_with("kubernetes@");
        let file = entry.path().join("api/openapi-spec/swagger.json");
        (is_it && file.is_file()).then_some(file)
    });
    files.max()
}

/// Writes the schemas of all kinds into a folder, and that of a MarketFeed.
pub(crate) fn write(swagger: &Path, folder: &Path) -> usize {
    let text = std::fs::read(swagger).unwrap();
    let document: Value = serde_json::from_slice(&text).unwrap();
    let definitions = document["definitions"].as_object().unwrap();
    let mut written = 0;
    for (name, schema) in definitions {
        let kinds = schema["x-kubernetes-group-version-kind"].as_array();
        for kind in kinds.into_iter().flatten() {
            if !schema["properties"]["kind"].is_object() {
                continue;
            }
            let word = |field: &str| kind[field].as_str().unwrap();
            let (group, version, kind) = (word("group"), word("version"), word("kind"));
            let whole = whole(definitions, name, group, version, kind);
            std::fs::write(folder.join(file(group, version, kind)), whole.to_string()).unwrap();
            written += 1;
        }
    }
    let feed = strict(market_feed());
    let name = file("marketfeed.dev", "v1alpha1", "MarketFeed");
    std::fs::write(folder.join(name), feed.to_string()).unwrap();
    written + 1
}

/// As kubeconform calls it: the kind, the group's first word, the version.
fn file(group: &str, version: &str, kind: &str) -> String {
    let group = group.split('.').next().filter(|group| !group.is_empty());
    let parts = [Some(kind), group, Some(version)].into_iter().flatten();
    format!(
        "{}.json",
        parts.collect::<Vec<_>>().join("-").to_lowercase()
    )
}

fn whole(
    definitions: &Map<String, Value>,
    name: &str,
    group: &str,
    version: &str,
    kind: &str,
) -> Value {
    let mut names = BTreeSet::new();
    referred(definitions, &definitions[name], &mut names);
    let mut schema = exact(name, &definitions[name]);
    let api = if group.is_empty() {
        version.to_owned()
    } else {
        format!("{group}/{version}")
    };
    schema["properties"]["kind"] = json!({ "enum": [kind] });
    schema["properties"]["apiVersion"] = json!({ "enum": [api] });
    schema["required"] = json!(["apiVersion", "kind"]);
    let inner = names
        .iter()
        .map(|name| (name.clone(), exact(name, &definitions[name])));
    schema["definitions"] = inner.collect::<Map<_, _>>().into();
    schema
}

/// Names of all that a schema refers to.
fn referred(definitions: &Map<String, Value>, schema: &Value, names: &mut BTreeSet<String>) {
    match schema {
        Value::Object(fields) => {
            let name = fields.get("$ref").and_then(Value::as_str);
            if let Some(name) = name.and_then(|name| name.strip_prefix("#/definitions/"))
                && names.insert(name.to_owned())
            {
                referred(definitions, &definitions[name], names);
            }
            fields
                .values()
                .for_each(|inner| referred(definitions, inner, names));
        }
        Value::Array(items) => items
            .iter()
            .for_each(|inner| referred(definitions, inner, names)),
        _ => {}
    }
}

/// A definition that takes no field it does not know, as the API server is asked to.
fn exact(name: &str, schema: &Value) -> Value {
    let ends = |ends: &[&str]| ends.iter().any(|end| name.ends_with(end));
    if ends(&[".IntOrString"]) {
        return json!({ "type": ["string", "integer"] });
    }
    if ends(&[".Quantity"]) {
        return json!({ "type": ["string", "number"] });
    }
    let mut schema = schema.clone();
    let is_free = ends(&[".JSONSchemaProps", ".RawExtension", ".FieldsV1"]);
    if schema["properties"].is_object() && !is_free {
        schema["additionalProperties"] = json!(false);
    }
    schema
}

/// The schema in our own definition.
fn market_feed() -> Value {
    use kube::Resource;
    let versions = definition().spec.versions;
    let schema = versions.into_iter().next().unwrap().schema.unwrap();
    let mut schema = serde_json::to_value(schema.open_api_v3_schema.unwrap()).unwrap();
    schema["properties"]["kind"] = json!({ "enum": [MarketFeed::kind(&())] });
    schema["properties"]["apiVersion"] = json!({ "enum": [MarketFeed::api_version(&())] });
    schema["properties"]["metadata"] = json!({ "type": "object" });
    schema
}

/// Likewise where the definition has fields of its own; Kubernetes' two ways to say a number or a text are JSON's one.
fn strict(mut schema: Value) -> Value {
    if schema["x-kubernetes-int-or-string"] == true {
        return json!({ "type": ["string", "number"] });
    }
    if let Some(fields) = schema["properties"].as_object_mut() {
        let is_open = fields.len() == 1 && fields.contains_key("metadata");
        fields
            .values_mut()
            .for_each(|inner| *inner = strict(inner.take()));
        if !is_open {
            schema["additionalProperties"] = json!(false);
        }
    }
    for inner in ["items", "additionalProperties"] {
        if schema[inner].is_object() {
            schema[inner] = strict(schema[inner].take());
        }
    }
    // `schema[..]` above makes what is not there a null.
    if let Some(fields) = schema.as_object_mut() {
        fields.retain(|_, value| !value.is_null());
    }
    schema
}
