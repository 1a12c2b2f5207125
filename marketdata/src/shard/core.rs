// Pure: one shard's inputs become numbered bars.
#![deny(clippy::disallowed_methods)]

use std::collections::{BTreeMap, HashMap, VecDeque};

use wire::{Bar, Instrument, Interval, Trade};

use crate::aggregate::{
    Closed, Config, Counters, Engine, Event, FeedIndex, Missing, OpenBar, SeriesIndex,
    SeriesSnapshot, TradeOutcome,
};
use crate::listing::Listed;
use crate::publish::{Content, Numberer, Spool, Spooled};
use crate::route::Input;

/// A shard's engine, with what joins it to connections on one side and to topics on the other.
///
/// After [`Core::handle_input`] the shell calls [`Core::collect`] until it gives less than it was asked for, and
/// [`Core::poll_event`] until it gives nothing.
#[derive(Debug)]
pub(crate) struct Core {
    engine: Engine,
    intervals: Vec<Interval>,
    series: Vec<SeriesIndex>,
    /// The way back; looked up only.
    places: HashMap<SeriesIndex, usize>,
    /// How many connections carry each instrument.
    connections: Vec<u32>,
    /// The time of each instrument's newest trade, in Unix milliseconds.
    newest_ms: Vec<i64>,
    feeds: BTreeMap<u32, FeedIndex>,
    /// Bars that are closed and have no number yet, oldest first.
    closed: VecDeque<(SeriesIndex, Closed)>,
    numberer: Numberer,
    spool: Spool,
}

/// Bars that are closed before the shell asks for them. A bar takes trades until it is fetched, so that each input
/// fetches what it closes: local scheduling decides nothing. That is what one tick closes, of four thousand
/// instruments in four intervals at midnight. Some 200 bytes each: 3 MB. When it is full, further bars stay in the
/// engine, which makes them one by one, and see [`Core::is_backlogged`].
const CLOSED_MAX: usize = 16_384;

/// An instrument of the shard, and the number of the feed that carries it.
#[derive(Debug, Clone)]
pub(crate) struct Member {
    pub(crate) listed: Listed,
    pub(crate) feed: u32,
}

impl Core {
    /// `members` are in the order of their series numbers.
    pub(crate) fn new(config: Config, epoch: u64, members: &[Member]) -> Self {
        let mut intervals = config.intervals.clone();
        intervals.sort_unstable();
        intervals.dedup();
        let mut engine = Engine::new(config);
        let mut feeds = BTreeMap::new();
        let mut series = Vec::with_capacity(members.len());
        for member in members {
            let feed = *feeds
                .entry(member.feed)
                .or_insert_with(|| engine.add_feed());
            series.push(engine.add(member.listed.instrument.clone(), feed));
        }
        let places = series.iter().enumerate().map(|(at, &s)| (s, at)).collect();
        let listed = members.iter().map(|member| &member.listed);
        Self {
            numberer: Numberer::new(epoch, listed, &intervals),
            connections: vec![0; series.len()],
            newest_ms: vec![i64::MIN; series.len()],
            engine,
            intervals,
            series,
            places,
            feeds,
            closed: VecDeque::new(),
            spool: Spool::default(),
        }
    }

    /// Takes an input; says what became of a trade, and of which instrument it was.
    #[inline]
    pub(crate) fn handle_input(&mut self, input: &Input) -> Option<(TradeOutcome, &Instrument)> {
        let outcome = self.tell_engine(input);
        self.fetch_closed();
        match (outcome, input) {
            (
                Some(outcome),
                Input::Trade { series, .. }
                | Input::Reference { series, .. }
                | Input::Repaired { series, .. },
            ) => {
                let index = self.series[*series as usize];
                Some((outcome, self.engine.instrument(index)))
            }
            _ => None,
        }
    }

