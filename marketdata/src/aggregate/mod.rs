// Pure: the map of the aggregation core.
//! Trades in, exact bars out. It reads no clock and no socket: the venue's own times decide everything. Where no
//! trade is lost and times follow ids, the same trades give the same bars in any order that a network makes within
//! the reorder window; what that leaves out is in `docs/decisions/0003-closing.md`.
//!
//! It does not number, encode or publish bars, and it fetches nothing: a gap is found, marked, told and counted.
//!
//! Read first: [`Series`] (one instrument), [`Closed`] (what comes out), [`Engine`] (a shard of instruments).
#![deny(clippy::disallowed_methods)]

/// What a series is told to do.
pub mod config;

/// What goes in and what comes out, apart from trades themselves.
pub mod event;

/// The venue's clock, and which times are believed.
mod clock;

/// Which trade ids were seen, and which are missing between them.
mod ids;

/// What is known to be missing, as stretches of time.
mod marks;

/// One interval's buckets that are still open.
mod lane;

/// One interval's closed bars that may yet be amended.
mod held;

/// One instrument as plain data.
pub mod snapshot;

/// One instrument.
pub mod series;

/// The instruments of one shard.
pub mod engine;

pub use config::Config;
pub use engine::{Engine, FeedIndex, SeriesIndex};
pub use event::{Closed, Counters, Event, Missing, OpenBar, Rejection, TradeOutcome};
pub use series::Series;
pub use snapshot::SeriesSnapshot;
