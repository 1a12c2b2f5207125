// Pure: why pods do not run, from their state, or why there are none, from their Deployment's. Events are not read, nor are
// Secrets: a pod that waits for a file says which ones it may be.
#![deny(clippy::disallowed_methods)]

use std::fmt;

use k8s_openapi::api::apps::v1::Deployment;
use k8s_openapi::api::core::v1::{ContainerState, ContainerStatus, Pod};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use runtime::process::{EXIT_REFUSED, EXIT_USAGE};

use crate::build::names::{COMPONENT_LABEL, Component};

/// How long a pod may take to start before it is asked why, in seconds.
const START_MAX_S: i64 = 30;

/// The most of a process's last words that is told, in characters.
const WORDS_MAX: usize = 300;

/// A pod that does not run, or a Deployment that cannot have its pods.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Trouble {
    /// Which, such as `pod crypto-shard-0-x`.
    pub whose: String,
    /// What kind of process it is.
    pub component: Option<Component>,
    /// One word.
    pub reason: &'static str,
    /// What is known of it.
    pub message: String,
}

impl Trouble {
    /// The pod's, if it has any; `now_s` in Unix seconds. One that is being removed has none.
    #[must_use]
    pub fn of(pod: &Pod, now_s: i64) -> Option<Self> {
        if pod.metadata.deletion_timestamp.is_some() {
            return None;
        }
        let name = pod.metadata.name.as_deref().unwrap_or_default();
        let (reason, message) = unscheduled(pod)
            .or_else(|| ended(pod, now_s))
            .or_else(|| waiting(pod, now_s))?;
        Some(Self {
            whose: format!("pod {name}"),
            component: component(&pod.metadata),
            reason,
            message,
        })
    }

    /// The Deployment's, if the API server refuses its pods: a quota, a security standard, a range of limits or a webhook. There
    /// is no pod then that could say so.
    #[must_use]
    pub fn of_deployment(deployment: &Deployment) -> Option<Self> {
        let name = deployment.metadata.name.as_deref().unwrap_or_default();
        let refusal = pods_refusal(deployment)?;
        let message = format!(
            "cannot have all its pods: {}",
            shortened(&unnamed(refusal, name))
        );
        Some(Self {
            whose: format!("Deployment {name}"),
            component: component(&deployment.metadata),
            reason: "PodsRefused",
            message,
        })
    }

    /// Whether NATS has refused the process: to start it again mends nothing.
    #[must_use]
    pub fn is_refusal(&self) -> bool {
        self.reason == REFUSED
    }
}

impl fmt::Display for Trouble {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            whose,
            component: _,
            reason: _,
            message,
        } = self;
        write!(f, "{whose} {message}")
    }
}

fn component(of: &ObjectMeta) -> Option<Component> {
    let label = of.labels.as_ref()?.get(COMPONENT_LABEL)?;
    [Component::Marketdata, Component::Gateway, Component::Purge]
        .into_iter()
        .find(|component| component.as_str() == label)
}

/// In which words the API server refuses a Deployment's pods, if it does.
pub(crate) fn pods_refusal(deployment: &Deployment) -> Option<&str> {
    let conditions = deployment.status.as_ref()?.conditions.as_ref()?;
    let refusal = conditions.iter().find(|condition| {
        condition.type_ == "ReplicaFailure"
            && condition.status == "True"
            && condition.reason.as_deref() == Some("FailedCreate")
    })?;
    refusal.message.as_deref()
}

/// Without the names of pods: each try is of another one, and the status would change with each.
fn unnamed(refusal: &str, deployment: &str) -> String {
    let begin = format!("{deployment}-");
    let mut parts = refusal.split(&begin);
    let mut text = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        text.push_str(deployment);
        text.push_str("-…");
        let of_name = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
        text.push_str(part.trim_start_matches(of_name));
    }
    let about = format!("pods \"{deployment}-…\" is ");
    let rest = text.strip_prefix(&about).map(str::to_owned);
    rest.unwrap_or(text)
}

const REFUSED: &str = "NatsRefused";

/// In the words of a process whose streams are another owner's.
const OWNED: &str = " belongs to ";

