// Pure: workloads, as Kubernetes tells of them.
#![deny(clippy::disallowed_methods)]

use k8s_openapi::api::apps::v1::Deployment;
use k8s_openapi::api::autoscaling::v2::HorizontalPodAutoscaler;

/// A Deployment.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Workload {
    /// How many pods it is to have.
    pub wanted: i32,
    /// How many are ready.
    pub ready: i32,
    /// Whether all of them are as it says now, and there, and no others.
    pub settled: bool,
    /// How many are made as it says now.
    pub updated: i32,
}

/// The autoscaler.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Scaling {
    /// Whether it can scale; `None` while it has not said.
    pub active: Option<bool>,
    /// Why not, in its own words.
    pub message: String,
}

impl Workload {
    /// What it says of itself. One that its controller has not seen yet is not settled.
    #[must_use]
    pub fn of(deployment: &Deployment) -> Self {
        let wanted = deployment
            .spec
            .as_ref()
            .and_then(|spec| spec.replicas)
            .unwrap_or(1);
        let status = deployment.status.clone().unwrap_or_default();
        let seen = status.observed_generation >= deployment.metadata.generation;
        let all = [
            status.replicas,
            status.updated_replicas,
            status.available_replicas,
        ];
        Self {
            wanted,
            ready: status.ready_replicas.unwrap_or(0),
            updated: status.updated_replicas.filter(|_| seen).unwrap_or(0),
            settled: seen && all.iter().all(|count| count.unwrap_or(0) == wanted),
        }
    }
}

impl Scaling {
    /// What it says of itself.
    #[must_use]
    pub fn of(autoscaler: &HorizontalPodAutoscaler) -> Self {
        let mut conditions = autoscaler
            .status
            .iter()
            .flat_map(|status| status.conditions.iter().flatten());
        let active = conditions.find(|condition| condition.type_ == "ScalingActive");
        Self {
            active: active.map(|condition| condition.status == "True"),
            message: active
                .and_then(|condition| condition.message.clone())
                .unwrap_or_default(),
        }
    }
}
