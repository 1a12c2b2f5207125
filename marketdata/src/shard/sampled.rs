//! The spans of sampled trades as they come to their bars.

use std::time::SystemTime;

use runtime::telemetry::names::{self, key};
use runtime::telemetry::{Span, TraceContext, Tracer, new_child};
use wire::Instrument;

use crate::aggregate::TradeOutcome;
use crate::route::Input;

/// The sampled trade that is to come, if one is: an input that is neither it nor its announcement costs a comparison.
pub(super) struct SampledTrades {
    tracer: Tracer,
    next: Option<Next>,
}

struct Next {
    series: u32,
    trade_id: u64,
    /// The frame's receipt.
    parent: TraceContext,
    began: SystemTime,
}

/// A sampled trade that is in its bars: they are to be sent as children of it.
pub(super) struct Traced {
    pub(super) series: u32,
    /// Unix milliseconds.
    pub(super) time_ms: i64,
    pub(super) context: TraceContext,
}

impl SampledTrades {
    pub(super) fn new(tracer: Tracer) -> Self {
        Self { tracer, next: None }
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

    /// It has been handled. Gives the trade if it was the one and a bar has it.
    #[inline]
    pub(super) fn poll_traced(
        &mut self,
        input: &Input,
        outcome: TradeOutcome,
        instrument: &Instrument,
    ) -> Option<Traced> {
        let awaited = self.next.as_ref()?.series;
        let (series, trade) = match input {
            // Other connections' trades may come in between.
            Input::Trade { series, trade, .. } if *series == awaited => (*series, trade),
            _ => return None,
        };
        let next = self.next.take()?;
        // Where an inbox was full, it is another one.
        if trade.id != next.trade_id || outcome != TradeOutcome::Added {
            return None;
        }
        let context = new_child(next.parent);
        let span = Span::child(names::BAR_AGGREGATE, context, next.parent, next.began)
            .with(key::VENUE, instrument.venue.as_str())
            .with(key::SYMBOL, instrument.symbol.as_str())
            .with(key::TRADE_ID, trade.id);
        self.tracer.record(span.until(SystemTime::now()));
        Some(Traced {
            series,
            time_ms: trade.time_ms,
            context,
        })
    }
}
