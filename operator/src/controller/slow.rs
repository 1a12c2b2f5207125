// Pure: which gateways are asked what they hear. One that did not answer is asked after the others for a while.
#![deny(clippy::disallowed_methods)]

use std::collections::BTreeMap;

/// Gateways that are asked in one look, at the same time.
const ASKED_MAX: usize = 2;

/// How long one that did not answer is asked after the others, in seconds.
const SLOW_FOR_S: i64 = 60;

/// Which gateways did not answer, and when, in Unix seconds.
#[derive(Debug, Clone, Default)]
pub struct Slow {
    at_s: BTreeMap<String, i64>,
}

impl Slow {
    /// Those that are asked now, of addresses in the order in which they are asked otherwise.
    pub fn poll_asked(&mut self, mut addresses: Vec<String>, now_s: i64) -> Vec<String> {
        self.at_s.retain(|address, at_s| {
            now_s.saturating_sub(*at_s) < SLOW_FOR_S && addresses.contains(address)
        });
        addresses.sort_by_key(|address| self.at_s.contains_key(address));
        addresses.truncate(ASKED_MAX);
        addresses
    }

    /// Whether one has answered.
    pub fn handle_answer(&mut self, address: &str, answered: bool, now_s: i64) {
        if answered {
            self.at_s.remove(address);
        } else {
            self.at_s.insert(address.to_owned(), now_s);
        }
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
    fn one_that_does_not_answer_is_asked_after_the_others_for_a_while() {
        let mut slow = Slow::default();
        check(&mut slow, &["a", "b", "c"], 0, &["a", "b"]);
        slow.handle_answer("a", false, 0);
        slow.handle_answer("b", true, 0);
        check(&mut slow, &["a", "b", "c"], 10, &["b", "c"]);
        // Where there is no other, it is asked all the same.
        check(&mut slow, &["a", "b"], 20, &["b", "a"]);
        check(&mut slow, &["a"], 30, &["a"]);
        slow.handle_answer("a", false, 30);
        check(&mut slow, &["a", "b"], 30 + SLOW_FOR_S - 1, &["b", "a"]);
        check(&mut slow, &["a", "b"], 30 + SLOW_FOR_S, &["a", "b"]);
        slow.handle_answer("a", false, 100);
        slow.handle_answer("a", true, 110);
        check(&mut slow, &["a", "b"], 110, &["a", "b"]);
    }
}
