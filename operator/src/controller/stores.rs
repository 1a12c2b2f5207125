//! What is there, as it is watched: the API server is asked nothing else.

use std::collections::BTreeMap;
use std::fmt::Debug;
use std::sync::Arc;

use futures_util::stream::BoxStream;
use futures_util::{Stream, StreamExt};
use k8s_openapi::api::apps::v1::Deployment;
use k8s_openapi::api::autoscaling::v2::HorizontalPodAutoscaler;
use k8s_openapi::api::batch::v1::Job;
use k8s_openapi::api::core::v1::{ConfigMap, Pod, Service};
use k8s_openapi::api::networking::v1::NetworkPolicy;
use k8s_openapi::api::policy::v1::PodDisruptionBudget;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::OwnerReference;
use kube::runtime::reflector::{self, Store};
use kube::runtime::{WatchStreamExt, watcher};
use kube::{Client, Resource, ResourceExt};
use serde::Serialize;
use serde::de::DeserializeOwned;

use super::Where;
use super::ledger::Key;
use super::standing::Standing;
use crate::build::names::{FEED_LABEL, FIELD_MANAGER};
use crate::spec::MarketFeed;
use crate::validate::Identity;

/// Objects of one kind each.
#[derive(Clone)]
pub struct Kinds<M, S, D, B, A, N, J, P> {
    /// Assignments.
    pub config_maps: M,
    /// Gateways' Services.
    pub services: S,
    /// Gateways and shards.
    pub deployments: D,
    /// Disruption budgets.
    pub budgets: B,
    /// Gateways' autoscalers.
    pub autoscalers: A,
    /// Who may reach pods.
    pub policies: N,
    /// Purges.
    pub jobs: J,
    /// Pods of all of them.
    pub pods: P,
}

/// What was seen of each kind.
pub type Stores = Kinds<
    Store<ConfigMap>,
    Store<Service>,
    Store<Deployment>,
    Store<PodDisruptionBudget>,
    Store<HorizontalPodAutoscaler>,
    Store<NetworkPolicy>,
    Store<Job>,
    Store<Pod>,
>;

type Events<K> = BoxStream<'static, Result<K, watcher::Error>>;

/// What happens to each kind; the stores are filled by reading it.
pub type Watched = Kinds<
    Events<ConfigMap>,
    Events<Service>,
    Events<Deployment>,
    Events<PodDisruptionBudget>,
    Events<HorizontalPodAutoscaler>,
    Events<NetworkPolicy>,
    Events<Job>,
    Events<Pod>,
>;

/// Watches all kinds; only what is the operator's.
pub(super) fn watch(client: &Client, place: &Where) -> (Stores, Watched) {
    let (config_maps, config_map_events) = one(client, place);
    let (services, service_events) = one(client, place);
    let (deployments, deployment_events) = one(client, place);
    let (budgets, budget_events) = one(client, place);
    let (autoscalers, autoscaler_events) = one(client, place);
    let (policies, policy_events) = one(client, place);
    let (jobs, job_events) = one(client, place);
    let (pods, pod_events) = one(client, place);
    let stores = Kinds {
        config_maps,
        services,
        deployments,
        budgets,
        autoscalers,
        policies,
        jobs,
        pods,
    };
    let watched = Kinds {
        config_maps: config_map_events,
        services: service_events,
        deployments: deployment_events,
        budgets: budget_events,
        autoscalers: autoscaler_events,
        policies: policy_events,
        jobs: job_events,
        pods: pod_events,
    };
    (stores, watched)
}

fn one<K>(client: &Client, place: &Where) -> (Store<K>, Events<K>)
where
    K: Resource<Scope = k8s_openapi::NamespaceResourceScope, DynamicType = ()>
        + Clone
        + Debug
        + DeserializeOwned
        + Send
        + Sync
        + 'static,
{
    let (store, writer) = reflector::store();
    let ours = format!("app.kubernetes.io/managed-by={FIELD_MANAGER}");
    let config = place.watched().labels(&ours);
    let events = watcher(place.api::<K>(client.clone()), config);
    // Who has set which field is a large part of an object, and nobody asks for it here.
    let events = events
        .default_backoff()
        .modify(|object: &mut K| object.managed_fields_mut().clear());
    let events = events.reflect(writer).touched_objects();
    (store, events.boxed())
}

