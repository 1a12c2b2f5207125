// Pure: what goes into a series and what comes out of it.
#![deny(clippy::disallowed_methods)]

use wire::{Candle, CandleError, Completeness, Interval, Trade};

/// What became of a trade.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TradeOutcome {
    /// It is in a bucket of every interval whose bars had begun by then.
    Added,
    /// Its id was seen before.
    Duplicate,
    /// As [`TradeOutcome::Added`], where some of its bars are closed: those are amended.
    Amended,
    /// A bar that should hold it closed too long ago to be amended. It is in no bar; longer bars that are still open
    /// are marked `gap`, so that none holds more than its parts, and [`Event::Late`] tells of it.
    Late,
    /// Its id is in doubt: it is held until the next trade agrees with it, and is then in its bars, or
    /// contradicts it, and it is then [`TradeOutcome::Rejected`] and counted as such. One is held at a time, and
    /// no longer than the reorder window.
    Held,
    /// From before the first bar: it gives the previous close and proves ids, and is in no bar.
    Reference,
    /// Not believed, or not to be held. It is in no bar, and the bars that lack it are marked.
    Rejected(Rejection),
}

/// Why a trade was refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Rejection {
    /// Its time is before 2009 or after 2100.
    TimeOutOfRange,
    /// Its time is further ahead of the venue's clock than is believed of a single message.
    TimeJump,
    /// Its time is too old to be in an open bar, and contradicts its id's neighbours.
    TimeAgainstIds,
    /// Its time is later than the message that told it.
    TimeAhead,
    /// It came live, and yet its bar was due before it was sent.
    TimeBehind,
    /// Its id is further from all others than is believed of a single trade, or lies below others and is newer,
    /// and the next trade did not agree with it.
    IdJump,
    /// A sum or its value is out of range.
    Overflow(CandleError),
    /// More buckets are waiting than are held: closed bars are not being fetched, or the feed is down.
    Backlog,
}

/// A bar that will not change any more without an amendment, or one that is amended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Closed {
    /// Its length.
    pub interval: Interval,
    /// Unix milliseconds; a multiple of the interval.
    pub start_ms: i64,
    /// Prices, volumes, ids.
    pub candle: Candle,
    /// What is known of its trades.
    pub completeness: Completeness,
    /// 0 at its first close, +1 at each amendment.
    pub rev: u32,
    /// Unix milliseconds: the newest venue time that it rests on.
    pub event_time_ms: i64,
}

/// The newest bar as it stands. The same fields as a closed one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct OpenBar {
    /// Its length.
    pub interval: Interval,
    /// Unix milliseconds; a multiple of the interval.
    pub start_ms: i64,
    /// Prices, volumes, ids.
    pub candle: Candle,
    /// What is known of its trades so far; holes that may still fill within the window are not held against it.
    pub completeness: Completeness,
    /// Unix milliseconds: the newest venue time that it rests on.
    pub event_time_ms: i64,
}

/// Something that is to be repaired, counted or logged.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Event {
    /// Ids that did not come within the window.
    Gap {
        /// First missing id.
        from_id: u64,
        /// Last missing id.
        to_id: u64,
        /// Unix milliseconds: none of them is older.
        after_ms: i64,
        /// Unix milliseconds: none of them is newer.
        before_ms: i64,
    },
    /// The feed was down, and ids do not show that nothing was missed.
    Outage {
        /// Unix milliseconds from which on trades may be missing; of the time before the feed was first alive,
        /// what the first bars span.
        from_ms: i64,
        /// Unix milliseconds from which on the feed was alive again.
        to_ms: i64,
    },
    /// A trade for a bar that closed too long ago to be amended.
    Late(Trade),
    /// A trade that cannot be held exactly.
    Overflow(Trade),
    /// A higher id has an earlier time: ids close no bar of this instrument any more.
    TimesRunAgainstIds,
    /// What was seen of this id and higher ones is not what the venue counts on from: a damaged id, or a venue
    /// that began anew. The bars that hold them are marked `gap`.
    IdsCut(u64),
}

/// Ids that are missing and wanted from the venue's REST interface.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Missing {
    /// The first.
    pub from_id: u64,
    /// The last.
    pub to_id: u64,
    /// Unix milliseconds: none of them is older.
    pub after_ms: i64,
    /// Unix milliseconds: none of them is newer.
    pub before_ms: i64,
}

/// What has been counted, per instrument or summed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Counters {
    /// Trades in bars.
    pub added: u64,
    /// Trades whose id was seen before.
    pub duplicate: u64,
    /// Of the trades in bars, those that came when some of the bars were closed.
    pub amending: u64,
    /// Trades for bars that closed too long ago.
    pub late: u64,
    /// Trades that were held for a while; what became of them is counted besides.
    pub held: u64,
    /// Trades from before the first bar.
    pub reference: u64,
    /// Trades that were not believed or could not be held.
    pub rejected: u64,
    /// Of these, the ones out of an amount's range.
    pub overflow: u64,
    /// Venue times that were not believed, apart from trades' own.
    pub clock_rejected: u64,
    /// Bars closed.
    pub closed: u64,
    /// Amendments of closed bars.
    pub amended: u64,
    /// Holes in the ids that did not fill within the window.
    pub gaps: u64,
    /// Ids missing in them.
    pub ids_missing: u64,
    /// Times at which ids that had been seen were no longer believed.
    pub ids_cut: u64,
    /// Times without a feed that ids do not bridge.
    pub outages: u64,
    /// Holes that are no longer told apart, see [`super::Config::ranges_max`].
    pub holes_given_up: u64,
    /// Events that found the queue full; what they stood for is counted all the same.
    pub events_lost: u64,
}

impl Counters {
    /// Adds the other's counts.
    pub fn add(&mut self, other: &Self) {
        self.added += other.added;
        self.duplicate += other.duplicate;
        self.amending += other.amending;
        self.amended += other.amended;
        self.late += other.late;
        self.held += other.held;
        self.reference += other.reference;
        self.rejected += other.rejected;
        self.overflow += other.overflow;
        self.clock_rejected += other.clock_rejected;
        self.closed += other.closed;
        self.gaps += other.gaps;
        self.ids_missing += other.ids_missing;
        self.ids_cut += other.ids_cut;
        self.outages += other.outages;
        self.holes_given_up += other.holes_given_up;
        self.events_lost += other.events_lost;
    }
}
