// Pure: what may be said of pods. An allow-list and not a pod template: a template would make the definition too large
// for client-side apply, and would let whoever writes a MarketFeed run privileged pods.
#![deny(clippy::disallowed_methods)]

use std::collections::BTreeMap;

use k8s_openapi::api::core::v1::{
    Affinity, LocalObjectReference, Toleration, TopologySpreadConstraint,
};
use k8s_openapi::apimachinery::pkg::api::resource::Quantity;
use schemars::{JsonSchema, Schema, SchemaGenerator};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

use super::schema::{quoted, rules, written};

/// CPU and memory, as in a container.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct ResourcesSpec {
    /// What it needs: a quantity of each resource, such as cpu: 500m and memory: 512Mi.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    #[schemars(schema_with = "quantities")]
    pub requests: BTreeMap<String, Quantity>,

    /// The most that it gets, likewise. No limit where absent.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    #[schemars(schema_with = "quantities")]
    pub limits: BTreeMap<String, Quantity>,
}

/// What pods shall be like, beside what the operator decides.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct PodSpec {
    /// Labels that are added; 32 at most. Those that begin with marketfeed.dev/ or app.kubernetes.io/ are the operator's.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    #[schemars(extend("maxProperties" = 32), transform = label_bounds, extend("x-kubernetes-validations" = foreign_keys()))]
    pub labels: BTreeMap<String, String>,

    /// Annotations that are added; 32 at most. Those that begin with marketfeed.dev/ or app.kubernetes.io/ are the
    /// operator's.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    #[schemars(extend("maxProperties" = 32), transform = map_bounds, extend("x-kubernetes-validations" = foreign_keys()))]
    pub annotations: BTreeMap<String, String>,

    /// Labels that a node must have to be given the pods; 32 at most.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    #[schemars(extend("maxProperties" = 32), transform = label_bounds)]
    pub node_selector: BTreeMap<String, String>,

    /// Taints of nodes that are borne, as in a Pod: kubectl explain pod.spec.tolerations.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    #[schemars(schema_with = "as_in_a_pod::<Vec<Toleration>>")]
    pub tolerations: Vec<Toleration>,

    /// Which nodes and neighbours are wanted, as in a Pod: kubectl explain pod.spec.affinity. By default the pods of a
    /// shard, and those of the gateway, are rather not put on one node.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "as_in_a_pod::<Affinity>")]
    pub affinity: Option<Affinity>,

    /// How pods are spread, as in a Pod: kubectl explain pod.spec.topologySpreadConstraints. By default over zones, where
    /// that can be.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    #[schemars(schema_with = "as_in_a_pod::<Vec<TopologySpreadConstraint>>")]
    pub topology_spread_constraints: Vec<TopologySpreadConstraint>,

    /// The PriorityClass of the pods.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 253))]
    pub priority_class_name: Option<String>,

    /// Secrets with which the image is pulled; 16 at most.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    #[schemars(schema_with = "as_in_a_pod::<Vec<LocalObjectReference>>")]
    pub image_pull_secrets: Vec<LocalObjectReference>,

    /// Environment variables that are added, such as HTTPS_PROXY; 64 at most.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    #[schemars(
        length(max = 64),
        extend("x-kubernetes-list-type" = "map", "x-kubernetes-list-map-keys" = ["name"])
    )]
    pub env: Vec<EnvSpec>,
}

/// An environment variable.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct EnvSpec {
    /// Its name: letters, digits and underscores. Those that begin with MARKETFEED_ are the operator's.
    #[schemars(
        length(min = 1, max = 128),
        extend("x-kubernetes-validations" = rules(&[
            (
                "self.matches('^[A-Za-z_][A-Za-z0-9_]*$')",
                "that names no variable: write letters, digits and underscores, and begin with no digit",
            ),
            (
                "!self.startsWith('MARKETFEED_')",
                "variables MARKETFEED_* are the operator's: write the field of this resource that is meant, or another name",
            ),
        ]))
    )]
    pub name: String,

    /// Its value.
    #[serde(default)]
    #[schemars(length(max = 4_096))]
    pub value: String,
}

