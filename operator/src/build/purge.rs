// Pure: the Job that removes a feed from NATS when its MarketFeed is deleted.
#![deny(clippy::disallowed_methods)]

use k8s_openapi::api::batch::v1::{Job, JobSpec};

use super::files::Secrets;
use super::names::{self, Component};
use super::pod::{self, Process};
use super::{Release, env, meta};
use crate::ValidFeed;

/// All its tries together, in seconds: a deletion does not wait longer for it.
const DEADLINE_S: i64 = 60;

/// How long it can be looked at when it is over, in seconds; its owner is gone before.
const KEPT_S: i32 = 600;

/// The Job. It runs when the feed's pods are gone: they would make the streams anew.
#[must_use]
pub fn purge_job(feed: &ValidFeed, release: &Release) -> Job {
    let labels = meta::labels(feed, Component::Purge, None);
    let process = Process {
        command: &["marketfeed-marketdata", "purge"],
        image: feed.image.as_deref().unwrap_or(&release.image),
        env: env::of_purge(feed),
        files: Secrets::of_purge(feed).volumes().collect(),
        serves: None,
        requests: ("50m", "64Mi"),
        grace_s: 1,
        labels: labels.clone(),
        selector: meta::selector(feed, Component::Purge, None),
        annotations: meta::Labels::new(),
        // Where the market-data pods may run and pull their image, it may too.
        said: &feed.marketdata_pods,
    };
    Job {
        metadata: meta::object(
            feed,
            names::component(&feed.identity, Component::Purge),
            labels,
        ),
        spec: Some(JobSpec {
            active_deadline_seconds: Some(DEADLINE_S),
            // What it does it tries again itself, until its time is over.
            backoff_limit: Some(1),
            ttl_seconds_after_finished: Some(KEPT_S),
            template: pod::template(process, "Never"),
            ..JobSpec::default()
        }),
        status: None,
    }
}
