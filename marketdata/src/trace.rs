// Pure: which bars a sampled trade is in that have not been sent since.
#![deny(clippy::disallowed_methods)]

use std::collections::BTreeMap;

use runtime::telemetry::TraceContext;
use wire::{Instrument, Interval};

/// The traces that bars are to be sent with. A bar adds up many trades and is sent with the newest sampled one that
/// came to it since it was last sent: one trace a message, and most messages have none.
#[derive(Debug, Default)]
pub(crate) struct TraceSlots {
    /// Of each interval, the instruments with one: as many as topics at most, and few at a time.
    slots: BTreeMap<Interval, BTreeMap<Instrument, Slot>>,
    /// How many there are.
    len: usize,
}

#[derive(Debug, Clone, Copy)]
struct Slot {
    /// The start of the bar that the trade is in, in Unix milliseconds.
    start_ms: i64,
    context: TraceContext,
}

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
        for (interval, slots) in &mut self.slots {
            let start_ms = interval.start_of(time_ms);
            let slot = Slot { start_ms, context };
            if slots.insert(instrument.clone(), slot).is_none() {
                self.len += 1;
            }
        }
    }

    /// The trace that the bar is to be sent with, once. Where nothing is sampled it costs a comparison.
    #[inline]
    pub(crate) fn take(
        &mut self,
        instrument: &Instrument,
        interval: Interval,
        start_ms: i64,
    ) -> Option<TraceContext> {
        if self.len == 0 {
            return None;
        }
        let slots = self.slots.get_mut(&interval)?;
        let slot = *slots.get(instrument)?;
        if slot.start_ms > start_ms {
            // The trade is in the next bar already, and this one is only now sent.
            return None;
        }
        slots.remove(instrument);
        self.len -= 1;
        (slot.start_ms == start_ms).then_some(slot.context)
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
        assert_eq!(slots.take(&btc, second, 60_000), None);
        slots.handle_trade(&btc, 60_100, old);
        slots.handle_trade(&btc, 60_200, new);
        assert_eq!(slots.take(&eth, second, 60_000), None, "another instrument");
        assert_eq!(slots.take(&btc, second, 60_000), Some(new));
        assert_eq!(slots.take(&btc, second, 60_000), None, "sent already");
        assert_eq!(slots.take(&btc, minute, 60_000), Some(new), "another bar");
        assert_eq!(slots.len, 0);
    }

    #[test]
    fn a_bar_that_closes_late_does_not_take_the_next_ones_trade() {
        let second: Interval = "1s".parse().unwrap();
        let btc = instrument("BTC-USD");
        let mut slots = TraceSlots::new(&[second]);
        let context = new_trace();
        slots.handle_trade(&btc, 61_000, context);
        assert_eq!(slots.take(&btc, second, 60_000), None);
        assert_eq!(slots.take(&btc, second, 61_000), Some(context));
        // What a bar never took does not go to one after it.
        slots.handle_trade(&btc, 62_999, context);
        assert_eq!(slots.take(&btc, second, 63_000), None);
        assert_eq!(slots.len, 0);
    }
}
