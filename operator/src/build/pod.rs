// Pure: pods: how they are run, and where.
#![deny(clippy::disallowed_methods)]

use std::collections::BTreeMap;

use k8s_openapi::api::core::v1::{
    Affinity, Capabilities, Container, ContainerPort, EnvVar, HTTPGetAction, PodAffinityTerm,
    PodAntiAffinity, PodSecurityContext, PodSpec, PodTemplateSpec, Probe, ResourceRequirements,
    SeccompProfile, SecurityContext, TopologySpreadConstraint, Volume, VolumeMount,
    WeightedPodAffinityTerm,
};
use k8s_openapi::apimachinery::pkg::api::resource::Quantity;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use k8s_openapi::apimachinery::pkg::util::intstr::IntOrString;

use super::meta::{Labels, label_selector};
use super::names::{ADMIN_PORT, ADMIN_PORT_NAME, CONTAINER};
use crate::spec::{EnvSpec, ResourcesSpec};
use crate::validate::ValidPods;

/// The image's user and group; it has no others.
const USER: i64 = 65_532;

/// What a pod does, for [`template`].
pub(super) struct Process<'a> {
    /// The program and its command.
    pub(super) command: &'a [&'a str],
    pub(super) image: &'a str,
    pub(super) env: Vec<EnvVar>,
    pub(super) files: Vec<(Volume, VolumeMount)>,
    /// Ports beside that of probes; with none at all it is not probed either.
    pub(super) serves: Option<Vec<ContainerPort>>,
    /// What it requests where nothing is said: CPU, memory.
    pub(super) requests: (&'a str, &'a str),
    /// How long a stop may take, in seconds.
    pub(super) grace_s: i64,
    pub(super) labels: Labels,
    pub(super) selector: Labels,
    pub(super) annotations: Labels,
    /// What the feed says of its pods.
    pub(super) said: &'a ValidPods,
}

/// A Deployment's or a Job's pod.
pub(super) fn template(process: Process<'_>, restart: &str) -> PodTemplateSpec {
    let said = process.said.pod.clone();
    // What is ours goes over what is said, which was checked not to name it.
    let mut labels = said.labels;
    labels.extend(process.labels.clone());
    let mut annotations = said.annotations;
    annotations.extend(process.annotations.clone());
    let container = container(&process);
    let selector = process.selector;
    let spread = if said.topology_spread_constraints.is_empty() {
        vec![over_zones(selector.clone())]
    } else {
        said.topology_spread_constraints
    };
    PodTemplateSpec {
        metadata: Some(ObjectMeta {
            labels: Some(labels),
            annotations: some(annotations),
            ..ObjectMeta::default()
        }),
        spec: Some(PodSpec {
            containers: vec![container],
            volumes: some_list(
                process
                    .files
                    .into_iter()
                    .map(|(volume, _)| volume)
                    .collect(),
            ),
            restart_policy: Some(restart.to_owned()),
            termination_grace_period_seconds: Some(process.grace_s),
            security_context: Some(pod_security()),
            // Nothing in a feed's pods speaks to Kubernetes.
            automount_service_account_token: Some(false),
            // Variables of Services would begin with a feed's name: one called marketfeed would set up its own processes.
            enable_service_links: Some(false),
            affinity: Some(affinity(said.affinity, selector)),
            topology_spread_constraints: Some(spread),
            node_selector: some(said.node_selector),
            tolerations: some_list(said.tolerations),
            priority_class_name: said.priority_class_name,
            image_pull_secrets: some_list(said.image_pull_secrets),
            ..PodSpec::default()
        }),
    }
}

fn container(process: &Process<'_>) -> Container {
    let added = process.said.pod.env.iter();
    let added = added.map(|EnvSpec { name, value }| EnvVar {
        name: name.clone(),
        value: Some(value.clone()),
        value_from: None,
    });
    let serves = process.serves.is_some();
    let ports = process.serves.iter().flatten().cloned();
    let admin = serves.then(|| port(ADMIN_PORT_NAME, ADMIN_PORT));
    Container {
        name: CONTAINER.to_owned(),
        image: Some(process.image.to_owned()),
        command: Some(
            process
                .command
                .iter()
                .map(|&word| word.to_owned())
                .collect(),
        ),
        env: Some(process.env.iter().cloned().chain(added).collect()),
        ports: some_list(ports.chain(admin).collect()),
        // It goes on serving what it has without NATS and without exchanges: neither probe asks for them.
        readiness_probe: serves.then(|| probe("/readyz", 2, 3)),
        liveness_probe: serves.then(|| probe("/livez", 10, 6)),
        resources: Some(resources(&process.said.resources, process.requests)),
        volume_mounts: some_list(
            process
                .files
                .iter()
                .map(|(_, mount)| mount.clone())
                .collect(),
        ),
        security_context: Some(container_security()),
        // Why a process ended is then in the pod's status, where no log has to be read.
        termination_message_policy: Some("FallbackToLogsOnError".to_owned()),
        ..Container::default()
    }
}

