// Pure: one instrument's trades become its bars.
#![deny(clippy::disallowed_methods)]

/// What becomes of a trade.
mod trades;

/// Trades that are not believed at once.
mod doubts;

/// What the venue's clock settles.
mod closing;

/// Closed bars that are given again.
mod amend;

/// Ids that are to be fetched.
mod missing;

/// As plain data, and back.
mod restore;

/// With what another has committed.
mod adopt;

use std::collections::VecDeque;
use std::sync::Arc;

use wire::{Candle, Completeness, Interval, Trade};

use super::clock::Clock;
use super::config::Config;
use super::event::{Closed, Counters, Event, OpenBar, TradeOutcome};
use super::held::of_parts;
use super::ids::Ids;
use super::lane::Lane;
use super::marks::{Cause, Marks};
use doubts::Doubt;
use missing::Wanted;

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
    /// The newest trade whose id is not believed of one trade alone.
    doubt: Option<Doubt>,
    against_told: bool,
    /// Trades that come now were fetched.
    repairing: bool,
    /// Since when closed bars may say something else than what was last given.
    stale_since_ms: Option<i64>,
    /// Ids may show more of the marked stretches to be whole.
    marks_stale: bool,
    /// Some closed bars are to be given again.
    amended: bool,
    wanted: Wanted,
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
            clock: Clock::new(),
            feed: Feed::Down,
            ids: Ids::new(config.ranges_max),
            marks: Marks::new(),
            doubt: None,
            against_told: false,
            repairing: false,
            stale_since_ms: None,
            marks_stale: false,
            amended: false,
            wanted: Wanted::default(),
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
        let outcome = match self.judge_times(trade, event_time_ms) {
            Ok(()) => self.take(trade),
            Err(rejection) => TradeOutcome::Rejected(rejection),
        };
        self.settle();
        self.count(outcome)
    }

    /// A trade that was learned later than it was made: from the snapshot or the last match that a venue sends
    /// on subscription. It says nothing of the venue's clock. One from before the first bar gives the previous
    /// close and proves ids; a later one is a trade like any other.
    pub fn handle_reference(&mut self, trade: &Trade) -> TradeOutcome {
        let outcome = match self.clock.check(trade.time_ms, self.jump_max_ms()) {
            Ok(()) => self.take(trade),
            Err(rejection) => TradeOutcome::Rejected(rejection),
        };
        self.settle();
        self.count(outcome)
    }

    /// The venue's clock in Unix milliseconds, from any message on the connection that carries the instrument.
    pub fn handle_clock(&mut self, venue_ms: i64) {
        match self.clock.check(venue_ms, self.jump_max_ms()) {
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
        if let Some(from_ms) = self.outage_from_ms() {
            self.marks.handle_down(from_ms, self.keep_from_ms());
        }
        if self.feed != Feed::Down {
            self.wanted.handle_down(self.ids.top());
        }
        self.feed = Feed::Down;
    }

    /// A message came that held a trade of this instrument but could not be read. Its id will be missed by the
    /// next trade; but the bars that it may belong to must not close as whole before.
    pub fn handle_loss(&mut self) {
        if let Some(now) = self.clock.now_ms() {
            self.mark_stretch(now - self.window_ms(), now, Cause::Loss);
        }
    }

    /// The next closed bar: of each interval every bucket once, in order; of those that are due together, the
    /// one that ends first, and the shorter before the longer. Before them, those that are amended.
    pub fn poll_close(&mut self) -> Option<Closed> {
        if !self.is_due() {
            return None;
        }
        if self.amended
            && let Some(closed) = self.poll_amended()
        {
            return Some(closed);
        }
        let newest = self.newest_ms()?;
        let due = self.lanes.iter().enumerate().filter_map(|(at, lane)| {
            let start = lane.due_start_ms()?;
            let end = start + lane.interval.ms();
            self.may_close(start, end, newest)
                .then_some((end, at, start))
        });
        let (end, at, start) = due.min()?;
        self.heal();
        let told = self.marks.of(start, end);
        let bar = self.lanes[at].close(start, told, newest)?;
        let closed = Closed {
            interval: self.lanes[at].interval,
            start_ms: start,
            candle: bar.candle,
            completeness: bar.completeness,
            rev: 0,
            event_time_ms: newest,
        };
        self.hold(at, bar, newest);
        self.refresh_bounds();
        self.counters.closed += 1;
        Some(closed)
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
        let lacks = held.is_some_and(|bucket| bucket.lacks);
        let repaired = held.is_some_and(|bucket| bucket.repaired);
        let mut completeness = of_parts(&candle, lacks, repaired);
        // An outage that may still turn out to be harmless is one until it has: the first bar of a feed must not
        // pass as whole for the time that it takes to find out.
        if self.feed != Feed::Alive || self.marks.in_doubt(start, start + interval.ms()) {
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
        if self.feed != Feed::Alive || self.ids.has_open_holes() {
            return now + 1;
        }
        let told = self.marks.untold_ms();
        let told = told.map(|ended| ended.saturating_add(self.window_ms()).max(now + 1));
        let lanes = self.lanes.iter().filter_map(|lane| {
            let close = lane.due_start_ms()? + lane.interval.ms() + self.window_ms();
            let begin = lane.interval.start_of(now) + lane.interval.ms();
            Some(close.max(now + 1).min(begin))
        });
        let stale = self.stale_due_ms().map(|due| due.max(now + 1));
        lanes.chain(told).chain(stale).min().unwrap_or(i64::MAX)
    }

    /// Whether [`Series::poll_close`] may have something; false where it surely has not.
    #[inline]
    pub fn is_due(&self) -> bool {
        self.amended
            || self
                .newest_ms()
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
            + self.wanted.heap_bytes()
    }
}
