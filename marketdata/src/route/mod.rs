// Pure: from one connection's events to the shards' inputs.
#![deny(clippy::disallowed_methods)]

//! A connection's events, in order, become inputs of the shards that own its instruments. What is in between is
//! here: an instrument counts as alive only from the first venue time after its subscription, the clock is
//! passed on in steps, and whatever may have cost a trade is told to those whom it may have met.

use std::collections::VecDeque;
use std::sync::Arc;

use runtime::telemetry::TraceContext;
use wire::Trade;

use crate::clock::{Judged, VenueClock};
use crate::venue::{Event, Harm, InstrumentIndex};

mod input;

mod last_trade;

use last_trade::LastTrade;

pub use input::{Input, Place, Routed};

/// The router of one connection.
///
/// After each `handle_*` call the shell takes everything from [`Router::poll_routed`].
#[derive(Debug)]
pub struct Router {
    feed: u32,
    places: Arc<[Place]>,
    /// The shards that hold any of the feed's instruments, each once.
    shards: Vec<usize>,
    states: Vec<State>,
    /// Instruments that are to be up at the next venue time, in the order in which they came.
    rising: Vec<InstrumentIndex>,
    /// Instruments that lost a trade since the last venue time.
    losing: Vec<InstrumentIndex>,
    clock: VenueClock,
    /// The venue time that the shards were told last.
    told_ms: Option<i64>,
    /// Trades whose messages' time is still a claim, oldest first.
    claimed: VecDeque<(InstrumentIndex, Input)>,
    /// Trades of instruments that are not up yet, oldest first.
    held: VecDeque<(InstrumentIndex, Input)>,
    routed: VecDeque<Routed>,
    lost: u64,
    doubted: u64,
    next_sequence: Option<u64>,
    messages_lost: u64,
}

#[derive(Debug, Clone, Copy, Default)]
struct State {
    subscribed: bool,
    up: bool,
    last_trade: LastTrade,
}

/// The clock is passed on when it has moved this far: closing a bar a tenth of a second later is nothing
/// beside the reorder window, and a firehose of trades would make as many ticks.
const CLOCK_STEP_MS: i64 = 100;

/// Every venue's clock ticks each second: one that goes on from further back has skipped ticks, and whatever
/// else was to come between them. Only a feed known to be alive may close a quiet bar.
const SKIP_MAX_MS: i64 = 3_000;

/// How far an execution may be ahead of its own message, in milliseconds: a venue's parts agree on the time within
/// a few milliseconds, and the bars that end in between would be closed by it.
const AHEAD_MAX_MS: i64 = 1_000;

/// Trades that wait for a second opinion on the time: what one connection brings until its next message of
/// another time, or while it starts beside one that lags. Of more the newest are lost, and told as such.
const CLAIMED_MAX: usize = 10_000;

/// Trades that wait for their instrument to be up: the snapshots of a hundred products, a hundred trades each.
/// Of more the oldest are dropped, which are the first that no bar needs.
const HELD_MAX: usize = 10_000;

impl Router {
    /// A router of one connection of the feed. `places` are those of the source's instruments, of which the feed
    /// carries `instruments`.
    pub fn new(feed: u32, places: Arc<[Place]>, instruments: &[InstrumentIndex]) -> Self {
        let mut shards: Vec<usize> = instruments
            .iter()
            .map(|instrument| places[instrument.at()].shard)
            .collect();
        shards.sort_unstable();
        shards.dedup();
        Self {
            feed,
            shards,
            states: vec![State::default(); places.len()],
            places,
            rising: Vec::new(),
            losing: Vec::new(),
            clock: VenueClock::default(),
            told_ms: None,
            claimed: VecDeque::new(),
            held: VecDeque::new(),
            routed: VecDeque::new(),
            lost: 0,
            doubted: 0,
            next_sequence: None,
            messages_lost: 0,
        }
    }

    /// A frame said this.
    #[inline]
    pub fn handle_event(&mut self, event: &Event) {
        match *event {
            Event::Trade {
                instrument,
                trade,
                event_time_ms,
            } => {
                let judged = self.handle_venue_time(event_time_ms);
                self.route_trade(judged, instrument, trade, event_time_ms);
            }
            Event::Reference { instrument, trade } => self.route_reference(instrument, trade),
            Event::Clock { venue_ms } => {
                self.handle_venue_time(venue_ms);
            }
            Event::LastTrade {
                instrument,
                trade_id,
                venue_ms,
            } => {
                let state = &mut self.states[instrument.at()];
                if state.last_trade.handle_heartbeat(trade_id, venue_ms) {
                    self.lost += 1;
                    self.lose(instrument);
                }
            }
            Event::Sequence { number } => self.handle_sequence(number),
            _ => {}
        }
    }

