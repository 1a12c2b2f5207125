// Pure: what the venue's clock settles: what is missing for good, and which bars may close.
#![deny(clippy::disallowed_methods)]

use super::{EVENTS_MAX, Feed, Series};
use crate::aggregate::event::Event;
use crate::aggregate::held::Held;
use crate::aggregate::ids::Hole;
use crate::aggregate::lane::Lane;
use crate::aggregate::marks::{Cause, Told};

impl Series {
    /// A believed time was heard.
    #[inline]
    pub(super) fn advance(&mut self, time_ms: i64) {
        let not_older = self.clock.now_ms().is_none_or(|now| time_ms >= now);
        if self.feed == Feed::Starting && not_older {
            self.feed = Feed::Alive;
            self.marks.handle_up(time_ms);
            if self.open_from_ms == i64::MAX {
                self.begin(time_ms);
            }
        }
        // While the feed is down, time stands still: nothing may close by it.
        if self.feed == Feed::Alive {
            self.clock.advance(time_ms);
        }
    }

    /// Bars begin, of every interval that has none yet. Where others have, this one was added since: the trades of
    /// its first bucket that they hold are not in it.
    fn begin(&mut self, time_ms: i64) {
        let added = self.lanes.iter().any(Lane::has_origin);
        for lane in self.lanes.iter_mut().filter(|lane| !lane.has_origin()) {
            lane.handle_origin(time_ms);
            if added && lane.origin_ms() < time_ms {
                lane.bucket_mut(time_ms).lacks = true;
            }
        }
        self.refresh_bounds();
    }

    /// Tells what can no longer turn out to be harmless.
    #[inline]
    pub(super) fn settle(&mut self) {
        let old_top = self.ids.has_old_top();
        let holes = self.ids.has_open_holes() || self.marks.untold_ms().is_some();
        if !old_top && !holes && self.doubt.is_none() && self.stale_since_ms.is_none() {
            return;
        }
        let Some(now) = self.clock.now_ms() else {
            return;
        };
        let settled_ms = now - self.window_ms();
        self.settle_doubt(settled_ms);
        let slack_ms = self.slack_ms();
        loop {
            let ids = &self.ids;
            let trim = |from, to| ids.trim(from, to, slack_ms);
            match self.marks.tell_outage(settled_ms, trim) {
                Some(Told::Missed { from_ms, to_ms }) => self.tell_outage(from_ms, to_ms),
                Some(Told::Nothing) => {}
                None => break,
            }
        }
        while let Some(hole) = self.ids.tell_hole(settled_ms, slack_ms) {
            self.tell_gap(&hole);
        }
        if old_top && let Some(id) = self.ids.overruled() {
            self.cut(id, None);
        }
        if self.stale_due_ms().is_some_and(|due| due <= now) {
            self.judge_closed();
        }
    }

    /// Before the first bars it is of no interest to anyone.
    pub(super) fn tell_outage(&mut self, from_ms: i64, to_ms: i64) {
        let origins = self.lanes.iter().map(Lane::origin_ms);
        let from_ms = from_ms.max(origins.min().unwrap_or(i64::MAX));
        if from_ms < to_ms {
            self.counters.outages += 1;
            self.tell(Event::Outage { from_ms, to_ms });
        }
    }

    pub(super) fn tell_gap(&mut self, hole: &Hole) {
        self.counters.gaps += 1;
        let missing = hole.to_id - hole.from_id + 1;
        self.counters.ids_missing = self.counters.ids_missing.saturating_add(missing);
        let from_ms = hole.lo_ms.max(self.gone_until_ms());
        if from_ms < self.open_from_ms {
            self.note_stale();
        }
        // What is gone stays as it is; so must then the longer bars over it.
        if from_ms <= hole.hi_ms {
            let cause = Cause::Ids(hole.from_id, hole.to_id);
            let keep_ms = self.keep_from_ms();
            self.marks.handle_gap(from_ms, hole.hi_ms, cause, keep_ms);
        }
        self.tell(Event::Gap {
            from_id: hole.from_id,
            to_id: hole.to_id,
            after_ms: hole.lo_ms,
            before_ms: hole.hi_ms,
        });
    }

