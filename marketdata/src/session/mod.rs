// Pure: the life of one connection to a venue. It is given frames' events and the time, and says what to send.
#![deny(clippy::disallowed_methods)]

use std::collections::{BTreeSet, VecDeque};
use std::sync::Arc;

use crate::budget::Budget;
use crate::clock::{Judged, VenueClock};
use crate::venue::{Event, InstrumentIndex, Venue};

mod change;

pub use change::{Change, End, Options};

/// One connection: opening, subscribing, live, over.
///
/// The shell calls [`Session::handle_opened`] once the socket is open and `handle_*` for all that happens
/// later; after each call it drains [`Session::poll_send`] and [`Session::poll_change`], then waits for the
/// socket, for [`Session::poll_timeout`], or for nothing more once [`Session::end`] says so. Time is any
/// clock that never runs back, in milliseconds.
///
/// One request for trades is unanswered at a time, so that an error without a number can only mean that one. A
/// refused request of several instruments is taken apart until the one at fault stands alone; the others go on.
#[derive(Debug)]
pub struct Session {
    venue: Arc<dyn Venue>,
    options: Options,
    phase: Phase,
    budget: Budget,
    /// No sending before this, for the budget's sake.
    send_after_ms: u64,
    next_request: u64,
    /// Instruments still to be asked for, one request each.
    waiting: VecDeque<Vec<InstrumentIndex>>,
    unanswered: Option<Request>,
    clock: Clock,
    subscribed: BTreeSet<InstrumentIndex>,
    changes: VecDeque<Change>,
    venue_clock: VenueClock,
    /// When, by our clock, the venue's last moved on.
    ticked_ms: u64,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Phase {
    Opening { until_ms: u64 },
    Subscribing,
    Live,
    Over(End),
}

#[derive(Debug)]
struct Request {
    id: u64,
    left: Vec<InstrumentIndex>,
    until_ms: u64,
}

/// What is to tick, and whether that was asked for.
#[derive(Debug)]
struct Clock {
    /// The instruments to tick for, best first; the first is the one in use.
    candidates: VecDeque<InstrumentIndex>,
    /// To be sent.
    due: bool,
    request: Option<u64>,
}

impl Session {
    /// A session that begins to open. `attempt` counts the connections of its feed: each asks another
    /// instrument to tick, lest one that was delisted starve the feed of its clock for ever.
    ///
    /// `instruments` are those of one connection: they fit the venue's limits.
    pub fn new(
        venue: Arc<dyn Venue>,
        instruments: &[InstrumentIndex],
        options: Options,
        attempt: usize,
        now_ms: u64,
    ) -> Self {
        let limits = venue.limits();
        let mut candidates: VecDeque<_> = instruments.iter().copied().collect();
        candidates.rotate_left(attempt % instruments.len().max(1));
        // A venue whose trades' request brings a clock along is not asked for one.
        let due = candidates
            .front()
            .is_some_and(|&first| venue.clock_request(first, 0).is_some());
        Self {
            options,
            phase: Phase::Opening {
                until_ms: now_ms.saturating_add(options.open_within_ms),
            },
            budget: Budget::new(limits.messages, now_ms),
            send_after_ms: now_ms,
            next_request: 1,
            waiting: instruments
                .chunks(limits.symbols_per_request.max(1))
                .map(<[_]>::to_vec)
                .collect(),
            unanswered: None,
            clock: Clock {
                candidates,
                due,
                request: None,
            },
            subscribed: BTreeSet::new(),
            changes: VecDeque::new(),
            venue_clock: VenueClock::default(),
            ticked_ms: now_ms,
            venue,
        }
    }

    /// The socket is open.
    pub fn handle_opened(&mut self, now_ms: u64) {
        if matches!(self.phase, Phase::Opening { .. }) {
            self.phase = Phase::Subscribing;
            self.ticked_ms = now_ms;
        }
    }