/// What is there of one feed.
#[derive(Debug, Default)]
pub(super) struct Seen {
    pub(super) config_maps: Vec<Arc<ConfigMap>>,
    pub(super) deployments: Vec<Arc<Deployment>>,
    pub(super) autoscalers: Vec<Arc<HorizontalPodAutoscaler>>,
    pub(super) jobs: Vec<Arc<Job>>,
    pub(super) pods: Vec<Arc<Pod>>,
    /// How all but Jobs and pods stand, which are not applied again and again.
    pub(super) there: BTreeMap<Key, Standing>,
    /// What has the feed's labels and no feed as its owner.
    pub(super) orphans: BTreeMap<Key, Standing>,
    /// What another feed of its name has left behind, and Kubernetes has not removed yet.
    pub(super) leftovers: Vec<Key>,
}

impl Seen {
    /// Counts objects as the feed's that have lost their owner, where it is known by their UIDs that they were applied for it.
    pub(super) fn adopt(&mut self, is_own: impl Fn(&Key, &str) -> bool) {
        let orphans = std::mem::take(&mut self.orphans).into_iter();
        self.there
            .extend(orphans.filter(|(key, standing)| is_own(key, &standing.uid)));
    }
}

impl Stores {
    /// Whether every kind was read once. Before that what is there is not known.
    pub(super) async fn wait_until_read(&self) -> Result<(), reflector::store::WriterDropped> {
        self.config_maps.wait_until_ready().await?;
        self.services.wait_until_ready().await?;
        self.deployments.wait_until_ready().await?;
        self.budgets.wait_until_ready().await?;
        self.autoscalers.wait_until_ready().await?;
        self.policies.wait_until_ready().await?;
        self.jobs.wait_until_ready().await?;
        self.pods.wait_until_ready().await
    }

    pub(super) fn of(&self, feed: &Identity) -> Seen {
        let mut found = Found {
            feed,
            there: BTreeMap::new(),
            orphans: BTreeMap::new(),
            leftovers: Vec::new(),
        };
        let config_maps = found.of(&self.config_maps, "ConfigMap");
        let deployments = found.of(&self.deployments, "Deployment");
        let autoscalers = found.of(&self.autoscalers, "HorizontalPodAutoscaler");
        found.of(&self.services, "Service");
        found.of(&self.budgets, "PodDisruptionBudget");
        found.of(&self.policies, "NetworkPolicy");
        let there = std::mem::take(&mut found.there);
        let orphans = std::mem::take(&mut found.orphans);
        let jobs = found.of(&self.jobs, "Job");
        Seen {
            config_maps,
            deployments,
            autoscalers,
            jobs,
            pods: labelled(&self.pods, feed),
            there,
            orphans,
            leftovers: found.leftovers,
        }
    }
}

/// What is found of a feed, kind by kind.
struct Found<'a> {
    feed: &'a Identity,
    there: BTreeMap<Key, Standing>,
    orphans: BTreeMap<Key, Standing>,
    leftovers: Vec<Key>,
}

impl Found<'_> {
    /// Those that the feed owns. Another one of its name may have left some behind: Kubernetes removes them, and would remove
    /// them also after they had been applied anew.
    fn of<K>(&mut self, store: &Store<K>, kind: &str) -> Vec<Arc<K>>
    where
        K: Resource<DynamicType = ()> + Clone + Serialize + 'static,
    {
        let mut found = labelled(store, self.feed);
        found.retain(|object| {
            let key = Key {
                kind: kind.to_owned(),
                name: object.name_any(),
            };
            let owners = object.owner_references();
            if owners.iter().any(|owner| owner.uid == self.feed.uid) {
                self.there.insert(key, Standing::of(&**object));
                return true;
            }
            let is_feed = |owner: &OwnerReference| owner.kind == MarketFeed::kind(&());
            if owners.iter().any(is_feed) {
                self.leftovers.push(key);
            } else {
                self.orphans.insert(key, Standing::of(&**object));
            }
            false
        });
        found
    }
}

fn labelled<K>(store: &Store<K>, feed: &Identity) -> Vec<Arc<K>>
where
    K: Resource<DynamicType = ()> + Clone + 'static,
{
    // Of thousands of objects a few are the feed's: nothing is made anew to find out.
    let of_feed = |object: &K| {
        object.labels().get(FEED_LABEL) == Some(&feed.name)
            && object.meta().namespace.as_ref() == Some(&feed.namespace)
    };
    store.state_filter(of_feed)
}

/// Streams are opaque; nobody needs more of them.
impl<M, S, D, B, A, N, J, P> Debug for Kinds<M, S, D, B, A, N, J, P> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Kinds")
    }
}

const _: fn() = || {
    fn is_stream<T: Stream>() {}
    is_stream::<Events<Pod>>();
};
