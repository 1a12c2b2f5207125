//! The loop that a shard of the connections lives in: wait for one thing, feed the cores, carry out what
//! they ask, repeat. One thread and one epoll for all of them; no task, queue or buffer for each.
//!
//! Bars are gathered first and flushed in one pass over the connections that they concern: a connection is
//! woken once a flush, not once a topic.

use std::io;
use std::time::{Duration, Instant};

use mio::event::Event;
use mio::{Events, Interest, Poll, Token};
use runtime::telemetry::Tracer;
use slab::Slab;
use wire::Instrument;
use wire::api::TopicEntry;

use crate::close::CloseReason;
use crate::conn::{Conn, Sent, Turn, Work};
use crate::deadlines::Deadlines;
use crate::hub::{ConnId, Hub};
use crate::inbox::{Arrival, Contents, Inbox};
use crate::metrics::Metrics;
use crate::native::Session;
use crate::pacer::Pacer;
use crate::replayer::Questions;
use crate::traced::Traced;
use crate::{liveness, native};

/// What its connections ask of the log.
mod asks;

/// Closes, and the news that they are of another log.
mod closes;

/// What bounds a shard and its connections.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Limits {
    pub(crate) liveness: liveness::Limits,
    pub(crate) native: native::Limits,
    /// Bytes of one client message.
    pub(crate) message_len_max: usize,
    /// Bytes of one text frame, unless a single object is longer.
    pub(crate) frame_len_max: usize,
    /// Closes kept a stream.
    pub(crate) ring_len: usize,
    /// How long an open bar waits for the close before it, in milliseconds.
    pub(crate) hold_max_ms: u64,
    /// How long updates are gathered at most.
    pub(crate) flush_max: Duration,
}

/// Where a shard stands among the others: connection numbers are unique over all.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Place {
    pub(crate) index: usize,
    pub(crate) count: usize,
}

/// One shard of the connections.
pub(crate) struct Shard {
    poll: Poll,
    inbox: Inbox,
    questions: Questions,
    place: Place,
    metrics: Metrics,
    began: Instant,
    rng: fastrand::Rng,
    hub: Hub,
    conns: Slab<Conn>,
    deadlines: Deadlines,
    pacer: Pacer,
    work: Work,
    /// Connections to visit in this pass; each once, by its `queued`.
    visits: Vec<ConnId>,
    /// Connections that used up their share of this pass.
    again: Vec<ConnId>,
    arrived: u64,
    draining: bool,
}

/// The inbox's waker; connections have the numbers from 0.
const WAKER: Token = Token(usize::MAX);
/// Socket events taken at once.
const EVENTS_LEN: usize = 1_024;

impl Shard {
    /// A shard that knows the configured topics, and its letter box.
    ///
    /// # Errors
    /// When the operating system gives no epoll or eventfd.
    pub(crate) fn new(
        place: Place,
        limits: Limits,
        topics: &[TopicEntry],
        questions: Questions,
        metrics: Metrics,
    ) -> io::Result<(Self, Inbox)> {
        let poll = Poll::new()?;
        let inbox = Inbox::new(mio::Waker::new(poll.registry(), WAKER)?);
        let mut hub = Hub::new(limits.ring_len, limits.hold_max_ms);
        for TopicEntry {
            topic,
            venue,
            symbol,
            interval,
        } in topics
        {
            let instrument = Instrument::new(venue.clone(), symbol.clone());
            hub.learn(topic, &instrument, *interval);
        }
        let shard = Self {
            poll,
            inbox: inbox.clone(),
            questions,
            place,
            metrics,
            began: Instant::now(),
            rng: fastrand::Rng::new(),
            hub,
            conns: Slab::new(),
            deadlines: Deadlines::default(),
            pacer: Pacer::new(limits.flush_max),
            work: Work::new(limits),
            visits: Vec::new(),
            again: Vec::new(),
            arrived: 0,
            draining: false,
        };
        Ok((shard, inbox))
    }

    /// The shard, with the last spans of sampled bars going there.
    pub(crate) fn traced(mut self, tracer: Tracer) -> Self {
        self.work.traced = Traced::new(tracer);
        self
    }

    /// Runs until it was told to drain and the last connection is gone.
    ///
    /// # Errors
    /// When epoll fails.
    pub(crate) fn run(mut self) -> io::Result<()> {
        let mut events = Events::with_capacity(EVENTS_LEN);
        while !(self.draining && self.conns.is_empty() && self.inbox.end()) {
            let timeout = self.timeout();
            match self.poll.poll(&mut events, timeout) {
                Err(error) if error.kind() == io::ErrorKind::Interrupted => events.clear(),
                result => result?,
            }
            self.pass(&events);
        }
        Ok(())
    }

