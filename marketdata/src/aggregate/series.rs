// Pure: one instrument's trades become its bars.
#![deny(clippy::disallowed_methods)]

use std::collections::VecDeque;
use std::sync::Arc;

use wire::{Candle, CandleError, Completeness, Interval, Trade};

use super::clock::Clock;
use super::config::Config;
use super::event::{Closed, Counters, Event, OpenBar, Rejection, TradeOutcome};
use super::ids::{Hole, Ids, Jump, Place};
use super::lane::Lane;
use super::marks::{Marks, Told};

/// One instrument: the open buckets of every interval, the ids seen, what is missing.
///
/// Call order: any `handle_*`, then [`Series::poll_close`] until it gives nothing, then
/// [`Series::poll_event`] likewise. A bar that is due but not fetched still takes trades.
///
/// **When a bar closes.** At once, when one run of contiguous ids begins before it and reaches beyond its end.
/// Else when the venue's clock has passed its end by the reorder window; where ids are missing around it, or the
/// feed came back, once that too is a window ago. Then the holes are told (as events) and for good: the bars
/// that they touch are `gap`, in every interval alike. While the feed is down nothing closes by the clock.
///
/// **Where bars begin.** With the bucket that holds the time at which the feed was first alive, and not before a
/// price is known. Ids that reach back to a trade before that bucket make it whole; else it is `unknown`.
#[derive(Debug, Clone)]
pub struct Series {
    config: Arc<Config>,
    /// Shortest interval first.
    lanes: Vec<Lane>,
    clock: Clock,
    feed: Feed,
    ids: Ids,
    marks: Marks,
    /// The last id that was too far ahead to be believed of one trade.
    id_claim: Option<u64>,
    against_told: bool,
    /// A trade of this time or later is in an open bucket of every interval.
    open_from_ms: i64,
    /// No bar ends before.
    end_min_ms: i64,
    events: VecDeque<Event>,
    counters: Counters,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Feed {
    Down,
    /// Subscribed, but no time was heard yet.
    Starting,
    Alive,
}

/// Events that wait. Whoever drives a series fetches them after each call, which makes a few at most; the bound
/// holds where nobody does. Beyond it the newest are dropped and counted.
const EVENTS_MAX: usize = 256;

impl Series {
    /// A series that has heard nothing yet.
    pub fn new(config: &Arc<Config>) -> Self {
        let mut intervals = config.intervals.clone();
        intervals.sort_unstable();
        intervals.dedup();
        Self {
            lanes: intervals.into_iter().map(Lane::new).collect(),
            clock: Clock::new(config.clock_jump_max_ms),
            feed: Feed::Down,
            ids: Ids::new(config.ranges_max),
            marks: Marks::new(),
            id_claim: None,
            against_told: false,
            open_from_ms: i64::MAX,
            end_min_ms: i64::MAX,
            events: VecDeque::new(),
            counters: Counters::default(),
            config: Arc::clone(config),
        }
    }

    /// A trade as the venue told it. `event_time_ms` is when it sent the message, by its own clock; both times
    /// move the clock, and show that the feed is alive if it was subscribed.
    pub fn handle_trade(&mut self, trade: &Trade, event_time_ms: i64) -> TradeOutcome {
        if let Err(rejection) = self.clock.check(trade.time_ms) {
            return self.count(TradeOutcome::Rejected(rejection));
        }
        let event_time_ms = event_time_ms.max(trade.time_ms);
        if event_time_ms == trade.time_ms || self.clock.check(event_time_ms).is_ok() {
            self.advance(event_time_ms);
        } else {
            self.counters.clock_rejected += 1;
            self.advance(trade.time_ms);
        }
        let outcome = self.take(trade);
        self.settle();
        self.count(outcome)
    }

    /// A trade that was learned later than it was made: from the snapshot or the last match that a venue sends
    /// on subscription, or from REST. It says nothing of the venue's clock.
    pub fn handle_reference(&mut self, trade: &Trade) -> TradeOutcome {
        let outcome = match self.clock.check(trade.time_ms) {
            Ok(()) => self.take(trade),
            Err(rejection) => TradeOutcome::Rejected(rejection),
        };
        self.settle();
        self.count(outcome)
    }

    /// The venue's clock in Unix milliseconds, from any message on the connection that carries the instrument.
    pub fn handle_clock(&mut self, venue_ms: i64) {
        match self.clock.check(venue_ms) {
            Ok(()) => self.advance(venue_ms),
            Err(_) => self.counters.clock_rejected += 1,
        }
        self.settle();
    }

