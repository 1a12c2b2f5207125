// Pure: why an assignment is refused, and what to write instead.
use super::{
    ENDPOINT_LEN_MAX, FILE_LEN_MAX, GENERATION_MAX, INSTRUMENTS_MAX, SHARDS_MAX, SOURCES_MAX, text,
};
use crate::{Instrument, Interval, ShardCount, Venue};

/// Why an assignment was refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum AssignmentError {
    /// A file beyond the bound; it was not read.
    #[error("an assignment of {0} bytes is too long: {FILE_LEN_MAX} at most")]
    TooLong(usize),
    /// Not JSON, or not of this shape; says where.
    #[error("not an assignment: {0}")]
    Malformed(String),
    /// Of a version that means something else.
    #[error("version {0} of the assignment is not known here: write version {known}", known = text::VERSION)]
    Version(u64),
    /// Out of range.
    #[error("generation {0} is out of range: write 1 to {GENERATION_MAX}")]
    Generation(u64),
    /// Out of range.
    #[error("{0} shards are out of range: write 1 to {SHARDS_MAX}")]
    Shards(u64),
    /// No bar length.
    #[error("there are no intervals: name at least one, such as 1m")]
    NoIntervals,
    /// One bar length, named twice.
    #[error("interval {0} is there twice: name it once")]
    IntervalTwice(Interval),
    /// No venue.
    #[error("there are no sources: name at least one venue and its symbols")]
    NoSources,
    /// Beyond the bound.
    #[error("{0} sources are too many: {SOURCES_MAX} at most")]
    TooManySources(usize),
    /// One venue, two lists.
    #[error("venue {0} is listed twice: put its symbols in one list")]
    VenueTwice(Venue),
    /// A venue without a symbol.
    #[error("venue {0} has no instruments: name at least one symbol, or leave the venue out")]
    NoInstruments(Venue),
    /// Beyond the bound.
    #[error("{0} instruments are too many: {INSTRUMENTS_MAX} at most")]
    TooManyInstruments(usize),
    /// One instrument, listed twice.
    #[error("{0} is listed twice: list it once")]
    SymbolTwice(Instrument),
    /// An instrument on a shard that there is not.
    #[error(
        "{instrument} is on shard {shard}, and the {shards} shards are 0 to {last}",
        last = shards.get() - 1
    )]
    UnknownShard {
        /// Which instrument.
        instrument: Instrument,
        /// Where it was put.
        shard: u64,
        /// How many shards there are.
        shards: ShardCount,
    },
    /// Not an address of its kind.
    #[error(
        "{text:?} is no address of {venue}: write {scheme}s://<host>/<path> or {scheme}://…, \
         {ENDPOINT_LEN_MAX} plain characters at most"
    )]
    Endpoint {
        /// Of which venue.
        venue: Venue,
        /// `ws` or `http`.
        scheme: &'static str,
        /// What was given, cut to 64 characters.
        text: String,
    },
}
