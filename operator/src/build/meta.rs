// Pure: what all objects have.
#![deny(clippy::disallowed_methods)]

use std::collections::BTreeMap;

use k8s_openapi::api::policy::v1::{PodDisruptionBudget, PodDisruptionBudgetSpec};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{LabelSelector, ObjectMeta, OwnerReference};
use k8s_openapi::apimachinery::pkg::util::intstr::IntOrString;
use kube::Resource;
use wire::ShardId;

use super::names::{COMPONENT_LABEL, Component, FEED_LABEL, SHARD_LABEL};
use crate::ValidFeed;
use crate::spec::MarketFeed;
use crate::validate::Identity;

pub(super) type Labels = BTreeMap<String, String>;

/// The metadata of an object of the feed's.
pub(super) fn object(feed: &ValidFeed, name: String, labels: Labels) -> ObjectMeta {
    ObjectMeta {
        name: Some(name),
        namespace: Some(feed.identity.namespace.clone()),
        labels: Some(labels),
        owner_references: Some(vec![owner(&feed.identity)]),
        ..ObjectMeta::default()
    }
}

/// What tells the pods of a component, and those of a shard, from all others. It can never be changed where it is in a
/// Deployment, and so there is nothing in it that may change.
pub(super) fn selector(feed: &ValidFeed, component: Component, shard: Option<ShardId>) -> Labels {
    let mut labels = Labels::from([
        (FEED_LABEL.to_owned(), feed.identity.name.clone()),
        (COMPONENT_LABEL.to_owned(), component.as_str().to_owned()),
    ]);
    if let Some(shard) = shard {
        labels.insert(SHARD_LABEL.to_owned(), shard.to_string());
    }
    labels
}

/// Those, and the ones that tools look for.
pub(super) fn labels(feed: &ValidFeed, component: Component, shard: Option<ShardId>) -> Labels {
    let mut labels = selector(feed, component, shard);
    let common = [
        ("app.kubernetes.io/name", "marketfeed"),
        ("app.kubernetes.io/instance", &feed.identity.name),
        ("app.kubernetes.io/managed-by", super::names::FIELD_MANAGER),
    ];
    labels.extend(common.map(|(key, value)| (key.to_owned(), value.to_owned())));
    labels
}

pub(super) fn label_selector(labels: Labels) -> LabelSelector {
    LabelSelector {
        match_labels: Some(labels),
        ..LabelSelector::default()
    }
}

/// One pod may be away for a while, also one that was not ready anyway: a node with a broken pod can be drained.
pub(super) fn budget(
    feed: &ValidFeed,
    name: String,
    component: Component,
    shard: Option<ShardId>,
) -> PodDisruptionBudget {
    PodDisruptionBudget {
        metadata: object(feed, name, labels(feed, component, shard)),
        spec: Some(PodDisruptionBudgetSpec {
            max_unavailable: Some(IntOrString::Int(1)),
            selector: Some(label_selector(selector(feed, component, shard))),
            unhealthy_pod_eviction_policy: Some("AlwaysAllow".to_owned()),
            ..PodDisruptionBudgetSpec::default()
        }),
        status: None,
    }
}

fn owner(identity: &Identity) -> OwnerReference {
    OwnerReference {
        api_version: MarketFeed::api_version(&()).into_owned(),
        kind: MarketFeed::kind(&()).into_owned(),
        name: identity.name.clone(),
        uid: identity.uid.clone(),
        controller: Some(true),
        block_owner_deletion: Some(true),
    }
}
