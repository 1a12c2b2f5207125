// Pure: the instruments of one shard, and the clocks of the connections that carry them.
#![deny(clippy::disallowed_methods)]

use std::collections::VecDeque;
use std::sync::Arc;

use wire::{Instrument, Trade};

use super::config::Config;
use super::event::{Closed, Counters, Event, Missing, OpenBar, TradeOutcome};
use super::series::Series;

/// A series that gives way to another, or to none.
mod replace;

/// An instrument's place in its engine.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SeriesIndex(u32);

/// A source of venue time in its engine: a connection, and whatever replaces it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct FeedIndex(u32);

/// A shard's instruments. How they are split over engines changes no bar, if every engine hears the same clock
/// of each connection: a trade moves only its own instrument's.
///
/// Call order: any `handle_*`, then [`Engine::poll_close`] and [`Engine::poll_event`] until they give nothing.
/// [`Engine::poll_open`] may be called as seldom as open bars are wanted.
#[derive(Debug)]
pub struct Engine {
    config: Arc<Config>,
    slots: Vec<Slot>,
    feeds: Vec<FeedClock>,
    /// Instruments that may have closed bars; each stands here once at most, so that it is bounded by `slots`.
    due: VecDeque<SeriesIndex>,
    /// Likewise those with events.
    eventful: VecDeque<SeriesIndex>,
    /// Likewise those whose open bars changed since they were fetched.
    dirty: VecDeque<SeriesIndex>,
    /// Likewise those that may miss ids that were not asked for.
    holed: Vec<SeriesIndex>,
    /// The instrument whose open bars are being given.
    giving: Option<Giving>,
}

/// Of what changed by then; what changes from then on puts the instrument in the queue again.
#[derive(Debug, Clone, Copy)]
struct Giving {
    index: SeriesIndex,
    dirty: u64,
    /// The interval that comes next, by number.
    lane: usize,
}

#[derive(Debug)]
struct Slot {
    instrument: Instrument,
    series: Series,
    feed: FeedIndex,
    /// When the next bucket of any interval begins.
    begin_ms: i64,
    due: bool,
    eventful: bool,
    holed: bool,
    /// No feed carries it any more.
    released: bool,
    /// One bit an interval, shortest first; the last stands for all beyond it too.
    dirty: u64,
}

/// Every interval.
const ALL: u64 = u64::MAX;

/// A connection's newest time, and when it next matters to one of its instruments. A tick before that touches
/// none of them.
#[derive(Debug)]
struct FeedClock {
    now_ms: i64,
    due_ms: i64,
    /// When the instruments last heard it.
    swept_ms: i64,
    members: Vec<SeriesIndex>,
}

impl Engine {
    /// An engine without instruments.
    pub fn new(mut config: Config) -> Self {
        config.intervals.sort_unstable();
        config.intervals.dedup();
        Self {
            config: Arc::new(config),
            slots: Vec::new(),
            feeds: Vec::new(),
            due: VecDeque::new(),
            eventful: VecDeque::new(),
            dirty: VecDeque::new(),
            holed: Vec::new(),
            giving: None,
        }
    }

    /// Adds a source of time.
    pub fn add_feed(&mut self) -> FeedIndex {
        let index = FeedIndex(number(self.feeds.len()));
        self.feeds.push(FeedClock {
            now_ms: i64::MIN,
            due_ms: i64::MIN,
            swept_ms: i64::MIN,
            members: Vec::new(),
        });
        index
    }

    /// Adds an instrument that the feed carries. It has heard nothing yet.
    pub fn add(&mut self, instrument: Instrument, feed: FeedIndex) -> SeriesIndex {
        let index = SeriesIndex(number(self.slots.len()));
        self.slots.push(Slot {
            instrument,
            series: Series::new(&self.config),
            feed,
            begin_ms: i64::MIN,
            due: false,
            eventful: false,
            holed: false,
            released: false,
            dirty: 0,
        });
        let feed = self.feed_mut(feed);
        feed.members.push(index);
        feed.due_ms = i64::MIN;
        index
    }

