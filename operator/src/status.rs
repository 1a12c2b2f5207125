// Pure: what is said of a feed, from what was seen of it. Whether bars flow is told by what a gateway hears on the bus, and
// not by whether pods are ready: a ready pod may hear nothing.
#![deny(clippy::disallowed_methods)]

use std::collections::BTreeMap;
use std::fmt;

use k8s_openapi::apimachinery::pkg::apis::meta::v1::{Condition, Time};
use k8s_openapi::jiff::Timestamp;
use wire::Assignment;
use wire::api::FeedReport;

use crate::ValidFeed;
use crate::build::names;
use crate::spec::{AssignmentStatus, MarketFeedStatus, SummaryStatus};
use crate::validate::Invalid;

/// Workloads, as Kubernetes tells of them.
mod workload;

/// Why pods do not run.
mod trouble;

/// What gateways hear, by shard.
mod heard;

/// One condition each.
mod finding;

/// What is waited for before something is called bad.
mod patience;

/// What has become otherwise, for events.
mod transition;

pub use finding::{Finding, Kind, State};
pub use patience::Patience;
pub use transition::{Transition, transitions};
pub use trouble::Trouble;
pub(crate) use trouble::pods_refusal;
pub use workload::{Scaling, Workload};

use heard::Heard;

/// What was seen of a feed's parts at one time.
#[derive(Debug, Clone, Default)]
pub struct Observed {
    /// The gateways.
    pub gateway: Workload,
    /// The shards, by number.
    pub shards: Vec<Workload>,
    /// The autoscaler, where there is one.
    pub scaling: Option<Scaling>,
    /// What a gateway says that it hears; `None` where none answered.
    pub report: Option<FeedReport>,
    /// Whether a gateway has a connection to NATS, where it hears nothing and says so.
    pub bus_ready: Option<bool>,
    /// Why pods do not run, the first of them first; then why there are none.
    pub troubles: Vec<Trouble>,
    /// The pods that own shards, by the shard's number, where that is known.
    pub owners: BTreeMap<u16, String>,
    /// Objects whose names somebody else's have, such as `Service crypto-gateway`.
    pub taken: Vec<String>,
    /// What the API server refuses, each with its words.
    pub refused: Vec<String>,
    /// The feed that an upgrade waits for, if it does.
    pub waits_for: Option<String>,
}

/// The epochs under which shards are heard, by their numbers.
#[must_use]
pub fn epochs(report: &FeedReport, assignment: &Assignment) -> BTreeMap<u16, u64> {
    Heard::of(report, assignment).epochs()
}

/// Whether all is heard that is assigned.
#[must_use]
pub fn is_all_heard(report: &FeedReport, assignment: &Assignment) -> bool {
    Heard::of(report, assignment).silent.is_empty()
}

/// Whether anything is heard of what is assigned.
#[must_use]
pub fn is_anything_heard(report: &FeedReport, assignment: &Assignment) -> bool {
    Heard::of(report, assignment).is_anything_heard()
}

/// What is said of a feed that can run.
///
/// `now_s` is in Unix seconds. `patience` is kept from one time to the next, and so is what was said before: a condition that
/// stays as it is keeps its time, so that a steady feed's status does not change.
#[must_use]
pub fn judge(
    feed: &ValidFeed,
    assignment: &Assignment,
    observed: &Observed,
    before: &Said<'_>,
    patience: &mut Patience,
    now_s: i64,
) -> MarketFeedStatus {
    let heard = observed
        .report
        .as_ref()
        .map(|report| Heard::of(report, assignment));
    let mut findings = finding::parts(assignment, observed, heard.as_ref());
    let kept = patience.temper(&mut findings, before.status, now_s);
    findings.insert(0, finding::ready(&findings, assignment, observed));
    let shards = heard.as_ref().map(|heard| heard.shards(&observed.owners));
    let instruments = assignment.instruments().count();
    let generation = i64::try_from(assignment.generation()).unwrap_or(i64::MAX);
    // Figures stay as long as what they are of is called good out of patience.
    let last = before.status.filter(|status| {
        let last = status.assignment.as_ref();
        last.is_some_and(|last| last.generation == generation)
    });
    let figures = |kind: Kind| last.filter(|_| kept.contains(&kind))?.summary.clone();
    let last_shards = last.filter(|_| kept.contains(&Kind::ShardsOwned));
    MarketFeedStatus {
        observed_generation: Some(before.generation),
        conditions: conditions(&findings, before, now_s),
        summary: Some(SummaryStatus {
            shards: figures(Kind::ShardsOwned).map_or_else(
                || {
                    let owned = heard.as_ref().map(Heard::owned);
                    heard::of_all(owned, usize::from(feed.shards.get()))
                },
                |last| last.shards,
            ),
            instruments: i32::try_from(instruments).unwrap_or(i32::MAX),
            gateways: format!("{}/{}", observed.gateway.ready, observed.gateway.wanted),
            fresh: figures(Kind::FeedFresh).map_or_else(
                || heard::of_all(heard.as_ref().map(Heard::fresh), instruments),
                |last| last.fresh,
            ),
        }),
        assignment: Some(AssignmentStatus {
            generation,
            config_map: names::assignment(&feed.identity),
        }),
        shards: shards
            .or_else(|| Some(last_shards?.shards.clone()))
            .unwrap_or_default(),
        version: before.version.map(str::to_owned),
    }
}