pub(super) fn port(name: &str, number: i32) -> ContainerPort {
    ContainerPort {
        name: Some(name.to_owned()),
        container_port: number,
        protocol: Some("TCP".to_owned()),
        ..ContainerPort::default()
    }
}

fn probe(path: &str, period_s: i32, failures: i32) -> Probe {
    Probe {
        http_get: Some(HTTPGetAction {
            path: Some(path.to_owned()),
            port: IntOrString::String(ADMIN_PORT_NAME.to_owned()),
            scheme: Some("HTTP".to_owned()),
            ..HTTPGetAction::default()
        }),
        period_seconds: Some(period_s),
        timeout_seconds: Some(2),
        failure_threshold: Some(failures),
        ..Probe::default()
    }
}

/// What is said, and for what is not said a request: without one for CPU no autoscaler works, and a pod without any is the
/// first to go.
fn resources(said: &ResourcesSpec, requests: (&str, &str)) -> ResourceRequirements {
    let ResourcesSpec {
        requests: mut wanted,
        limits,
    } = said.clone();
    for (name, amount) in [("cpu", requests.0), ("memory", requests.1)] {
        // A limit alone is a request too, and ours may be above it.
        if !limits.contains_key(name) {
            let ours = || Quantity(amount.to_owned());
            wanted.entry(name.to_owned()).or_insert_with(ours);
        }
    }
    ResourceRequirements {
        requests: some(wanted),
        limits: some(limits),
        claims: None,
    }
}

fn pod_security() -> PodSecurityContext {
    PodSecurityContext {
        run_as_non_root: Some(true),
        run_as_user: Some(USER),
        run_as_group: Some(USER),
        // Files from Secrets are readable by it.
        fs_group: Some(USER),
        seccomp_profile: Some(SeccompProfile {
            type_: "RuntimeDefault".to_owned(),
            localhost_profile: None,
        }),
        ..PodSecurityContext::default()
    }
}

fn container_security() -> SecurityContext {
    SecurityContext {
        allow_privilege_escalation: Some(false),
        read_only_root_filesystem: Some(true),
        capabilities: Some(Capabilities {
            drop: Some(vec!["ALL".to_owned()]),
            add: None,
        }),
        ..SecurityContext::default()
    }
}

/// Rather not two of them on one node, unless something else is said of their neighbours.
fn affinity(said: Option<Affinity>, selector: Labels) -> Affinity {
    let mut affinity = said.unwrap_or_default();
    affinity
        .pod_anti_affinity
        .get_or_insert_with(|| PodAntiAffinity {
            preferred_during_scheduling_ignored_during_execution: Some(vec![
                WeightedPodAffinityTerm {
                    weight: 100,
                    pod_affinity_term: PodAffinityTerm {
                        label_selector: Some(label_selector(selector)),
                        topology_key: "kubernetes.io/hostname".to_owned(),
                        ..PodAffinityTerm::default()
                    },
                },
            ]),
            ..PodAntiAffinity::default()
        });
    affinity
}

fn over_zones(selector: Labels) -> TopologySpreadConstraint {
    TopologySpreadConstraint {
        max_skew: 1,
        topology_key: "topology.kubernetes.io/zone".to_owned(),
        when_unsatisfiable: "ScheduleAnyway".to_owned(),
        label_selector: Some(label_selector(selector)),
        ..TopologySpreadConstraint::default()
    }
}

/// Kubernetes tells an absent list from an empty one when it says what has changed.
fn some_list<T>(list: Vec<T>) -> Option<Vec<T>> {
    (!list.is_empty()).then_some(list)
}

pub(super) fn some<T>(map: BTreeMap<String, T>) -> Option<BTreeMap<String, T>> {
    (!map.is_empty()).then_some(map)
}