    pub(super) fn tell(&mut self, event: Event) {
        if self.events.len() < EVENTS_MAX {
            self.events.push_back(event);
        } else {
            self.counters.events_lost += 1;
        }
    }

    pub(super) fn may_close(&self, start_ms: i64, end_ms: i64, newest_ms: i64) -> bool {
        if newest_ms < end_ms {
            return false;
        }
        if self.trusts_ids() && self.ids.prove(start_ms, end_ms) {
            return true;
        }
        let settled = |now: i64| now - self.window_ms() >= end_ms;
        self.clock.now_ms().is_some_and(settled)
            && !self.ids.in_doubt(start_ms, end_ms, self.slack_ms())
            && !self.marks.in_doubt(start_ms, end_ms)
    }

    /// From when on trades may be missing if the feed is lost now; `None` where it is lost already.
    pub(super) fn outage_from_ms(&self) -> Option<i64> {
        let now = self.clock.now_ms().filter(|_| self.feed == Feed::Alive)?;
        let newest = self.ids.newest_ms().unwrap_or(i64::MIN);
        let from_ms = newest.saturating_sub(self.slack_ms());
        Some(from_ms.max(now - self.window_ms()))
    }

    pub(super) fn newest_ms(&self) -> Option<i64> {
        self.clock.now_ms().max(self.ids.newest_ms())
    }

    pub(super) fn trusts_ids(&self) -> bool {
        self.config.close_on_ids && !self.ids.times_run_against()
    }

    /// By how much a trade may be older than a neighbour with a lower id.
    pub(super) fn slack_ms(&self) -> i64 {
        if self.trusts_ids() {
            0
        } else {
            self.window_ms()
        }
    }

    pub(super) fn window_ms(&self) -> i64 {
        self.config.reorder_window_ms.clamp(0, WINDOW_MAX_MS)
    }

    /// No bar that is open or held begins before.
    pub(super) fn keep_from_ms(&self) -> i64 {
        let oldest = |lane: &Lane| lane.closed.oldest_ms().unwrap_or(i64::MAX);
        let oldest = self
            .lanes
            .iter()
            .map(|lane| oldest(lane).min(lane.next_ms()));
        oldest.min().unwrap_or(i64::MAX)
    }

    /// What is before cannot be amended in every interval.
    pub(super) fn gone_until_ms(&self) -> i64 {
        let gone = self.lanes.iter().map(Lane::gone_until_ms);
        gone.max().unwrap_or(i64::MIN)
    }

    /// Keeps a bar that was closed, for as long as it may be amended.
    pub(super) fn hold(&mut self, lane: usize, bar: Held, newest_ms: i64) {
        let ring = &mut self.lanes[lane].closed;
        ring.push(bar);
        if self.stale_since_ms.is_some() {
            return;
        }
        let ids = &self.ids;
        let gone = ring.make_room(newest_ms, |start, end| ids.prove(start, end));
        for (start, end, said) in gone {
            let keep_ms = self.keep_from_ms();
            self.marks.handle_gone(start, end, said, keep_ms);
        }
    }

    pub(super) fn refresh_bounds(&mut self) {
        let next = self.lanes.iter().map(Lane::next_ms);
        self.open_from_ms = next.max().unwrap_or(i64::MAX - 1);
        let ends = self
            .lanes
            .iter()
            .map(|lane| lane.next_ms().saturating_add(lane.interval.ms()));
        self.end_min_ms = ends.min().unwrap_or(i64::MAX);
    }
}

/// A day: a longer wait than any bar is of no use, and the sums of times stay far from their type's end.
const WINDOW_MAX_MS: i64 = 86_400_000;
