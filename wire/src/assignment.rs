// Pure: the assignment, which says what instrument belongs to which shard, and its file.
use std::collections::{BTreeMap, BTreeSet};

use crate::{Instrument, Interval, ShardCount, ShardId, Symbol, Venue};

mod diff;

mod error;

mod plan;

mod text;

pub use diff::{Difference, Move};
pub use error::AssignmentError;
pub use plan::{WantedSource, assign, load_max};

/// The highest generation: what every JSON reader holds exactly.
pub const GENERATION_MAX: u64 = (1 << 53) - 1;

/// The most shards.
pub const SHARDS_MAX: u16 = 1_024;

/// The most venues.
pub const SOURCES_MAX: usize = 64;

/// The most instruments over all venues: some three times what the largest exchanges list together.
pub const INSTRUMENTS_MAX: usize = 10_000;

/// The longest address of a venue, in bytes.
pub const ENDPOINT_LEN_MAX: usize = 1_024;

/// The longest file, in bytes: what a ConfigMap may hold. Whatever keeps the other bounds is written in less.
pub const FILE_LEN_MAX: usize = 1 << 20;

/// Which instrument belongs to which shard. Checked once, when it is made: every venue and instrument is there
/// once, every shard below the count.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Assignment {
    generation: u64,
    intervals: Vec<Interval>,
    shards: ShardCount,
    sources: Vec<AssignedSource>,
    /// The same instruments, to look them up.
    placed: BTreeMap<Instrument, ShardId>,
}

/// One venue's part of an assignment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AssignedSource {
    /// Which venue.
    pub venue: Venue,
    /// Where it is, if not where the exchange itself is.
    pub endpoints: Option<AssignedEndpoints>,
    /// Its instruments in the order in which they are listed, and the shard of each.
    pub instruments: Vec<(Symbol, ShardId)>,
}

/// Where a venue is: base addresses.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct AssignedEndpoints {
    /// Of its WebSocket: `wss://…` or `ws://…`.
    pub ws: String,
    /// Of its HTTP API: `https://…` or `http://…`.
    pub rest: String,
}

impl Assignment {
    /// Checks the parts. Intervals are sorted; sources and instruments keep their order, as the first venue to list
    /// a symbol has its short topic.
    ///
    /// # Errors
    /// When a bound is not kept, something is there twice, nothing is there, or an instrument's shard is not one
    /// of `shards`.
    pub fn new(
        generation: u64,
        intervals: impl IntoIterator<Item = Interval>,
        shards: ShardCount,
        sources: Vec<AssignedSource>,
    ) -> Result<Self, AssignmentError> {
        if !(1..=GENERATION_MAX).contains(&generation) {
            return Err(AssignmentError::Generation(generation));
        }
        if shards.get() > SHARDS_MAX {
            return Err(AssignmentError::Shards(u64::from(shards.get())));
        }
        let placed = check_sources(&sources, shards)?;
        Ok(Self {
            generation,
            intervals: check_intervals(intervals)?,
            shards,
            sources,
            placed,
        })
    }

    /// Rises with every change. From 1 to [`GENERATION_MAX`].
    #[must_use]
    pub fn generation(&self) -> u64 {
        self.generation
    }

    /// Bar lengths, shortest first; at least one.
    #[must_use]
    pub fn intervals(&self) -> &[Interval] {
        &self.intervals
    }

    /// How many shards there are. Some may have no instrument.
    #[must_use]
    pub fn shards(&self) -> ShardCount {
        self.shards
    }

    /// The venues in the order in which they are listed; at least one, each with at least one instrument.
    #[must_use]
    pub fn sources(&self) -> &[AssignedSource] {
        &self.sources
    }

    /// Every instrument and its shard, in listing order.
    pub fn instruments(&self) -> impl Iterator<Item = (Instrument, ShardId)> {
        self.sources.iter().flat_map(|source| {
            let instrument =
                |symbol: &Symbol| Instrument::new(source.venue.clone(), symbol.clone());
            source
                .instruments
                .iter()
                .map(move |(symbol, shard)| (instrument(symbol), *shard))
        })
    }