    #[inline]
    fn tell_engine(&mut self, input: &Input) -> Option<TradeOutcome> {
        match *input {
            Input::Trade {
                series,
                ref trade,
                event_time_ms,
            } => {
                return Some(self.handle_trade(series as usize, trade, event_time_ms));
            }
            Input::Reference { series, ref trade } => {
                let index = self.series[series as usize];
                return Some(self.engine.handle_reference(index, trade));
            }
            Input::Repaired { series, ref trade } => {
                let index = self.series[series as usize];
                return Some(self.engine.handle_repaired(index, trade));
            }
            Input::Void {
                series,
                from_id,
                to_id,
            } => {
                let index = self.series[series as usize];
                self.engine.handle_void(index, from_id, to_id);
            }
            Input::RepairEnd {
                series,
                from_id,
                to_id,
                again,
            } => {
                let index = self.series[series as usize];
                self.engine.handle_batch_end(index);
                if again {
                    self.engine.handle_missing_again(index, from_id, to_id);
                }
            }
            Input::Loss { series } => self.engine.handle_loss(self.series[series as usize]),
            Input::Clock { feed, venue_ms } => {
                if let Some(&feed) = self.feeds.get(&feed) {
                    self.engine.handle_clock(feed, venue_ms);
                }
            }
            Input::Up { series, venue_ms } => self.handle_up(series as usize, venue_ms),
            Input::Down { series } => self.handle_down(series as usize),
        }
        None
    }

    /// A trade that is refused, or whose id was seen while its time is newer than all that was seen, has a
    /// damaged number, and there is no telling which: the bars that are open now may be the ones that lack it.
    #[inline]
    fn handle_trade(&mut self, series: usize, trade: &Trade, event_time_ms: i64) -> TradeOutcome {
        let index = self.series[series];
        let outcome = self.engine.handle_trade(index, trade, event_time_ms);
        let newest_ms = &mut self.newest_ms[series];
        match outcome {
            TradeOutcome::Added => *newest_ms = trade.time_ms.max(*newest_ms),
            TradeOutcome::Rejected(_) => self.engine.handle_loss(index),
            TradeOutcome::Duplicate if trade.time_ms > *newest_ms => {
                self.engine.handle_loss(index);
            }
            _ => {}
        }
        outcome
    }

    /// While a connection takes over from another, two carry the instrument: it is up from the first to the last.
    fn handle_up(&mut self, series: usize, venue_ms: i64) {
        self.connections[series] += 1;
        if self.connections[series] == 1 {
            self.engine
                .handle_series_up(self.series[series], Some(venue_ms));
        }
    }

    fn handle_down(&mut self, series: usize) {
        self.connections[series] = self.connections[series].saturating_sub(1);
        if self.connections[series] == 0 {
            self.engine.handle_series_down(self.series[series]);
        }
    }

    /// Fetches what is closed, as far as there is room. Costs next to nothing when nothing is.
    #[inline]
    fn fetch_closed(&mut self) {
        while self.closed.len() < CLOSED_MAX
            && let Some(closed) = self.engine.poll_close()
        {
            self.closed.push_back(closed);
        }
    }

    /// Whether more is closed than could be fetched. Whoever can wait should, until it is collected: a trade that
    /// is beyond the reorder window might yet find its bar open.
    pub(crate) fn is_backlogged(&self) -> bool {
        self.closed.len() >= CLOSED_MAX
    }

    /// Moves up to `max` closed bars to the spool; gives how many.
    pub(crate) fn collect(&mut self, max: usize, publish_time_ms: i64) -> usize {
        let room = Spool::LEN_MAX.saturating_sub(self.spool.len());
        let mut collected = 0;
        while collected < max.min(room)
            && let Some((index, closed)) = self.closed.pop_front()
        {
            collected += 1;
            if self.closed.is_empty() {
                self.fetch_closed();
            }
            let content = self.content(index, &closed_as_open(&closed), closed.rev);
            self.spool.push(Spooled {
                series: content.series,
                interval: content.interval,
                bar: self.numberer.close(&content, publish_time_ms),
            });
        }
        self.fetch_closed();
        collected
    }

    /// The closes that wait for the bus.
    pub(crate) fn spool(&self) -> &Spool {
        &self.spool
    }

