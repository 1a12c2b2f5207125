//! The controller: what is wanted of each MarketFeed, what is there, and what brings the one to the other.
//!
//! It sends nothing that changes nothing: what it has applied is remembered (its `ledger`), and what is there is watched. It
//! plans from the assignment that is in force, which is in the feed's ConfigMap and nowhere else.

use std::sync::Arc;
use std::time::Duration;

use futures_util::StreamExt;
use kube::api::Api;
use kube::core::DeserializeGuard;
use kube::runtime::controller::{self, Action, Config, Controller};
use kube::{Client, ResourceExt};

use crate::build::Release;
use crate::metrics::Metrics;
use crate::spec::MarketFeed;

/// What has been applied, and so what is to be.
pub mod ledger;

/// How objects stand that are there.
pub mod standing;

/// Which workload may change now.
pub mod rollout;

/// Whether shards that go have nothing left.
pub mod handover;

/// Whose turn it is when all feeds change.
pub mod fleet;

/// Which pod owns a shard.
pub mod owners;

/// Which pods go first when there are to be fewer.
pub mod costs;

/// How a feed goes, step by step.
pub mod deletion;

/// Whether its namespace goes too.
pub mod ending;

/// What is there, as it is watched.
mod stores;

/// Writes to the API server.
mod writes;

/// What is remembered of feeds, and why they are not as they should be.
mod context;

/// What of a feed's pods matters here.
mod pods;

/// One feed, from what is wanted to what is said of it.
mod reconcile;

/// What is wanted, applied.
mod applying;

/// What the API server refuses.
mod refusals;

/// How its parts are.
mod observing;

/// Which gateways are asked.
pub mod slow;

/// A feed that is deleted.
mod going;

/// What pods say of themselves.
mod ask;

/// In which namespaces.
mod place;

pub use ask::{Ask, HttpAsk, ShardAnswer};
pub use context::{Context, Error};
pub use deletion::FINALIZER;
pub use place::Where;
pub use reconcile::{Next, reconcile, undecodable};
pub(crate) use refusals::is_terminating;
pub use stores::{Kinds, Stores, Watched};
pub(crate) use writes::try_create;

/// How often a feed is looked at when nothing has changed: its gateways are asked what they hear.
const LOOK_EVERY: Duration = Duration::from_secs(10);

/// And while something is waited for that is not watched.
const LOOK_SOON: Duration = Duration::from_secs(2);

/// How long events of a feed are gathered before it is looked at.
const GATHERED_FOR: Duration = Duration::from_millis(500);

/// Feeds that are looked at at one time. Most of that time is waiting, for pods that do not answer; fewer of them are written at one
/// time.
const AT_A_TIME: u16 = 32;

/// Looks after feeds until it is dropped. Streams that it watches by are the only tasks' work: it spawns nothing.
/// Shards that are not wanted any more go on for `shard_linger`, if there is one, and else as long as they should.
pub async fn run(
    client: Client,
    place: Where,
    release: Release,
    metrics: Metrics,
    instance: &str,
    shard_linger: Option<Duration>,
) {
    let (stores, watched) = stores::watch(&client, &place);
    let mut context = Context::new(client.clone(), release, stores, Arc::new(HttpAsk));
    if let Some(time) = shard_linger {
        context = context.with_linger(time, time);
    }
    let context = Arc::new(context.with_metrics(metrics).with_instance(instance));
    let feeds: Api<DeserializeGuard<MarketFeed>> = place.api(client);
    let controller = Controller::new(feeds, place.watched()).with_config(
        Config::default()
            .debounce(GATHERED_FOR)
            .concurrency(AT_A_TIME),
    );
    let there = controller.store();
    let Watched {
        config_maps,
        services,
        deployments,
        budgets,
        autoscalers,
        policies,
        jobs,
        pods,
    } = watched;
    let controller = controller
        .owns_stream(config_maps)
        .owns_stream(services)
        .owns_stream(deployments)
        .owns_stream(budgets)
        .owns_stream(autoscalers)
        .owns_stream(policies)
        .owns_stream(jobs);
    let feeds = controller.run(looked_at, failed, Arc::clone(&context));
    let feeds = feeds.for_each(|outcome| {
        if let Err(error) = outcome {
            tracing::debug!(%error, "a look at a feed failed");
            if let controller::Error::ObjectNotFound(_) = error {
                let there = there.state().into_iter().filter_map(|feed| feed.uid());
                context.forget_others(&there.collect());
            }
        }
        std::future::ready(())
    });
    // Pods are read and trigger nothing: they change with each probe.
    let pods = pods.for_each(|_| std::future::ready(()));
    futures_util::future::join(feeds, pods).await;
}

async fn looked_at(
    feed: Arc<DeserializeGuard<MarketFeed>>,
    context: Arc<Context>,
) -> Result<Action, Error> {
    match &feed.0 {
        Ok(feed) => {
            let next = reconcile(feed, &context).await?;
            context.handle_success(&feed.uid().unwrap_or_default());
            Ok(Action::requeue(match next {
                Next::Usual => LOOK_EVERY,
                Next::Soon => LOOK_SOON,
            }))
        }
        Err(invalid) => {
            undecodable(invalid, &context).await?;
            Ok(Action::await_change())
        }
    }
}

/// Each feed has its own pauses.
#[expect(clippy::needless_pass_by_value, reason = "as the controller calls it")]
fn failed(feed: Arc<DeserializeGuard<MarketFeed>>, error: &Error, context: Arc<Context>) -> Action {
    let (name, namespace) = (feed.name_any(), feed.namespace().unwrap_or_default());
    let pause = context.handle_failure(&feed.uid().unwrap_or_default());
    tracing::warn!(feed = name, namespace, %error, pause_s = pause.as_secs(), "a feed is not as it should be");
    Action::requeue(pause)
}
