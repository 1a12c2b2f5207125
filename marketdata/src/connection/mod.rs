//! The shell around one connection: socket in, session and router as judges, inputs out to the shards.

use std::ops::ControlFlow;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use runtime::shutdown::Shutdown;
use runtime::telemetry::Tracer;
use tokio::sync::mpsc;
use tokio::sync::mpsc::error::TrySendError;
use tokio::time::Instant;

use crate::carriage::Carriage;
use crate::feed::{Clocks, ConnectionId};
use crate::metrics::{Count, Metrics, Outcome, Sparse};
use crate::route::{Input, Place, Routed, Router};
use crate::service::WhenFull;
use crate::session::{self, Change, End, Session};
use crate::socket::{Frame, Socket};
use crate::venue::{DecodeError, Event, Harm, InstrumentIndex, Reason, Venue};

/// Which frames are traced, and their spans.
mod receipt;

use self::receipt::Receipts;

/// What all connections of a feed have in common.
#[derive(Debug)]
pub(crate) struct FeedContext {
    /// The feed's number, over all sources.
    pub(crate) feed: u32,
    pub(crate) venue: Arc<dyn Venue>,
    pub(crate) url: String,
    /// The instruments that the feed carries.
    pub(crate) instruments: Vec<InstrumentIndex>,
    /// Where the source's instruments are aggregated, by index.
    pub(crate) places: Arc<[Place]>,
    /// Where the source's instruments begin in the list of all.
    pub(crate) listed_from: usize,
    pub(crate) session: session::Options,
    pub(crate) when_full: WhenFull,
    pub(crate) metrics: Metrics,
    pub(crate) carriage: Carriage,
    /// What each of the feed's connections tells the others.
    pub(crate) clocks: Mutex<Clocks>,
    /// By our clock, what is milliseconds zero.
    pub(crate) begun: Instant,
    pub(crate) tracer: Tracer,
}

impl FeedContext {
    pub(crate) fn now_ms(&self) -> u64 {
        u64::try_from(self.begun.elapsed().as_millis()).unwrap_or(u64::MAX)
    }

    pub(crate) fn instant(&self, at_ms: u64) -> Instant {
        self.begun + Duration::from_millis(at_ms.min(FAR_MS))
    }
}

/// What is further away, a century, is never; a runtime's clock may not reach it.
const FAR_MS: u64 = 100 * 365 * 86_400_000;

/// What a connection tells its feed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Report {
    /// It carries all that it can.
    Live(ConnectionId),
    /// Its server goes away.
    Retire(ConnectionId),
    /// It is over.
    Ended(ConnectionId, End),
}

/// One connection, from opening to its end.
pub(crate) struct Connection {
    context: Arc<FeedContext>,
    id: ConnectionId,
    session: Session,
    router: Router,
    inboxes: Arc<[mpsc::Sender<Input>]>,
    reports: mpsc::Sender<Report>,
    events: Vec<Event>,
    messages: Count,
    dropped: Count,
    dropped_told: Sparse,
    garbage_told: Sparse,
    lost_told: Sparse,
    live: bool,
    receipts: Receipts,
    /// The venue time that the feed's other connections were told last.
    clock_told_ms: Option<i64>,
}

/// How far the clock moves before the feed's other connections are told: often enough for one that starts, and
/// seldom enough for a lock.
const CLOCK_TOLD_EVERY_MS: i64 = 100;

impl Connection {
    pub(crate) fn new(
        context: Arc<FeedContext>,
        id: ConnectionId,
        inboxes: Arc<[mpsc::Sender<Input>]>,
        reports: mpsc::Sender<Report>,
    ) -> Self {
        let attempt = usize::try_from(id.0).unwrap_or(0);
        Self {
            session: Session::new(
                Arc::clone(&context.venue),
                &context.instruments,
                context.session,
                attempt,
                context.now_ms(),
            ),
            router: Router::new(
                context.feed,
                Arc::clone(&context.places),
                &context.instruments,
            ),
            receipts: Receipts::new(&context.tracer),
            messages: context.metrics.messages(context.venue.name()),
            dropped: context.metrics.trades(Outcome::Dropped),
            context,
            id,
            inboxes,
            reports,
            events: Vec::new(),
            dropped_told: Sparse::default(),
            garbage_told: Sparse::default(),
            lost_told: Sparse::default(),
            live: false,
            clock_told_ms: None,
        }
    }

