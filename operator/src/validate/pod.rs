// Pure: what pods shall be like.
#![deny(clippy::disallowed_methods)]

use std::collections::{BTreeMap, BTreeSet};

use super::error::Checks;
use super::quantity::nanos;
use crate::spec::{LABEL_LEN_MAX, OWN_KEY_PREFIXES, PodSpec, ResourcesSpec};

/// What is said of a workload's pods.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct ValidPods {
    /// CPU and memory of the container.
    pub resources: ResourcesSpec,
    /// The rest.
    pub pod: PodSpec,
}

impl ValidPods {
    pub(super) fn check(
        path: &str,
        resources: Option<&ResourcesSpec>,
        pod: Option<&PodSpec>,
        checks: &mut Checks,
    ) -> Self {
        if let Some(resources) = resources {
            check_requests(&format!("{path}.resources.requests"), resources, checks);
        }
        if let Some(pod) = pod {
            check_values(&format!("{path}.pod.labels"), &pod.labels, checks);
            let selector = &pod.node_selector;
            check_values(&format!("{path}.pod.nodeSelector"), selector, checks);
            check_keys(&format!("{path}.pod.labels"), &pod.labels, checks);
            check_keys(&format!("{path}.pod.annotations"), &pod.annotations, checks);
            check_env(&format!("{path}.pod.env"), pod, checks);
        }
        Self {
            resources: resources.cloned().unwrap_or_default(),
            pod: pod.cloned().unwrap_or_default(),
        }
    }
}

fn check_keys(path: &str, keys: &BTreeMap<String, String>, checks: &mut Checks) {
    for key in keys.keys() {
        if OWN_KEY_PREFIXES
            .iter()
            .any(|prefix| key.starts_with(prefix))
        {
            checks.refuse(path, format!("{key} is the operator's: write another key"));
        }
    }
}

/// The API server refuses pods that need more than they may have.
fn check_requests(path: &str, resources: &ResourcesSpec, checks: &mut Checks) {
    let ResourcesSpec { requests, limits } = resources;
    for (name, request) in requests {
        let Some(limit) = limits.get(name) else {
            continue;
        };
        if let (Some(needed), Some(most)) = (nanos(&request.0), nanos(&limit.0))
            && needed > most
        {
            let (request, limit) = (&request.0, &limit.0);
            checks.refuse(
                path,
                format!("{name}: {request} is above its limit of {limit}: write no more than that"),
            );
        }
    }
}

/// What Kubernetes takes for a label's value.
fn check_values(path: &str, labels: &BTreeMap<String, String>, checks: &mut Checks) {
    for (key, value) in labels {
        let plain = |b: u8| b.is_ascii_alphanumeric() || b"-_.".contains(&b);
        let ends = |c: char| c.is_ascii_alphanumeric();
        let good = value.is_empty()
            || (value.bytes().all(plain) && value.starts_with(ends) && value.ends_with(ends));
        if !good || value.len() > LABEL_LEN_MAX {
            checks.refuse(
                path,
                format!(
                    "{key}: {value:?} is no label's value: write {LABEL_LEN_MAX} letters, digits and inner -_. at most"
                ),
            );
        }
    }
}

fn check_env(path: &str, pod: &PodSpec, checks: &mut Checks) {
    let mut seen = BTreeSet::new();
    for (at, env) in pod.env.iter().enumerate() {
        let path = format!("{path}[{at}].name");
        let name = &env.name;
        let plain = |b: u8| b.is_ascii_alphanumeric() || b == b'_';
        if name.is_empty()
            || !name.bytes().all(plain)
            || name.starts_with(|c: char| c.is_ascii_digit())
        {
            checks.refuse(
                &path,
                format!("{name:?} names no variable: write letters, digits and underscores"),
            );
        }
        if name.starts_with("MARKETFEED_") {
            checks.refuse(
                &path,
                format!("{name} is the operator's: write the field of this resource that is meant, or another name"),
            );
        }
        if !seen.insert(name) {
            checks.refuse(&path, format!("{name} is there twice: write it once"));
        }
    }
}
