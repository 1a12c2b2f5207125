// Pure: from a feed that can run and its assignment to the objects that run it. It cannot fail, and the same feed gives
// the same objects: what is applied changes nothing where nothing has changed.
#![deny(clippy::disallowed_methods)]

use k8s_openapi::api::apps::v1::Deployment;
use k8s_openapi::api::autoscaling::v2::HorizontalPodAutoscaler;
use k8s_openapi::api::core::v1::{ConfigMap, Service};
use k8s_openapi::api::networking::v1::NetworkPolicy;
use k8s_openapi::api::policy::v1::PodDisruptionBudget;
use wire::{Assignment, ShardId};

use crate::ValidFeed;

/// What things are called.
pub mod names;

/// Labels, owner, disruption budgets: what all have.
mod meta;

/// The variables that processes are set up by.
mod env;

/// Files from Secrets and the assignment.
mod files;

/// Pods: how they are run, and where.
mod pod;

/// The assignment's ConfigMap.
mod assignment;

/// A shard's Deployment.
mod shard;

/// The gateways.
mod gateway;

/// Who may reach the pods.
mod network;

/// The Job that removes a feed from NATS.
mod purge;

pub use purge::purge_job;

/// What the operator itself knows.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Release {
    /// The image of feeds that pin none.
    pub image: String,
    /// Where the operator runs: it reads the gateways' state from there.
    pub namespace: String,
}

/// All that runs a feed.
#[derive(Debug, Clone, PartialEq)]
pub struct Objects {
    /// Which shard has which instrument.
    pub assignment: ConfigMap,
    /// A Deployment a shard, by its number.
    pub shards: Vec<Deployment>,
    /// A budget a shard, by its number.
    pub shard_budgets: Vec<PodDisruptionBudget>,
    /// The gateways.
    pub gateway: Deployment,
    /// Where clients reach them.
    pub gateway_service: Service,
    /// How many of them may be away.
    pub gateway_budget: PodDisruptionBudget,
    /// How many there are, where that is not fixed.
    pub gateway_autoscaler: Option<HorizontalPodAutoscaler>,
    /// Who may reach the pods, where that is limited.
    pub network_policies: Vec<NetworkPolicy>,
}

/// Makes the objects of a feed.
#[must_use]
pub fn build(feed: &ValidFeed, assignment: &Assignment, release: &Release) -> Objects {
    let shards = || (0..feed.shards.get()).map(ShardId);
    Objects {
        assignment: assignment::config_map(feed, assignment),
        shards: shards()
            .map(|shard| shard::deployment(feed, assignment.intervals(), shard, release))
            .collect(),
        shard_budgets: shards().map(|shard| shard::budget(feed, shard)).collect(),
        gateway: gateway::deployment(feed, release),
        gateway_service: gateway::service(feed),
        gateway_budget: gateway::budget(feed),
        gateway_autoscaler: gateway::autoscaler(feed),
        network_policies: network::policies(feed, release),
    }
}

impl Objects {
    /// Each as Kubernetes' JSON, in the order in which they are applied: what is mounted before what mounts it, and the
    /// gateways before the shards, so that in a rollout readers are the newer ones.
    ///
    /// # Errors
    /// Never for what is built here: all of it is plain data.
    pub fn to_json(&self) -> Result<Vec<serde_json::Value>, serde_json::Error> {
        let Self {
            assignment,
            shards,
            shard_budgets,
            gateway,
            gateway_service,
            gateway_budget,
            gateway_autoscaler,
            network_policies,
        } = self;
        let mut all = vec![json(assignment)?, json(gateway_service)?];
        for deployment in std::iter::once(gateway).chain(shards) {
            all.push(json(deployment)?);
        }
        for budget in std::iter::once(gateway_budget).chain(shard_budgets) {
            all.push(json(budget)?);
        }
        if let Some(autoscaler) = gateway_autoscaler {
            all.push(json(autoscaler)?);
        }
        for policy in network_policies {
            all.push(json(policy)?);
        }
        Ok(all)
    }
}

fn json(object: &impl serde::Serialize) -> Result<serde_json::Value, serde_json::Error> {
    serde_json::to_value(object)
}
