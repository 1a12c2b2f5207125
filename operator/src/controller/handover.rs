// Pure: whether what was on shards that go has been taken over by those that stay. An owner publishes an instrument until
// another shard's owner fences it, and says itself what it has left: nothing of that has to be remembered here.
#![deny(clippy::disallowed_methods)]

use wire::Assignment;
use wire::api::FeedReport;

use super::ask::ShardAnswer;
use crate::status;

/// Whether those that stay have all of it, as far as can be told from outside: a gateway hears all, and all of their pods are as
/// they should be.
#[must_use]
pub fn is_all_there(report: Option<&FeedReport>, assignment: &Assignment, settled: bool) -> bool {
    settled && report.is_some_and(|report| status::is_all_heard(report, assignment))
}

/// Whether a process of a shard that goes has nothing left, by its own answer. One that has not read the assignment yet does not
/// know that it goes.
#[must_use]
pub fn has_nothing(answer: Option<&ShardAnswer>, assignment: &Assignment) -> bool {
    answer.is_some_and(|answer| {
        let knows = answer.generation >= Some(assignment.generation());
        knows && answer.owned == Some(0) && answer.leaving == Some(0)
    })
}

#[cfg(test)]
mod tests {
    use serde_json::json;
    use wire::assignment::{WantedSource, assign};
    use wire::{Interval, ShardCount};

    use super::*;

    fn assignment() -> Assignment {
        let symbol = wire::Symbol::new("A-USD").unwrap();
        let source = WantedSource {
            venue: wire::Venue::new("coinbase").unwrap(),
            endpoints: None,
            symbols: vec![symbol],
        };
        let interval: Interval = "1m".parse().unwrap();
        let before = assign(None, vec![source.clone()], [interval], shards(2)).unwrap();
        assign(Some(&before), vec![source], [interval], shards(1)).unwrap()
    }

    fn shards(count: u16) -> ShardCount {
        ShardCount::new(count).unwrap()
    }

    /// As a process says it.
    #[track_caller]
    fn check(answer: &serde_json::Value, expect: bool) {
        let parsed: ShardAnswer = serde_json::from_value(answer.clone()).unwrap();
        assert_eq!(
            has_nothing(Some(&parsed), &assignment()),
            expect,
            "{answer}"
        );
    }

    #[test]
    fn a_process_says_itself_that_it_has_nothing_left() {
        let answer = |generation: Option<u64>, owned: u32, leaving: u32| json!({ "role": "active", "generation": generation, "owned": owned, "leaving": leaving });
        check(&answer(Some(2), 0, 0), true);
        check(&answer(Some(3), 0, 0), true);
        check(&answer(Some(2), 1, 1), false);
        // It is being taken by this process, and is to be by another.
        check(&answer(Some(2), 0, 1), false);
        // Neither has it read that it goes, nor anything at all.
        check(&answer(Some(1), 0, 0), false);
        check(&answer(None, 0, 0), false);
        // One of another release may say less.
        check(&json!({ "role": "active", "generation": 2 }), false);
        assert!(!has_nothing(None, &assignment()), "it does not answer");
    }

    #[test]
    fn those_that_stay_have_all() {
        let assignment = assignment();
        let report = |heard: u64| -> FeedReport {
            let instrument = json!({
                "venue": "coinbase", "symbol": "A-USD", "epoch": 7, "event_time": 1, "age": 5, "heard": heard,
                "fresh": true, "open_bars": 1, "fenced": 0, "closes": 1, "breaks": 0, "intervals": [],
            });
            let totals = json!({ "instruments": 1, "fresh": 1, "open_bars": 1, "fenced": 0, "closes": 1, "breaks": 0 });
            let report = json!({ "env": "a", "region": "b", "now": 1, "totals": totals, "instruments": [instrument] });
            serde_json::from_value(report).unwrap()
        };
        let all_there = |heard: Option<u64>, settled| {
            is_all_there(heard.map(report).as_ref(), &assignment, settled)
        };
        assert!(all_there(Some(5), true));
        assert!(!all_there(Some(5), false), "pods are on their way");
        assert!(!all_there(Some(99_000), true), "one is not heard");
        assert!(!all_there(None, true), "nobody can tell");
    }
}
