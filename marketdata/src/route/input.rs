// Pure: what a router hands to a shard.
#![deny(clippy::disallowed_methods)]

use runtime::telemetry::TraceContext;
use wire::Trade;

use crate::venue::InstrumentIndex;

/// Where an instrument is aggregated.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Place {
    /// The shard.
    pub shard: usize,
    /// Its place among the shard's instruments.
    pub series: u32,
}

/// One thing that a shard is told.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Input {
    /// An execution.
    Trade {
        /// Of which of the shard's instruments.
        series: u32,
        /// The execution.
        trade: Trade,
        /// When the venue sent it, in Unix milliseconds.
        event_time_ms: i64,
    },
    /// An execution from before the subscription.
    Reference {
        /// Of which of the shard's instruments.
        series: u32,
        /// The execution.
        trade: Trade,
    },
    /// A trade is known to be lost.
    Loss {
        /// Of which of the shard's instruments.
        series: u32,
    },
    /// A trade that was fetched, since it was missing.
    Repaired {
        /// Of which of the shard's instruments.
        series: u32,
        /// The execution.
        trade: Trade,
    },
    /// The venue has no trades of these ids, both ends included, though it has those beside them.
    Void {
        /// Of which of the shard's instruments.
        series: u32,
        /// The first.
        from_id: u64,
        /// The last.
        to_id: u64,
    },
    /// What was fetched of these ids has been handed over; what is missing of them still is not to be had.
    RepairEnd {
        /// Of which of the shard's instruments.
        series: u32,
        /// The first id that was asked for.
        from_id: u64,
        /// The last.
        to_id: u64,
        /// Whether to ask once more later: it was not even tried.
        again: bool,
    },
    /// The venue's clock, for all instruments of a feed.
    Clock {
        /// The feed's number.
        feed: u32,
        /// Unix milliseconds.
        venue_ms: i64,
    },
    /// One more connection carries the instrument, from this venue time on.
    Up {
        /// Which.
        series: u32,
        /// Unix milliseconds.
        venue_ms: i64,
    },
    /// One connection fewer carries the instrument.
    Down {
        /// Which.
        series: u32,
    },
    /// The instrument's next trade is sampled: its bars are part of a trace. Apart from the trade, so that one that is
    /// not sampled bears nothing.
    Sampled {
        /// Of which of the shard's instruments.
        series: u32,
        /// The trade's.
        trade_id: u64,
        /// The frame that it came in.
        context: TraceContext,
    },
}

impl Input {
    /// Whether it may be dropped when an inbox is full: a lost trade shows as a gap, a lost tick is followed by
    /// the next. A lost `Up` or `Down` would be believed for ever, and a lost `Loss` is what it says. What a repair
    /// fetched waits for room: its task has nothing else to do.
    #[must_use]
    pub const fn may_drop(&self) -> bool {
        matches!(
            self,
            Self::Trade { .. } | Self::Reference { .. } | Self::Clock { .. } | Self::Sampled { .. }
        )
    }
}

/// An input with its address, and whose it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Routed {
    /// The shard.
    pub shard: usize,
    /// The instrument; for a clock, none in particular.
    pub instrument: Option<InstrumentIndex>,
    /// The input.
    pub input: Input,
}
