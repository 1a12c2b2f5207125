// Pure: the state of one venue's market, and the events that change it.
#![deny(clippy::disallowed_methods)]

/// What trades add up to.
pub mod row;

/// The trades of one instrument.
pub mod tape;

/// The bars that should come out.
pub mod truth;

use std::sync::Arc;

use indexmap::IndexMap;
use wire::{Price, Symbol, Trade};

use crate::venue::Kind;
use tape::{Execution, Listing, Tape};

/// One thing that happens at a venue, from its source.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Step {
    /// When to play it, Unix nanoseconds: a recording's receive time, a generated market's own time.
    pub at_ns: i64,
    /// What the venue's clock says then, Unix milliseconds, if the step shows it.
    pub clock_ms: Option<i64>,
    /// What happens.
    pub body: Body,
}

/// What a step brings.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Body {
    /// Fills of one instrument, ids rising, each with its time in microseconds.
    Trades {
        /// The instrument.
        symbol: Symbol,
        /// The fills.
        fills: Vec<(Trade, i64)>,
        /// The recorded message that said so; none in a generated market.
        frame: Option<Arc<str>>,
    },
    /// A recorded message of another stream, passed on to whoever subscribed to it.
    Other {
        /// Binance: the stream's name. Coinbase: `<channel>:<product>`.
        stream: String,
        /// The message as it was recorded.
        frame: Arc<str>,
    },
}

/// A step after the market has taken it, as connections see it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Event {
    /// Its place in the market's order, from 1.
    pub position: u64,
    /// The venue's clock at that place, Unix milliseconds.
    pub clock_ms: i64,
    /// What happened.
    pub kind: EventKind,
}

/// What an event tells.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum EventKind {
    /// Trades of one instrument, ids rising.
    Trades {
        /// The instrument.
        symbol: Symbol,
        /// The trades.
        executions: Vec<Execution>,
        /// The recorded message that said so.
        frame: Option<Arc<str>>,
    },
    /// A recorded message of another stream; see [`Body::Other`].
    Other {
        /// The stream.
        stream: String,
        /// The message.
        frame: Arc<str>,
    },
    /// The venue's clock has passed a whole second, given in Unix milliseconds.
    Second(i64),
    /// The source is over. Its last whole second (Unix milliseconds) is told again, at a clock that hardly moves.
    Idle(i64),
    /// The venue goes away soon (Binance's `serverShutdown`).
    Shutdown,
}

/// What is known of an instrument before the first step.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Listed {
    /// The instrument.
    pub symbol: Symbol,
    /// Its steps.
    pub listing: Listing,
    /// The price before its first trade.
    pub reference: Option<Price>,
}

/// One venue's market: its instruments, its clock, and how far it has come.
#[derive(Debug)]
pub struct Market {
    /// Which venue's rules it follows.
    pub kind: Kind,
    /// Tapes by canonical symbol, in listing order.
    pub tapes: IndexMap<Symbol, Tape>,
    /// Recorded streams that must not be made up as well, such as `btcusdt@kline_1s`.
    pub recorded_streams: std::collections::BTreeSet<String>,
    clock_ms: i64,
    position: u64,
    trades: u64,
}

impl Market {
    /// A market that has not begun. Keeps `keep_max` trades over all instruments, but some of each.
    #[must_use]
    pub fn new(kind: Kind, listed: &[Listed], keep_max: usize) -> Self {
        let each = (keep_max / listed.len().max(1)).max(KEEP_MIN);
        let tape = |l: &Listed| Tape::new(kind.native(&l.symbol), l.listing, l.reference, each);
        Self {
            kind,
            tapes: listed.iter().map(|l| (l.symbol.clone(), tape(l))).collect(),
            recorded_streams: std::collections::BTreeSet::new(),
            clock_ms: i64::MIN,
            position: 0,
            trades: 0,
        }
    }

    /// What the venue's clock shows before the first step, so that the first answers bear a time that the trades
    /// go on from.
    pub fn handle_opening(&mut self, opening_ms: i64) {
        self.clock_ms = self.clock_ms.max(opening_ms);
    }

    /// The venue's clock, Unix milliseconds; `None` before anything has happened.
    #[must_use]
    pub fn clock_ms(&self) -> Option<i64> {
        (self.clock_ms != i64::MIN).then_some(self.clock_ms)
    }

    /// How many events have happened.
    #[must_use]
    pub fn position(&self) -> u64 {
        self.position
    }

    /// How many trades have been made.
    #[must_use]
    pub fn trades(&self) -> u64 {
        self.trades
    }

    /// The tape behind the venue's own spelling of a symbol.
    #[must_use]
    pub fn by_native(&self, native: &str) -> Option<(&Symbol, &Tape)> {
        self.tapes.iter().find(|(_, tape)| tape.native == native)
    }

    /// Takes a step; `None` where it changes nothing (trades that are there already, an unlisted symbol).
    pub fn handle_step(&mut self, step: Step) -> Option<Event> {
        self.clock_ms = self.clock_ms.max(step.clock_ms.unwrap_or(i64::MIN));
        let position = self.position + 1;
        let kind = match step.body {
            Body::Other { stream, frame } => EventKind::Other { stream, frame },
            Body::Trades {
                symbol,
                fills,
                frame,
            } => {
                let event_ms = step.clock_ms.unwrap_or(self.clock_ms);
                let executions = self
                    .tapes
                    .get_mut(&symbol)?
                    .push(&fills, event_ms, position);
                if executions.is_empty() {
                    return None;
                }
                self.trades += executions.len() as u64;
                EventKind::Trades {
                    symbol,
                    executions,
                    frame,
                }
            }
        };
        Some(self.event(kind))
    }

    /// The venue's clock passes a whole second.
    pub fn handle_second(&mut self, second_ms: i64) -> Event {
        self.clock_ms = self.clock_ms.max(second_ms);
        self.event(EventKind::Second(second_ms))
    }

    /// The source is over, and the venue's clock goes on by so little.
    pub fn handle_idle(&mut self, creep_ms: i64) -> Event {
        let second_ms = self.clock_ms - self.clock_ms.rem_euclid(1_000);
        self.clock_ms = self.clock_ms.saturating_add(creep_ms);
        self.event(EventKind::Idle(second_ms))
    }

    /// The venue announces that it goes away.
    pub fn handle_shutdown(&mut self) -> Event {
        self.event(EventKind::Shutdown)
    }

    fn event(&mut self, kind: EventKind) -> Event {
        self.position += 1;
        Event {
            position: self.position,
            clock_ms: self.clock_ms,
            kind,
        }
    }
}

/// REST pages hold up to 1,000 trades; two of them stay readable for each instrument however many there are.
const KEEP_MIN: usize = 2_000;