    /// The subscription was acknowledged at this venue time; without one, the feed is alive from the next time
    /// heard on. While it is alive, this is only a clock.
    pub fn handle_feed_up(&mut self, venue_ms: Option<i64>) {
        if self.feed == Feed::Down {
            self.feed = Feed::Starting;
        }
        if let Some(venue_ms) = venue_ms {
            self.handle_clock(venue_ms);
        }
    }

    /// No trade will come until the feed is up again. What was under way is lost, so that the last reorder
    /// window is in doubt too; after the newest id seen, that is.
    pub fn handle_feed_down(&mut self) {
        if self.feed == Feed::Alive
            && let Some(now) = self.clock.now_ms()
        {
            let newest = self.ids.newest_ms().unwrap_or(i64::MIN);
            let from = newest.saturating_sub(self.slack_ms());
            let from = from.max(now - self.window_ms());
            self.marks.handle_down(from, self.closed_until_ms());
        }
        self.feed = Feed::Down;
    }

    /// A message came that held a trade of this instrument but could not be read. Its id will be missed by the
    /// next trade; but the bars that it may belong to must not close as whole before.
    pub fn handle_loss(&mut self) {
        if let Some(now) = self.clock.now_ms() {
            let from = (now - self.window_ms()).max(self.open_from_ms).min(now);
            self.marks.handle_gap(from, now, self.closed_until_ms());
        }
    }

    /// The next closed bar: of each interval every bucket once, in order; of those that are due together, the
    /// one that ends first, and the shorter before the longer.
    pub fn poll_close(&mut self) -> Option<Closed> {
        if !self.is_due() {
            return None;
        }
        let newest = self.newest_ms()?;
        let due = self.lanes.iter().enumerate().filter_map(|(at, lane)| {
            let start = lane.due_start_ms()?;
            let end = start + lane.interval.ms();
            self.may_close(start, end, newest)
                .then_some((end, at, start))
        });
        let (end, at, start) = due.min()?;
        let interval = self.lanes[at].interval;
        let (candle, lacks) = self.lanes[at].close(start)?;
        self.refresh_bounds();
        self.counters.closed += 1;
        Some(Closed {
            interval,
            start_ms: start,
            candle,
            completeness: of_parts(&candle, lacks).merge(self.marks.of(start, end)),
            event_time_ms: newest,
        })
    }

    /// The next event. At most 256 wait; more are counted as lost.
    pub fn poll_event(&mut self) -> Option<Event> {
        self.events.pop_front()
    }

    /// The newest bar by the venue's clock, as it stands; a flat one when it has no trade yet. `None` before
    /// the feed was alive, before a price is known, and for an interval that is not carried.
    pub fn open(&self, interval: Interval) -> Option<OpenBar> {
        let lane = self.lanes.iter().find(|lane| lane.interval == interval)?;
        let newest = self.newest_ms()?;
        if lane.precedes(newest) {
            return None;
        }
        let start = interval.start_of(newest);
        let held = lane.bucket(newest);
        let candle = match held {
            Some(bucket) if bucket.candle.count > 0 => bucket.candle,
            _ => Candle::flat(lane.price_before(start)?),
        };
        let mut completeness = of_parts(&candle, held.is_some_and(|bucket| bucket.lacks));
        if self.feed != Feed::Alive {
            completeness = completeness.merge(Completeness::Unknown);
        }
        Some(OpenBar {
            interval,
            start_ms: start,
            candle,
            completeness: completeness.merge(self.marks.of(start, start + interval.ms())),
            event_time_ms: newest,
        })
    }

    /// The venue time from which on a clock alone can close a bar, begin one or settle a doubt; `i64::MAX` when
    /// none can.
    pub fn due_ms(&self) -> i64 {
        let Some(now) = self.clock.now_ms() else {
            return i64::MIN;
        };
        if self.feed != Feed::Alive || self.ids.has_open_holes() || self.marks.has_untold() {
            return now + 1;
        }
        let lanes = self.lanes.iter().filter_map(|lane| {
            let close = lane.due_start_ms()? + lane.interval.ms() + self.window_ms();
            let begin = lane.interval.start_of(now) + lane.interval.ms();
            Some(close.max(now + 1).min(begin))
        });
        lanes.min().unwrap_or(i64::MAX)
    }

    /// Whether [`Series::poll_close`] may have something; false where it surely has not.
    #[inline]
    pub fn is_due(&self) -> bool {
        self.newest_ms()
            .is_some_and(|newest| newest >= self.end_min_ms)
    }

