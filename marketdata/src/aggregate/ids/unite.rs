// Pure: the ids that two series of one instrument have seen.
#![deny(clippy::disallowed_methods)]

use super::{Hole, Ids, Run};

impl Ids {
    /// Whether of the ids from `from_id` to `to_id`, both included, all that the other has seen were seen here.
    pub(in crate::aggregate) fn covers(&self, other: &Self, from_id: u64, to_id: u64) -> bool {
        let of_range = |run: &&Run| run.lo <= to_id && run.hi >= from_id;
        other.runs.iter().filter(of_range).all(|run| {
            let (lo, hi) = (run.lo.max(from_id), run.hi.min(to_id));
            let after = self.runs.partition_point(|own| own.lo <= lo);
            after > 0 && hi <= self.runs[after - 1].hi
        })
    }

    /// Whether any id from `from_id` to `to_id`, both included, was seen.
    pub(in crate::aggregate) fn has_any(&self, from_id: u64, to_id: u64) -> bool {
        self.runs
            .iter()
            .any(|run| run.lo <= to_id && run.hi >= from_id)
    }

    /// What either has seen was seen. Gives the holes that are given up for it, and whether they had been told.
    pub(in crate::aggregate) fn unite(&mut self, other: &Self, slack_ms: i64) -> Vec<(Hole, bool)> {
        let mut runs: Vec<Run> = self.runs.iter().chain(&other.runs).copied().collect();
        runs.sort_by_key(|run| run.lo);
        let mut united: Vec<Run> = Vec::with_capacity(runs.len());
        for run in runs {
            match united.last_mut() {
                Some(last) if run.lo <= last.hi.saturating_add(1) => {
                    last.against |= run.against || (run.lo > last.hi && last.max_ms > run.min_ms);
                    if run.hi > last.hi {
                        (last.hi, last.price) = (run.hi, run.price);
                    }
                    last.take(run.min_ms);
                    last.take(run.max_ms);
                }
                _ => united.push(Run {
                    told: self.is_told_below(run.lo) || other.is_told_below(run.lo),
                    ..run
                }),
            }
        }
        self.runs = united;
        let inverted = |pair: &[Run]| pair[0].max_ms > pair[1].min_ms;
        self.against |= other.against || self.runs.windows(2).any(inverted);
        self.newest_ms = self.newest_ms.max(other.newest_ms);
        self.bound(self.runs_max, slack_ms)
    }

    /// Whether what is missing right below the id has been told. The id is the lowest of a run here, or missing.
    fn is_told_below(&self, id: u64) -> bool {
        let above = self.runs.partition_point(|run| run.lo < id);
        above > 0 && self.runs.get(above).is_some_and(|run| run.told)
    }
}