/// What is said of one that cannot: its pods, if it had any, go on as they are.
#[must_use]
pub fn refused(error: &Invalid, before: &Said<'_>, now_s: i64) -> MarketFeedStatus {
    held("Invalid", error.to_string(), before, now_s)
}

/// What is said of one that waits until Kubernetes has removed what another feed of its name has left behind.
#[must_use]
pub fn succeeding(leftovers: &[String], before: &Said<'_>, now_s: i64) -> MarketFeedStatus {
    let message = format!(
        "a feed of this name was deleted, and Kubernetes has not removed all of it yet: {}; what would be made now would be \
         removed with it",
        first_few(leftovers)
    );
    held("Leftovers", message, before, now_s)
}

/// What is said of one that is deleted, while something is waited for or fails.
#[must_use]
pub fn going(message: String, before: &Said<'_>, now_s: i64) -> MarketFeedStatus {
    held(DELETING, message, before, now_s)
}

/// The reason of one that is deleted. Nothing is wrong with it.
const DELETING: &str = "Deleting";

/// It is not as it should be, for one reason, and all else that was said of it is left out.
fn held(reason: &'static str, message: String, before: &Said<'_>, now_s: i64) -> MarketFeedStatus {
    let finding = Finding {
        kind: Kind::Ready,
        state: State::Bad,
        reason,
        message,
    };
    MarketFeedStatus {
        observed_generation: Some(before.generation),
        conditions: conditions(&[finding], before, now_s),
        ..before.status.cloned().unwrap_or_default()
    }
}

/// What a status says of whether the feed is ready.
#[must_use]
pub fn readiness(status: &MarketFeedStatus) -> State {
    let mut conditions = status.conditions.iter();
    let ready = conditions.find(|condition| condition.type_ == Kind::Ready.as_str());
    let states = [State::Good, State::Bad];
    let word = ready.map_or("", |ready| &ready.status[..]);
    let said = states.into_iter().find(|state| state.as_str() == word);
    said.unwrap_or(State::Unknown)
}

/// The first few of a list, and how many more there are.
fn first_few<T: fmt::Display>(of: &[T]) -> String {
    const NAMED_MAX: usize = 5;
    let named = of.iter().take(NAMED_MAX).map(ToString::to_string);
    let named = named.collect::<Vec<_>>().join(", ");
    match of.len().saturating_sub(NAMED_MAX) {
        0 => named,
        more => format!("{named} and {more} more"),
    }
}

/// What is said of an object that this release cannot read.
#[must_use]
pub fn undecodable(error: &str, before: &Said<'_>, now_s: i64) -> MarketFeedStatus {
    let finding = Finding {
        kind: Kind::Ready,
        state: State::Bad,
        reason: "Undecodable",
        message: format!("this release of the operator cannot read it: {error}"),
    };
    MarketFeedStatus {
        observed_generation: Some(before.generation),
        conditions: conditions(&[finding], before, now_s),
        ..MarketFeedStatus::default()
    }
}

/// What was said before, and of what it is said now.
#[derive(Debug, Clone, Copy)]
pub struct Said<'a> {
    /// The status that stands.
    pub status: Option<&'a MarketFeedStatus>,
    /// The generation of the spec.
    pub generation: i64,
    /// The release of the pods, where it is known.
    pub version: Option<&'a str>,
}

fn conditions(findings: &[Finding], before: &Said<'_>, now_s: i64) -> Vec<Condition> {
    let condition = |finding: &Finding| {
        let word = finding.kind.as_str();
        let old = before
            .status
            .and_then(|status| status.conditions.iter().find(|old| old.type_ == word));
        let status = finding.state.as_str();
        let since = match old {
            Some(old) if old.status == status => old.last_transition_time.clone(),
            _ => Time(Timestamp::from_second(now_s).unwrap_or(Timestamp::UNIX_EPOCH)),
        };
        Condition {
            type_: word.to_owned(),
            status: status.to_owned(),
            reason: finding.reason.to_owned(),
            message: finding.message.clone(),
            observed_generation: Some(before.generation),
            last_transition_time: since,
        }
    };
    findings.iter().map(condition).collect()
}

#[cfg(test)]
mod tests;