    /// A frame said this, and is sampled: its context goes before the trade, wherever that goes.
    pub fn handle_sampled(&mut self, event: &Event, context: TraceContext) {
        let Event::Trade {
            instrument,
            trade,
            event_time_ms,
        } = *event
        else {
            return self.handle_event(event);
        };
        let judged = self.handle_venue_time(event_time_ms);
        let sampled = Input::Sampled {
            series: self.places[instrument.at()].series,
            trade_id: trade.id,
            context,
        };
        if judged == Judged::Claimed {
            if self.claimed.len() < CLAIMED_MAX {
                self.claimed.push_back((instrument, sampled));
            }
        } else {
            self.push_trade(instrument, sampled);
        }
        self.route_trade(judged, instrument, trade, event_time_ms);
    }

    /// The other connections of the feed show this time, or there are none: this one does not start ahead of them.
    /// To be told before each message until [`Router::newest_ms`] gives a time.
    pub fn handle_feed_time(&mut self, feed_ms: Option<i64>) {
        self.clock.handle_feed_time(feed_ms);
    }

    /// The venue's time as this connection shows it, in Unix milliseconds.
    #[must_use]
    #[inline]
    pub fn newest_ms(&self) -> Option<i64> {
        self.clock.newest_ms()
    }

    /// The venue sends the instrument's trades from now on.
    pub fn handle_subscribed(&mut self, instrument: InstrumentIndex) {
        let state = &mut self.states[instrument.at()];
        if !state.subscribed {
            state.subscribed = true;
            self.rising.push(instrument);
        }
    }

    /// Trades may have been lost.
    pub fn handle_harm(&mut self, harm: Harm) {
        match harm {
            Harm::None => {}
            Harm::One(instrument) => self.lose(instrument),
            Harm::Any => {
                for at in 0..self.states.len() {
                    // No list is longer than an index can count.
                    self.darken(InstrumentIndex(u32::try_from(at).unwrap_or(u32::MAX)));
                }
            }
        }
    }

    /// The connection is over.
    pub fn handle_end(&mut self) {
        self.handle_harm(Harm::Any);
        self.rising.clear();
        self.losing.clear();
        self.claimed.clear();
    }

    /// The next input.
    #[inline]
    pub fn poll_routed(&mut self) -> Option<Routed> {
        self.routed.pop_front()
    }

    /// How many trades the venue spoke of that never came, since the last call.
    pub fn poll_lost(&mut self) -> u64 {
        std::mem::take(&mut self.lost)
    }

    /// How many times were refuted, of messages and of trades ahead of their message, since the last call.
    pub fn poll_doubted(&mut self) -> u64 {
        std::mem::take(&mut self.doubted)
    }

    /// How many messages the venue's numbering shows to be missing, since the last call.
    pub fn poll_messages_lost(&mut self) -> u64 {
        std::mem::take(&mut self.messages_lost)
    }

    /// A hole in the numbering is told before anything that the message itself says: its time must not close a
    /// bar that lacks what was lost.
    fn handle_sequence(&mut self, number: u64) {
        if let Some(expected) = self.next_sequence
            && number > expected
        {
            self.messages_lost = self.messages_lost.saturating_add(number - expected);
            self.handle_harm(Harm::Any);
        }
        let next = number.saturating_add(1);
        self.next_sequence = Some(next.max(self.next_sequence.unwrap_or(0)));
    }

    #[inline]
    fn route_trade(
        &mut self,
        judged: Judged,
        instrument: InstrumentIndex,
        trade: Trade,
        event_time_ms: i64,
    ) {
        if trade.time_ms.saturating_sub(event_time_ms) > AHEAD_MAX_MS {
            self.doubted += 1;
            self.lose(instrument);
            return;
        }
        let input = Input::Trade {
            series: self.places[instrument.at()].series,
            trade,
            event_time_ms,
        };
        if judged == Judged::Claimed {
            self.claim(instrument, input);
        } else {
            self.note_id(instrument, trade.id);
            self.push_trade(instrument, input);
        }
    }

    fn route_reference(&mut self, instrument: InstrumentIndex, trade: Trade) {
        self.note_id(instrument, trade.id);
        let series = self.places[instrument.at()].series;
        self.push_trade(instrument, Input::Reference { series, trade });
    }

    #[inline]
    fn note_id(&mut self, instrument: InstrumentIndex, id: u64) {
        self.states[instrument.at()].last_trade.handle_trade(id);
    }

    /// A trade waits for what the next message says of its time.
    fn claim(&mut self, instrument: InstrumentIndex, input: Input) {
        if self.claimed.len() >= CLAIMED_MAX {
            self.lose(instrument);
        } else {
            self.claimed.push_back((instrument, input));
        }
    }