    /// Whether [`Series::poll_event`] has something.
    pub fn has_events(&self) -> bool {
        !self.events.is_empty()
    }

    /// The newest believed venue time, in Unix milliseconds.
    pub fn clock_ms(&self) -> Option<i64> {
        self.clock.now_ms()
    }

    /// What has been counted.
    pub fn counters(&self) -> &Counters {
        &self.counters
    }

    /// Bytes that the series takes, with what it has allocated.
    pub fn size_in_memory(&self) -> usize {
        let lanes = self.lanes.iter().map(Lane::heap_bytes).sum::<usize>();
        size_of::<Self>()
            + self.lanes.capacity() * size_of::<Lane>()
            + lanes
            + self.ids.heap_bytes()
            + self.marks.heap_bytes()
            + self.events.capacity() * size_of::<Event>()
    }
}

/// Trades.
impl Series {
    #[inline]
    fn take(&mut self, trade: &Trade) -> TradeOutcome {
        let place = self.ids.place(trade.id);
        if place == Place::Seen {
            return TradeOutcome::Duplicate;
        }
        if let Some(rejection) = self.judge_id(trade, place) {
            return TradeOutcome::Rejected(rejection);
        }
        if trade.time_ms < self.open_from_ms
            && let Some(outcome) = self.take_old(trade, place)
        {
            return outcome;
        }
        match self.add(trade) {
            Ok(()) => {
                self.insert(trade, place);
                TradeOutcome::Added
            }
            Err(rejection) => {
                if let Rejection::Overflow(_) = rejection {
                    self.insert(trade, place);
                    self.mark(trade.time_ms);
                    self.tell(Event::Overflow(*trade));
                }
                TradeOutcome::Rejected(rejection)
            }
        }
    }

    /// An id far from all others is believed only when a second one agrees with it; one far below never, as
    /// bars could not be told whole across it. The bars that it names are marked.
    #[inline]
    fn judge_id(&mut self, trade: &Trade, place: Place) -> Option<Rejection> {
        if !matches!(place, Place::Alone(_)) {
            return None;
        }
        let jump_max = self.config.id_jump_max;
        let jump = self.ids.jump(trade.id, jump_max)?;
        let claim = self.id_claim.replace(trade.id);
        let agreed = claim.is_some_and(|claim| trade.id.abs_diff(claim) <= jump_max);
        if jump == Jump::Ahead && agreed {
            return None;
        }
        self.mark(trade.time_ms);
        Some(Rejection::IdJump)
    }

    /// A trade that some interval has no open bucket for. `None` when it is to be added to the others.
    fn take_old(&mut self, trade: &Trade, place: Place) -> Option<TradeOutcome> {
        let late = self.lanes.iter().any(|lane| lane.is_late(trade.time_ms));
        let taken = self.lanes.iter().any(|lane| lane.takes(trade.time_ms));
        if (late || !taken) && self.ids.contradicts(place, trade.time_ms, self.window_ms()) {
            // Its id stays missing, so that the bars of its neighbours are marked.
            return Some(TradeOutcome::Rejected(Rejection::TimeAgainstIds));
        }
        if late {
            self.insert(trade, place);
            self.mark(trade.time_ms);
            self.tell(Event::Late(*trade));
            return Some(TradeOutcome::Late);
        }
        for lane in &mut self.lanes {
            if lane.precedes(trade.time_ms) {
                lane.handle_reference(trade.id, trade.price);
            }
        }
        if taken {
            return None;
        }
        self.insert(trade, place);
        Some(TradeOutcome::Reference)
    }

    /// Adds to every interval that takes it, or to none.
    #[inline]
    fn add(&mut self, trade: &Trade) -> Result<(), Rejection> {
        let one = Candle::of_trade(trade).map_err(Rejection::Overflow)?;
        let time_ms = trade.time_ms;
        for lane in self.lanes.iter().filter(|lane| lane.takes(time_ms)) {
            if !lane.has_room(time_ms) {
                return Err(Rejection::Backlog);
            }
            if lane
                .bucket(time_ms)
                .is_some_and(|bucket| !bucket.fits(&one))
            {
                return Err(Rejection::Overflow(CandleError::Sum));
            }
        }
        for lane in self.lanes.iter_mut().filter(|lane| lane.takes(time_ms)) {
            let bucket = lane.bucket_mut(time_ms);
            bucket.candle.merge(&one).map_err(Rejection::Overflow)?;
        }
        Ok(())
    }