    /// A trade as the venue told it: see [`Series::handle_trade`].
    #[inline]
    pub fn handle_trade(
        &mut self,
        index: SeriesIndex,
        trade: &Trade,
        event_time_ms: i64,
    ) -> TradeOutcome {
        let outcome = self.with(index, |series| series.handle_trade(trade, event_time_ms));
        if outcome != TradeOutcome::Duplicate {
            self.soil(index, ALL);
        }
        outcome
    }

    /// A trade that was learned later than it was made: see [`Series::handle_reference`].
    pub fn handle_reference(&mut self, index: SeriesIndex, trade: &Trade) -> TradeOutcome {
        let outcome = self.with(index, |series| series.handle_reference(trade));
        self.soil(index, ALL);
        outcome
    }

    /// A trade that was fetched, since it was missing: see [`Series::handle_repaired`].
    pub fn handle_repaired(&mut self, index: SeriesIndex, trade: &Trade) -> TradeOutcome {
        let outcome = self.with(index, |series| series.handle_repaired(trade));
        self.soil(index, ALL);
        outcome
    }

    /// There are no trades of these ids: see [`Series::handle_void`].
    pub fn handle_void(&mut self, index: SeriesIndex, from_id: u64, to_id: u64) {
        self.with(index, |series| series.handle_void(from_id, to_id));
        self.soil(index, ALL);
    }

    /// A batch of fetched trades is over: see [`Series::handle_batch_end`].
    pub fn handle_batch_end(&mut self, index: SeriesIndex) {
        self.with(index, Series::handle_batch_end);
    }

    /// Appends the ids of all instruments that are to be fetched: see [`Series::poll_missing`].
    pub fn poll_missing(
        &mut self,
        now_ms: i64,
        grace_ms: i64,
        out: &mut Vec<(SeriesIndex, Missing)>,
    ) {
        let mut holed = std::mem::take(&mut self.holed);
        let mut missing = Vec::new();
        holed.retain(|&index| {
            let slot = self.slot_mut(index);
            slot.series.poll_missing(now_ms, grace_ms, &mut missing);
            out.extend(missing.drain(..).map(|missing| (index, missing)));
            slot.holed = slot.series.has_missing();
            slot.holed
        });
        self.holed = holed;
    }

    /// Ids that could not be asked for: see [`Series::handle_missing_again`].
    pub fn handle_missing_again(&mut self, index: SeriesIndex, from_id: u64, to_id: u64) {
        self.with(index, |series| series.handle_missing_again(from_id, to_id));
    }

    /// A trade of the instrument could not be read: see [`Series::handle_loss`].
    pub fn handle_loss(&mut self, index: SeriesIndex) {
        self.with(index, Series::handle_loss);
        self.soil(index, ALL);
    }

    /// The connection's clock, in Unix milliseconds. Costs nothing much unless a bar can close by it or a new
    /// one begins.
    pub fn handle_clock(&mut self, feed: FeedIndex, venue_ms: i64) {
        let jump_max_ms = self.config.clock_jump_max_ms;
        let jump_max_ms = jump_max_ms.min(self.config.clock_step_max_ms).max(0);
        let clock = self.feed_mut(feed);
        if venue_ms <= clock.now_ms {
            return;
        }
        let plausible = clock.swept_ms.saturating_add(jump_max_ms) >= venue_ms;
        if venue_ms < clock.due_ms && plausible {
            clock.now_ms = venue_ms;
            return;
        }
        // Each instrument judges for itself whether to believe the time.
        self.sweep(feed, false, |series| series.handle_clock(venue_ms));
    }

    /// The whole connection is subscribed: see [`Series::handle_feed_up`].
    pub fn handle_feed_up(&mut self, feed: FeedIndex, venue_ms: Option<i64>) {
        self.sweep(feed, true, |series| series.handle_feed_up(venue_ms));
    }

    /// The whole connection is lost: see [`Series::handle_feed_down`].
    pub fn handle_feed_down(&mut self, feed: FeedIndex) {
        self.sweep(feed, true, Series::handle_feed_down);
    }

