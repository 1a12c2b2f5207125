//! `marketfeed-operator leave`: what is to be done before the operator is uninstalled. What it made runs on, and nothing that it
//! would have to do later is left: a feed's finalizer that nobody removes would keep the feed for ever.

use std::process::ExitCode;
use std::time::Duration;

use k8s_openapi::api::apps::v1::Deployment;
use k8s_openapi::api::core::v1::Pod;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::OwnerReference;
use kube::api::{Api, ApiResource, DynamicObject, ListParams, Patch, PatchParams};
use kube::{Client, ResourceExt};
use runtime::process::{self, EXIT_FAILED, EXIT_USAGE, fail};
use serde_json::json;
use tokio::signal::unix::{SignalKind, signal};
use tokio::time::Instant;

use crate::args::LeaveArgs;
use crate::controller::{FINALIZER, Where};
use crate::spec::MarketFeed;

/// Which feeds use a NATS that goes with the release.
pub mod bundled;

/// Where the operator's own namespace goes.
pub mod home;

use bundled::Bundled;

/// How long the operator's pods may take to end: their grace period, and as long again. The chart gives the Job more.
const PODS_MAX: Duration = Duration::from_secs(60);

/// How often they are looked for.
const LOOK_EVERY: Duration = Duration::from_secs(1);

/// How often all feeds are gone over until none is held any more: each is changed by others now and then.
const PASSES_MAX: u32 = 10;

/// What leaves.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Leave {
    /// The operator's Deployment.
    pub deployment: String,
    /// Where that is.
    pub namespace: String,
    /// Whose feeds it looks after.
    pub place: Where,
    /// Services of a NATS that goes with it.
    pub bundled: Vec<Bundled>,
}

/// Why it does not leave.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// What it takes along is in use.
    #[error(
        "not uninstalled: {} would lose their NATS, which is part of this release: delete them first \
         (kubectl delete marketfeed -n <namespace> <name>), or point their spec.nats.urls at another NATS",
        feeds.join(", ")
    )]
    InUse {
        /// Which feeds use it, as `namespace/name`.
        feeds: Vec<String>,
    },
    /// The API server refuses something, or is away.
    #[error("{doing}: {source}")]
    Api {
        /// What was tried.
        doing: &'static str,
        /// Why not.
        source: kube::Error,
    },
    /// Whoever started it gave up first.
    #[error("it was ended before it was done: see what holds it up, and give it more time")]
    Ended,
    /// Some finalizers are still there.
    #[error(
        "the finalizer {FINALIZER} could not be removed from {}: remove it with kubectl edit, or they can never be deleted",
        feeds.join(", ")
    )]
    Held {
        /// Of which feeds, as `namespace/name`.
        feeds: Vec<String>,
    },
}

pub(crate) fn main(args: LeaveArgs) -> ExitCode {
    let log = args.log.clone();
    process::run(&log, async {
        let client = match crate::client::infer().await {
            Ok(client) => client,
            Err(error) => return fail(EXIT_USAGE, &error),
        };
        // A Job whose time is over ends its pod so.
        let mut asked = match signal(SignalKind::terminate()) {
            Ok(asked) => asked,
            Err(error) => return fail(EXIT_FAILED, &error),
        };
        let ended = async {
            asked.recv().await;
        };
        match leave(&client, &Leave::from(args), ended).await {
            Ok(()) => ExitCode::SUCCESS,
            Err(error) => fail(EXIT_FAILED, &error),
        }
    })
}

impl From<LeaveArgs> for Leave {
    fn from(args: LeaveArgs) -> Self {
        let LeaveArgs {
            operator_deployment,
            operator_namespace,
            place,
            bundled_nats,
            log: _,
        } = args;
        Self {
            deployment: operator_deployment,
            namespace: operator_namespace,
            place: Where::from(place),
            bundled: bundled_nats,
        }
    }
}

