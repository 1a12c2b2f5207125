// Pure: what of a feed's pods matters here.
#![deny(clippy::disallowed_methods)]

use std::sync::Arc;

use k8s_openapi::api::core::v1::Pod;
use kube::ResourceExt;

use super::deletion::{Purge, Remains};
use super::stores::Seen;
use crate::build::names::{
    self, COMPONENT_LABEL, Component, DELETION_COST_ANNOTATION, SHARD_LABEL,
};
use crate::status::pods_refusal;
use crate::validate::Identity;

pub(super) fn remains(identity: &Identity, seen: &Seen) -> Remains {
    let purge = names::component(identity, Component::Purge);
    Remains {
        workloads: seen
            .there
            .keys()
            .filter(|key| key.kind == "Deployment")
            .cloned()
            .collect(),
        publishers: seen
            .pods
            .iter()
            .filter(|pod| is_of(pod, Component::Marketdata))
            .count(),
        purge: seen
            .jobs
            .iter()
            .find(|job| job.name_any() == purge)
            .map(|job| Purge::of(job)),
    }
}

/// Whether it looks as if the namespace were being removed: all pods are, or Kubernetes says so of a Deployment.
pub(super) fn is_perhaps_ending(seen: &Seen) -> bool {
    let mut refusals = seen.deployments.iter().filter_map(|one| pods_refusal(one));
    let is_said = refusals.any(|words| words.contains("because it is being terminated"));
    is_said || (!seen.pods.is_empty() && seen.pods.iter().all(|pod| is_going(pod)))
}

/// Addresses of gateways in an order that stays: those that are ready first. Others can say what they lack: without NATS none
/// ever gets ready.
pub(super) fn gateways(pods: &[Arc<Pod>]) -> Vec<String> {
    let is_ready = |pod: &Pod| {
        let conditions = pod
            .status
            .iter()
            .flat_map(|status| status.conditions.iter().flatten());
        let mut ready = conditions.filter(|condition| condition.type_ == "Ready");
        ready.any(|condition| condition.status == "True")
    };
    let mut gateways: Vec<&Arc<Pod>> = pods
        .iter()
        .filter(|pod| is_of(pod, Component::Gateway) && !is_going(pod))
        .collect();
    // The one that has heard for the longest time knows the most.
    gateways.sort_by_key(|pod| (!is_ready(pod), pod.creation_timestamp(), pod.name_any()));
    gateways
        .into_iter()
        .filter_map(|pod| pod.status.as_ref()?.pod_ip.clone())
        .collect()
}

/// A pod that can be asked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Reachable<S> {
    pub(super) name: String,
    pub(super) address: String,
    /// Its deletion cost now.
    pub(super) cost: i32,
    /// Of which shard it is.
    pub(super) shard: S,
}

/// Pods of shards that run, ready or not: one may own its shard before it is ready.
pub(super) fn shard_pods(pods: &[Arc<Pod>]) -> Vec<Reachable<u16>> {
    let of_shard = |pod: &Arc<Pod>| {
        let shard = pod.labels().get(SHARD_LABEL)?.parse().ok()?;
        reachable(pod, Component::Marketdata, shard)
    };
    in_order(pods.iter().filter_map(of_shard))
}

/// Gateways that run.
pub(super) fn gateway_pods(pods: &[Arc<Pod>]) -> Vec<Reachable<()>> {
    let of_gateway = |pod: &Arc<Pod>| reachable(pod, Component::Gateway, ());
    in_order(pods.iter().filter_map(of_gateway))
}

fn reachable<S>(pod: &Pod, component: Component, shard: S) -> Option<Reachable<S>> {
    if !is_of(pod, component) || is_going(pod) {
        return None;
    }
    let cost = pod.annotations().get(DELETION_COST_ANNOTATION);
    Some(Reachable {
        name: pod.name_any(),
        address: pod.status.as_ref()?.pod_ip.clone()?,
        cost: cost.and_then(|cost| cost.parse().ok()).unwrap_or(0),
        shard,
    })
}

fn in_order<S>(pods: impl Iterator<Item = Reachable<S>>) -> Vec<Reachable<S>> {
    let mut pods: Vec<_> = pods.collect();
    pods.sort_by(|a, b| a.name.cmp(&b.name));
    pods
}

pub(super) fn is_of(pod: &Pod, component: Component) -> bool {
    pod.labels()
        .get(COMPONENT_LABEL)
        .is_some_and(|label| label == component.as_str())
}

pub(super) fn is_going(pod: &Pod) -> bool {
    pod.metadata.deletion_timestamp.is_some()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn pod(name: &str, component: &str, ip: Option<&str>, ready: &str) -> Arc<Pod> {
        let pod = json!({
            "metadata": { "name": name, "labels": { COMPONENT_LABEL: component } },
            "status": { "podIP": ip, "conditions": [{ "type": "Ready", "status": ready }] },
        });
        Arc::new(serde_json::from_value(pod).unwrap())
    }

    #[test]
    fn gateways_that_are_not_ready_are_asked_after_those_that_are() {
        let pods = [
            pod("a", "gateway", Some("10.0.0.1"), "False"),
            pod("b", "gateway", Some("10.0.0.2"), "True"),
            pod("c", "gateway", None, "False"),
            pod("d", "marketdata", Some("10.0.0.4"), "True"),
        ];
        assert_eq!(gateways(&pods), ["10.0.0.2", "10.0.0.1"]);
        assert_eq!(gateways(&pods[..1]), ["10.0.0.1"]);
    }
}
