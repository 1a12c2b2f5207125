// Pure: the clients' side.
#![deny(clippy::disallowed_methods)]

use super::error::Checks;
use super::{Span, ValidPods};
use crate::spec::{AutoscalingSpec, DrainSpec, GatewaySpec, LimitsSpec, ServiceSpec};

/// The gateways.
#[derive(Debug, Clone, PartialEq)]
pub struct ValidGateway {
    /// How many.
    pub replicas: Replicas,
    /// WebSockets of one of them.
    pub connections_max: i32,
    /// The time over which clients are told to go, at a stop.
    pub drain: Span,
    /// The Service.
    pub service: ServiceSpec,
    /// Their pods.
    pub pods: ValidPods,
}

/// How many gateways there are.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Replicas {
    /// So many.
    Fixed(i32),
    /// As many as the autoscaler says.
    Autoscaled(AutoscalingSpec),
}

impl ValidGateway {
    pub(super) fn check(spec: &GatewaySpec, checks: &mut Checks) -> Self {
        let GatewaySpec {
            replicas,
            autoscaling,
            limits: LimitsSpec {
                connections_per_pod,
            },
            drain: DrainSpec { duration },
            service,
            resources,
            pod,
        } = spec;
        checks.range("spec.gateway.replicas", *replicas, 1, 1_000);
        if let Some(autoscaling) = autoscaling {
            check_autoscaling(autoscaling, checks);
        }
        checks.range(
            "spec.gateway.limits.connectionsPerPod",
            *connections_per_pod,
            1,
            1_000_000,
        );
        let drain = checks.span("spec.gateway.drain.duration", duration, "1s", "30m");
        checks.range("spec.gateway.service.port", service.port, 1, 65_535);
        Self {
            replicas: match autoscaling {
                Some(autoscaling) => Replicas::Autoscaled(autoscaling.clone()),
                None => Replicas::Fixed(*replicas),
            },
            connections_max: *connections_per_pod,
            drain,
            service: service.clone(),
            pods: ValidPods::check("spec.gateway", resources.as_ref(), pod.as_ref(), checks),
        }
    }
}

fn check_autoscaling(autoscaling: &AutoscalingSpec, checks: &mut Checks) {
    let AutoscalingSpec {
        min_replicas,
        max_replicas,
        cpu_utilization,
        connections_per_pod,
    } = autoscaling;
    const PATH: &str = "spec.gateway.autoscaling";
    checks.range(&format!("{PATH}.minReplicas"), *min_replicas, 1, 1_000);
    checks.range(&format!("{PATH}.maxReplicas"), *max_replicas, 1, 1_000);
    if min_replicas > max_replicas {
        checks.refuse(
            &format!("{PATH}.minReplicas"),
            format!("{min_replicas} is above maxReplicas, which is {max_replicas}: write a minReplicas that is not above it"),
        );
    }
    checks.range(&format!("{PATH}.cpuUtilization"), *cpu_utilization, 1, 100);
    if let Some(connections) = connections_per_pod {
        checks.range(
            &format!("{PATH}.connectionsPerPod"),
            *connections,
            1,
            1_000_000,
        );
    }
}
