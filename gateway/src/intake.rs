//! From the bus to every shard: open bars conflated, closes one by one. The bus may be away at any time; the
//! gateway goes on with what it has, and takes up again where it was.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant, SystemTime};

use runtime::backoff::{self, Backoff};
use runtime::broker::{
    BarMessage, Broker, CloseStart, CloseSubscription, Closed, Drained, OpenSubscription,
    SequencedClose, SubscribeError,
};
use runtime::shutdown::Shutdown;
use runtime::telemetry::{BusCall, Tracer};
use wire::api::FeedReport;
use wire::subject::Kind;
use wire::{Scope, SubjectFilter};

use crate::catalogue::Catalogue;
use crate::feed::{Feed, Now};
use crate::inbox::Inbox;
use crate::metrics::Metrics;
use crate::numbers::{Numbers, Verdict};

/// Closes taken from the bus at once: the most that one batch has.
const CLOSES_LEN_MAX: usize = runtime::broker::BATCH_MAX;

const RETRY: backoff::Options = backoff::Options {
    base: Duration::from_millis(100),
    cap: Duration::from_secs(5),
};

/// A shard that is behind is looked at this often, a second in all: twenty of its longest gathering times.
const ROOM_LOOKS: usize = 200;
const ROOM_LOOK_WAIT: Duration = Duration::from_millis(5);

/// Breaks in the numbering are logged this often at most; all are counted.
const BREAK_LOG_PERIOD: Duration = Duration::from_secs(10);

/// What both intakes hold.
#[derive(Clone)]
pub(crate) struct Intake {
    pub(crate) broker: Arc<dyn Broker>,
    pub(crate) scope: Scope,
    /// Where closes are read from at the start.
    pub(crate) closes_from: CloseStart,
    pub(crate) inboxes: Arc<[Inbox]>,
    pub(crate) catalogue: Catalogue,
    pub(crate) heard: Heard,
    pub(crate) first_word: FirstWord,
    pub(crate) metrics: Metrics,
    pub(crate) tracer: Tracer,
}

/// What was heard of each instrument. Clones share it.
#[derive(Debug, Clone)]
pub(crate) struct Heard {
    began: Instant,
    feed: Arc<Mutex<Feed>>,
}

impl Heard {
    pub(crate) fn new(fresh_max: Duration) -> Self {
        let fresh_max_ms = u64::try_from(fresh_max.as_millis()).unwrap_or(u64::MAX);
        Self {
            began: Instant::now(),
            feed: Arc::new(Mutex::new(Feed::new(fresh_max_ms))),
        }
    }

    /// All of it, as of now.
    pub(crate) fn report(&self, scope: &Scope) -> FeedReport {
        self.lock().report(self.now(), scope)
    }

    fn now(&self) -> Now {
        let unix = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH);
        Now {
            ms: u64::try_from(self.began.elapsed().as_millis()).unwrap_or(u64::MAX),
            unix_ms: unix.map_or(0, |unix| {
                i64::try_from(unix.as_millis()).unwrap_or(i64::MAX)
            }),
        }
    }

    /// No holder panics with it half changed.
    fn lock(&self) -> MutexGuard<'_, Feed> {
        self.feed.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Tells that both kinds of bars come: the last values of open bars are here, and closes are subscribed to.
#[derive(Debug, Clone, Default)]
pub(crate) struct FirstWord {
    opens: Shutdown,
    closes: Shutdown,
}

impl FirstWord {
    pub(crate) async fn requested(&self) {
        self.opens.requested().await;
        self.closes.requested().await;
    }
}

