//! Which frames are traced, and the span of a frame's receipt: the first of its trace.

use std::time::SystemTime;

use runtime::telemetry::names::{self, key};
use runtime::telemetry::{Sampler, Span, TraceContext, Tracer, new_trace};

use crate::venue::{Event, InstrumentIndex, Symbols};

/// Decides for one connection. A frame that is not sampled costs a look and a subtraction: no clock is read, nothing
/// is made.
pub(super) struct Receipts {
    sampler: Sampler,
}

/// When a frame came that is sampled if there is a trade in it.
pub(super) struct Receipt(SystemTime);

/// A sampled frame.
pub(super) struct Sampled {
    /// The place, among the frame's events, of the trade that stands for it.
    pub(super) at: usize,
    pub(super) context: TraceContext,
    began: SystemTime,
    instrument: InstrumentIndex,
    trade_id: u64,
    event_time_ms: i64,
}

impl Receipts {
    pub(super) fn new(tracer: &Tracer) -> Self {
        Self {
            sampler: tracer.sampler(fastrand::Rng::new()),
        }
    }

    /// A frame has come, and has not been read.
    #[inline]
    pub(super) fn begin(&self) -> Option<Receipt> {
        self.sampler.is_due().then(|| Receipt(SystemTime::now()))
    }

    /// It says this. Frames without a trade are not counted: the sample is one of trades.
    #[inline]
    pub(super) fn take(&mut self, receipt: Option<Receipt>, events: &[Event]) -> Option<Sampled> {
        let is_trade = |event: &Event| matches!(event, Event::Trade { .. });
        let at = events.iter().position(is_trade)?;
        if !self.sampler.handle_frame() {
            return None;
        }
        match (receipt, &events[at]) {
            (
                Some(Receipt(began)),
                &Event::Trade {
                    instrument,
                    trade,
                    event_time_ms,
                },
            ) => Some(Sampled {
                at,
                context: new_trace(),
                began,
                instrument,
                trade_id: trade.id,
                event_time_ms,
            }),
            _ => None,
        }
    }
}

impl Sampled {
    /// What the frame says is on its way.
    pub(super) fn end(self, tracer: &Tracer, venue: &'static str, symbols: &Symbols) {
        let now = SystemTime::now();
        let since_epoch = self.began.duration_since(SystemTime::UNIX_EPOCH);
        let came_ms = i64::try_from(since_epoch.unwrap_or_default().as_millis());
        let lag_ms = came_ms
            .unwrap_or(i64::MAX)
            .saturating_sub(self.event_time_ms);
        let symbol = symbols.symbol(self.instrument).to_string();
        tracing::debug!(trace_id = %self.context.trace_id, venue, symbol, lag_ms, "trade sampled");
        let span = Span::root(names::EXCHANGE_RECEIVE, self.context, self.began)
            .with(key::VENUE, venue)
            .with(key::SYMBOL, symbol)
            .with(key::TRADE_ID, self.trade_id)
            .with(key::LAG_MS, lag_ms);
        tracer.record(span.until(now));
    }
}