    /// The venue's clock shows this, by any message.
    #[inline]
    pub fn handle_venue_time(&mut self, now_ms: u64, venue_ms: i64) {
        if matches!(
            self.venue_clock.handle_time(venue_ms),
            Judged::Moved | Judged::Agreed
        ) {
            self.ticked_ms = now_ms;
        }
    }

    /// A frame said this. Trades count here only by their time.
    pub fn handle_event(&mut self, now_ms: u64, event: &Event) {
        match event {
            Event::Trade { event_time_ms, .. } => self.handle_venue_time(now_ms, *event_time_ms),
            Event::Clock { venue_ms } | Event::LastTrade { venue_ms, .. } => {
                self.handle_venue_time(now_ms, *venue_ms);
            }
            Event::Acknowledged { request } => self.handle_acknowledged(*request),
            Event::Subscribed { instrument } => self.handle_subscribed(*instrument),
            Event::Refused {
                request,
                instrument,
                message,
            } => self.handle_refused(*request, *instrument, message),
            Event::ShutdownAnnounced => self.changes.push_back(Change::ShutdownAnnounced),
            Event::Reference { .. } | Event::Sequence { .. } | Event::Ignored => {}
        }
    }

    /// The venue pinged, and the socket answers at once: that counts as a message of ours.
    pub fn handle_ping(&mut self, now_ms: u64) {
        self.budget.spend(now_ms, 1);
    }

    /// The connection is gone, or is to be closed.
    pub fn handle_end(&mut self, end: End) {
        if self.end().is_none() {
            self.phase = Phase::Over(end);
        }
    }

    /// Time has come to what [`Session::poll_timeout`] said, or passed it.
    pub fn handle_timeout(&mut self, now_ms: u64) {
        match self.phase {
            Phase::Over(_) => return,
            Phase::Opening { until_ms } => {
                if now_ms >= until_ms {
                    self.handle_end(End::NotOpened);
                }
                return;
            }
            Phase::Subscribing | Phase::Live => {}
        }
        if now_ms >= self.silent_at_ms() {
            self.handle_end(End::Silent);
        } else if self
            .unanswered
            .as_ref()
            .is_some_and(|request| now_ms >= request.until_ms)
        {
            self.handle_unanswered();
        }
    }

    /// The next text to send, if the venue's limits allow one now.
    pub fn poll_send(&mut self, now_ms: u64) -> Option<String> {
        if !self.has_text() {
            return None;
        }
        if let Err(wait_ms) = self.budget.take(now_ms, 1) {
            self.send_after_ms = now_ms + wait_ms;
            return None;
        }
        self.send_after_ms = now_ms;
        let id = self.next_request;
        self.next_request += 1;
        if self.clock.due {
            self.clock.due = false;
            self.clock.request = Some(id);
            return self.clock_text(id);
        }
        let instruments = self.waiting.pop_front()?;
        let text = self.venue.trades_request(&instruments, id);
        self.unanswered = Some(Request {
            id,
            left: instruments,
            until_ms: now_ms.saturating_add(self.options.answer_within_ms),
        });
        Some(text)
    }

    /// The next thing to tell.
    pub fn poll_change(&mut self) -> Option<Change> {
        self.changes.pop_front()
    }

    /// When to call [`Session::handle_timeout`] at the latest.
    #[must_use]
    pub fn poll_timeout(&self) -> Option<u64> {
        match self.phase {
            Phase::Over(_) => None,
            Phase::Opening { until_ms } => Some(until_ms),
            Phase::Subscribing | Phase::Live => {
                let silent = self.silent_at_ms();
                let answer = self.unanswered.as_ref().map(|request| request.until_ms);
                let send = self.has_text().then_some(self.send_after_ms);
                [Some(silent), answer, send].into_iter().flatten().min()
            }
        }
    }

    /// Why it is over, once it is.
    #[must_use]
    pub fn end(&self) -> Option<End> {
        match self.phase {
            Phase::Over(end) => Some(end),
            _ => None,
        }
    }

    /// The instruments whose trades come.
    pub fn subscribed(&self) -> impl Iterator<Item = InstrumentIndex> + '_ {
        self.subscribed.iter().copied()
    }

