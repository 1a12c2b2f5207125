// Pure: what has become otherwise, for events.
#![deny(clippy::disallowed_methods)]

use k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition;

use super::DELETING;
use super::finding::{Kind, State};

/// A condition that is not as it was said to be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Transition {
    /// Its type.
    pub kind: String,
    /// One word.
    pub reason: String,
    /// A sentence.
    pub message: String,
    /// Whether somebody should look.
    pub is_warning: bool,
}

/// What changed from one status to the next. What is said for the first time is no change, nor is a message with other numbers;
/// one that was not well and is so for another reason is. The sum says nothing new where it repeats a part.
#[must_use]
pub fn transitions(before: &[Condition], now: &[Condition]) -> Vec<Transition> {
    let changed = now.iter().filter(|condition| {
        let mut old = before.iter().filter(|old| old.type_ == condition.type_);
        old.any(|old| {
            let is_well = condition.status == State::Good.as_str();
            old.status != condition.status || (!is_well && old.reason != condition.reason)
        })
    });
    let changed: Vec<&Condition> = changed.collect();
    let repeats = |condition: &Condition| {
        condition.type_ == Kind::Ready.as_str()
            && changed
                .iter()
                .any(|part| part.type_ != condition.type_ && part.message == condition.message)
    };
    let transition = |condition: &&&Condition| Transition {
        kind: condition.type_.clone(),
        reason: condition.reason.clone(),
        message: condition.message.clone(),
        // Whether pods come and go is neither good nor bad, nor is it that somebody deletes it.
        is_warning: condition.status == State::Bad.as_str()
            && condition.type_ != Kind::Progressing.as_str()
            && condition.reason != DELETING,
    };
    changed
        .iter()
        .filter(|condition| !repeats(condition))
        .map(|condition| transition(&condition))
        .collect()
}

#[cfg(test)]
mod tests {
    use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
    use k8s_openapi::jiff::Timestamp;

    use super::*;

    fn condition(kind: &str, status: &str, reason: &str, message: &str) -> Condition {
        Condition {
            type_: kind.to_owned(),
            status: status.to_owned(),
            reason: reason.to_owned(),
            message: message.to_owned(),
            observed_generation: None,
            last_transition_time: Time(Timestamp::UNIX_EPOCH),
        }
    }

    #[track_caller]
    fn check(before: &[Condition], now: &[Condition], expect: &[(&str, &str, bool)]) {
        let got = transitions(before, now);
        let got: Vec<_> = got
            .iter()
            .map(|one| (&one.kind[..], &one.reason[..], one.is_warning))
            .collect();
        assert_eq!(got, expect);
    }

    #[test]
    fn each_change_once() {
        let good = [
            condition("Ready", "True", "Running", "all is well"),
            condition("ShardsOwned", "True", "Heard", "2 of 2"),
            condition("Progressing", "False", "Settled", "all there"),
        ];
        let bad = [
            condition("Ready", "False", "Silent", "1 of 2"),
            condition("ShardsOwned", "False", "Silent", "1 of 2"),
            condition("Progressing", "True", "RollingOut", "shard 1"),
        ];
        check(&[], &good, &[]);
        check(&good, &good, &[]);
        check(
            &good,
            &bad,
            &[
                ("ShardsOwned", "Silent", true),
                ("Progressing", "RollingOut", false),
            ],
        );
        check(
            &bad,
            &good,
            &[
                ("Ready", "Running", false),
                ("ShardsOwned", "Heard", false),
                ("Progressing", "Settled", false),
            ],
        );
        // Other numbers are no news.
        let other = [condition("ShardsOwned", "False", "Silent", "0 of 2")];
        check(&bad, &other, &[]);
        let invalid = [condition("Ready", "False", "Invalid", "spec.intervals")];
        check(&bad, &invalid, &[("Ready", "Invalid", true)]);
        let deleted = [condition("Ready", "False", "Deleting", "it waits")];
        check(&good, &deleted, &[("Ready", "Deleting", false)]);
    }
}