    /// One round of the loop, after its wait.
    fn pass(&mut self, events: &Events) {
        self.work.now_ms = self.now_ms();
        for event in events {
            self.handle_socket(event);
        }
        let flushed = self.flush();
        self.handle_time();
        self.spread();
        self.visit();
        if let Some(began) = flushed {
            self.pacer.handle_flush(began, self.began.elapsed());
        }
    }

    fn now_ms(&self) -> u64 {
        u64::try_from(self.began.elapsed().as_millis()).unwrap_or(u64::MAX)
    }

    /// How long to wait for sockets: not at all if there is work; else until the next deadline, or until the
    /// flush may begin, or until the inbox wakes.
    fn timeout(&mut self) -> Option<Duration> {
        if !self.again.is_empty() {
            return Some(Duration::ZERO);
        }
        let now = self.began.elapsed();
        let gather = self.pacer.wait(now);
        if gather.is_zero() && !self.inbox.sleep() {
            return Some(Duration::ZERO);
        }
        let deadline_ms = [self.deadlines.next_ms(), self.hub.deadline_ms()];
        let until = deadline_ms
            .into_iter()
            .flatten()
            .min()
            .map(|at_ms| Duration::from_millis(at_ms).saturating_sub(now));
        match (until, gather.is_zero()) {
            (until, true) => until,
            (Some(until), false) => Some(until.min(gather)),
            (None, false) => Some(gather),
        }
    }

    fn handle_socket(&mut self, event: &Event) {
        let key = event.token().0;
        if let Some(conn) = self.conns.get_mut(key) {
            let readable = event.is_readable() || event.is_read_closed() || event.is_error();
            let writable = event.is_writable() || event.is_write_closed() || event.is_error();
            conn.handle_ready(readable, writable);
            queue(&mut self.visits, conn, key);
        }
    }

    /// Takes what the inbox has, if it is time; says when it began if there were bars.
    fn flush(&mut self) -> Option<Duration> {
        let began = self.began.elapsed();
        if !self.pacer.wait(began).is_zero() {
            return None;
        }
        let Contents {
            arrivals,
            opens,
            old_closes,
            closes,
            replies,
            drain,
        } = self.inbox.take();
        for arrival in arrivals {
            self.handle_arrival(arrival);
        }
        let bars = opens.len() + closes.len();
        if let Some(old_closes) = old_closes {
            self.handle_closes(old_closes);
            self.handle_other_log();
        }
        self.handle_closes(closes);
        for message in opens.into_values() {
            let taken = self
                .hub
                .handle_open(self.work.now_ms, &message.bar, &message.json);
            let traced = &mut self.work.traced;
            traced.handle_taken(&mut self.hub, &message, taken);
            self.count_once(taken);
        }
        for reply in replies {
            self.handle_reply(reply);
        }
        if let Some(over) = drain {
            self.handle_drain(over);
        }
        (bars > 0).then_some(began)
    }

    fn handle_arrival(&mut self, arrival: Arrival) {
        let Arrival {
            socket,
            leftover,
            seat,
            peer,
        } = arrival;
        let mut socket = mio::net::TcpStream::from_std(socket);
        let entry = self.conns.vacant_entry();
        let key = entry.key();
        let interest = Interest::READABLE | Interest::WRITABLE;
        let registered = self
            .poll
            .registry()
            .register(&mut socket, Token(key), interest);
        if let Err(error) = registered {
            tracing::warn!(%error, %peer, "a connection could not be watched");
            self.metrics.closed(CloseReason::Gone);
            return;
        }
        let number = self.arrived * self.place.count as u64 + self.place.index as u64;
        self.arrived += 1;
        let jitter_ms = self
            .rng
            .u64(0..self.work.limits.liveness.ping_period_ms.max(1));
        let mut conn = Conn::new(socket, number, seat, self.work.now_ms, jitter_ms);
        tracing::debug!(conn_id = number, %peer, "connected");
        conn.handle_leftover(self.work.now_ms, &leftover);
        if self.draining {
            conn.liveness.handle_drain(self.work.now_ms);
        }
        queue(&mut self.visits, entry.insert(conn), key);
    }

    /// Spreads the closes over the time, so that clients do not all come back at once.
    fn handle_drain(&mut self, over: Duration) {
        self.draining = true;
        let over_ms = u64::try_from(over.as_millis()).unwrap_or(u64::MAX);
        for (key, conn) in &mut self.conns {
            let at_ms = self.work.now_ms.saturating_add(self.rng.u64(0..=over_ms));
            conn.liveness.handle_drain(at_ms);
            queue(&mut self.visits, conn, key);
        }
    }

