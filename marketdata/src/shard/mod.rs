//! The shell around one shard: inbox in, closes and open bars out to the bus.

use std::fmt::Display;
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use runtime::backoff::{self, Backoff};
use runtime::broker::{BATCH_MAX, BarMessage, Broker, CommitError, commit_alone};
use runtime::telemetry::{BusCall, Tracer};
use tokio::sync::mpsc;
use tokio::time::{Instant, MissedTickBehavior};
use wire::Scope;

use crate::metrics::{Metrics, Sparse};
use crate::options::WhenFull;
use crate::publish::Spooled;
use crate::route::Input;

mod core;

mod tally;

/// The spans of sampled trades as they come to their bars.
mod sampled;

pub(crate) use self::core::{Core, Member};
use self::sampled::SampledTrades;
use self::tally::Tally;

/// Inputs that wait for a shard. A shard takes some two million a second: a full inbox means that it was away for
/// tens of milliseconds, or that far more arrives than one core can hold. At 80 bytes each, 2.6 MB.
pub(crate) const INBOX_LEN: usize = 32_768;

/// Inputs that are taken in one turn, so that open bars and commits have theirs: half a millisecond's worth.
const TURN_LEN: usize = 1_024;

/// How often all open bars are sent again, for those who missed one.
const REPUBLISH_EVERY: Duration = Duration::from_secs(10);

/// How long the last commits may take when stopping.
const FLUSH_MAX: Duration = Duration::from_secs(3);

/// Waits between attempts to commit.
const RETRY: backoff::Options = backoff::Options {
    base: Duration::from_millis(50),
    cap: Duration::from_secs(2),
};

/// One shard.
pub(crate) struct Shard {
    core: Core,
    inbox: mpsc::Receiver<Input>,
    broker: Arc<dyn Broker>,
    scope: Scope,
    update_interval: Duration,
    when_full: WhenFull,
    metrics: Metrics,
    tally: Tally,
    backoff: Backoff,
    /// When to try again, after a commit that failed.
    retry_at: Option<Instant>,
    publish_told: Sparse,
    tracer: Tracer,
    sampled: SampledTrades,
}

/// What a shard needs besides its core.
pub(crate) struct ShardContext {
    pub(crate) broker: Arc<dyn Broker>,
    pub(crate) scope: Scope,
    pub(crate) update_interval: Duration,
    pub(crate) when_full: WhenFull,
    pub(crate) metrics: Metrics,
    pub(crate) rng: fastrand::Rng,
    pub(crate) tracer: Tracer,
}

impl Shard {
    pub(crate) fn new(core: Core, inbox: mpsc::Receiver<Input>, context: ShardContext) -> Self {
        let metrics = context.metrics;
        Self {
            core,
            inbox,
            broker: context.broker,
            scope: context.scope,
            update_interval: context.update_interval,
            when_full: context.when_full,
            tally: Tally::new(metrics.clone()),
            metrics,
            backoff: Backoff::new(RETRY, context.rng),
            retry_at: None,
            publish_told: Sparse::default(),
            sampled: SampledTrades::new(context.tracer.clone()),
            tracer: context.tracer,
        }
    }

    /// Runs until every connection has gone and everything is committed.
    ///
    /// # Errors
    /// When the bus refuses this process's closes for good.
    pub(crate) async fn run(mut self) -> Result<(), CommitError> {
        let mut inputs = Vec::with_capacity(TURN_LEN);
        let mut update = tokio::time::interval(self.update_interval);
        update.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut republish = tokio::time::interval(REPUBLISH_EVERY);
        loop {
            let busy = self.close_due().await?;
            let open = self.is_open();
            let retry = retry(self.retry_at);
            tokio::select! {
                biased;
                _ = update.tick() => {
                    self.tally.handle_counters(&self.core.counters());
                    self.publish_open().await;
                }
                _ = republish.tick() => self.core.handle_republish(),
                () = retry, if self.retry_at.is_some() => self.retry_at = None,
                // Also while there is much to close: a long outage must not starve what comes now.
                taken = self.inbox.recv_many(&mut inputs, TURN_LEN), if open => {
                    if taken == 0 {
                        break;
                    }
                    self.handle_inputs(&mut inputs);
                }
                () = std::future::ready(()), if busy => {}
            }
        }
        self.flush().await
    }

    /// Whether inputs are taken. A replay waits until the bars that are closed have been fetched; a live market
    /// does not wait, and would be dropped.
    fn is_open(&self) -> bool {
        let waits = self.when_full == WhenFull::Wait && self.core.is_backlogged();
        !waits && !self.core.spool().is_full()
    }

