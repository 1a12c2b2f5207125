// Pure: which pods go first when there are to be fewer. Written only when it changes much: steady traffic causes no write.
#![deny(clippy::disallowed_methods)]

use std::collections::BTreeMap;

/// How often a pod's cost is changed at most, and gateways are asked how many clients they have, in seconds.
const CHANGED_EVERY_S: i64 = 60;

/// When the pods' costs were changed last.
#[derive(Debug, Clone, Default)]
pub struct Costs {
    changed_s: BTreeMap<String, i64>,
    /// When gateways were asked last, in Unix seconds.
    asked_s: Option<i64>,
}

/// A gateway's cost: how many binary digits its number of clients has. It stays as it is until the number is a quarter beyond
/// what that cost stands for; a first client makes none.
#[must_use]
pub fn of_gateway(connections: u64, cost: i32) -> i32 {
    let wanted = digits(connections);
    let above = digits(connections.saturating_mul(4) / 5);
    let below = digits(connections.saturating_mul(4).div_ceil(3));
    if cost < above || cost > below {
        wanted
    } else {
        cost
    }
}

fn digits(number: u64) -> i32 {
    // At most 64.
    i32::try_from(u64::BITS - number.leading_zeros()).unwrap_or(i32::MAX)
}

impl Costs {
    /// Whether gateways are to be asked now.
    pub fn is_due(&mut self, now_s: i64) -> bool {
        let is_due = self
            .asked_s
            .is_none_or(|asked_s| now_s.saturating_sub(asked_s) >= CHANGED_EVERY_S);
        if is_due {
            self.asked_s = Some(now_s);
        }
        is_due
    }

    /// Which pods' costs are to be written, of pods with what they cost now and are to cost.
    pub fn poll_marks(
        &mut self,
        pods: impl Iterator<Item = (String, i32, i32)>,
        now_s: i64,
    ) -> Vec<(String, i32)> {
        self.changed_s
            .retain(|_, changed_s| now_s.saturating_sub(*changed_s) < CHANGED_EVERY_S);
        let mut marks = Vec::new();
        for (pod, now, wanted) in pods {
            if now != wanted && !self.changed_s.contains_key(&pod) {
                self.changed_s.insert(pod.clone(), now_s);
                marks.push((pod, wanted));
            }
        }
        marks
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_gateways_cost_rises_with_its_clients() {
        let mut before = -1;
        for (connections, expect) in [(0, 0), (2, 2), (4, 3), (1_500, 11), (15_000, 14)] {
            let cost = of_gateway(connections, 0);
            assert_eq!(cost, expect, "{connections}");
            assert!(cost > before);
            before = cost;
        }
    }

    #[test]
    fn it_stays_as_it_is_near_a_border() {
        let check = |connections, cost, expect| {
            assert_eq!(
                of_gateway(connections, cost),
                expect,
                "{connections} from {cost}"
            );
        };
        // 1,024 has eleven digits, and 1,023 ten.
        for connections in [800, 1_000, 1_023, 1_024, 1_200, 1_279] {
            check(connections, 10, 10);
        }
        check(1_280, 10, 11);
        for connections in [1_279, 1_024, 1_000, 769] {
            check(connections, 11, 11);
        }
        check(767, 11, 10);
        check(0, 1, 0);
        check(u64::MAX, 0, 64);
    }

    #[test]
    fn a_pod_is_written_to_once_a_minute_at_most() {
        let mut costs = Costs::default();
        let pods = |of: &[(&str, i32, i32)]| {
            let owned = of
                .iter()
                .map(|(pod, now, wanted)| ((*pod).to_owned(), *now, *wanted));
            owned.collect::<Vec<_>>().into_iter()
        };
        let first = costs.poll_marks(pods(&[("a", 0, 1), ("b", 0, 0)]), 100);
        assert_eq!(first, [("a".to_owned(), 1)]);
        assert_eq!(costs.poll_marks(pods(&[("a", 1, 0)]), 159), []);
        assert_eq!(
            costs.poll_marks(pods(&[("a", 1, 0)]), 160),
            [("a".to_owned(), 0)]
        );
        assert!(costs.is_due(0) && !costs.is_due(59) && costs.is_due(60));
    }
}
