// Pure: a shard's Deployment: its owner and its standbys, which are alike.
//
// What its pods' template holds restarts them when it changes. So there is nothing in it of symbols, of their places, of
// other shards and of the assignment's generation: those reach the pods by the ConfigMap.
#![deny(clippy::disallowed_methods)]

use k8s_openapi::api::apps::v1::{
    Deployment, DeploymentSpec, DeploymentStrategy, RollingUpdateDeployment,
};
use k8s_openapi::api::policy::v1::PodDisruptionBudget;
use k8s_openapi::apimachinery::pkg::util::intstr::IntOrString;
use wire::{Interval, ShardId};

use super::files::Secrets;
use super::names::{self, Component, INTERVALS_ANNOTATION};
use super::pod::{self, Process};
use super::{Release, env, files, meta};
use crate::ValidFeed;

/// The shard's commits and its lease take 8 s at most, the connection to NATS some more.
const GRACE_S: i64 = 30;

/// A pod is counted as there when it has been ready so long: a standby hears its symbols by then.
const MIN_READY_S: i32 = 5;

pub(super) fn deployment(
    feed: &ValidFeed,
    intervals: &[Interval],
    shard: ShardId,
    release: &Release,
) -> Deployment {
    let selector = meta::selector(feed, Component::Marketdata, Some(shard));
    let labels = meta::labels(feed, Component::Marketdata, Some(shard));
    let intervals: Vec<String> = intervals.iter().map(ToString::to_string).collect();
    let annotations = [(INTERVALS_ANNOTATION.to_owned(), intervals.join(","))];
    let secrets = Secrets::of_marketdata(feed);
    let process = Process {
        command: &["marketfeed-marketdata", "run"],
        image: feed.image.as_deref().unwrap_or(&release.image),
        env: env::of_shard(feed, shard),
        files: std::iter::once(files::assignment(feed))
            .chain(secrets.volumes())
            .collect(),
        serves: Some(Vec::new()),
        requests: ("250m", "256Mi"),
        grace_s: GRACE_S,
        labels: labels.clone(),
        selector: selector.clone(),
        annotations: annotations.into(),
        said: &feed.marketdata_pods,
    };
    Deployment {
        metadata: meta::object(feed, names::shard(&feed.identity, shard), labels),
        spec: Some(DeploymentSpec {
            replicas: Some(1 + feed.standbys),
            selector: meta::label_selector(selector),
            strategy: Some(one_more_first()),
            min_ready_seconds: Some(MIN_READY_S),
            revision_history_limit: Some(2),
            template: pod::template(process, "Always"),
            ..DeploymentSpec::default()
        }),
        status: None,
    }
}

/// A new pod first, and the old one goes when that is ready: an owner always has somebody to hand over to.
pub(super) fn one_more_first() -> DeploymentStrategy {
    DeploymentStrategy {
        type_: Some("RollingUpdate".to_owned()),
        rolling_update: Some(RollingUpdateDeployment {
            max_surge: Some(IntOrString::Int(1)),
            max_unavailable: Some(IntOrString::Int(0)),
        }),
    }
}

pub(super) fn budget(feed: &ValidFeed, shard: ShardId) -> PodDisruptionBudget {
    let name = names::shard(&feed.identity, shard);
    meta::budget(feed, name, Component::Marketdata, Some(shard))
}