    /// Runs until the connection is over or `close` asks for its end.
    pub(crate) async fn run(mut self, close: Shutdown) {
        if let Some(socket) = self.open(&close).await {
            self.session.handle_opened(self.context.now_ms());
            self.drive(socket, &close).await;
        }
        self.finish().await;
    }

    async fn open(&mut self, close: &Shutdown) -> Option<Socket> {
        let deadline = self.session.poll_timeout().unwrap_or_default();
        let opened = tokio::select! {
            biased;
            () = close.requested() => {
                self.session.handle_end(End::Asked);
                return None;
            }
            opened = tokio::time::timeout_at(
                self.context.instant(deadline),
                Socket::connect(&self.context.url),
            ) => opened,
        };
        match opened {
            Ok(Ok(socket)) => return Some(socket),
            Ok(Err(error)) => {
                tracing::warn!(venue = self.venue(), url = self.context.url, %error, "cannot connect");
            }
            Err(_) => {
                tracing::warn!(venue = self.venue(), url = self.context.url, "no answer");
            }
        }
        self.session.handle_end(End::NotOpened);
        None
    }

    /// Waits for one thing, tells the cores, carries out what they ask; again.
    async fn drive(&mut self, mut socket: Socket, close: &Shutdown) {
        let timer = tokio::time::sleep_until(self.context.instant(0));
        tokio::pin!(timer);
        loop {
            if self.carry_out(&mut socket).await.is_break() {
                break;
            }
            // The deadline moves with every tick; the timer is set anew only when it has fired or would be late.
            let deadline = self.session.poll_timeout().unwrap_or_default();
            let deadline = self.context.instant(deadline);
            if timer.is_elapsed() || deadline < timer.deadline() {
                timer.as_mut().reset(deadline);
            }
            tokio::select! {
                biased;
                () = close.requested() => self.session.handle_end(End::Asked),
                () = &mut timer => self.session.handle_timeout(self.context.now_ms()),
                frame = socket.next() => self.handle_frame(frame),
            }
        }
        socket.close().await;
    }

    /// Sends, routes and reports what is due. Breaks when the connection is over.
    async fn carry_out(&mut self, socket: &mut Socket) -> ControlFlow<()> {
        while let Some(change) = self.session.poll_change() {
            self.handle_change(change).await;
        }
        self.deliver().await;
        if self.session.end().is_some() {
            return ControlFlow::Break(());
        }
        while let Some(text) = self.session.poll_send(self.context.now_ms()) {
            if let Err(end) = socket.send(text).await {
                self.session.handle_end(end);
                return ControlFlow::Break(());
            }
        }
        ControlFlow::Continue(())
    }

    fn handle_frame(&mut self, frame: Result<Frame, End>) {
        let now_ms = self.context.now_ms();
        match frame {
            Ok(Frame::Text(text)) => {
                self.messages.inc();
                if self.router.newest_ms().is_none() {
                    let feed_ms = self.clocks(|clocks, id| clocks.newest_beside(id));
                    self.router.handle_feed_time(feed_ms);
                }
                let receipt = self.receipts.begin();
                let read = self.context.venue.decode(text.as_bytes(), &mut self.events);
                // The frame's first trade, if the frame is sampled, stands for it.
                let sampled = self.receipts.take(receipt, &self.events);
                for (at, event) in self.events.drain(..).enumerate() {
                    self.session.handle_event(now_ms, &event);
                    match &sampled {
                        Some(sampled) if sampled.at == at => {
                            self.router.handle_sampled(&event, sampled.context);
                        }
                        _ => self.router.handle_event(&event),
                    }
                }
                if let Some(sampled) = sampled {
                    let symbols = self.context.venue.symbols();
                    sampled.end(&self.context.tracer, self.venue(), symbols);
                }
                if let Err(error) = read {
                    self.handle_garbage(&error);
                }
                self.tell_clock();
            }
            Ok(Frame::Binary) => {
                self.messages.inc();
                self.handle_garbage(&DecodeError {
                    reason: Reason::Binary,
                    harm: Harm::Any,
                });
            }
            Ok(Frame::Ping) => self.session.handle_ping(now_ms),
            Err(end) => self.session.handle_end(end),
        }
    }

    /// Tells the feed's other connections the venue's time.
    fn tell_clock(&mut self) {
        let Some(newest) = self.router.newest_ms() else {
            return;
        };
        let told = self.clock_told_ms;
        if told.is_none_or(|told| newest.saturating_sub(told) >= CLOCK_TOLD_EVERY_MS) {
            self.clock_told_ms = Some(newest);
            self.clocks(|clocks, id| clocks.handle_time(id, newest));
        }
    }