/// Stops the operator and lets its feeds go, until `ended` comes. What fails after the operator was stopped starts it again:
/// the release stays then, and its feeds need somebody.
///
/// # Errors
/// When feeds need what goes with it: nothing was changed then. When the API server refuses something, and when `ended` came
/// first.
pub async fn leave(
    client: &Client,
    what: &Leave,
    ended: impl Future<Output = ()>,
) -> Result<(), Error> {
    if !what.bundled.is_empty() {
        let used = Feeds::reached(client, &what.place).list().await?;
        let used = used
            .iter()
            .filter(|feed| bundled::uses(feed, &what.bundled, &what.namespace));
        let used: Vec<String> = used.map(named).collect();
        if !used.is_empty() {
            return Err(Error::InUse { feeds: used });
        }
    }
    let operator = Operator::of(client, what);
    let found = operator.found().await?;
    let going = async {
        match &found {
            Some(found) => operator.end(found).await?,
            None => tracing::info!(deployment = what.deployment, "the operator is not there"),
        }
        Feeds::looked_after(client, &what.place).let_go().await
    };
    let left = tokio::select! {
        left = going => left,
        () = ended => Err(Error::Ended),
    };
    if let (Err(_), Some(found)) = (&left, &found) {
        operator.come_back(found).await;
    }
    left
}

/// The operator, as its Deployment has it.
struct Operator<'a> {
    deployments: Api<Deployment>,
    pods: Api<Pod>,
    name: &'a str,
}

impl<'a> Operator<'a> {
    fn of(client: &Client, what: &'a Leave) -> Self {
        Self {
            deployments: Api::namespaced(client.clone(), &what.namespace),
            pods: Api::namespaced(client.clone(), &what.namespace),
            name: &what.deployment,
        }
    }

    /// None where it has ended already.
    async fn found(&self) -> Result<Option<Deployment>, Error> {
        let found = self.deployments.get_opt(self.name).await;
        found.map_err(api("read the operator's Deployment"))
    }

    async fn end(&self, found: &Deployment) -> Result<(), Error> {
        self.scale(0).await?;
        tracing::info!(deployment = self.name, "the operator is scaled down");
        self.pods_end(found).await
    }

    async fn scale(&self, replicas: i32) -> Result<(), Error> {
        let patch = json!({ "spec": { "replicas": replicas } });
        let (how, patch) = (PatchParams::default(), Patch::Merge(&patch));
        let scaled = self.deployments.patch_scale(self.name, &how, &patch).await;
        scaled.map(drop).map_err(api("scale the operator"))
    }

    /// As many as there were. What fails here is told beside what has failed before.
    async fn come_back(&self, found: &Deployment) {
        let replicas = found.spec.as_ref().and_then(|spec| spec.replicas);
        let replicas = replicas.unwrap_or(1);
        match self.scale(replicas).await {
            Ok(()) => tracing::info!(deployment = self.name, replicas, "the operator goes on"),
            Err(error) => {
                tracing::error!(deployment = self.name, replicas, %error, "the operator does not go on: scale it up");
            }
        }
    }

    /// Waits for the end of its pods: one that runs would set the finalizers again.
    async fn pods_end(&self, found: &Deployment) -> Result<(), Error> {
        let labels = found.spec.as_ref();
        let labels = labels.and_then(|spec| spec.selector.match_labels.as_ref());
        let labels: Vec<String> = labels
            .into_iter()
            .flatten()
            .map(|(key, value)| format!("{key}={value}"))
            .collect();
        let params = ListParams::default().labels(&labels.join(","));
        let until = Instant::now() + PODS_MAX;
        loop {
            let found = self.pods.list(&params).await;
            let found = found.map_err(api("look for the operator's pods"))?;
            let left: Vec<String> = found
                .iter()
                .filter(|pod| runs(pod))
                .map(ResourceExt::name_any)
                .collect();
            if left.is_empty() {
                return Ok(());
            }
            if Instant::now() >= until {
                // One on a lost node is there for long, and does nothing.
                tracing::warn!(pods = left.join(", "), "pods of the operator are not gone");
                return Ok(());
            }
            tokio::time::sleep(LOOK_EVERY).await;
        }
    }
}

