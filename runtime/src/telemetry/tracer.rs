//! The handle by which components take part in traces.

use std::num::{NonZeroU64, NonZeroU128};
use std::sync::Arc;

use prometheus_client::metrics::counter::Counter;
use tokio::sync::mpsc;

use super::sampler::Sampler;
use super::span::Span;
use super::trace::{TraceContext, TraceId};

/// Makes traces and takes their spans. Clones are one. Off, it costs a comparison where it is asked, and is asked only
/// where a message says that it is sampled.
#[derive(Debug, Clone, Default)]
pub struct Tracer {
    on: Option<Arc<On>>,
}

#[derive(Debug)]
struct On {
    samples_per_million: u32,
    queue: mpsc::Sender<Span>,
    dropped: Counter,
}

impl Tracer {
    /// One that samples nothing and takes nothing.
    #[must_use]
    pub fn off() -> Self {
        Self::default()
    }

    #[cfg(any(test, feature = "otlp"))]
    pub(super) fn new(
        samples_per_million: u32,
        queue: mpsc::Sender<Span>,
        dropped: Counter,
    ) -> Self {
        Self {
            on: Some(Arc::new(On {
                samples_per_million,
                queue,
                dropped,
            })),
        }
    }

    /// Whether spans go anywhere.
    #[inline]
    #[must_use]
    pub fn is_on(&self) -> bool {
        self.on.is_some()
    }

    /// What decides, at one head of the path, which frames are sampled. Off, it takes none.
    #[must_use]
    pub fn sampler(&self, rng: fastrand::Rng) -> Sampler {
        let per_million = self.on.as_ref().map_or(0, |on| on.samples_per_million);
        Sampler::new(per_million, rng)
    }

    /// Takes a span that is over. Never waits: when the queue is full, the span is dropped and counted.
    pub fn record(&self, span: Span) {
        let Some(on) = &self.on else {
            return;
        };
        if on.queue.try_send(span).is_err() {
            on.dropped.inc();
        }
    }
}

/// A new trace with its first span's number. The numbers are random and carry no meaning.
#[must_use]
pub fn new_trace() -> TraceContext {
    TraceContext {
        trace_id: TraceId(NonZeroU128::new(fastrand::u128(..)).unwrap_or(NonZeroU128::MIN)),
        span_id: new_span_id(),
    }
}

/// A new span's context below another.
#[must_use]
pub fn new_child(parent: TraceContext) -> TraceContext {
    parent.with_span(new_span_id())
}

fn new_span_id() -> NonZeroU64 {
    // Zero, once in an age of the universe, is not allowed; any other number is as good.
    NonZeroU64::new(fastrand::u64(..)).unwrap_or(NonZeroU64::MIN)
}
