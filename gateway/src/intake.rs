//! From the bus to every shard: open bars conflated, closes one by one. The bus may be away at any time; the
//! gateway goes on with what it has, and takes up again where it was.

use std::sync::Arc;
use std::time::Duration;

use runtime::backoff::{self, Backoff};
use runtime::broker::{
    BarMessage, Broker, CloseStart, CloseSubscription, Closed, Drained, OpenSubscription,
    SequencedClose, SubscribeError,
};
use runtime::telemetry::{BusCall, Tracer};
use wire::subject::Kind;
use wire::{Scope, SubjectFilter};

use crate::catalogue::Catalogue;
use crate::inbox::Inbox;
use crate::metrics::Metrics;

/// Closes taken from the bus at once: the most that one batch has.
const CLOSES_LEN_MAX: usize = runtime::broker::BATCH_MAX;

const RETRY: backoff::Options = backoff::Options {
    base: Duration::from_millis(100),
    cap: Duration::from_secs(5),
};

/// A shard that is behind is looked at this often, a second in all: twenty of its longest gathering times.
const ROOM_LOOKS: usize = 200;
const ROOM_LOOK_WAIT: Duration = Duration::from_millis(5);

/// What both intakes hold.
#[derive(Clone)]
pub(crate) struct Intake {
    pub(crate) broker: Arc<dyn Broker>,
    pub(crate) scope: Scope,
    pub(crate) inboxes: Arc<[Inbox]>,
    pub(crate) catalogue: Catalogue,
    pub(crate) metrics: Metrics,
    pub(crate) tracer: Tracer,
}

impl Intake {
    /// Passes on open bars, for good.
    pub(crate) async fn run_opens(self) {
        let mut retry = Backoff::new(RETRY, fastrand::Rng::new());
        loop {
            let filter = SubjectFilter::all(Kind::Open, &self.scope);
            match self.broker.subscribe_open(filter).await {
                Ok(mut bars) => {
                    let Err(Closed { .. }) = self.pass_opens(bars.as_mut(), &mut retry).await;
                    tracing::warn!("the bus ended the subscription to open bars");
                }
                Err(error) => tracing::warn!(%error, "cannot subscribe to open bars"),
            }
            tokio::time::sleep(retry.next_delay()).await;
        }
    }

    async fn pass_opens(
        &self,
        bars: &mut dyn OpenSubscription,
        retry: &mut Backoff,
    ) -> Result<std::convert::Infallible, Closed> {
        let mut messages: Vec<BarMessage> = Vec::new();
        loop {
            bars.drain(&mut messages).await?;
            retry.reset();
            let receipt = BusCall::receive(&self.tracer, &mut messages);
            self.metrics.received_open(messages.len());
            for inbox in self.inboxes.iter() {
                let overtaken = inbox.put_opens(&messages);
                self.metrics.inbox_conflated.inc_by(overtaken as u64);
            }
            // Last: a client that connects when it sees a topic listed reaches a shard that has it.
            self.catalogue.learn(messages.iter());
            receipt.end(&self.tracer, self.broker.as_ref(), &messages, None);
            messages.clear();
        }
    }

    /// Passes on closes, for good: first those that the bus holds, so that clients can resume.
    pub(crate) async fn run_closes(self) {
        let mut retry = Backoff::new(RETRY, fastrand::Rng::new());
        let mut from = CloseStart::First;
        loop {
            let filter = SubjectFilter::all(Kind::Committed, &self.scope);
            match self.broker.subscribe_closes(filter, from).await {
                Ok(mut bars) => {
                    let Err(Closed { .. }) =
                        self.pass_closes(bars.as_mut(), &mut from, &mut retry).await;
                    tracing::warn!("the bus ended the subscription to closes");
                }
                Err(error) => {
                    tracing::warn!(%error, "cannot subscribe to closes");
                    // The log was made anew. Its topics' close_no go on, so that the hub knows what it has.
                    if matches!(error, SubscribeError::Ahead { .. }) {
                        from = CloseStart::First;
                    }
                }
            }
            tokio::time::sleep(retry.next_delay()).await;
        }
    }

    async fn pass_closes(
        &self,
        bars: &mut dyn CloseSubscription,
        from: &mut CloseStart,
        retry: &mut Backoff,
    ) -> Result<std::convert::Infallible, Closed> {
        let mut closes: Vec<SequencedClose> = Vec::new();
        loop {
            if let Drained::Lagged { from, to } = bars.drain(CLOSES_LEN_MAX, &mut closes).await? {
                // The hub sees the hole in each topic's close_no, and clients get `missed`.
                tracing::warn!(from, to, "closes aged out before they were taken");
                self.metrics
                    .lagged(to.saturating_sub(from).saturating_add(1));
            }
            retry.reset();
            let receipt = BusCall::receive(
                &self.tracer,
                closes.iter_mut().map(|close| &mut close.message),
            );
            self.metrics.received_closes(closes.len());
            if let Some(last) = closes.last() {
                *from = CloseStart::After(last.sequence);
            }
            for inbox in self.inboxes.iter() {
                let messages = closes.iter().map(|close| close.message.clone());
                let dropped = inbox.put_closes(messages);
                self.metrics.inbox_dropped.inc_by(dropped as u64);
            }
            // Last, as for the open bars.
            self.catalogue
                .learn(closes.iter().map(|close| &close.message));
            let taken = closes.iter().map(|close| &close.message);
            receipt.end(&self.tracer, self.broker.as_ref(), taken, None);
            closes.clear();
            self.wait_for_room().await;
        }
    }

    /// The bus holds closes too, so that it is better to leave them there while a shard is behind; but not
    /// for long, because the other shards wait too. After that a full inbox drops its oldest.
    async fn wait_for_room(&self) {
        for _ in 0..ROOM_LOOKS {
            if self.inboxes.iter().all(Inbox::has_room) {
                return;
            }
            tokio::time::sleep(ROOM_LOOK_WAIT).await;
        }
    }
}

#[cfg(test)]
mod tests;