fn unscheduled(pod: &Pod) -> Option<(&'static str, String)> {
    let conditions = pod.status.as_ref()?.conditions.as_ref()?;
    let scheduled = conditions
        .iter()
        .find(|condition| condition.type_ == "PodScheduled")?;
    let why = scheduled.message.as_deref().unwrap_or_default();
    (scheduled.status == "False")
        .then(|| ("Unschedulable", format!("has no node: {}", shortened(why))))
}

/// How long a process that has ended before must run before it is believed to be mended, in seconds. One that ends again and
/// again would be called well now and then.
const AGAIN_MIN_S: i64 = 30;

/// It has ended, and is waited with before it is started again, or was started a moment ago.
fn ended(pod: &Pod, now_s: i64) -> Option<(&'static str, String)> {
    let container = container(pod)?;
    let state = |state: &Option<ContainerState>| state.clone().and_then(|state| state.terminated);
    let runs = container
        .state
        .as_ref()
        .and_then(|state| state.running.as_ref());
    let is_young = runs
        .and_then(|runs| runs.started_at.as_ref())
        .is_some_and(|since| now_s.saturating_sub(since.0.as_second()) < AGAIN_MIN_S);
    // One that is ready is well.
    if container.ready || (runs.is_some() && !is_young) {
        return None;
    }
    let ended = state(&container.state).or_else(|| state(&container.last_state))?;
    let code = u8::try_from(ended.exit_code).ok();
    let reason = match code {
        Some(EXIT_REFUSED) => REFUSED,
        Some(EXIT_USAGE) => "Misconfigured",
        _ => "Failing",
    };
    // What a process cannot go on with is its last line; the ones before are its log.
    let words = ended.message.unwrap_or_default();
    let words = words.trim().lines().last().unwrap_or_default();
    let words = if words.is_empty() {
        ended.reason.unwrap_or_default()
    } else {
        shortened(words)
    };
    // Two feeds may come to the same name on the bus, and it cannot be changed.
    let advice = if reason == REFUSED && words.contains(OWNED) {
        "; set nats.environment to another name, in a new MarketFeed"
    } else {
        ""
    };
    Some((
        reason,
        format!("ended with code {}: {words}{advice}", ended.exit_code),
    ))
}

fn waiting(pod: &Pod, now_s: i64) -> Option<(&'static str, String)> {
    let state = container(pod)?.state.as_ref()?.waiting.as_ref()?;
    let reason = state.reason.as_deref().unwrap_or_default();
    let message = shortened(state.message.as_deref().unwrap_or_default());
    if [
        "ErrImagePull",
        "ImagePullBackOff",
        "InvalidImageName",
        "ErrImageNeverPull",
    ]
    .contains(&reason)
    {
        let image = container(pod)
            .map(|container| container.image.clone())
            .unwrap_or_default();
        // It is told again and again, with another beginning each time.
        let message = message.rsplit("ErrImagePull: ").next().unwrap_or_default();
        return Some((
            "ImageUnavailable",
            format!("cannot have the image {image}: {message}"),
        ));
    }
    if reason != "ContainerCreating" {
        return (!message.is_empty())
            .then(|| ("Failing", format!("does not start, {reason}: {message}")));
    }
    let started = pod.status.as_ref()?.start_time.as_ref()?.0.as_second();
    let waited_s = now_s.saturating_sub(started);
    let secrets = secrets(pod);
    (waited_s > START_MAX_S && !secrets.is_empty()).then(|| {
        let secrets = secrets.join(", ");
        ("FilesMissing", format!("is not started since {START_MAX_S} s and more: are there the Secrets {secrets}, with their keys?"))
    })
}

fn container(pod: &Pod) -> Option<&ContainerStatus> {
    pod.status.as_ref()?.container_statuses.as_ref()?.first()
}

fn secrets(pod: &Pod) -> Vec<String> {
    let volumes = pod
        .spec
        .iter()
        .flat_map(|spec| spec.volumes.iter().flatten());
    volumes
        .filter_map(|volume| volume.secret.as_ref()?.secret_name.clone())
        .collect()
}

fn shortened(text: &str) -> String {
    let mut short: String = text.chars().take(WORDS_MAX).collect();
    if short.len() < text.len() {
        short.push('…');
    }
    short
}