    /// Each change is one step: a poisoned lock holds sound clocks.
    fn clocks<T>(&self, change: impl FnOnce(&mut Clocks, ConnectionId) -> T) -> T {
        let clocks = self.context.clocks.lock();
        change(&mut clocks.unwrap_or_else(PoisonError::into_inner), self.id)
    }

    fn handle_garbage(&mut self, error: &DecodeError) {
        let reason = error.reason.as_str();
        self.context
            .metrics
            .count_decode_error(self.venue(), reason);
        self.router.handle_harm(error.harm);
        if let Some(count) = self.garbage_told.tell() {
            tracing::warn!(venue = self.venue(), count, %error, "frame dropped");
        }
    }

    async fn handle_change(&mut self, change: Change) {
        let context = Arc::clone(&self.context);
        let venue = self.venue();
        match change {
            Change::Subscribed(instrument) => {
                self.router.handle_subscribed(instrument);
                context
                    .carriage
                    .handle_subscribed(context.listed_from + instrument.at());
            }
            Change::Refused {
                instrument,
                message,
            } => {
                let symbol = context.venue.symbols().symbol(instrument);
                tracing::warn!(venue, %symbol, message, "instrument refused, the others go on");
                context.metrics.instruments_refused.inc();
                context
                    .carriage
                    .handle_refused(context.listed_from + instrument.at());
            }
            Change::Live => {
                tracing::info!(venue, feed = context.feed, connection = self.id.0, "live");
                context.metrics.connections_live.inc();
                context.metrics.connections_established.inc();
                self.live = true;
                self.report(Report::Live(self.id)).await;
            }
            Change::ShutdownAnnounced => {
                tracing::info!(venue, feed = context.feed, "server announced its shutdown");
                self.report(Report::Retire(self.id)).await;
            }
            Change::Complaint(message) => tracing::warn!(venue, message, "venue complains"),
        }
    }

    /// Hands what was routed to the shards.
    async fn deliver(&mut self) {
        while let Some(routed) = self.router.poll_routed() {
            let inbox = &self.inboxes[routed.shard];
            let drop_newest =
                self.context.when_full == WhenFull::DropNewest && routed.input.may_drop();
            if drop_newest {
                if let Err(TrySendError::Full(_)) = inbox.try_send(routed.input) {
                    self.handle_dropped(&routed);
                }
            } else {
                // The inbox closes only when the shard has stopped, and then so do we.
                let _ = inbox.send(routed.input).await;
            }
        }
        for _ in 0..self.router.poll_doubted() {
            self.handle_garbage(&DecodeError {
                reason: Reason::Time,
                harm: Harm::None,
            });
        }
        let lost = self.router.poll_messages_lost();
        if lost > 0 {
            self.context.metrics.messages_lost.inc_by(lost);
            if let Some(count) = self.lost_told.tell() {
                tracing::warn!(venue = self.venue(), lost, count, "messages lost");
            }
        }
        let lost = self.router.poll_lost();
        if lost > 0 {
            self.context.metrics.trade_lost.inc_by(lost);
        }
    }

    /// The newest is dropped: its id will be missing, and until then its instrument is not known to be whole.
    fn handle_dropped(&mut self, routed: &Routed) {
        if matches!(routed.input, Input::Sampled { .. }) {
            return;
        }
        if let Some(instrument) = routed.instrument {
            self.dropped.inc();
            self.router.handle_harm(Harm::One(instrument));
            if let Some(count) = self.dropped_told.tell() {
                tracing::warn!(shard = routed.shard, count, "inbox full, trade dropped");
            }
        }
    }

    async fn finish(mut self) {
        self.router.handle_end();
        self.clocks(Clocks::handle_ended);
        self.deliver().await;
        let context = &self.context;
        let listed_from = context.listed_from;
        context.carriage.handle_ended(
            self.session
                .subscribed()
                .map(|instrument| listed_from + instrument.at()),
        );
        if self.live {
            context.metrics.connections_live.dec();
        }
        let end = self.session.end().unwrap_or(End::Closed);
        context
            .metrics
            .count_connection_ended(self.venue(), end.as_str());
        self.report(Report::Ended(self.id, end)).await;
    }

    async fn report(&self, report: Report) {
        // The feed goes only when the whole service stops.
        let _ = self.reports.send(report).await;
    }

    fn venue(&self) -> &'static str {
        self.context.venue.name()
    }
}

#[cfg(test)]
mod tests;