    /// One instrument is subscribed: see [`Series::handle_feed_up`].
    pub fn handle_series_up(&mut self, index: SeriesIndex, venue_ms: Option<i64>) {
        self.with(index, |series| series.handle_feed_up(venue_ms));
        self.soil(index, ALL);
    }

    /// One instrument's subscription ended: see [`Series::handle_feed_down`].
    pub fn handle_series_down(&mut self, index: SeriesIndex) {
        self.with(index, Series::handle_feed_down);
        self.soil(index, ALL);
    }

    /// Marks every open bar as changed, so that [`Engine::poll_open`] gives all of them.
    pub fn handle_republish(&mut self) {
        for at in 0..self.slots.len() {
            if !self.slots[at].released {
                self.soil(SeriesIndex(number(at)), ALL);
            }
        }
    }

    /// The next closed bar: see [`Series::poll_close`]. Instruments take turns as they became due.
    pub fn poll_close(&mut self) -> Option<(SeriesIndex, Closed)> {
        while let Some(&index) = self.due.front() {
            if let Some(closed) = self.slot_mut(index).series.poll_close() {
                return Some((index, closed));
            }
            self.slot_mut(index).due = false;
            self.due.pop_front();
            self.note_due(index);
        }
        None
    }

    /// The next event: see [`Series::poll_event`].
    pub fn poll_event(&mut self) -> Option<(SeriesIndex, Event)> {
        while let Some(&index) = self.eventful.front() {
            if let Some(event) = self.slot_mut(index).series.poll_event() {
                return Some((index, event));
            }
            self.slot_mut(index).eventful = false;
            self.eventful.pop_front();
        }
        None
    }

    /// The next open bar that changed since it was last given; each topic once, as it stands now.
    pub fn poll_open(&mut self) -> Option<(SeriesIndex, OpenBar)> {
        loop {
            let giving = match self.giving {
                Some(giving) => giving,
                None => {
                    let index = self.dirty.pop_front()?;
                    let dirty = std::mem::take(&mut self.slot_mut(index).dirty);
                    let lane = 0;
                    Giving { index, dirty, lane }
                }
            };
            self.giving = None;
            let Giving { index, dirty, lane } = giving;
            for at in lane..self.config.intervals.len() {
                if dirty & bit(at) != 0
                    && let Some(open) = self.slot(index).series.open(self.config.intervals[at])
                {
                    let lane = at + 1;
                    self.giving = Some(Giving { lane, ..giving });
                    return Some((index, open));
                }
            }
        }
    }

    /// The instrument at the index.
    pub fn instrument(&self, index: SeriesIndex) -> &Instrument {
        &self.slot(index).instrument
    }

    /// The instrument's series, to look at.
    pub fn series(&self, index: SeriesIndex) -> &Series {
        &self.slot(index).series
    }

    /// All indices, in the order in which instruments were added.
    pub fn indices(&self) -> impl Iterator<Item = SeriesIndex> + use<> {
        (0..number(self.slots.len())).map(SeriesIndex)
    }

    /// What has been counted, of all instruments.
    pub fn counters(&self) -> Counters {
        let mut sum = Counters::default();
        for slot in &self.slots {
            sum.add(slot.series.counters());
        }
        sum
    }

    /// Bytes that the engine takes, with what it has allocated.
    pub fn size_in_memory(&self) -> usize {
        let series = self.slots.iter().map(|slot| slot.series.size_in_memory());
        let slots = self.slots.len() * (size_of::<Slot>() - size_of::<Series>());
        let queues = self.due.capacity() + self.eventful.capacity() + self.dirty.capacity();
        let queues = queues + self.holed.capacity();
        let members = self.feeds.iter().map(|feed| feed.members.capacity());
        series.sum::<usize>() + slots + (queues + members.sum::<usize>()) * size_of::<SeriesIndex>()
    }
}

