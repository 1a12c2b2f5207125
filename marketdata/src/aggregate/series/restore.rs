// Pure: a series as plain data, and back.
#![deny(clippy::disallowed_methods)]

use std::sync::Arc;

use super::{Doubt, Series};
use crate::aggregate::clock::Clock;
use crate::aggregate::config::Config;
use crate::aggregate::event::Counters;
use crate::aggregate::ids::Ids;
use crate::aggregate::lane::Lane;
use crate::aggregate::marks::{Cause, Marks};
use crate::aggregate::snapshot::{FORMAT, RUNS_MAX, STRETCHES_MAX, SeriesSnapshot};

impl Series {
    /// Everything that is known, as if the feed were lost at this moment; the series itself goes on. To be taken once
    /// [`Series::poll_close`] has given everything, so that what it holds and what was given belong together.
    /// Counters and events are not in it.
    #[must_use]
    pub fn snapshot(&self) -> SeriesSnapshot {
        let mut ids = self.ids.clone();
        let mut marks = self.marks.clone();
        if let Some(from_ms) = self.outage_from_ms() {
            marks.handle_down(from_ms, self.keep_from_ms());
        }
        let keep_ms = self.keep_from_ms();
        for (hole, told) in ids.bound(RUNS_MAX, self.slack_ms()) {
            if !told {
                let from_ms = hole.lo_ms.max(self.gone_until_ms());
                marks.handle_gap(from_ms.min(hole.hi_ms), hole.hi_ms, Cause::Lasting, keep_ms);
            }
            marks.handle_given_up(hole.from_id, hole.to_id);
        }
        let mut lanes = Vec::with_capacity(self.lanes.len());
        for lane in &self.lanes {
            let (lane, gone) = lane.snapshot(|start, end| self.ids.prove(start, end));
            lanes.push(lane);
            for (start, end, said) in gone {
                marks.handle_gone(start, end, said, keep_ms);
            }
        }
        marks.bound(STRETCHES_MAX);
        let (gaps, outages) = marks.snapshot();
        SeriesSnapshot {
            format: FORMAT,
            clock: self.clock.now_ms(),
            claim: self.clock.claim_ms(),
            lanes,
            ids: ids.snapshot(),
            gaps,
            outages,
            doubt: self.doubt.as_ref().map(Doubt::snapshot),
        }
    }

    /// A series that goes on where the snapshot was taken, and whose feed has been down since: its next bars are the
    /// ones that were next then. Intervals that the snapshot does not have begin as new ones do; the first bar of
    /// such a one is a `gap`, as what was traded of it before is in the others only.
    #[must_use]
    pub fn restore(config: &Arc<Config>, snapshot: &SeriesSnapshot) -> Self {
        let mut series = Self::new(config);
        series.ids = Ids::restore(&snapshot.ids, config.ranges_max);
        let newest = series.ids.top();
        for lane in &mut series.lanes {
            let held = snapshot
                .lanes
                .iter()
                .find(|held| held.interval == lane.interval);
            match held {
                Some(held) => *lane = Lane::restore(held),
                None => {
                    if let Some((id, price)) = newest {
                        lane.handle_reference(id, price);
                    }
                }
            }
        }
        series.clock = Clock::restore(snapshot.clock, snapshot.claim);
        series.marks = Marks::restore(&snapshot.gaps, &snapshot.outages);
        series.against_told = series.ids.times_run_against();
        series.doubt = snapshot.doubt.as_ref().map(Doubt::restore);
        series.wanted.handle_down(series.ids.top());
        // Trades may have come for closed bars that were not given again yet; marks are as they were.
        series.stale_since_ms = series.clock.now_ms();
        series.marks_stale = true;
        series.refresh_bounds();
        series
    }

    /// Counts go on from these.
    pub(in crate::aggregate) fn set_counters(&mut self, counters: Counters) {
        self.counters = counters;
    }
}
