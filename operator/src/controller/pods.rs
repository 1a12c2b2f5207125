// Pure: what of a feed's pods matters here.
#![deny(clippy::disallowed_methods)]

use std::sync::Arc;

use k8s_openapi::api::core::v1::Pod;
use kube::ResourceExt;

use super::deletion::{Purge, Remains};
use super::stores::Seen;
use crate::build::names::{self, COMPONENT_LABEL, Component};
use crate::validate::Identity;

pub(super) fn remains(identity: &Identity, seen: &Seen) -> Remains {
    let purge = names::component(identity, Component::Purge);
    Remains {
        workloads: seen
            .versions
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

/// Addresses of gateways that are ready, in an order that stays.
pub(super) fn gateways(pods: &[Arc<Pod>]) -> Vec<String> {
    let is_ready = |pod: &&Arc<Pod>| {
        let conditions = pod
            .status
            .iter()
            .flat_map(|status| status.conditions.iter().flatten());
        let mut ready = conditions.filter(|condition| condition.type_ == "Ready");
        ready.any(|condition| condition.status == "True") && !is_going(pod)
    };
    let mut ready: Vec<&Arc<Pod>> = pods
        .iter()
        .filter(|pod| is_of(pod, Component::Gateway))
        .filter(is_ready)
        .collect();
    // The one that has heard for the longest time knows the most.
    ready.sort_by_key(|pod| (pod.creation_timestamp(), pod.name_any()));
    ready
        .into_iter()
        .filter_map(|pod| pod.status.as_ref()?.pod_ip.clone())
        .collect()
}

pub(super) fn is_of(pod: &Pod, component: Component) -> bool {
    pod.labels()
        .get(COMPONENT_LABEL)
        .is_some_and(|label| label == component.as_str())
}

pub(super) fn is_going(pod: &Pod) -> bool {
    pod.metadata.deletion_timestamp.is_some()
}
