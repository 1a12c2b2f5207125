//! From the tracer's queue to a collector: in batches, one at a time, and never at the cost of what is traced.

use std::future::Future;
use std::time::Duration;

use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::registry::Registry;
use tokio::sync::mpsc;
use tokio::time::Instant;

use super::span::Span;
use crate::backoff::{self, Backoff};
use crate::shutdown::Shutdown;

/// Spans that wait to be sent. One bar in a hundred of 20,000 a second, five spans each, is a thousand a second: some
/// seconds of a collector that is away. About 400 bytes each: 1.6 MB. Of more the newest are dropped and counted.
pub(super) const QUEUE_LEN: usize = 4_096;

/// Spans of one request.
const BATCH_LEN: usize = 512;

/// How long spans are gathered into one request, from the first on.
const BATCH_WAIT: Duration = Duration::from_millis(250);

/// How long a request may take.
pub(super) const SEND_MAX: Duration = Duration::from_secs(3);

/// A batch that fails this often is dropped and counted: there may be something in it that the collector does not take.
const ATTEMPTS_MAX: u32 = 5;

/// How long the last spans may take when stopping, all requests together.
const FLUSH_MAX: Duration = Duration::from_secs(2);

/// How long [`Exporter::run`] takes at most once it is asked to stop.
pub(super) const STOP_MAX: Duration = SEND_MAX.saturating_add(FLUSH_MAX);

/// Waits between attempts.
const RETRY: backoff::Options = backoff::Options {
    base: Duration::from_secs(1),
    cap: Duration::from_secs(30),
};

/// Where batches go.
pub(super) trait Sink: Send {
    /// Sends a batch, once. Says why it did not arrive.
    fn send(&mut self, batch: &[Span]) -> impl Future<Output = Result<(), String>> + Send;
}

/// What is counted.
#[derive(Debug, Clone, Default)]
pub(super) struct Counts {
    exported: Counter,
    dropped: Family<DroppedLabels, Counter>,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct DroppedLabels {
    why: &'static str,
}

impl Counts {
    pub(super) fn register(registry: &mut Registry) -> Self {
        let counts = Self::default();
        let Self { exported, dropped } = counts.clone();
        registry.register("spans_exported", "Spans that a collector took", exported);
        registry.register("spans_dropped", "Spans that no collector took", dropped);
        counts
    }

    /// Spans for which there was no room.
    pub(super) fn queue_full(&self) -> Counter {
        self.dropped("queue_full")
    }

    fn not_sent(&self) -> Counter {
        self.dropped("not_sent")
    }

    fn dropped(&self, why: &'static str) -> Counter {
        self.dropped.get_or_create_owned(&DroppedLabels { why })
    }
}

/// The task that sends what the tracer takes.
pub(super) struct Exporter<S> {
    queue: mpsc::Receiver<Span>,
    sink: S,
    counts: Counts,
    backoff: Backoff,
    /// What is being sent.
    batch: Vec<Span>,
}

impl<S: Sink> Exporter<S> {
    pub(super) fn new(
        queue: mpsc::Receiver<Span>,
        sink: S,
        counts: Counts,
        rng: fastrand::Rng,
    ) -> Self {
        Self {
            queue,
            sink,
            counts,
            backoff: Backoff::new(RETRY, rng),
            batch: Vec::with_capacity(BATCH_LEN),
        }
    }

    /// Sends until asked to stop or until every tracer is gone; then what is left, for as long as that may take.
    pub(super) async fn run(mut self, shutdown: Shutdown) {
        loop {
            tokio::select! {
                biased;
                () = shutdown.requested() => break,
                open = self.gather() => if !open { break },
            }
            self.deliver(&shutdown).await;
            if shutdown.is_requested() {
                break;
            }
        }
        self.flush().await;
    }

    /// Waits for a span, then a little for those that follow. False once there will be none. Cancel-safe: what was
    /// gathered is in the batch.
    async fn gather(&mut self) -> bool {
        if self.queue.recv_many(&mut self.batch, BATCH_LEN).await == 0 {
            return false;
        }
        let until = Instant::now() + BATCH_WAIT;
        while self.batch.len() < BATCH_LEN {
            let room = BATCH_LEN - self.batch.len();
            let more = self.queue.recv_many(&mut self.batch, room);
            match tokio::time::timeout_at(until, more).await {
                Ok(0) | Err(_) => break,
                Ok(_) => {}
            }
        }
        true
    }

    /// Sends the batch, again and again if need be. Leaves it where it is when a stop comes between two attempts.
    async fn deliver(&mut self, shutdown: &Shutdown) {
        for attempt in 1..=ATTEMPTS_MAX {
            let Err(error) = self.attempt(SEND_MAX).await else {
                return;
            };
            if attempt == ATTEMPTS_MAX {
                let spans = self.batch.len();
                tracing::warn!(attempt, spans, error, "traces not exported, dropped");
                self.drop_batch();
                return;
            }
            let wait = self.backoff.next_delay();
            tracing::warn!(
                attempt,
                wait_ms = wait.as_millis(),
                error,
                "traces not exported"
            );
            tokio::select! {
                () = tokio::time::sleep(wait) => {}
                () = shutdown.requested() => return,
            }
        }
    }

    async fn attempt(&mut self, max: Duration) -> Result<(), String> {
        let sent = tokio::time::timeout(max, self.sink.send(&self.batch)).await;
        sent.unwrap_or_else(|_| Err(format!("no answer in {} ms", max.as_millis())))?;
        self.counts.exported.inc_by(self.batch.len() as u64);
        self.batch.clear();
        if self.backoff.attempts() > 0 {
            self.backoff.reset();
            tracing::info!("traces are exported again");
        }
        Ok(())
    }

    fn drop_batch(&mut self) {
        self.counts.not_sent().inc_by(self.batch.len() as u64);
        self.batch.clear();
    }

    /// Sends what is left, without a second attempt.
    async fn flush(mut self) {
        let until = Instant::now() + FLUSH_MAX;
        self.queue.close();
        loop {
            while self.batch.len() < BATCH_LEN
                && let Ok(span) = self.queue.try_recv()
            {
                self.batch.push(span);
            }
            if self.batch.is_empty() {
                return;
            }
            let left = until.saturating_duration_since(Instant::now());
            if let Err(error) = self.attempt(left).await {
                while let Ok(span) = self.queue.try_recv() {
                    self.batch.push(span);
                }
                let spans = self.batch.len();
                tracing::warn!(spans, error, "the last traces are not exported, dropped");
                return self.drop_batch();
            }
        }
    }
}

#[cfg(test)]
mod tests;