    /// The instruments of one shard, in listing order.
    pub fn instruments_of(&self, shard: ShardId) -> impl Iterator<Item = Instrument> {
        self.instruments()
            .filter_map(move |(instrument, at)| (at == shard).then_some(instrument))
    }

    /// The instrument's shard; `None` for one that is not assigned.
    #[must_use]
    pub fn shard_of(&self, instrument: &Instrument) -> Option<ShardId> {
        self.placed.get(instrument).copied()
    }

    /// How many instruments each shard has, by its number.
    #[must_use]
    pub fn loads(&self) -> Vec<usize> {
        let mut loads = vec![0; usize::from(self.shards.get())];
        for shard in self.placed.values() {
            loads[usize::from(shard.0)] += 1;
        }
        loads
    }

    /// Whether it replaces the other.
    #[must_use]
    pub fn is_newer_than(&self, other: &Self) -> bool {
        self.generation > other.generation
    }

    /// Whether both say the same, whatever their generations.
    #[must_use]
    pub fn says_the_same_as(&self, other: &Self) -> bool {
        self.intervals == other.intervals
            && self.shards == other.shards
            && self.sources == other.sources
    }
}

fn check_intervals(
    intervals: impl IntoIterator<Item = Interval>,
) -> Result<Vec<Interval>, AssignmentError> {
    let mut sorted = BTreeSet::new();
    for interval in intervals {
        if !sorted.insert(interval) {
            return Err(AssignmentError::IntervalTwice(interval));
        }
    }
    if sorted.is_empty() {
        return Err(AssignmentError::NoIntervals);
    }
    Ok(sorted.into_iter().collect())
}

fn check_sources(
    sources: &[AssignedSource],
    shards: ShardCount,
) -> Result<BTreeMap<Instrument, ShardId>, AssignmentError> {
    if sources.is_empty() {
        return Err(AssignmentError::NoSources);
    }
    if sources.len() > SOURCES_MAX {
        return Err(AssignmentError::TooManySources(sources.len()));
    }
    let count = sources.iter().map(|source| source.instruments.len()).sum();
    if count > INSTRUMENTS_MAX {
        return Err(AssignmentError::TooManyInstruments(count));
    }
    let mut venues = BTreeSet::new();
    let mut placed = BTreeMap::new();
    for source in sources {
        let venue = &source.venue;
        if !venues.insert(venue) {
            return Err(AssignmentError::VenueTwice(venue.clone()));
        }
        if source.instruments.is_empty() {
            return Err(AssignmentError::NoInstruments(venue.clone()));
        }
        if let Some(AssignedEndpoints { ws, rest }) = &source.endpoints {
            check_endpoint(venue, "ws", ws)?;
            check_endpoint(venue, "http", rest)?;
        }
        for (symbol, shard) in &source.instruments {
            let instrument = Instrument::new(venue.clone(), symbol.clone());
            if shard.0 >= shards.get() {
                return Err(AssignmentError::UnknownShard {
                    instrument,
                    shard: u64::from(shard.0),
                    shards,
                });
            }
            if placed.insert(instrument.clone(), *shard).is_some() {
                return Err(AssignmentError::SymbolTwice(instrument));
            }
        }
    }
    Ok(placed)
}

/// An address is `<scheme>://…` or `<scheme>s://…`, and nothing in it needs escaping where it is written.
fn check_endpoint(venue: &Venue, scheme: &'static str, text: &str) -> Result<(), AssignmentError> {
    let rest = text.strip_prefix(scheme);
    let rest = rest.map(|rest| rest.strip_prefix('s').unwrap_or(rest));
    let host = rest.and_then(|rest| rest.strip_prefix("://"));
    let plain = |byte: u8| byte.is_ascii_graphic() && byte != b'"' && byte != b'\\';
    let good = text.len() <= ENDPOINT_LEN_MAX
        && text.bytes().all(plain)
        && host.is_some_and(|host| !host.is_empty() && !host.starts_with('/'));
    if good {
        return Ok(());
    }
    Err(AssignmentError::Endpoint {
        venue: venue.clone(),
        scheme,
        text: crate::token::shown(text),
    })
}
