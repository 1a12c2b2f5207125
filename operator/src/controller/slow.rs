// Pure: which gateways are asked what they hear. One that did not answer is left alone for a while.
#![deny(clippy::disallowed_methods)]

use std::collections::BTreeMap;

/// Gateways that are asked in one look, at the same time.
const ASKED_MAX: usize = 2;

/// How long one is left alone that did not answer, in seconds; from the third time in a row on twice as long each time. Feeds are
/// looked at more seldom than that, so that one or two answers that are missed are asked for again by the next look.
const LEFT_FOR_S: i64 = 8;

/// The longest that one is left alone, in seconds, and so the longest that one is overlooked which answers again. Whoever is waited
/// for in vain takes the time of other feeds: of a cluster in which no gateway can be reached, one in so many seconds.
const LEFT_FOR_MAX_S: i64 = 32;

/// Which gateways did not answer.
#[derive(Debug, Clone, Default)]
pub struct Slow {
    missed: BTreeMap<String, Missed>,
}

/// Questions in a row that one did not answer.
#[derive(Debug, Clone, Copy)]
struct Missed {
    /// How many.
    count: u32,
    /// When it was asked last, in Unix seconds.
    at_s: i64,
    /// How long it is left alone then.
    for_s: i64,
}

impl Slow {
    /// Those that are asked now, of addresses in the order in which they are asked otherwise.
    pub fn poll_asked(&mut self, mut addresses: Vec<String>, now_s: i64) -> Vec<String> {
        self.missed.retain(|address, _| addresses.contains(address));
        addresses.retain(|address| {
            let missed = self.missed.get(address);
            missed.is_none_or(|missed| now_s.saturating_sub(missed.at_s) >= missed.for_s)
        });
        // Those that answered before those that are tried again.
        addresses.sort_by_key(|address| self.missed.contains_key(address));
        addresses.truncate(ASKED_MAX);
        addresses
    }

    /// Whether one has answered.
    pub fn handle_answer(&mut self, address: &str, answered: bool, now_s: i64) {
        if answered {
            self.missed.remove(address);
            return;
        }
        let (before, for_s) = self
            .missed
            .get(address)
            .map_or((0, LEFT_FOR_S), |missed| (missed.count, missed.for_s));
        let count = before.saturating_add(1);
        let for_s = if count < 3 {
            for_s
        } else {
            (for_s * 2).min(LEFT_FOR_MAX_S)
        };
        let missed = Missed {
            count,
            at_s: now_s,
            for_s,
        };
        self.missed.insert(address.to_owned(), missed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(slow: &mut Slow, of: &[&str], now_s: i64, expect: &[&str]) {
        let addresses = of.iter().map(|address| (*address).to_owned()).collect();
        assert_eq!(slow.poll_asked(addresses, now_s), expect);
    }

    #[test]
    fn one_that_does_not_answer_is_left_alone_longer_and_longer() {
        let mut slow = Slow::default();
        check(&mut slow, &["a", "b", "c"], 0, &["a", "b"]);
        slow.handle_answer("a", false, 0);
        slow.handle_answer("b", true, 0);
        check(&mut slow, &["a", "b", "c"], 7, &["b", "c"]);
        // Also where there is no other.
        check(&mut slow, &["a"], 7, &[]);
        check(&mut slow, &["a"], 8, &["a"]);
        let mut at_s = 8;
        for for_s in [8, 16, 32, 32] {
            slow.handle_answer("a", false, at_s);
            check(&mut slow, &["a"], at_s + for_s - 1, &[]);
            at_s += for_s;
            check(&mut slow, &["a"], at_s, &["a"]);
        }
    }

    #[test]
    fn one_that_is_tried_again_comes_after_those_that_answer() {
        let mut slow = Slow::default();
        slow.handle_answer("a", false, 0);
        check(&mut slow, &["a", "b", "c"], 8, &["b", "c"]);
        check(&mut slow, &["a", "b"], 8, &["b", "a"]);
        slow.handle_answer("a", true, 8);
        check(&mut slow, &["a", "b"], 8, &["a", "b"]);
        // One that answered once begins anew.
        slow.handle_answer("a", false, 20);
        check(&mut slow, &["a"], 27, &[]);
        check(&mut slow, &["a"], 28, &["a"]);
    }

    #[test]
    fn one_that_is_gone_is_forgotten() {
        let mut slow = Slow::default();
        slow.handle_answer("a", false, 0);
        check(&mut slow, &["b"], 1, &["b"]);
        check(&mut slow, &["a"], 2, &["a"]);
    }
}
