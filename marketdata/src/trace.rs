// Pure: which bars a sampled trade is in that have not been sent since.
#![deny(clippy::disallowed_methods)]

use std::collections::BTreeMap;

use runtime::telemetry::TraceContext;
use wire::{Instrument, Interval};

/// Bars of one topic that may have a trace at a time: the newest, and those that wait for stragglers after their end.
/// With the shortest bars and the usual window these are four. Of more the oldest is forgotten, which costs its trace.
const BARS_MAX: usize = 8;

/// The traces that bars are to be sent with. A bar adds up many trades and is sent with the newest sampled one that
/// came to it since it was last sent: one trace a message, and most messages have none.
#[derive(Debug, Default)]
pub(crate) struct TraceSlots {
    /// Of each interval, the instruments with one: as many as topics at most, and few at a time.
    slots: BTreeMap<Interval, BTreeMap<Instrument, Slots>>,
    /// How many instruments there are in these.
    len: usize,
}

/// By the start of the bar that the trade is in, in Unix milliseconds; [`BARS_MAX`] at most, and never none.
type Slots = BTreeMap<i64, TraceContext>;

impl TraceSlots {
    /// Of a shard that makes bars of these intervals.
    pub(crate) fn new(intervals: &[Interval]) -> Self {
        Self {
            slots: intervals.iter().map(|&it| (it, BTreeMap::new())).collect(),
            len: 0,
        }
    }

    /// A sampled trade of this time is in its instrument's bars.
    pub(crate) fn handle_trade(
        &mut self,
        instrument: &Instrument,
        time_ms: i64,
        context: TraceContext,
    ) {
        for (interval, instruments) in &mut self.slots {
            let slots = instruments.entry(instrument.clone()).or_insert_with(|| {
                self.len += 1;
                Slots::new()
            });
            slots.insert(interval.start_of(time_ms), context);
            if slots.len() > BARS_MAX {
                slots.pop_first();
            }
        }
    }

    /// The trace that the bar, still open, is to be sent with, once. One before it may wait for its close: its trace
    /// stays. Where nothing is sampled it costs a comparison.
    #[inline]
    pub(crate) fn take_open(
        &mut self,
        instrument: &Instrument,
        interval: Interval,
        start_ms: i64,
    ) -> Option<TraceContext> {
        self.take(instrument, interval, |slots| slots.remove(&start_ms))
    }

    /// The trace that the bar's close is to be sent with, once. What is left of bars before it is forgotten: they are
    /// closed. Where nothing is sampled it costs a comparison.
    #[inline]
    pub(crate) fn take_closed(
        &mut self,
        instrument: &Instrument,
        interval: Interval,
        start_ms: i64,
    ) -> Option<TraceContext> {
        self.take(instrument, interval, |slots| {
            let own = slots.remove(&start_ms);
            *slots = slots.split_off(&start_ms);
            own
        })
    }

    #[inline]
    fn take(
        &mut self,
        instrument: &Instrument,
        interval: Interval,
        take: impl FnOnce(&mut Slots) -> Option<TraceContext>,
    ) -> Option<TraceContext> {
        if self.len == 0 {
            return None;
        }
        let instruments = self.slots.get_mut(&interval)?;
        let slots = instruments.get_mut(instrument)?;
        let taken = take(slots);
        if slots.is_empty() {
            instruments.remove(instrument);
            self.len -= 1;
        }
        taken
    }
}

#[cfg(test)]
mod tests {
    use runtime::telemetry::new_trace;

    use super::*;

    fn instrument(symbol: &str) -> Instrument {
        Instrument::new("coinbase".parse().unwrap(), symbol.parse().unwrap())
    }

    #[test]
    fn a_bar_is_sent_once_with_the_newest_sampled_trade_that_is_in_it() {
        let [second, minute] = ["1s", "1m"].map(|text| text.parse().unwrap());
        let (btc, eth) = (instrument("BTC-USD"), instrument("ETH-USD"));
        let mut slots = TraceSlots::new(&[second, minute]);
        let (old, new) = (new_trace(), new_trace());
        assert_eq!(slots.take_open(&btc, second, 60_000), None);
        slots.handle_trade(&btc, 60_100, old);
        slots.handle_trade(&btc, 60_200, new);
        let other = slots.take_open(&eth, second, 60_000);
        assert_eq!(other, None, "another instrument");
        assert_eq!(slots.take_open(&btc, second, 60_000), Some(new));
        assert_eq!(slots.take_closed(&btc, second, 60_000), None, "sent");
        let other = slots.take_closed(&btc, minute, 60_000);
        assert_eq!(other, Some(new), "another bar");
        assert_eq!(slots.len, 0);
    }

    #[test]
    fn a_bar_that_closes_late_keeps_its_trade_while_the_next_ones_are_sent() {
        let second: Interval = "1s".parse().unwrap();
        let btc = instrument("BTC-USD");
        let mut slots = TraceSlots::new(&[second]);
        let (own, next, third) = (new_trace(), new_trace(), new_trace());
        slots.handle_trade(&btc, 60_999, own);
        slots.handle_trade(&btc, 61_000, next);
        assert_eq!(slots.take_open(&btc, second, 61_000), Some(next));
        slots.handle_trade(&btc, 62_000, third);
        assert_eq!(slots.take_closed(&btc, second, 60_000), Some(own));
        assert_eq!(slots.take_closed(&btc, second, 61_000), None);
        assert_eq!(slots.take_open(&btc, second, 62_000), Some(third));
        assert_eq!(slots.len, 0);
        // What a bar never took does not go to one after it.
        slots.handle_trade(&btc, 62_999, own);
        assert_eq!(slots.take_closed(&btc, second, 63_000), None);
        assert_eq!(slots.len, 0);
    }

    #[test]
    fn what_nobody_takes_is_bounded() {
        let second: Interval = "1s".parse().unwrap();
        let btc = instrument("BTC-USD");
        let mut slots = TraceSlots::new(&[second]);
        let (old, new) = (new_trace(), new_trace());
        slots.handle_trade(&btc, 0, old);
        for start_ms in (1_000..).step_by(1_000).take(BARS_MAX) {
            slots.handle_trade(&btc, start_ms, new);
        }
        assert_eq!(slots.slots[&second][&btc].len(), BARS_MAX);
        assert_eq!(slots.take_closed(&btc, second, 0), None, "the oldest");
        assert_eq!(slots.take_closed(&btc, second, 1_000), Some(new));
    }
}
