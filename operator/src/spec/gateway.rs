// Pure: the clients' side.
#![deny(clippy::disallowed_methods)]

use std::collections::BTreeMap;

use schemars::{JsonSchema, Schema};
use serde::{Deserialize, Serialize};

use super::pod::{PodSpec, ResourcesSpec, map_bounds};
use super::schema::{DURATION_LEN_MAX, duration_from_to, of_each, rules, written};

/// The processes that clients connect to.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct GatewaySpec {
    /// How many there are, 1 to 1000. Not looked at where autoscaling is given.
    #[schemars(range(min = 1, max = 1_000))]
    pub replicas: i32,

    /// As many as are needed, by a HorizontalPodAutoscaler; a fixed number of replicas where absent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub autoscaling: Option<AutoscalingSpec>,

    /// What one gateway takes.
    pub limits: LimitsSpec,

    /// How a gateway stops, at a rollout, a scale-down or a node's drain: its clients are told to connect again, a few at a
    /// time, and resume at another gateway.
    pub drain: DrainSpec,

    /// The Service that clients reach.
    pub service: ServiceSpec,

    /// CPU and memory of the container. A request of 500m CPU and 256Mi memory where nothing is said.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub resources: Option<ResourcesSpec>,

    /// What else its pods shall be like.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub pod: Option<PodSpec>,
}

impl Default for GatewaySpec {
    fn default() -> Self {
        Self {
            replicas: 2,
            autoscaling: None,
            limits: LimitsSpec::default(),
            drain: DrainSpec::default(),
            service: ServiceSpec::default(),
            resources: None,
            pod: None,
        }
    }
}

/// As many gateways as are needed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
#[schemars(extend("x-kubernetes-validations" = rules(&[(
    "self.minReplicas <= self.maxReplicas",
    "minReplicas is above maxReplicas: write a minReplicas that is not above it",
)])))]
pub struct AutoscalingSpec {
    /// The fewest, 1 to 1000.
    #[schemars(range(min = 1, max = 1_000))]
    pub min_replicas: i32,

    /// The most, 1 to 1000; not below minReplicas.
    #[schemars(range(min = 1, max = 1_000))]
    pub max_replicas: i32,

    /// The mean CPU use that is aimed at, in percent of what a gateway requests, 1 to 100.
    #[schemars(range(min = 1, max = 100))]
    pub cpu_utilization: i32,

    /// The mean number of WebSockets of a gateway that is aimed at, 1 to 1,000,000, beside CPU. It needs an adapter that
    /// serves the Pods metric ws_connections; not looked at where absent.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = 1_000_000))]
    pub connections_per_pod: Option<i32>,
}

impl Default for AutoscalingSpec {
    fn default() -> Self {
        Self {
            min_replicas: 2,
            max_replicas: 10,
            cpu_utilization: 60,
            connections_per_pod: None,
        }
    }
}

/// What one gateway takes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct LimitsSpec {
    /// WebSockets at one time, 1 to 1,000,000; the next ones are told to try again later. Idle ones use next to no CPU, so
    /// that this and not the autoscaler bounds a pod.
    #[schemars(range(min = 1, max = 1_000_000))]
    pub connections_per_pod: i32,
}

impl Default for LimitsSpec {
    fn default() -> Self {
        Self {
            connections_per_pod: 15_000,
        }
    }
}

/// How a gateway stops, at a rollout, a scale-down or a node's drain.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct DrainSpec {
    /// The time over which its clients are told to connect again (close code 1012), a few at a time: a whole number and
    /// ms, s or m, from 1s to 30m. The pod's grace period follows from it and is longer.
    #[schemars(
        length(max = DURATION_LEN_MAX),
        extend("x-kubernetes-validations" = duration_from_to("1s", "30m"))
    )]
    pub duration: String,
}

impl Default for DrainSpec {
    fn default() -> Self {
        Self {
            duration: "30s".to_owned(),
        }
    }
}

/// The Service that clients reach.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct ServiceSpec {
    /// ClusterIP: from within the cluster, or behind an Ingress. NodePort and LoadBalancer: from outside.
    #[serde(rename = "type")]
    pub kind: ServiceType,

    /// Its port, 1 to 65535. WebSockets are at /ws, HTTP at /api/v1.
    #[schemars(range(min = 1, max = 65_535))]
    pub port: i32,

    /// Its annotations, as cloud providers' load balancers want them; 32 at most.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    #[schemars(extend("maxProperties" = 32), transform = map_bounds)]
    pub annotations: BTreeMap<String, String>,
}

impl Default for ServiceSpec {
    fn default() -> Self {
        Self {
            kind: ServiceType::ClusterIP,
            port: 8_080,
            annotations: BTreeMap::new(),
        }
    }
}

/// Where a Service can be reached from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[schemars(inline)]
pub enum ServiceType {
    #[allow(missing_docs)]
    ClusterIP,
    #[allow(missing_docs)]
    NodePort,
    #[allow(missing_docs)]
    LoadBalancer,
}

/// NetworkPolicies for the feed's pods: whoever may reach the clients' port reaches that and nothing else, and nobody
/// reaches the market-data pods. What pods may reach themselves is not limited.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct NetworkPoliciesSpec {
    /// Namespaces whose pods may read metrics and state (port 9090), such as monitoring; 16 at most. The operator's own
    /// namespace may always.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    #[schemars(
        length(max = 16),
        inner(length(min = 1, max = 63)),
        extend("x-kubernetes-list-type" = "set"),
        transform = namespace_rules
    )]
    pub admin_namespaces: Vec<String>,
}

fn namespace_rules(namespaces: &mut Schema) {
    let rules = written(
        "^[a-z0-9]([-a-z0-9]*[a-z0-9])?$",
        "that names no namespace: write one such as monitoring",
    );
    of_each(namespaces, rules);
}
