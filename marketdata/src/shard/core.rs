// Pure: one shard's inputs become numbered bars.
#![deny(clippy::disallowed_methods)]

use std::collections::{BTreeMap, HashMap};

use wire::{Bar, Interval, Trade};

use crate::aggregate::{
    Closed, Config, Engine, Event, FeedIndex, OpenBar, SeriesIndex, TradeOutcome,
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
    numberer: Numberer,
    spool: Spool,
}

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
            spool: Spool::default(),
        }
    }

    /// Takes an input; says what became of a trade.
    #[inline]
    pub(crate) fn handle_input(&mut self, input: &Input) -> Option<TradeOutcome> {
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

    /// Moves up to `max` closed bars to the spool; gives how many.
    pub(crate) fn collect(&mut self, max: usize, publish_time_ms: i64) -> usize {
        let room = Spool::LEN_MAX.saturating_sub(self.spool.len());
        let mut collected = 0;
        while collected < max.min(room)
            && let Some((index, closed)) = self.engine.poll_close()
        {
            collected += 1;
            let content = self.content(index, &closed_as_open(&closed));
            self.spool.push(Spooled {
                series: content.series,
                interval: content.interval,
                bar: self.numberer.close(&content, publish_time_ms),
            });
        }
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
        let content = self.content(index, &open);
        Some(self.numberer.open(&content, publish_time_ms))
    }

    /// All open bars are to be given again.
    pub(crate) fn handle_republish(&mut self) {
        self.engine.handle_republish();
    }

    /// The next thing to count or log.
    pub(crate) fn poll_event(&mut self) -> Option<(&wire::Instrument, Event)> {
        let (index, event) = self.engine.poll_event()?;
        Some((self.engine.instrument(index), event))
    }

    fn content(&self, index: SeriesIndex, bar: &OpenBar) -> Content {
        // Both were handed out by this engine, for its own intervals.
        let interval = self.intervals.binary_search(&bar.interval);
        Content {
            series: self.places.get(&index).copied().unwrap_or_default(),
            interval: interval.unwrap_or_default(),
            start_ms: bar.start_ms,
            candle: bar.candle,
            completeness: bar.completeness,
            event_time_ms: bar.event_time_ms,
        }
    }
}

/// The two have the same fields.
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
mod tests {
    use wire::{Completeness, Side};

    use super::*;
    use crate::listing;

    const T0: i64 = 1_723_161_240_000;

    fn core() -> Core {
        let venue = "binance-spot".parse().unwrap();
        let symbols = ["BTC-USDT".parse().unwrap()];
        let members: Vec<Member> = listing::list([(&venue, &symbols[..])])
            .into_iter()
            .map(|listed| Member { listed, feed: 3 })
            .collect();
        Core::new(Config::new([Interval::S1]), 7, &members)
    }

    fn trade(id: u64, time_ms: i64) -> Input {
        Input::Trade {
            series: 0,
            trade: Trade {
                id,
                time_ms,
                price: "5".parse().unwrap(),
                size: "1".parse().unwrap(),
                taker: Side::Buy,
            },
            event_time_ms: time_ms,
        }
    }

    fn clock(venue_ms: i64) -> Input {
        Input::Clock { feed: 3, venue_ms }
    }

    const UP: Input = Input::Up {
        series: 0,
        venue_ms: T0,
    };
    const DOWN: Input = Input::Down { series: 0 };

    /// What the second after the first trade's closes as, given what happened in between.
    fn check(inputs: &[Input], expect: Completeness) {
        let mut core = core();
        for input in [UP, trade(1, T0 + 10)].iter().chain(inputs) {
            core.handle_input(input);
        }
        core.handle_input(&trade(2, T0 + 2_500));
        core.handle_input(&clock(T0 + 30_000));
        core.collect(100, 0);
        let bars: Vec<Bar> = core.spool().batch(100).map(|c| c.bar.clone()).collect();
        assert_eq!(bars[1].start_ms, T0 + 1_000);
        assert_eq!(bars[1].completeness, expect, "{inputs:?}");
        assert_eq!(bars[1].close_no, 2);
    }

    #[test]
    fn an_instrument_is_up_while_any_connection_carries_it() {
        check(&[], Completeness::Quiet);
        check(&[UP, DOWN], Completeness::Quiet);
        check(&[UP, DOWN, UP, DOWN], Completeness::Quiet);
    }

    #[test]
    fn a_trade_with_a_damaged_number_marks_what_is_open() {
        // An id that was seen, at a time that was not.
        check(&[trade(1, T0 + 1_500)], Completeness::Gap);
        // A true duplicate is no harm.
        check(&[trade(1, T0 + 10)], Completeness::Quiet);
        // A time of the far past.
        check(&[clock(T0 + 1_500), trade(7, 5)], Completeness::Gap);
    }

    #[test]
    fn open_bars_bear_what_is_committed() {
        let mut core = core();
        core.handle_input(&UP);
        core.handle_input(&trade(1, T0 + 10));
        let open = core.poll_open(9).unwrap();
        assert_eq!((open.close_no, open.seq, open.closed), (0, 1, false));
        assert!(core.poll_open(9).is_none());
        core.handle_input(&clock(T0 + 3_100));
        assert_eq!(core.collect(100, 9), 1);
        assert_eq!(core.poll_open(9).unwrap().close_no, 0);
        assert!(core.poll_open(9).is_none());
        core.handle_committed(1);
        core.handle_republish();
        let open = core.poll_open(9).unwrap();
        assert_eq!((open.close_no, open.start_ms), (1, T0 + 3_000));
        assert!(core.spool().is_empty());
    }

    #[test]
    fn a_full_spool_takes_no_more() {
        let mut core = core();
        core.handle_input(&UP);
        core.handle_input(&trade(1, T0 + 10));
        let days = i64::try_from(Spool::LEN_MAX).unwrap() + 10_000;
        for second in 1..days {
            core.handle_input(&clock(T0 + second * 1_000));
            core.collect(10, 0);
        }
        assert!(core.spool().is_full());
        assert_eq!(core.collect(1_000, 0), 0);
        core.handle_committed(500);
        assert_eq!(core.collect(1_000, 0), 500);
        let numbers: Vec<u64> = core
            .spool()
            .batch(usize::MAX)
            .map(|c| c.bar.close_no)
            .collect();
        assert!(numbers.windows(2).all(|pair| pair[1] == pair[0] + 1));
    }
}