/// What is known of the numbering, and when a break was logged last.
#[derive(Debug, Default)]
struct Order {
    numbers: Numbers,
    logged: Option<tokio::time::Instant>,
    unlogged: u64,
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
                Err(error) => tell(&error, "open bars", &retry),
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
            self.note_opens(&messages);
            self.first_word.opens.trigger();
            receipt.end(&self.tracer, self.broker.as_ref(), &messages, None);
            messages.clear();
        }
    }

    fn note_opens(&self, messages: &[BarMessage]) {
        let now = self.heard.now();
        let mut feed = self.heard.lock();
        for message in messages {
            feed.handle_open(now, &message.bar);
        }
    }

    /// Passes on closes, for good.
    pub(crate) async fn run_closes(self) {
        let mut retry = Backoff::new(RETRY, fastrand::Rng::new());
        let mut from = self.closes_from.clone();
        let mut order = Order::default();
        loop {
            let filter = SubjectFilter::all(Kind::Committed, &self.scope);
            match self.broker.subscribe_closes(filter, from.clone()).await {
                Ok(mut bars) => {
                    // Before the first close too: of another log it is to be told then, and nothing is to be skipped.
                    from = CloseStart::After(bars.place());
                    self.first_word.closes.trigger();
                    let Err(Closed { .. }) = self
                        .pass_closes(bars.as_mut(), &mut from, &mut order, &mut retry)
                        .await;
                    tracing::warn!("the bus ended the subscription to closes");
                }
                Err(error) => {
                    tell(&error, "closes", &retry);
                    match error {
                        // Its topics are numbered anew: nothing that is known of the old numbers says anything of them.
                        SubscribeError::OtherLog => {
                            from = CloseStart::First;
                            self.begin_anew(&mut order);
                        }
                        // The log has lost its last closes. Its topics go on from there under the same numbers, so that
                        // the hub knows what it has.
                        SubscribeError::Ahead { .. } => {
                            from = CloseStart::First;
                            order.numbers.handle_jump();
                        }
                        SubscribeError::Kind(_)
                        | SubscribeError::Unavailable(_)
                        | SubscribeError::Denied(_) => {}
                    }
                }
            }
            tokio::time::sleep(retry.next_delay()).await;
        }
    }

    /// Forgets the numbers of a log that was made anew, here and in every shard.
    fn begin_anew(&self, order: &mut Order) {
        tracing::warn!(
            "the log of closes was made anew: its topics are numbered from their beginning"
        );
        order.numbers = Numbers::default();
        self.heard.lock().handle_other_log();
        for inbox in self.inboxes.iter() {
            inbox.put_other_log();
        }
    }

    async fn pass_closes(
        &self,
        bars: &mut dyn CloseSubscription,
        from: &mut CloseStart,
        order: &mut Order,
        retry: &mut Backoff,
    ) -> Result<std::convert::Infallible, Closed> {
        let mut closes: Vec<SequencedClose> = Vec::new();
        loop {
            if let Drained::Lagged { from, to } = bars.drain(CLOSES_LEN_MAX, &mut closes).await? {
                // The hub sees the hole in each topic's close_no, and clients get `missed`.
                tracing::warn!(from, to, "closes aged out before they were taken");
                order.numbers.handle_jump();
                self.metrics
                    .lagged(to.saturating_sub(from).saturating_add(1));
            }
            retry.reset();
            let receipt = BusCall::receive(
                &self.tracer,
                closes.iter_mut().map(|close| &mut close.message),
            );
            self.metrics.received_closes(closes.len());
            *from = CloseStart::After(bars.place());
            self.check(order, &mut closes);
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

    /// Drops closes that have come before, and counts those that never did.
    fn check(&self, order: &mut Order, closes: &mut Vec<SequencedClose>) {
        let before = closes.len();
        let mut feed = self.heard.lock();
        closes.retain(|SequencedClose { sequence, message }| {
            let BarMessage { subject, bar, .. } = message;
            let verdict = order.numbers.handle_close(subject, bar.close_no);
            if verdict == Verdict::Duplicate {
                return false;
            }
            let broken = matches!(verdict, Verdict::Break { .. });
            feed.handle_close(bar, broken);
            if let Verdict::Break { expected } = verdict {
                self.metrics.breaks.inc();
                order.handle_break(|unlogged| {
                    let (topic, close_no) = (&bar.topic, bar.close_no);
                    tracing::error!(%topic, expected, close_no, sequence, unlogged, "a break in close_no");
                });
            }
            true
        });
        self.metrics.duplicates((before - closes.len()) as u64);
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

/// Says that a subscription is not to be had, at the first, second, fourth and so on failure: the bus tells of each
/// of its attempts itself.
fn tell(error: &SubscribeError, what: &str, retry: &Backoff) {
    if (retry.attempts() + 1).is_power_of_two() {
        tracing::warn!(%error, what, "cannot subscribe");
    } else {
        tracing::debug!(%error, what, "cannot subscribe");
    }
}

impl Order {
    /// Logs a break, or counts it as one that was not logged since the last that was.
    fn handle_break(&mut self, log: impl FnOnce(u64)) {
        let now = tokio::time::Instant::now();
        if self.logged.is_some_and(|at| now - at < BREAK_LOG_PERIOD) {
            self.unlogged += 1;
            return;
        }
        log(std::mem::take(&mut self.unlogged));
        self.logged = Some(now);
    }
}

#[cfg(test)]
mod tests;
