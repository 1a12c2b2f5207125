// Pure: what pods shall be like.
#![deny(clippy::disallowed_methods)]

use std::collections::{BTreeMap, BTreeSet};

use super::error::Checks;
use crate::spec::{OWN_KEY_PREFIXES, PodSpec, ResourcesSpec};

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
        if let Some(pod) = pod {
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