    #[inline]
    fn insert(&mut self, trade: &Trade, place: Place) {
        let slack_ms = self.slack_ms();
        let given_up = self.ids.insert(place, trade.id, trade.time_ms, slack_ms);
        if self.ids.times_run_against() && !self.against_told {
            self.against_told = true;
            self.tell(Event::TimesRunAgainstIds);
        }
        if let Some((hole, told)) = given_up {
            self.counters.holes_given_up += 1;
            if !told {
                self.tell_gap(&hole);
            }
        }
    }

    fn mark(&mut self, time_ms: i64) {
        for lane in &mut self.lanes {
            lane.mark(time_ms);
        }
    }

    fn count(&mut self, outcome: TradeOutcome) -> TradeOutcome {
        let counters = &mut self.counters;
        match outcome {
            TradeOutcome::Added => counters.added += 1,
            TradeOutcome::Duplicate => counters.duplicate += 1,
            TradeOutcome::Late => counters.late += 1,
            TradeOutcome::Reference => counters.reference += 1,
            TradeOutcome::Rejected(rejection) => {
                counters.rejected += 1;
                counters.overflow += u64::from(matches!(rejection, Rejection::Overflow(_)));
            }
        }
        outcome
    }
}

/// Time, doubt and closing.
impl Series {
    /// A believed time was heard.
    #[inline]
    fn advance(&mut self, time_ms: i64) {
        let not_older = self.clock.now_ms().is_none_or(|now| time_ms >= now);
        if self.feed == Feed::Starting && not_older {
            self.feed = Feed::Alive;
            self.marks.handle_up(time_ms);
            if self.open_from_ms == i64::MAX {
                for lane in &mut self.lanes {
                    lane.handle_origin(time_ms);
                }
                self.refresh_bounds();
            }
        }
        // While the feed is down, time stands still: nothing may close by it.
        if self.feed == Feed::Alive {
            self.clock.advance(time_ms);
        }
    }

    /// Tells what can no longer turn out to be harmless.
    #[inline]
    fn settle(&mut self) {
        if !self.ids.has_open_holes() && !self.marks.has_untold() {
            return;
        }
        let Some(now) = self.clock.now_ms() else {
            return;
        };
        let (settled_ms, slack_ms) = (now - self.window_ms(), self.slack_ms());
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
    }

    /// Before the first bars it is of no interest to anyone.
    fn tell_outage(&mut self, from_ms: i64, to_ms: i64) {
        let origins = self.lanes.iter().map(Lane::origin_ms);
        let from_ms = from_ms.max(origins.min().unwrap_or(i64::MAX));
        if from_ms < to_ms {
            self.counters.outages += 1;
            self.tell(Event::Outage { from_ms, to_ms });
        }
    }

    fn tell_gap(&mut self, hole: &Hole) {
        self.counters.gaps += 1;
        let missing = hole.to_id - hole.from_id + 1;
        self.counters.ids_missing = self.counters.ids_missing.saturating_add(missing);
        self.marks
            .handle_gap(hole.lo_ms, hole.hi_ms, self.closed_until_ms());
        self.tell(Event::Gap {
            from_id: hole.from_id,
            to_id: hole.to_id,
            after_ms: hole.lo_ms,
            before_ms: hole.hi_ms,
        });
    }

    fn tell(&mut self, event: Event) {
        if self.events.len() < EVENTS_MAX {
            self.events.push_back(event);
        } else {
            self.counters.events_lost += 1;
        }
    }

    fn may_close(&self, start_ms: i64, end_ms: i64, newest_ms: i64) -> bool {
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

    fn newest_ms(&self) -> Option<i64> {
        self.clock.now_ms().max(self.ids.newest_ms())
    }

    fn trusts_ids(&self) -> bool {
        self.config.close_on_ids && !self.ids.times_run_against()
    }

    /// By how much a trade may be older than a neighbour with a lower id.
    fn slack_ms(&self) -> i64 {
        if self.trusts_ids() {
            0
        } else {
            self.window_ms()
        }
    }

    fn window_ms(&self) -> i64 {
        self.config.reorder_window_ms.clamp(0, WINDOW_MAX_MS)
    }

    fn closed_until_ms(&self) -> i64 {
        let next = self.lanes.iter().map(Lane::next_ms);
        next.min().unwrap_or(i64::MAX)
    }

    fn refresh_bounds(&mut self) {
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

fn of_parts(candle: &Candle, lacks: bool) -> Completeness {
    if lacks {
        Completeness::Gap
    } else if candle.count == 0 {
        Completeness::Quiet
    } else {
        Completeness::Complete
    }
}
