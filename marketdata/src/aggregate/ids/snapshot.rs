// Pure: seen ids as plain data.
#![deny(clippy::disallowed_methods)]

use super::{Hole, Ids, Run, hole};
use crate::aggregate::snapshot::{IdsSnapshot, RunSnapshot};

impl Ids {
    /// Gives up the oldest holes until there are no more than `runs_max` runs; gives each, and whether it had been
    /// told.
    pub(in crate::aggregate) fn bound(
        &mut self,
        runs_max: usize,
        slack_ms: i64,
    ) -> Vec<(Hole, bool)> {
        let mut given_up = Vec::new();
        while self.runs.len() > runs_max.max(1) {
            given_up.push(self.give_up(slack_ms));
        }
        self.count_holes();
        given_up
    }

    /// The oldest hole counts as seen from now on. There is one.
    pub(super) fn give_up(&mut self, slack_ms: i64) -> (Hole, bool) {
        let told = self.runs[1].told;
        let hole = hole(&self.runs[0], &self.runs[1], slack_ms);
        let time_ms = self.runs[0].min_ms;
        self.join(1, time_ms);
        (hole, told)
    }

    pub(in crate::aggregate) fn snapshot(&self) -> IdsSnapshot {
        let run = |run: &Run| RunSnapshot {
            lo: run.lo,
            hi: run.hi,
            min: run.min_ms,
            max: run.max_ms,
            price: run.price,
            told: run.told,
            against: run.against,
        };
        IdsSnapshot {
            runs: self.runs.iter().map(run).collect(),
            against: self.against,
            newest: self.newest_ms,
        }
    }

    /// What a snapshot cannot say truly, such as runs that overlap, is left out.
    pub(in crate::aggregate) fn restore(snapshot: &IdsSnapshot, runs_max: usize) -> Self {
        let mut ids = Self::new(runs_max);
        for run in &snapshot.runs {
            let apart = |below: &Run| run.lo > below.hi && run.lo - below.hi > 1;
            if run.lo > run.hi || run.min > run.max || !ids.runs.last().is_none_or(apart) {
                continue;
            }
            ids.runs.push(Run {
                lo: run.lo,
                hi: run.hi,
                min_ms: run.min,
                max_ms: run.max,
                price: run.price,
                told: run.told,
                against: run.against,
            });
        }
        ids.against = snapshot.against;
        let newest = ids.runs.iter().map(|run| run.max_ms).max();
        ids.newest_ms = snapshot.newest.max(newest);
        ids.count_holes();
        ids
    }
}
