// Pure: which bars a sampled trade is in that have not been sent since.
#![deny(clippy::disallowed_methods)]

use std::collections::BTreeMap;

use runtime::telemetry::TraceContext;
use wire::Interval;

/// The traces that bars are to be sent with. A bar adds up many trades and is sent with the newest sampled one that
/// came to it since it was last sent: one trace a message, and most messages have none.
#[derive(Debug, Default)]
pub(crate) struct TraceSlots {
    intervals: Vec<Interval>,
    /// By instrument and interval, so that there are as many as topics at most, and few at a time.
    slots: BTreeMap<(u32, Interval), Slot>,
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
            intervals: intervals.to_vec(),
            slots: BTreeMap::new(),
        }
    }

    /// A sampled trade of this time is in its instrument's bars.
    pub(crate) fn handle_trade(&mut self, series: u32, time_ms: i64, context: TraceContext) {
        for &interval in &self.intervals {
            let start_ms = interval.start_of(time_ms);
            let slot = Slot { start_ms, context };
            self.slots.insert((series, interval), slot);
        }
    }

    /// The trace that the bar is to be sent with, once. Where nothing is sampled it costs a comparison.
    #[inline]
    pub(crate) fn take(
        &mut self,
        series: u32,
        interval: Interval,
        start_ms: i64,
    ) -> Option<TraceContext> {
        if self.slots.is_empty() {
            return None;
        }
        let slot = self.slots.get(&(series, interval))?;
        if slot.start_ms > start_ms {
            // The trade is in the next bar already, and this one is only now sent.
            return None;
        }
        let slot = self.slots.remove(&(series, interval))?;
        (slot.start_ms == start_ms).then_some(slot.context)
    }
}

#[cfg(test)]
mod tests {
    use runtime::telemetry::{new_child, new_trace};

    use super::*;

    #[test]
    fn a_bar_is_sent_once_with_the_newest_sampled_trade_that_is_in_it() {
        let [second, minute] = ["1s", "1m"].map(|text| text.parse().unwrap());
        let mut slots = TraceSlots::new(&[second, minute]);
        let (old, new) = (new_trace(), new_trace());
        assert_eq!(slots.take(0, second, 60_000), None);
        slots.handle_trade(0, 60_100, old);
        slots.handle_trade(0, 60_200, new);
        assert_eq!(slots.take(1, second, 60_000), None, "another instrument");
        assert_eq!(slots.take(0, second, 60_000), Some(new));
        assert_eq!(slots.take(0, second, 60_000), None, "sent already");
        assert_eq!(slots.take(0, minute, 60_000), Some(new), "another bar");
        assert!(slots.slots.is_empty());
    }

    #[test]
    fn a_bar_that_closes_late_does_not_take_the_next_ones_trade() {
        let second: Interval = "1s".parse().unwrap();
        let mut slots = TraceSlots::new(&[second]);
        let context = new_child(new_trace());
        slots.handle_trade(0, 61_000, context);
        assert_eq!(slots.take(0, second, 60_000), None);
        assert_eq!(slots.take(0, second, 61_000), Some(context));
        // What a bar never took does not go to one after it.
        slots.handle_trade(0, 62_999, context);
        assert_eq!(slots.take(0, second, 63_000), None);
        assert!(slots.slots.is_empty());
    }
}