/// Whether an operator may run in it. This process may be in a pod of the same labels, but that is a Job's; and one that was
/// evicted is there until it is collected.
fn runs(pod: &Pod) -> bool {
    let phase = pod
        .status
        .as_ref()
        .and_then(|status| status.phase.as_deref());
    let is_replica = |owner: &OwnerReference| owner.kind == "ReplicaSet";
    !matches!(phase, Some("Failed" | "Succeeded")) && pod.owner_references().iter().any(is_replica)
}

/// Feeds as they are, whether or not this release can read them.
struct Feeds {
    client: Client,
    resource: ApiResource,
    all: Api<DynamicObject>,
    params: ListParams,
}

impl Feeds {
    /// Those that this release looks after.
    fn looked_after(client: &Client, place: &Where) -> Self {
        let mut feeds = Self::reached(client, place);
        if let Some(fields) = place.fields() {
            feeds.params = feeds.params.fields(&fields);
        }
        feeds
    }

    /// Those that it has rights for, also where it leaves them to other operators.
    fn reached(client: &Client, place: &Where) -> Self {
        let resource = ApiResource::erase::<MarketFeed>(&());
        let all = match place {
            Where::Everywhere { except: _ } => Api::all_with(client.clone(), &resource),
            Where::Namespace(namespace) => {
                Api::namespaced_with(client.clone(), namespace, &resource)
            }
        };
        Self {
            client: client.clone(),
            resource,
            all,
            params: ListParams::default(),
        }
    }

    async fn list(&self) -> Result<Vec<DynamicObject>, Error> {
        match self.all.list(&self.params).await {
            Ok(list) => Ok(list.items),
            // The definition is gone, and all feeds with it.
            Err(kube::Error::Api(status)) if status.is_not_found() => Ok(Vec::new()),
            Err(source) => Err(api("read the feeds")(source)),
        }
    }

    async fn let_go(&self) -> Result<(), Error> {
        let mut held = Vec::new();
        for _ in 0..PASSES_MAX {
            held = self.list().await?;
            held.retain(|feed| feed.finalizers().iter().any(|one| one == FINALIZER));
            if held.is_empty() {
                return Ok(());
            }
            for feed in &held {
                self.let_one_go(feed).await;
            }
        }
        Err(Error::Held {
            feeds: held.iter().map(named).collect(),
        })
    }

    /// What fails is tried again with the feed as it is then; one that cannot be let go holds up no other.
    async fn let_one_go(&self, feed: &DynamicObject) {
        let mut finalizers = feed.finalizers().to_vec();
        finalizers.retain(|one| one != FINALIZER);
        let patch = json!({ "metadata": {
            "finalizers": finalizers,
            "resourceVersion": feed.metadata.resource_version,
        } });
        let (name, namespace) = (feed.name_any(), feed.namespace().unwrap_or_default());
        let feeds: Api<DynamicObject> =
            Api::namespaced_with(self.client.clone(), &namespace, &self.resource);
        let is_going = feed.metadata.deletion_timestamp.is_some();
        match feeds
            .patch(&name, &PatchParams::default(), &Patch::Merge(&patch))
            .await
        {
            Ok(_) if is_going => {
                tracing::warn!(
                    feed = name,
                    namespace,
                    "let go while it is deleted: its streams may be left on NATS"
                );
            }
            Ok(_) => tracing::info!(feed = name, namespace, "let go: it runs on"),
            Err(error) => tracing::warn!(feed = name, namespace, %error, "not let go yet"),
        }
    }
}

fn named(feed: &DynamicObject) -> String {
    format!(
        "{}/{}",
        feed.namespace().unwrap_or_default(),
        feed.name_any()
    )
}

fn api(doing: &'static str) -> impl FnOnce(kube::Error) -> Error {
    move |source| Error::Api { doing, source }
}
