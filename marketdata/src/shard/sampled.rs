//! Sampled trades on their way through a shard: into their bars, and with these to the bus.

use std::collections::BTreeMap;
use std::time::SystemTime;

use runtime::telemetry::names::{self, key};
use runtime::telemetry::{Span, TraceContext, Tracer, new_child};
use wire::{Instrument, Interval};

use crate::aggregate::TradeOutcome;
use crate::route::Input;
use crate::trace::TraceSlots;

/// Sampled closes that wait to be committed. A standby's wait in vain, and so do those that another owner committed: of
/// more one is forgotten, which costs its trace.
const CLOSES_MAX: usize = 1_024;

/// The traces in a shard. Where nothing is sampled, each call is a comparison.
pub(super) struct Sampled {
    pub(super) tracer: Tracer,
    next: Option<Next>,
    bars: TraceSlots,
    closes: BTreeMap<(Instrument, Interval, i64), TraceContext>,
}

/// The sampled trade that is to come.
struct Next {
    series: u32,
    trade_id: u64,
    /// The frame's receipt.
    parent: TraceContext,
    began: SystemTime,
}

impl Sampled {
    pub(super) fn new(tracer: Tracer, intervals: &[Interval]) -> Self {
        Self {
            tracer,
            next: None,
            bars: TraceSlots::new(intervals),
            closes: BTreeMap::new(),
        }
    }

    /// An input is about to be handled.
    #[inline]
    pub(super) fn handle_input(&mut self, input: &Input) {
        if let Input::Sampled {
            series,
            trade_id,
            context,
        } = *input
        {
            self.next = Some(Next {
                series,
                trade_id,
                parent: context,
                began: SystemTime::now(),
            });
        }
    }

    /// It has been handled, and this became of its trade.
    #[inline]
    pub(super) fn handle_outcome(
        &mut self,
        input: &Input,
        outcome: TradeOutcome,
        instrument: &Instrument,
    ) {
        let Some(awaited) = self.next.as_ref().map(|next| next.series) else {
            return;
        };
        // Other connections' trades may come in between.
        if let Input::Trade { series, trade, .. } = input
            && *series == awaited
            && let Some(next) = self.next.take()
            // Where an inbox was full, it is another one.
            && trade.id == next.trade_id
            && outcome == TradeOutcome::Added
        {
            let context = new_child(next.parent);
            let span = Span::child(names::BAR_AGGREGATE, context, next.parent, next.began)
                .with(key::VENUE, instrument.venue.as_str())
                .with(key::SYMBOL, instrument.symbol.as_str())
                .with(key::TRADE_ID, trade.id);
            self.tracer.record(span.until(SystemTime::now()));
            self.bars.handle_trade(instrument, trade.time_ms, context);
        }
    }

    /// The trace that an open bar is to be sent with.
    #[inline]
    pub(super) fn take_open(
        &mut self,
        instrument: &Instrument,
        interval: Interval,
        start_ms: i64,
    ) -> Option<TraceContext> {
        self.bars.take_open(instrument, interval, start_ms)
    }

    /// A bar is closed, and waits to be committed.
    #[inline]
    pub(super) fn handle_close(
        &mut self,
        instrument: &Instrument,
        interval: Interval,
        start_ms: i64,
    ) {
        if let Some(context) = self.bars.take_closed(instrument, interval, start_ms) {
            if self.closes.len() >= CLOSES_MAX {
                self.closes.pop_first();
            }
            let key = (instrument.clone(), interval, start_ms);
            self.closes.insert(key, context);
        }
    }

    /// The trace of a bar that waits to be committed; a commit may be tried more than once.
    #[inline]
    pub(super) fn of_close(
        &self,
        instrument: &Instrument,
        interval: Interval,
        start_ms: i64,
    ) -> Option<TraceContext> {
        if self.closes.is_empty() {
            return None;
        }
        let key = (instrument.clone(), interval, start_ms);
        self.closes.get(&key).copied()
    }

    /// The bar is committed; gives its trace.
    #[inline]
    pub(super) fn take_committed(
        &mut self,
        instrument: &Instrument,
        interval: Interval,
        start_ms: i64,
    ) -> Option<TraceContext> {
        if self.closes.is_empty() {
            return None;
        }
        let key = (instrument.clone(), interval, start_ms);
        self.closes.remove(&key)
    }
}
