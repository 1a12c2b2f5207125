// Pure: what the operator says of a feed.
#![deny(clippy::disallowed_methods)]

use k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition;
use schemars::{JsonSchema, Schema, SchemaGenerator};
use serde::{Deserialize, Serialize};

/// What the operator has seen, as the gateways hear it on the bus.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct MarketFeedStatus {
    /// The generation of the spec that this speaks of.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub observed_generation: Option<i64>,

    /// What is well and what is not, each with a reason and a sentence. Ready sums them up.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    #[schemars(schema_with = "conditions")]
    pub conditions: Vec<Condition>,

    /// The figures of kubectl get.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub summary: Option<SummaryStatus>,

    /// Which shard has which instrument.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub assignment: Option<AssignmentStatus>,

    /// The shards.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    #[schemars(
        length(max = 256),
        extend("x-kubernetes-list-type" = "map", "x-kubernetes-list-map-keys" = ["shard"])
    )]
    pub shards: Vec<ShardStatus>,

    /// The release that the pods run.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 128))]
    pub version: Option<String>,
}

/// The figures of kubectl get.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct SummaryStatus {
    /// Shards that have an owner, of all: 2/2.
    #[schemars(length(max = 16))]
    pub shards: String,

    /// Instruments that are carried.
    pub instruments: i32,

    /// Gateways that are ready, of those that are wanted: 3/3.
    #[schemars(length(max = 16))]
    pub gateways: String,

    /// Instruments that were heard of lately, of all: 12/12.
    #[schemars(length(max = 16))]
    pub fresh: String,
}

/// Which shard has which instrument.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct AssignmentStatus {
    /// Rises with every change of what is carried and where.
    pub generation: i64,

    /// The ConfigMap that holds it.
    #[schemars(length(max = 253))]
    pub config_map: String,
}

/// A shard, as it is heard on the bus.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct ShardStatus {
    /// Its number, from 0.
    pub shard: i32,

    /// The pod that owns it. Absent where that is not known.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 253))]
    pub owner: Option<String>,

    /// The epoch under which its owner publishes: it rises when the owner changes. Absent where none is heard.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub epoch: Option<i64>,

    /// Instruments that are its own.
    pub instruments: i32,
}

/// As Kubernetes' own objects have them; its Rust type knows no bounds.
fn conditions(_: &mut SchemaGenerator) -> Schema {
    schemars::json_schema!({
        "type": "array",
        "maxItems": 16,
        "x-kubernetes-list-type": "map",
        "x-kubernetes-list-map-keys": ["type"],
        "items": {
            "type": "object",
            "required": ["lastTransitionTime", "message", "reason", "status", "type"],
            "properties": {
                "lastTransitionTime": {
                    "description": "Since when the status is what it is.",
                    "type": "string",
                    "format": "date-time",
                },
                "message": {
                    "description": "A sentence for people.",
                    "type": "string",
                    "maxLength": 32_768,
                },
                "observedGeneration": {
                    "description": "The generation of the spec that this speaks of.",
                    "type": "integer",
                    "format": "int64",
                    "minimum": 0,
                },
                "reason": {
                    "description": "One word for programs.",
                    "type": "string",
                    "minLength": 1,
                    "maxLength": 1_024,
                    "pattern": "^[A-Za-z]([A-Za-z0-9_,:]*[A-Za-z0-9_])?$",
                },
                "status": {
                    "description": "True, False or Unknown.",
                    "type": "string",
                    "enum": ["True", "False", "Unknown"],
                },
                "type": {
                    "description": "What is well or not.",
                    "type": "string",
                    "maxLength": 316,
                    "pattern": "^[A-Za-z]+$",
                },
            },
        },
    })
}
