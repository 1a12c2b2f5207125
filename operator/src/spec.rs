//! The custom resource `MarketFeed` as it is written: the Rust types are the definition that the API server is given.
//!
//! What a type here can hold is what the schema lets pass, and no more is known of it: [`crate::validate()`] parses it once
//! into [`crate::ValidFeed`]. The doc comments are what `kubectl explain` prints, so they are written for its reader.
//!
//! Version v1alpha1 grows by addition only. History, authentication and the limits of clients are not here yet: each
//! comes with what it configures.

use kube::CustomResource;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Pieces of schema that several fields share.
mod schema;

/// What is carried: venues, symbols, bar lengths.
mod source;

/// How trades become bars, and where that runs.
mod marketdata;

/// The bus.
mod nats;

/// The clients' side.
mod gateway;

/// Logs and traces.
mod telemetry;

/// What may be said of pods.
mod pod;

/// What the operator says of a feed.
mod status;

/// The definition as text.
mod crd;

pub use crd::{CRD_NAME, UnknownField, crd_yaml, definition, unknown_fields};
pub use gateway::{
    AutoscalingSpec, DrainSpec, GatewaySpec, LimitsSpec, NetworkPoliciesSpec, ServiceSpec,
    ServiceType,
};
pub use marketdata::{AggregationSpec, MarketdataSpec, WhenFull};
pub use nats::{DeletionPolicy, NatsSpec, NatsTlsSpec, SecretKeyRef, SecretRef};
pub use pod::{EnvSpec, PodSpec, ResourcesSpec};
pub(crate) use pod::{LABEL_LEN_MAX, OWN_KEY_PREFIXES};
pub use source::{EndpointsSpec, SourceSpec};
pub use status::{AssignmentStatus, MarketFeedStatus, ShardStatus, SummaryStatus};
pub use telemetry::TelemetrySpec;

use schema::rules;

/// What is to run.
#[derive(CustomResource, Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[kube(
    group = "marketfeed.dev",
    version = "v1alpha1",
    kind = "MarketFeed",
    plural = "marketfeeds",
    shortname = "mf",
    category = "marketfeed",
    namespaced,
    status = "MarketFeedStatus",
    derive = "PartialEq",
    doc = "Exact candlesticks (bars) of exchanges' trades, live to WebSocket clients: the operator runs a market-data \
           Deployment a shard and autoscaled gateways, joined by NATS.",
    validation = Rule::new("self.metadata.name.size() <= 40")
        .message("the name is too long: write 40 characters at most, as names of Deployments and Services are made of it"),
    validation = Rule::new("self.metadata.name.matches('^[a-z]([-a-z0-9]*[a-z0-9])?$')")
        .message("the name cannot name a Service: begin with a letter, then write lower-case letters, digits and inner hyphens, and no dots"),
    printcolumn(name = "Ready", type_ = "string", json_path = ".status.conditions[?(@.type==\"Ready\")].status"),
    printcolumn(name = "Shards", type_ = "string", json_path = ".status.summary.shards", description = "Shards that have an owner, of all"),
    printcolumn(name = "Instruments", type_ = "integer", json_path = ".status.summary.instruments", description = "Instruments that are carried"),
    printcolumn(name = "Gateways", type_ = "string", json_path = ".status.summary.gateways", description = "Gateways that are ready, of those that are wanted"),
    printcolumn(name = "Fresh", type_ = "string", json_path = ".status.summary.fresh", description = "Instruments that were heard of lately, of all"),
    printcolumn(name = "Age", type_ = "date", json_path = ".metadata.creationTimestamp"),
    printcolumn(name = "Reason", type_ = "string", json_path = ".status.conditions[?(@.type==\"Ready\")].reason", priority = 1),
    printcolumn(name = "Message", type_ = "string", json_path = ".status.conditions[?(@.type==\"Ready\")].message", priority = 1),
)]
#[serde(rename_all = "camelCase")]
pub struct MarketFeedSpec {
    /// Venues and the symbols that are carried of each, in listing order: where two venues carry one symbol, the one
    /// listed first has its short topic. 10,000 symbols in all at most. Symbols may be added, removed and reordered at
    /// any time; no pod is restarted for it.
    #[schemars(
        length(min = 1, max = schema::SOURCES_MAX),
        extend("x-kubernetes-list-type" = "map", "x-kubernetes-list-map-keys" = ["venue"]),
        extend("x-kubernetes-validations" = rules(&[(
            "self.map(source, source.symbols.size()).sum() <= 10000",
            "there are too many symbols: list 10,000 at most over all sources",
        )]))
    )]
    pub sources: Vec<SourceSpec>,

    /// Bar lengths: a whole number and s, m, h or d, each of which divides a day and is in its shortest spelling (1m,
    /// not 60s). 1d is a UTC day. A change rolls the market-data pods.
    #[serde(default = "source::usual_intervals")]
    #[schemars(
        length(min = 1, max = 32),
        inner(length(max = 32)),
        extend("x-kubernetes-list-type" = "set"),
        transform = source::interval_rules
    )]
    pub intervals: Vec<String>,

    /// How trades become bars.
    #[serde(default)]
    pub aggregation: AggregationSpec,

    /// The market-data processes: a Deployment a shard.
    #[serde(default)]
    pub marketdata: MarketdataSpec,

    /// The bus between the processes. NATS 2.12 or later with JetStream; it is not made by this resource.
    pub nats: NatsSpec,

    /// The processes that clients connect to.
    #[serde(default)]
    pub gateway: GatewaySpec,

    /// NetworkPolicies for this feed's pods; none are made where this is absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub network_policies: Option<NetworkPoliciesSpec>,

    /// Logs and traces.
    #[serde(default)]
    pub telemetry: TelemetrySpec,

    /// The image that all pods run, such as registry.example/marketfeed:0.1.0. The operator's own release where absent,
    /// so that an upgrade of the operator upgrades the feed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 512))]
    pub image: Option<String>,
}