impl Engine {
    /// Does something to a series that has caught up with its connection's clock, and notes what follows.
    #[inline]
    fn with<T>(&mut self, index: SeriesIndex, change: impl FnOnce(&mut Series) -> T) -> T {
        let slot = &mut self.slots[index.0 as usize];
        let now_ms = self.feeds[slot.feed.0 as usize].now_ms;
        let before_ms = slot.series.clock_ms();
        if slot.series.clock_ms().is_some_and(|clock| clock < now_ms) {
            slot.series.handle_clock(now_ms);
        }
        let result = change(&mut slot.series);
        if slot.series.clock_ms() >= Some(slot.begin_ms) {
            self.note_begun(index, before_ms);
        }
        self.note(index);
        self.note_due(index);
        result
    }

    #[inline]
    fn note(&mut self, index: SeriesIndex) {
        let slot = &mut self.slots[index.0 as usize];
        if !slot.due && slot.series.is_due() {
            slot.due = true;
            self.due.push_back(index);
        }
        if !slot.holed && slot.series.has_missing() {
            slot.holed = true;
            self.holed.push(index);
        }
        if !slot.eventful && slot.series.has_events() {
            slot.eventful = true;
            self.eventful.push_back(index);
            // What was told may show in open bars.
            self.soil(index, ALL);
        }
    }

    /// Notes the intervals in which the clock began a new bucket, and when the next one begins.
    fn note_begun(&mut self, index: SeriesIndex, before_ms: Option<i64>) {
        let slot = &mut self.slots[index.0 as usize];
        let Some(now) = slot.series.clock_ms() else {
            return;
        };
        let (mut begun, mut next_ms) = (0, i64::MAX);
        for (lane, interval) in self.config.intervals.iter().enumerate() {
            let start = interval.start_of(now);
            if before_ms.is_none_or(|before| before < start) {
                begun |= bit(lane);
            }
            next_ms = next_ms.min(start + interval.ms());
        }
        slot.begin_ms = next_ms;
        if begun != 0 {
            self.soil(index, begun);
        }
    }

    /// Brings the connection's next due time forward where the instrument's is earlier.
    #[inline]
    fn note_due(&mut self, index: SeriesIndex) {
        let slot = &self.slots[index.0 as usize];
        let feed = &mut self.feeds[slot.feed.0 as usize];
        if feed.due_ms > feed.now_ms {
            feed.due_ms = feed.due_ms.min(slot.series.due_ms());
        }
    }

    fn sweep(&mut self, feed: FeedIndex, soils: bool, mut change: impl FnMut(&mut Series)) {
        let members = std::mem::take(&mut self.feed_mut(feed).members);
        let (mut now_ms, mut due_ms) = (i64::MIN, i64::MAX);
        for &index in &members {
            self.with(index, &mut change);
            if soils {
                self.soil(index, ALL);
            }
            let series = &self.slot(index).series;
            now_ms = now_ms.max(series.clock_ms().unwrap_or(i64::MIN));
            due_ms = due_ms.min(series.due_ms());
        }
        let feed = self.feed_mut(feed);
        feed.members = members;
        feed.now_ms = feed.now_ms.max(now_ms);
        feed.swept_ms = feed.now_ms;
        feed.due_ms = due_ms;
    }

    #[inline]
    fn soil(&mut self, index: SeriesIndex, lanes: u64) {
        let slot = &mut self.slots[index.0 as usize];
        if slot.dirty == 0 {
            self.dirty.push_back(index);
        }
        slot.dirty |= lanes;
    }

    fn slot(&self, index: SeriesIndex) -> &Slot {
        &self.slots[index.0 as usize]
    }

    fn slot_mut(&mut self, index: SeriesIndex) -> &mut Slot {
        &mut self.slots[index.0 as usize]
    }

    fn feed_mut(&mut self, feed: FeedIndex) -> &mut FeedClock {
        &mut self.feeds[feed.0 as usize]
    }
}

fn bit(lane: usize) -> u64 {
    1 << lane.min(63)
}

/// Indices are handed out one by one, and four billion instruments do not fit the memory.
fn number(len: usize) -> u32 {
    u32::try_from(len).unwrap_or(u32::MAX)
}
