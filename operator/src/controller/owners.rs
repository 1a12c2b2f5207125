// Pure: which pod owns a shard. The bus says under which epoch a shard is published, and a pod says which claim is its own: the
// two together name the owner, so that a pod that only believes it is one is not named.
#![deny(clippy::disallowed_methods)]

use std::collections::{BTreeMap, BTreeSet};

use super::ask::ShardAnswer;

/// How long a shard's pods are not asked again that did not say who owns it, in seconds.
const ASKED_FOR_S: i64 = 30;

/// Shards whose pods are asked in one look: each has a few of them.
const ASKED_MAX: usize = 32;

/// What is known of the owners. In a steady feed nobody is asked.
#[derive(Debug, Clone, Default)]
pub struct Owners {
    known: BTreeMap<u16, Owner>,
    /// When the pods of a shard were asked last, in Unix seconds.
    asked_s: BTreeMap<u16, i64>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
struct Owner {
    epoch: u64,
    pod: String,
}

impl Owners {
    /// Shards whose pods are to be asked, where they are heard under these epochs and those pods are there.
    pub fn poll_questions(
        &mut self,
        epochs: &BTreeMap<u16, u64>,
        pods: &BTreeSet<String>,
        now_s: i64,
    ) -> BTreeSet<u16> {
        self.known.retain(|shard, owner| {
            epochs.get(shard) == Some(&owner.epoch) && pods.contains(&owner.pod)
        });
        self.asked_s.retain(|shard, _| epochs.contains_key(shard));
        let is_due = |shard: &u16| {
            let asked_s = self.asked_s.get(shard);
            !self.known.contains_key(shard)
                && asked_s.is_none_or(|asked_s| now_s.saturating_sub(*asked_s) >= ASKED_FOR_S)
        };
        let due: BTreeSet<u16> = epochs
            .keys()
            .copied()
            .filter(is_due)
            .take(ASKED_MAX)
            .collect();
        self.asked_s.extend(due.iter().map(|shard| (*shard, now_s)));
        due
    }

    /// What all pods of a shard said, or did not. An owner publishes under its claim, or above it where a clock ran ahead
    /// before: then it is the latest claim, if nobody is left who may have a later one.
    pub fn handle_answers<'a>(
        &mut self,
        shard: u16,
        epoch: u64,
        answers: impl Iterator<Item = (&'a str, Option<&'a ShardAnswer>)>,
    ) {
        let mut all = true;
        let mut latest: Option<(u64, &str)> = None;
        for (pod, answer) in answers {
            all &= answer.is_some();
            let claims = answer.filter(|answer| ["taking", "active"].contains(&&answer.role[..]));
            let Some(claim) = claims.and_then(|answer| answer.claim) else {
                continue;
            };
            if claim <= epoch {
                latest = latest.max(Some((claim, pod)));
            }
        }
        let Some((_, pod)) = latest.filter(|(claim, _)| *claim == epoch || all) else {
            return;
        };
        let pod = pod.to_owned();
        self.known.insert(shard, Owner { epoch, pod });
        self.asked_s.remove(&shard);
    }

    /// The pods that own shards, where that is known.
    #[must_use]
    pub fn known(&self) -> BTreeMap<u16, String> {
        let known = self.known.iter();
        known
            .map(|(shard, owner)| (*shard, owner.pod.clone()))
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answer(role: &str, claim: Option<u64>) -> ShardAnswer {
        ShardAnswer {
            role: role.to_owned(),
            claim,
            ..ShardAnswer::default()
        }
    }

    fn pods(names: &[&str]) -> BTreeSet<String> {
        names.iter().map(|name| (*name).to_owned()).collect()
    }

    #[track_caller]
    fn check(epoch: u64, answers: &[(&str, Option<ShardAnswer>)], expect: Option<&str>) {
        let mut owners = Owners::default();
        let answers = answers.iter().map(|(pod, answer)| (*pod, answer.as_ref()));
        owners.handle_answers(0, epoch, answers);
        assert_eq!(owners.known().get(&0).map(|pod| &pod[..]), expect);
    }

    #[test]
    fn the_one_whose_claim_is_heard_owns_it() {
        let standby = || ("b", Some(answer("standby", None)));
        check(
            7,
            &[("a", Some(answer("active", Some(7)))), standby()],
            Some("a"),
        );
        check(
            7,
            &[("a", Some(answer("taking", Some(7)))), ("b", None)],
            Some("a"),
        );
        // One that believes it still is, and one that is.
        let old = ("a", Some(answer("active", Some(5))));
        check(7, &[old, ("b", Some(answer("active", Some(7))))], Some("b"));
        // Above its claim, and nobody else is left.
        check(
            9,
            &[("a", Some(answer("active", Some(7)))), standby()],
            Some("a"),
        );
        check(
            9,
            &[("a", Some(answer("active", Some(7)))), ("b", None)],
            None,
        );
        // It has claimed what is not heard yet.
        check(
            5,
            &[("a", Some(answer("taking", Some(7)))), standby()],
            None,
        );
        check(5, &[standby()], None);
    }

    #[test]
    fn nobody_is_asked_of_what_is_known() {
        let mut owners = Owners::default();
        let mut epochs = BTreeMap::from([(0, 7), (1, 8)]);
        let there = pods(&["a", "b"]);
        assert_eq!(owners.poll_questions(&epochs, &there, 0), [0, 1].into());
        let first = answer("active", Some(7));
        owners.handle_answers(0, 7, [("a", Some(&first))].into_iter());
        // The other one is asked again after a while.
        assert_eq!(owners.poll_questions(&epochs, &there, 29), [].into());
        assert_eq!(owners.poll_questions(&epochs, &there, 30), [1].into());
        // Another epoch, or a pod that is gone, is another question.
        epochs.insert(0, 9);
        assert_eq!(owners.poll_questions(&epochs, &there, 31), [0].into());
        assert_eq!(owners.known(), BTreeMap::new());
        let next = answer("active", Some(9));
        owners.handle_answers(0, 9, [("b", Some(&next))].into_iter());
        assert_eq!(owners.known(), [(0, "b".to_owned())].into());
        assert_eq!(
            owners.poll_questions(&epochs, &pods(&["a"]), 32),
            [0].into()
        );
        assert_eq!(owners.known(), BTreeMap::new());
    }
}
