// Pure: closed bars that are given again, since trades came for them or since ids show that none is missing.
#![deny(clippy::disallowed_methods)]

use wire::Trade;

use super::Series;
use crate::aggregate::event::{Closed, TradeOutcome};

/// How long, by the venue's clock, what amends closed bars is collected before they are given again, unless the end of
/// a batch is told: late trades come in bursts.
const COLLECT_MS: i64 = 1_000;

impl Series {
    /// A trade that was fetched, since it was missing. Like [`Series::handle_reference`]; the bars that it is added
    /// to are `repaired`. Closed ones are given again once the batch ends, see [`Series::handle_batch_end`].
    pub fn handle_repaired(&mut self, trade: &Trade) -> TradeOutcome {
        self.repairing = true;
        let outcome = self.handle_reference(trade);
        self.repairing = false;
        outcome
    }

    /// There are no trades of these ids, both ends included, as the venue has those beside them and not these: what
    /// was missing is not. To be told after the trades beside them.
    pub fn handle_void(&mut self, from_id: u64, to_id: u64) {
        if self.ids.fill(from_id, to_id) {
            self.note_stale();
            self.marks_stale = true;
        }
        self.settle();
    }

    /// All of a batch of fetched trades have been told: each closed bar that they change is given again once.
    pub fn handle_batch_end(&mut self) {
        if self.stale_since_ms.is_some() {
            self.judge_closed();
        }
    }

    /// Closed bars may say something else now.
    pub(super) fn note_stale(&mut self) {
        let now_ms = self.newest_ms().unwrap_or(i64::MIN);
        self.stale_since_ms.get_or_insert(now_ms);
    }

    /// When they are to be given again, if nothing says so before.
    pub(super) fn stale_due_ms(&self) -> Option<i64> {
        Some(self.stale_since_ms?.saturating_add(COLLECT_MS))
    }

    pub(super) fn heal(&mut self) {
        if std::mem::take(&mut self.marks_stale) {
            self.marks.heal(&self.ids, self.slack_ms());
        }
    }

    /// Finds the closed bars that are to be given again.
    pub(super) fn judge_closed(&mut self) {
        self.stale_since_ms = None;
        self.heal();
        let marks = &self.marks;
        for lane in &mut self.lanes {
            self.amended |= lane.closed.judge(|start, end| marks.of(start, end));
        }
    }

    /// The next closed bar that is given again: the one that ends first, and the shorter before the longer.
    pub(super) fn poll_amended(&mut self) -> Option<Closed> {
        let pending = self.lanes.iter().enumerate();
        let pending = pending.filter_map(|(at, lane)| Some((lane.closed.pending_end_ms()?, at)));
        let Some((_, at)) = pending.min() else {
            self.amended = false;
            return None;
        };
        let lane = &mut self.lanes[at];
        let bar = lane.closed.amend()?;
        self.counters.amended += 1;
        Some(Closed {
            interval: lane.interval,
            start_ms: bar.start_ms,
            candle: bar.candle,
            completeness: bar.completeness,
            rev: bar.rev,
            event_time_ms: self.newest_ms()?,
        })
    }
}