    fn handle_time(&mut self) {
        self.hub.handle_time(self.work.now_ms);
        let due: Vec<ConnId> = self.deadlines.due(self.work.now_ms).collect();
        for key in due {
            let Some(conn) = self.conns.get_mut(key as usize) else {
                continue;
            };
            match conn.handle_due(&self.work) {
                None => queue(&mut self.visits, conn, key as usize),
                Some(reason) => self.remove(key, reason),
            }
        }
    }

    /// Tells connections what has moved.
    fn spread(&mut self) {
        for (key, topic) in self.hub.poll_joined() {
            if let Some(conn) = self.conns.get_mut(key as usize) {
                let mut session = Session {
                    conn: key,
                    hub: &mut self.hub,
                    outbox: &mut conn.outbox,
                    limits: self.work.limits.native,
                };
                session.handle_joined(topic);
                queue(&mut self.visits, conn, key as usize);
            }
        }
        let (conns, visits) = (&mut self.conns, &mut self.visits);
        self.hub.poll_dirty(|key, topic| {
            if let Some(conn) = conns.get_mut(key as usize) {
                conn.outbox.mark(topic);
                queue(visits, conn, key as usize);
            }
        });
    }

    /// The one pass over the connections that have something to do.
    fn visit(&mut self) {
        for key in self.again.drain(..) {
            if let Some(conn) = self.conns.get_mut(key as usize) {
                queue(&mut self.visits, conn, key as usize);
            }
        }
        let mut visits = std::mem::take(&mut self.visits);
        for key in visits.drain(..) {
            let Some(conn) = self.conns.get_mut(key as usize) else {
                continue;
            };
            conn.queued = false;
            let turn = conn.turn(key, &mut self.hub, &mut self.work);
            let deadline_ms = Some(conn.next_ms(&self.work.limits));
            self.deadlines.set(key, conn.deadline_ms, deadline_ms);
            conn.deadline_ms = deadline_ms;
            let mut asks = std::mem::take(&mut self.work.batch.asks);
            self.ask(key, &mut asks);
            self.work.batch.asks = asks;
            match turn {
                Turn::Ended(reason) => self.remove(key, reason),
                Turn::Again => self.again.push(key),
                Turn::Wait => {}
            }
        }
        self.visits = visits;
        self.work.traced.handle_time(self.work.now_ms);
        self.count();
    }

    fn count(&mut self) {
        let Sent {
            frames,
            bytes,
            messages,
            conflated,
            replayed,
            missed,
        } = std::mem::take(&mut self.work.sent);
        for (counter, count) in [
            (&self.metrics.frames_sent, frames),
            (&self.metrics.bytes_sent, bytes),
            (&self.metrics.messages_sent, messages),
            (&self.metrics.conflated, conflated),
            (&self.metrics.replayed, replayed),
            (&self.metrics.missed, missed),
        ] {
            if count > 0 {
                counter.inc_by(count);
            }
        }
        let seconds = |ms: u64| Duration::from_millis(ms).as_secs_f64();
        for lag_ms in self.work.write_lags_ms.drain(..) {
            self.metrics.write_lag.observe(seconds(lag_ms));
        }
        for age_ms in self.work.pong_ages_ms.drain(..) {
            self.metrics.pong_age.observe(seconds(age_ms));
        }
    }

    fn remove(&mut self, key: ConnId, reason: CloseReason) {
        let Some(mut conn) = self.conns.try_remove(key as usize) else {
            return;
        };
        self.hub.forget(key, conn.outbox.topics());
        self.deadlines.set(key, conn.deadline_ms, None);
        // Closing the socket would do it too; that it fails tells nothing.
        let _ = self.poll.registry().deregister(&mut conn.socket);
        self.metrics.closed(reason);
        tracing::debug!(
            conn_id = conn.id,
            close_reason = reason.label(),
            code = reason.code(),
            lag_ms = conn.liveness.lag_ms(self.work.now_ms),
            "closed"
        );
    }
}

/// Puts a connection into this pass, once.
fn queue(visits: &mut Vec<ConnId>, conn: &mut Conn, key: usize) {
    // The seats' bound is far below 2^32.
    if !conn.queued
        && let Ok(key) = ConnId::try_from(key)
    {
        conn.queued = true;
        visits.push(key);
    }
}

#[cfg(test)]
mod tests;
