// Pure: what is waited for before something is called bad.
#![deny(clippy::disallowed_methods)]

use std::collections::{BTreeMap, BTreeSet};

use k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition;

use super::finding::{Finding, Kind, State};
use crate::spec::MarketFeedStatus;

/// How long a condition that was good may be bad before it is called so, in seconds: a take-over takes up to 12 s, and a
/// gateway that answers late is asked again in 10.
const BAD_FOR_S: i64 = 20;

/// Since when conditions that are called good have not been so. One a feed, from one look to the next.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Patience {
    since_s: BTreeMap<Kind, i64>,
}

impl Patience {
    /// Leaves good what was good and has been bad for a short while only, and gives what that is. What is refused by NATS is so at once, and what
    /// becomes good is; progress is neither good nor bad.
    pub(super) fn temper(
        &mut self,
        findings: &mut [Finding],
        before: Option<&MarketFeedStatus>,
        now_s: i64,
    ) -> BTreeSet<Kind> {
        let mut kept = BTreeSet::new();
        for finding in findings {
            let kind = finding.kind;
            let old = before.and_then(|status| of_kind(status, kind));
            let was_good = old.filter(|old| old.status == State::Good.as_str());
            let passing = !matches!(kind, Kind::NatsReady | Kind::Progressing)
                || finding.state == State::Unknown;
            let (Some(old), true) = (was_good, passing && finding.state != State::Good) else {
                self.since_s.remove(&kind);
                continue;
            };
            let since_s = *self.since_s.entry(kind).or_insert(now_s);
            if now_s.saturating_sub(since_s) < BAD_FOR_S {
                finding.state = State::Good;
                finding.reason = kept_reason(&old.reason);
                finding.message.clone_from(&old.message);
                kept.insert(kind);
            }
        }
        kept
    }
}

fn of_kind(status: &MarketFeedStatus, kind: Kind) -> Option<&Condition> {
    status
        .conditions
        .iter()
        .find(|condition| condition.type_ == kind.as_str())
}

/// The word of ours that was said; a word that another release has said becomes a plain one.
fn kept_reason(reason: &str) -> &'static str {
    const OURS: [&str; 6] = [
        "Heard",
        "SomeReady",
        "AllReady",
        "Fresh",
        "Active",
        "Running",
    ];
    OURS.into_iter()
        .find(|word| *word == reason)
        .unwrap_or("Kept")
}