    fn handle_inputs(&mut self, inputs: &mut Vec<Input>) {
        for input in inputs.drain(..) {
            self.sampled.handle_input(&input);
            if let Some((outcome, instrument)) = self.core.handle_input(&input) {
                self.tally.handle_outcome(outcome, instrument);
                if let Some(traced) = self.sampled.poll_traced(&input, outcome, instrument) {
                    self.core
                        .handle_traced(traced.series, traced.time_ms, traced.context);
                }
            }
            // At once: the engine keeps no more than a few hundred of an instrument.
            while let Some((instrument, event)) = self.core.poll_event() {
                self.tally.handle_event(instrument, event);
            }
        }
    }

    /// Numbers and commits a batch of what is closed. Gives whether there may be more at once.
    async fn close_due(&mut self) -> Result<bool, CommitError> {
        let collected = self.core.collect(BATCH_MAX, wall_ms());
        if self.retry_at.is_none() {
            self.commit().await?;
        }
        Ok(collected == BATCH_MAX && self.retry_at.is_none())
    }

    async fn commit(&mut self) -> Result<(), CommitError> {
        while !self.core.spool().is_empty() {
            let message = |close: &Spooled| {
                BarMessage::new(&self.scope, close.bar.clone()).with_trace(close.trace)
            };
            let batch = self.core.spool().batch(BATCH_MAX / 2).map(message);
            let mut batch: Vec<BarMessage> = batch.collect();
            let call = BusCall::publish(&self.tracer, &mut batch);
            let committed = commit_alone(self.broker.as_ref(), &batch).await;
            let error = committed.as_ref().err().map(|error| error as &dyn Display);
            call.end(&self.tracer, self.broker.as_ref(), &batch, error);
            match committed {
                Ok(_) => self.handle_committed(&batch),
                Err(error) if error.is_terminal() => return Err(error),
                Err(error) => {
                    let delay = self.backoff.next_delay();
                    self.retry_at = Some(Instant::now() + delay);
                    self.metrics.publish_failed.inc();
                    if let Some(count) = self.publish_told.tell() {
                        tracing::warn!(count, %error, waiting = self.core.spool().len(), "closes not committed");
                    }
                    break;
                }
            }
        }
        let waiting = i64::try_from(self.core.spool().len()).unwrap_or(i64::MAX);
        self.metrics.closes_waiting.set(waiting);
        Ok(())
    }

    fn handle_committed(&mut self, batch: &[BarMessage]) {
        self.backoff.reset();
        self.core.handle_committed(batch.len());
        let count = u64::try_from(batch.len()).unwrap_or(u64::MAX);
        self.metrics.closes_committed.inc_by(count);
        let now_ms = wall_ms();
        for message in batch {
            let delay_ms = u64::try_from(now_ms - message.bar.end_ms()).unwrap_or(0);
            let delay = Duration::from_millis(delay_ms);
            self.metrics.observe_close(delay, message.trace);
        }
    }

    async fn publish_open(&mut self) {
        let now_ms = wall_ms();
        let mut bars: Vec<BarMessage> = std::iter::from_fn(|| self.core.poll_open(now_ms))
            .map(|(bar, trace)| BarMessage::new(&self.scope, bar).with_trace(trace))
            .collect();
        if bars.is_empty() {
            return;
        }
        let call = BusCall::publish(&self.tracer, &mut bars);
        let sent = self.broker.publish_open(&bars).await;
        let error = sent.as_ref().err().map(|error| error as &dyn Display);
        call.end(&self.tracer, self.broker.as_ref(), &bars, error);
        match sent {
            Ok(()) => {
                let count = u64::try_from(bars.len()).unwrap_or(u64::MAX);
                self.metrics.open_published.inc_by(count);
            }
            // Nothing is kept: they are sent again within seconds, newer.
            Err(error) => {
                self.metrics.publish_failed.inc();
                if let Some(count) = self.publish_told.tell() {
                    tracing::warn!(count, %error, "open bars not sent");
                }
            }
        }
    }

    /// The last closes, then the open bars as they stand.
    async fn flush(mut self) -> Result<(), CommitError> {
        let deadline = Instant::now() + FLUSH_MAX;
        loop {
            let busy = self.close_due().await?;
            match self.retry_at.take() {
                None if !busy => break,
                None => {}
                Some(at) if at >= deadline => {
                    tracing::warn!(
                        closes = self.core.spool().len(),
                        "closes not committed, gone"
                    );
                    break;
                }
                Some(at) => tokio::time::sleep_until(at).await,
            }
        }
        self.tally.handle_counters(&self.core.counters());
        self.publish_open().await;
        Ok(())
    }
}

async fn retry(at: Option<Instant>) {
    if let Some(at) = at {
        tokio::time::sleep_until(at).await;
    }
}

/// Our clock, in Unix milliseconds. It decides nothing: it is only written down.
pub(crate) fn wall_ms() -> i64 {
    let since = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap_or_default();
    i64::try_from(since.as_millis()).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests;
