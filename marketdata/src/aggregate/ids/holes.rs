// Pure: what is missing between runs of seen ids, and what the runs prove.
#![deny(clippy::disallowed_methods)]

use super::{Ids, Run};

/// Missing ids between two runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::aggregate) struct Hole {
    pub(in crate::aggregate) from_id: u64,
    pub(in crate::aggregate) to_id: u64,
    /// No missing trade is older.
    pub(in crate::aggregate) lo_ms: i64,
    /// No missing trade is newer.
    pub(in crate::aggregate) hi_ms: i64,
}

impl Ids {
    /// Whether one run begins before the bucket and reaches beyond it, so that every id that could be in it,
    /// where times follow ids, was seen.
    pub(in crate::aggregate) fn prove(&self, start_ms: i64, end_ms: i64) -> bool {
        let runs = self.runs.iter().rev();
        runs.take_while(|run| run.max_ms >= end_ms)
            .any(|run| run.min_ms < start_ms)
    }

    /// Shrinks a stretch in which trades may be missing to what the ids leave possible. `None` when nothing is.
    /// `to_ms` is excluded from the stretch.
    pub(in crate::aggregate) fn trim(
        &self,
        from_ms: i64,
        to_ms: i64,
        slack_ms: i64,
    ) -> Option<(i64, i64)> {
        let (mut from, mut to) = (from_ms, to_ms);
        for run in &self.runs {
            let (min, max) = (
                run.min_ms.saturating_add(slack_ms),
                run.max_ms.saturating_sub(slack_ms),
            );
            if min < from_ms && max >= from_ms {
                from = from.max(max);
            }
            if max >= to_ms && min < to_ms {
                to = to.min(min.saturating_add(1));
            }
        }
        (from < to).then_some((from, to))
    }

    /// Whether a hole that may still fill touches the bucket.
    pub(in crate::aggregate) fn in_doubt(&self, start_ms: i64, end_ms: i64, slack_ms: i64) -> bool {
        self.holes_open > 0
            && self
                .runs
                .windows(2)
                .filter(|pair| !pair[1].told)
                .map(|pair| hole(&pair[0], &pair[1], slack_ms))
                .any(|hole| hole.lo_ms < end_ms && hole.hi_ms >= start_ms)
    }

    /// Every hole, lowest first.
    pub(in crate::aggregate) fn holes(
        &self,
        slack_ms: i64,
    ) -> impl DoubleEndedIterator<Item = (Hole, bool)> + '_ {
        let pairs = self.runs.windows(2);
        pairs.map(move |pair| (hole(&pair[0], &pair[1], slack_ms), pair[1].told))
    }

    /// The holes that are left of a range of ids; where one reaches beyond it, the whole of that one.
    pub(in crate::aggregate) fn holes_within(
        &self,
        from_id: u64,
        to_id: u64,
        slack_ms: i64,
    ) -> impl Iterator<Item = Hole> + '_ {
        let holes = self.holes(slack_ms).map(|(hole, _)| hole);
        holes.filter(move |hole| hole.from_id <= to_id && hole.to_id >= from_id)
    }

    /// There are no trades of these ids: they count as seen. What of them touches no id that was seen is left; so is
    /// what lies beyond all of those. Gives whether that changed anything.
    pub(in crate::aggregate) fn fill(&mut self, from_id: u64, to_id: u64) -> bool {
        let (mut above, mut changed) = (1, false);
        while above < self.runs.len() {
            let (lo, hi) = (self.runs[above - 1].hi + 1, self.runs[above].lo - 1);
            let (from, to) = (from_id.max(lo), to_id.min(hi));
            if from > to || (from > lo && to < hi) {
                above += 1;
                continue;
            }
            changed = true;
            if from == lo && to == hi {
                let time_ms = self.runs[above].min_ms;
                self.join(above, time_ms);
                continue;
            }
            if from == lo {
                self.runs[above - 1].hi = to;
            } else {
                self.runs[above].lo = from;
            }
            above += 1;
        }
        self.count_holes();
        changed
    }

    /// The lowest hole that can no longer fill, as its newest possible trade is `settled_ms` or older.
    /// From then on it counts as told.
    pub(in crate::aggregate) fn tell_hole(
        &mut self,
        settled_ms: i64,
        slack_ms: i64,
    ) -> Option<Hole> {
        for above in 1..self.runs.len() {
            if self.runs[above].told {
                continue;
            }
            let hole = hole(&self.runs[above - 1], &self.runs[above], slack_ms);
            if hole.hi_ms <= settled_ms {
                self.runs[above].told = true;
                self.holes_open -= 1;
                return Some(hole);
            }
        }
        None
    }
}

pub(super) fn hole(below: &Run, above: &Run, slack_ms: i64) -> Hole {
    let (a, b) = (
        below.max_ms.saturating_sub(slack_ms),
        above.min_ms.saturating_add(slack_ms),
    );
    Hole {
        from_id: below.hi + 1,
        to_id: above.lo - 1,
        lo_ms: a.min(b),
        hi_ms: a.max(b),
    }
}