    #[inline]
    fn handle_venue_time(&mut self, venue_ms: i64) -> Judged {
        let before = self.clock.newest_ms();
        let judged = self.clock.handle_time(venue_ms);
        let refuted = self.clock.poll_refuted();
        if refuted > 0 {
            self.doubted += refuted;
            for (instrument, _) in std::mem::take(&mut self.claimed) {
                self.lose(instrument);
            }
        }
        let newest = match judged {
            Judged::Moved | Judged::Agreed => venue_ms,
            Judged::Known | Judged::Claimed => return judged,
        };
        if before.is_some_and(|before| newest.saturating_sub(before) > SKIP_MAX_MS) {
            self.handle_harm(Harm::Any);
        }
        if !self.rising.is_empty() {
            self.raise(newest);
        }
        // The time that follows may close what they belong to.
        for (instrument, input) in std::mem::take(&mut self.claimed) {
            self.release(instrument, input);
        }
        let step_done = self
            .told_ms
            .is_none_or(|told| newest.saturating_sub(told) >= CLOCK_STEP_MS);
        if step_done || !self.losing.is_empty() {
            self.tell_clock(newest);
        }
        judged
    }

    /// A claim was true.
    fn release(&mut self, instrument: InstrumentIndex, input: Input) {
        if let Input::Trade { trade, .. } = input {
            self.note_id(instrument, trade.id);
        }
        self.push_trade(instrument, input);
    }

    /// Instruments are up from now on, and what came of them before is handed on; earlier trades last. A venue's
    /// last trade that is our newest one says that nothing was missed, which closes bars, and must not be said
    /// before what came since.
    fn raise(&mut self, newest: i64) {
        for instrument in std::mem::take(&mut self.rising) {
            self.states[instrument.at()].up = true;
            let series = self.places[instrument.at()].series;
            self.push(
                instrument,
                Input::Up {
                    series,
                    venue_ms: newest,
                },
            );
        }
        let (earlier, live): (VecDeque<_>, VecDeque<_>) = std::mem::take(&mut self.held)
            .into_iter()
            .partition(|(_, input)| matches!(input, Input::Reference { .. }));
        for (instrument, input) in live.into_iter().chain(earlier) {
            self.push_trade(instrument, input);
        }
    }

    /// Tells the shards the time, and once more, now that they know it, what was lost shortly before it: the bar
    /// that a lost trade belongs to may have begun after the time that they knew when it was lost.
    fn tell_clock(&mut self, venue_ms: i64) {
        self.told_ms = Some(venue_ms);
        for at in 0..self.shards.len() {
            self.routed.push_back(Routed {
                shard: self.shards[at],
                instrument: None,
                input: Input::Clock {
                    feed: self.feed,
                    venue_ms,
                },
            });
        }
        for instrument in std::mem::take(&mut self.losing) {
            let series = self.places[instrument.at()].series;
            self.push(instrument, Input::Loss { series });
        }
    }

    /// A trade of the instrument is lost.
    fn lose(&mut self, instrument: InstrumentIndex) {
        let series = self.places[instrument.at()].series;
        if !self.losing.contains(&instrument) {
            self.losing.push(instrument);
            self.push(instrument, Input::Loss { series });
        }
    }

    /// There is no telling whether the instrument lost trades: until the clock has moved on, it counts as down.
    fn darken(&mut self, instrument: InstrumentIndex) {
        let state = &mut self.states[instrument.at()];
        if !state.up {
            return;
        }
        state.up = false;
        self.rising.push(instrument);
        let series = self.places[instrument.at()].series;
        self.push(instrument, Input::Down { series });
    }

    /// A trade that comes before its instrument is up waits for that: a bar must know from when on it is whole
    /// before it is given what belongs to it. An earlier trade has no message's time beside it: it is measured by
    /// the clock once that is known.
    #[inline]
    fn push_trade(&mut self, instrument: InstrumentIndex, input: Input) {
        if self.states[instrument.at()].up {
            if let Input::Reference { trade, .. } = input
                && !self.clock.admits(trade.time_ms)
            {
                self.doubted += 1;
                self.lose(instrument);
            } else {
                self.push(instrument, input);
            }
            return;
        }
        if self.held.len() >= HELD_MAX {
            self.held.pop_front();
        }
        self.held.push_back((instrument, input));
    }

    fn push(&mut self, instrument: InstrumentIndex, input: Input) {
        self.routed.push_back(Routed {
            shard: self.places[instrument.at()].shard,
            instrument: Some(instrument),
            input,
        });
    }
}

#[cfg(test)]
mod tests;