    /// The oldest `count` closes are on the bus.
    pub(crate) fn handle_committed(&mut self, count: usize) {
        for close in self.spool.handle_committed(count) {
            self.numberer
                .handle_committed(close.series, close.interval, close.bar.close_no);
        }
    }

    /// The next open bar that has changed since it was last given. To be drained before anything else is handled.
    pub(crate) fn poll_open(&mut self, publish_time_ms: i64) -> Option<Bar> {
        let (index, open) = self.engine.poll_open()?;
        let content = self.content(index, &open, 0);
        Some(self.numberer.open(&content, publish_time_ms))
    }

    /// All open bars are to be given again.
    pub(crate) fn handle_republish(&mut self) {
        self.engine.handle_republish();
    }

    /// One instrument as plain data, by its series number, once [`Core::collect`] has taken what it closed.
    #[allow(dead_code, reason = "the owner's checkpoints use it")]
    pub(crate) fn snapshot(&self, series: usize) -> SeriesSnapshot {
        self.engine.snapshot(self.series[series])
    }

    /// The instrument goes on from there, as if its feed had been down since: it is up again by the next
    /// [`Input::Up`], or at once if a connection carries it already; for that, `venue_ms` is the time of its feed.
    #[allow(dead_code, reason = "taking an instrument over uses it")]
    pub(crate) fn restore(
        &mut self,
        series: usize,
        snapshot: &SeriesSnapshot,
        venue_ms: Option<i64>,
    ) {
        let index = self.series[series];
        self.engine.restore(index, snapshot);
        self.closed.retain(|(of, _)| *of != index);
        if self.connections[series] > 0 {
            self.engine.handle_series_up(index, venue_ms);
        }
        self.fetch_closed();
    }

    /// Appends the ids that are to be fetched, each hole once, with the series number of its instrument: those that
    /// are missing for longer than `grace_ms` by the caller's clock, which `now_ms` is, and those that an outage left.
    #[allow(dead_code, reason = "the shell asks once there is a repair")]
    pub(crate) fn poll_missing(
        &mut self,
        now_ms: i64,
        grace_ms: i64,
        out: &mut Vec<(usize, Missing)>,
    ) {
        let mut missing = Vec::new();
        self.engine.poll_missing(now_ms, grace_ms, &mut missing);
        let placed = |(index, missing)| Some((*self.places.get(&index)?, missing));
        out.extend(missing.into_iter().filter_map(placed));
    }

    /// These could not be asked for; they are given again after the grace.
    #[allow(dead_code, reason = "the shell asks once there is a repair")]
    pub(crate) fn handle_missing_again(&mut self, series: usize, missing: &Missing) {
        let index = self.series[series];
        self.engine
            .handle_missing_again(index, missing.from_id, missing.to_id);
    }

    /// What the engine has counted, of all instruments.
    pub(crate) fn counters(&self) -> Counters {
        self.engine.counters()
    }

    /// The next thing to count or log.
    pub(crate) fn poll_event(&mut self) -> Option<(&Instrument, Event)> {
        let (index, event) = self.engine.poll_event()?;
        Some((self.engine.instrument(index), event))
    }

    fn content(&self, index: SeriesIndex, bar: &OpenBar, rev: u32) -> Content {
        // Both were handed out by this engine, for its own intervals.
        let interval = self.intervals.binary_search(&bar.interval);
        Content {
            series: self.places.get(&index).copied().unwrap_or_default(),
            interval: interval.unwrap_or_default(),
            start_ms: bar.start_ms,
            candle: bar.candle,
            completeness: bar.completeness,
            rev,
            event_time_ms: bar.event_time_ms,
        }
    }
}

/// The two have the same fields, but for the rev.
fn closed_as_open(closed: &Closed) -> OpenBar {
    OpenBar {
        interval: closed.interval,
        start_ms: closed.start_ms,
        candle: closed.candle,
        completeness: closed.completeness,
        event_time_ms: closed.event_time_ms,
    }
}

#[cfg(test)]
mod tests;
