// Pure: the gateways: their Deployment, Service, autoscaler and budget.
#![deny(clippy::disallowed_methods)]

use k8s_openapi::api::apps::v1::{Deployment, DeploymentSpec};
use k8s_openapi::api::autoscaling::v2::{
    CrossVersionObjectReference, HPAScalingPolicy, HPAScalingRules, HorizontalPodAutoscaler,
    HorizontalPodAutoscalerBehavior, HorizontalPodAutoscalerSpec, MetricIdentifier, MetricSpec,
    MetricTarget, PodsMetricSource, ResourceMetricSource,
};
use k8s_openapi::api::core::v1::{Service, ServicePort, ServiceSpec};
use k8s_openapi::api::policy::v1::PodDisruptionBudget;
use k8s_openapi::apimachinery::pkg::api::resource::Quantity;
use k8s_openapi::apimachinery::pkg::util::intstr::IntOrString;

use super::env::LINGER_S;
use super::files::Secrets;
use super::names::{self, CLIENTS_PORT, CLIENTS_PORT_NAME, CONNECTIONS_METRIC, Component};
use super::pod::{self, Process};
use super::{Release, env, meta, shard};
use crate::ValidFeed;
use crate::spec::{AutoscalingSpec, ServiceType};
use crate::validate::Replicas;

const COMPONENT: Component = Component::Gateway;

/// What a stop takes beyond lingering and draining: clients' answers to the close, a margin of its own, and one of ours.
const STOP_REST_S: u64 = 15;

/// A gateway is counted as there when it has been ready so long, so that a rollout goes no faster than clients come back.
const MIN_READY_S: i32 = 5;

pub(super) fn deployment(feed: &ValidFeed, release: &Release) -> Deployment {
    let selector = meta::selector(feed, COMPONENT, None);
    let labels = meta::labels(feed, COMPONENT, None);
    let process = Process {
        command: &["marketfeed-gateway"],
        image: feed.image.as_deref().unwrap_or(&release.image),
        env: env::of_gateway(feed),
        files: Secrets::of_gateway(feed).volumes().collect(),
        serves: Some(vec![pod::port(CLIENTS_PORT_NAME, CLIENTS_PORT)]),
        requests: ("500m", "256Mi"),
        grace_s: grace_s(feed),
        labels: labels.clone(),
        selector: selector.clone(),
        annotations: meta::Labels::new(),
        said: &feed.gateway.pods,
    };
    Deployment {
        metadata: meta::object(feed, name(feed), labels),
        spec: Some(DeploymentSpec {
            replicas: match &feed.gateway.replicas {
                Replicas::Fixed(replicas) => Some(*replicas),
                // It is the autoscaler's: whoever applies it would undo what that did.
                Replicas::Autoscaled(_) => None,
            },
            selector: meta::label_selector(selector),
            strategy: Some(shard::one_more_first()),
            min_ready_seconds: Some(MIN_READY_S),
            revision_history_limit: Some(2),
            template: pod::template(process, "Always"),
            ..DeploymentSpec::default()
        }),
        status: None,
    }
}

/// Longer than a stop takes, whatever the drain is, so that no client is cut off.
fn grace_s(feed: &ValidFeed) -> i64 {
    let drain_s = feed.gateway.drain.duration.as_millis().div_ceil(1_000);
    let all = drain_s + u128::from(LINGER_S + STOP_REST_S);
    // A drain has half an hour at most.
    i64::try_from(all).unwrap_or(i64::MAX)
}

pub(super) fn service(feed: &ValidFeed) -> Service {
    let said = &feed.gateway.service;
    let mut metadata = meta::object(feed, name(feed), meta::labels(feed, COMPONENT, None));
    metadata.annotations = pod::some(said.annotations.clone());
    let kind = match said.kind {
        ServiceType::ClusterIP => "ClusterIP",
        ServiceType::NodePort => "NodePort",
        ServiceType::LoadBalancer => "LoadBalancer",
    };
    Service {
        metadata,
        spec: Some(ServiceSpec {
            type_: Some(kind.to_owned()),
            selector: Some(meta::selector(feed, COMPONENT, None)),
            ports: Some(vec![ServicePort {
                name: Some(CLIENTS_PORT_NAME.to_owned()),
                port: said.port,
                target_port: Some(IntOrString::String(CLIENTS_PORT_NAME.to_owned())),
                protocol: Some("TCP".to_owned()),
                ..ServicePort::default()
            }]),
            ..ServiceSpec::default()
        }),
        status: None,
    }
}

pub(super) fn budget(feed: &ValidFeed) -> PodDisruptionBudget {
    meta::budget(feed, name(feed), COMPONENT, None)
}

pub(super) fn autoscaler(feed: &ValidFeed) -> Option<HorizontalPodAutoscaler> {
    let Replicas::Autoscaled(AutoscalingSpec {
        min_replicas,
        max_replicas,
        cpu_utilization,
        connections_per_pod,
    }) = &feed.gateway.replicas
    else {
        return None;
    };
    let connections = connections_per_pod.map(connections);
    Some(HorizontalPodAutoscaler {
        metadata: meta::object(feed, name(feed), meta::labels(feed, COMPONENT, None)),
        spec: Some(HorizontalPodAutoscalerSpec {
            scale_target_ref: CrossVersionObjectReference {
                api_version: Some("apps/v1".to_owned()),
                kind: "Deployment".to_owned(),
                name: name(feed),
            },
            min_replicas: Some(*min_replicas),
            max_replicas: *max_replicas,
            metrics: Some(
                std::iter::once(cpu(*cpu_utilization))
                    .chain(connections)
                    .collect(),
            ),
            behavior: Some(down_slowly()),
        }),
        status: None,
    })
}

fn cpu(utilization: i32) -> MetricSpec {
    MetricSpec {
        type_: "Resource".to_owned(),
        resource: Some(ResourceMetricSource {
            name: "cpu".to_owned(),
            target: MetricTarget {
                type_: "Utilization".to_owned(),
                average_utilization: Some(utilization),
                ..MetricTarget::default()
            },
        }),
        ..MetricSpec::default()
    }
}

fn connections(a_pod: i32) -> MetricSpec {
    MetricSpec {
        type_: "Pods".to_owned(),
        pods: Some(PodsMetricSource {
            metric: MetricIdentifier {
                name: CONNECTIONS_METRIC.to_owned(),
                selector: None,
            },
            target: MetricTarget {
                type_: "AverageValue".to_owned(),
                average_value: Some(Quantity(a_pod.to_string())),
                ..MetricTarget::default()
            },
        }),
        ..MetricSpec::default()
    }
}

/// Every gateway that goes sends its clients elsewhere: one a minute, or a tenth of them where there are many.
fn down_slowly() -> HorizontalPodAutoscalerBehavior {
    let policy = |kind: &str, value| HPAScalingPolicy {
        type_: kind.to_owned(),
        value,
        period_seconds: 60,
    };
    HorizontalPodAutoscalerBehavior {
        scale_down: Some(HPAScalingRules {
            policies: Some(vec![policy("Pods", 1), policy("Percent", 10)]),
            select_policy: Some("Max".to_owned()),
            stabilization_window_seconds: Some(300),
            ..HPAScalingRules::default()
        }),
        scale_up: None,
    }
}

fn name(feed: &ValidFeed) -> String {
    names::component(&feed.identity, COMPONENT)
}