/// Prefixes of keys that are the operator's own.
pub(crate) const OWN_KEY_PREFIXES: [&str; 2] = ["marketfeed.dev/", "app.kubernetes.io/"];

fn foreign_keys() -> Value {
    let [ours, kubernetes] = OWN_KEY_PREFIXES;
    let rule =
        format!("self.all(key, !key.startsWith('{ours}') && !key.startsWith('{kubernetes}'))");
    let message = format!("keys {ours}… and {kubernetes}… are the operator's: write other ones");
    rules(&[(&rule, &message)])
}

/// Values of annotations.
pub(super) fn map_bounds(schema: &mut Schema) {
    bound_values(schema, 4_096);
}

/// The longest value of a label.
pub(crate) const LABEL_LEN_MAX: usize = 63;

/// What Kubernetes takes for a label's value.
const LABEL_PATTERN: &str = "^(([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9])?$";

/// Values of labels.
fn label_bounds(schema: &mut Schema) {
    bound_values(schema, LABEL_LEN_MAX);
    let what_is_right =
        "that is no label's value: write letters, digits and inner hyphens, underscores and dots";
    if let Some(values) = values(schema) {
        let rules = written(LABEL_PATTERN, what_is_right);
        values.insert("x-kubernetes-validations".to_owned(), rules);
    }
}

fn bound_values(schema: &mut Schema, len_max: usize) {
    if let Some(values) = values(schema) {
        values.insert("maxLength".to_owned(), len_max.into());
    }
}

fn values(schema: &mut Schema) -> Option<&mut Map<String, Value>> {
    let values = schema.get_mut("additionalProperties")?;
    values.as_object_mut()
}

/// What Kubernetes takes for a quantity, as its own definitions have it.
const QUANTITY_PATTERN: &str = r"^(\+|-)?(([0-9]+(\.[0-9]*)?)|(\.[0-9]+))(([KMGTPE]i)|[numkMGTPE]|([eE](\+|-)?(([0-9]+(\.[0-9]*)?)|(\.[0-9]+))))?$";

fn quantities(_: &mut SchemaGenerator) -> Schema {
    let rule = format!("string(self).matches({})", quoted(QUANTITY_PATTERN));
    let what_is_right = "that is no amount: write one as 500m or 2 (CPU), or 512Mi or 1G (memory)";
    schemars::json_schema!({
        "type": "object",
        "maxProperties": 16,
        "additionalProperties": {
            "maxLength": 32,
            "x-kubernetes-validations": rules(&[(&rule, what_is_right)]),
            "x-kubernetes-int-or-string": true,
        },
    })
}

/// The schema of a type of Kubernetes' own, without its texts, which are in every cluster, and with bounds, which it has
/// not.
fn as_in_a_pod<T: JsonSchema>(generator: &mut SchemaGenerator) -> Schema {
    let mut schema = generator.subschema_for::<T>();
    if let Some(object) = schema.as_object_mut() {
        let mut object_value = Value::Object(std::mem::take(object));
        bound(&mut object_value);
        if let Value::Object(bounded) = object_value {
            *object = bounded;
        }
    }
    schema
}

fn bound(schema: &mut Value) {
    let Some(object) = schema.as_object_mut() else {
        return;
    };
    object.remove("description");
    let kind = object
        .get("type")
        .and_then(Value::as_str)
        .unwrap_or_default();
    let bound_by = match kind {
        "array" => Some(("maxItems", json!(16))),
        "string" => Some(("maxLength", json!(512))),
        "object" if object.contains_key("additionalProperties") => {
            Some(("maxProperties", json!(32)))
        }
        _ => None,
    };
    if let Some((keyword, most)) = bound_by {
        object.entry(keyword).or_insert(most);
    }
    for inner in ["items", "additionalProperties"] {
        if let Some(inner) = object.get_mut(inner) {
            bound(inner);
        }
    }
    let properties = object.get_mut("properties").and_then(Value::as_object_mut);
    properties
        .into_iter()
        .flat_map(Map::values_mut)
        .for_each(bound);
}