    fn silent_at_ms(&self) -> u64 {
        self.ticked_ms.saturating_add(self.options.silence_max_ms)
    }

    /// Whether there is anything to send.
    fn has_text(&self) -> bool {
        let open = matches!(self.phase, Phase::Subscribing | Phase::Live);
        let trades = self.unanswered.is_none() && !self.waiting.is_empty();
        open && (self.clock.due || trades)
    }

    fn clock_text(&self, id: u64) -> Option<String> {
        let instrument = self.clock.candidates.front()?;
        self.venue.clock_request(*instrument, id)
    }

    fn handle_acknowledged(&mut self, request: u64) {
        if self
            .unanswered
            .as_ref()
            .is_some_and(|unanswered| unanswered.id == request)
            && let Some(request) = self.unanswered.take()
        {
            for instrument in request.left {
                self.carry(instrument);
            }
            self.settle();
        }
    }

    fn handle_subscribed(&mut self, instrument: InstrumentIndex) {
        self.carry(instrument);
        if let Some(request) = &mut self.unanswered {
            request.left.retain(|left| *left != instrument);
            if request.left.is_empty() {
                self.unanswered = None;
            }
            self.settle();
        }
    }

    fn carry(&mut self, instrument: InstrumentIndex) {
        if self.subscribed.insert(instrument) {
            self.changes.push_back(Change::Subscribed(instrument));
        }
    }

    fn handle_refused(
        &mut self,
        request: Option<u64>,
        instrument: Option<InstrumentIndex>,
        message: &str,
    ) {
        let of_clock = request.is_some() && request == self.clock.request;
        let of_trades = match (&self.unanswered, request) {
            (Some(unanswered), Some(request)) => unanswered.id == request,
            (Some(_), None) => true,
            (None, _) => false,
        };
        if of_trades && let Some(unanswered) = self.unanswered.take() {
            self.take_apart(unanswered.left, instrument, message);
            self.settle();
        } else if of_clock {
            // The next instrument ticks; once none is left, the feed falls silent and is opened anew.
            self.clock.candidates.pop_front();
            self.clock.due = !self.clock.candidates.is_empty();
        } else {
            self.changes
                .push_back(Change::Complaint(message.to_owned()));
        }
    }

    /// Finds the instrument at fault, by name or by halves.
    fn take_apart(
        &mut self,
        mut left: Vec<InstrumentIndex>,
        named: Option<InstrumentIndex>,
        message: &str,
    ) {
        let named = named.filter(|named| left.contains(named));
        let alone = if left.len() == 1 { left.first() } else { None };
        match named.or(alone.copied()) {
            Some(instrument) => {
                left.retain(|other| *other != instrument);
                self.refuse(instrument, message);
                if !left.is_empty() {
                    self.waiting.push_front(left);
                }
            }
            None => {
                let second = left.split_off(left.len() / 2);
                self.waiting.push_front(second);
                self.waiting.push_front(left);
            }
        }
    }

    fn refuse(&mut self, instrument: InstrumentIndex, message: &str) {
        self.clock.candidates.retain(|other| *other != instrument);
        self.changes.push_back(Change::Refused {
            instrument,
            message: message.to_owned(),
        });
    }

    /// No answer in time. Where others are subscribed, the venue works and these are what it does not know.
    fn handle_unanswered(&mut self) {
        if self.subscribed.is_empty() {
            self.handle_end(End::Unanswered);
        } else if let Some(request) = self.unanswered.take() {
            for instrument in request.left {
                self.refuse(instrument, "no answer in time");
            }
            self.settle();
        }
    }

    fn settle(&mut self) {
        let done = self.unanswered.is_none() && self.waiting.is_empty();
        if !done || self.phase != Phase::Subscribing {
            return;
        }
        if self.subscribed.is_empty() {
            self.handle_end(End::NothingCarried);
        } else {
            self.phase = Phase::Live;
            self.changes.push_back(Change::Live);
        }
    }
}

#[cfg(test)]
mod tests;
