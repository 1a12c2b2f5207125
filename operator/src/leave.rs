//! `marketfeed-operator leave`: what is to be done before the operator is uninstalled. What it made runs on, and nothing that it
//! would have to do later is left: a feed's finalizer that nobody removes would keep the feed for ever.

use std::process::ExitCode;
use std::time::Duration;

use k8s_openapi::api::apps::v1::Deployment;
use k8s_openapi::api::core::v1::Pod;
use kube::api::{Api, ApiResource, DynamicObject, ListParams, Patch, PatchParams};
use kube::{Client, ResourceExt};
use runtime::process::{self, EXIT_FAILED, EXIT_USAGE, fail};
use serde_json::json;
use tokio::time::Instant;

use crate::args::LeaveArgs;
use crate::controller::{FINALIZER, Where};
use crate::spec::MarketFeed;

/// Which feeds use a NATS that goes with the release.
pub mod bundled;

use bundled::Bundled;

/// How long the operator's pods may take to end: their grace period, and as long again.
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
        match leave(&client, &Leave::from(args)).await {
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

/// Stops the operator and lets its feeds go.
///
/// # Errors
/// When feeds need what goes with it: nothing was changed then. When the API server refuses something.
pub async fn leave(client: &Client, what: &Leave) -> Result<(), Error> {
    let feeds = Feeds::new(client, &what.place);
    let used = feeds.list().await?;
    let used = used
        .iter()
        .filter(|feed| bundled::uses(feed, &what.bundled, &what.namespace));
    let used: Vec<String> = used.map(named).collect();
    if !used.is_empty() {
        return Err(Error::InUse { feeds: used });
    }
    stop(client, what).await?;
    feeds.let_go().await
}

/// Ends the operator: it would set the finalizers again. One that is not there has ended.
async fn stop(client: &Client, what: &Leave) -> Result<(), Error> {
    let deployments: Api<Deployment> = Api::namespaced(client.clone(), &what.namespace);
    let found = deployments
        .get_opt(&what.deployment)
        .await
        .map_err(api("read the operator's Deployment"))?;
    let Some(found) = found else {
        tracing::info!(deployment = what.deployment, "the operator is not there");
        return Ok(());
    };
    let none = json!({ "spec": { "replicas": 0 } });
    deployments
        .patch_scale(
            &what.deployment,
            &PatchParams::default(),
            &Patch::Merge(&none),
        )
        .await
        .map_err(api("scale the operator down"))?;
    tracing::info!(deployment = what.deployment, "the operator is scaled down");
    let labels = found.spec.and_then(|spec| spec.selector.match_labels);
    let labels: Vec<String> = labels
        .into_iter()
        .flatten()
        .map(|(key, value)| format!("{key}={value}"))
        .collect();
    let pods: Api<Pod> = Api::namespaced(client.clone(), &what.namespace);
    let until = Instant::now() + PODS_MAX;
    loop {
        let found = pods
            .list(&ListParams::default().labels(&labels.join(",")))
            .await
            .map_err(api("look for the operator's pods"))?;
        // This process may be in a pod of the same labels, but that is a Job's.
        let left: Vec<String> = found
            .iter()
            .filter(|pod| {
                pod.owner_references()
                    .iter()
                    .any(|owner| owner.kind == "ReplicaSet")
            })
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

/// Feeds as they are, whether or not this release can read them.
struct Feeds {
    client: Client,
    resource: ApiResource,
    all: Api<DynamicObject>,
    params: ListParams,
}

impl Feeds {
    fn new(client: &Client, place: &Where) -> Self {
        let resource = ApiResource::erase::<MarketFeed>(&());
        let all = match place {
            Where::Everywhere { except: _ } => Api::all_with(client.clone(), &resource),
            Where::Namespace(namespace) => {
                Api::namespaced_with(client.clone(), namespace, &resource)
            }
        };
        let mut params = ListParams::default();
        if let Some(fields) = place.fields() {
            params = params.fields(&fields);
        }
        Self {
            client: client.clone(),
            resource,
            all,
            params,
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
