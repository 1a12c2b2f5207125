// Pure: what a process carries, and what changes with the next assignment.
#![deny(clippy::disallowed_methods)]

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use wire::assignment::AssignedSource;
use wire::{Assignment, Instrument, ShardCount, ShardId, Symbol, Venue as VenueName};

use crate::assignment;
use crate::listing::{self, Listed};
use crate::options::{ConfigError, Hosted};
use crate::route::Place;
use crate::venue::{self, Endpoints, InstrumentIndex, Venue};

/// What a generation of the assignment asks for: all instruments, also those that other processes carry, since the
/// first to list a symbol has its short topic.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Wanted {
    pub(crate) generation: u64,
    /// In the order in which they are listed.
    pub(crate) sources: Vec<WantedSource>,
}

/// One venue of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct WantedSource {
    pub(crate) venue: VenueName,
    pub(crate) endpoints: Option<Endpoints>,
    /// In the order in which they are listed, with their shards.
    pub(crate) symbols: Vec<(Symbol, ShardId)>,
}

impl From<&Assignment> for Wanted {
    fn from(assignment: &Assignment) -> Self {
        let source = |source: &AssignedSource| WantedSource {
            venue: source.venue.clone(),
            endpoints: assignment::endpoints(source),
            symbols: source.instruments.clone(),
        };
        Self {
            generation: assignment.generation(),
            sources: assignment.sources().iter().map(source).collect(),
        }
    }
}

/// The instruments of the shards that this process hosts.
///
/// Call order: [`Roster::handle_wanted`] for each generation, and [`Roster::handle_dropped`] for each instrument that
/// a shard has let go.
#[derive(Debug)]
pub(crate) struct Roster {
    hosted: Hosted,
    members: BTreeMap<Instrument, Held>,
    /// Of each hosted shard, how many series it was ever given: a number is never given again.
    series: Vec<u32>,
    /// Of each feed that runs, how many of its instruments are carried.
    feeds: BTreeMap<u32, usize>,
    feeds_made: u32,
    listed_made: usize,
}

#[derive(Debug)]
struct Held {
    place: Place,
    feed: u32,
    listed: Listed,
}

/// An instrument of a shard, and the number of the feed that carries it.
#[derive(Debug, Clone)]
pub(crate) struct Member {
    pub(crate) listed: Listed,
    pub(crate) feed: u32,
    /// Its place in the list of everything that this process ever carried.
    pub(crate) at: usize,
}

/// A source whose instruments have their shards and feeds, to be connected.
#[derive(Debug)]
pub(crate) struct PlacedSource {
    pub(crate) venue: Arc<dyn Venue>,
    pub(crate) url: String,
    /// Base address of its REST interface.
    pub(crate) rest: String,
    pub(crate) listed_from: usize,
    pub(crate) places: Arc<[Place]>,
    /// The instruments of each feed, with its number over all sources.
    pub(crate) feeds: Vec<(u32, Vec<InstrumentIndex>)>,
}

/// What a generation changes.
#[derive(Debug, Default)]
pub(crate) struct Change {
    /// What is to be connected, once the shards know of it.
    pub(crate) sources: Vec<PlacedSource>,
    /// Of each hosted shard.
    pub(crate) shards: Vec<ShardChange>,
}

/// What a generation changes for one shard.
#[derive(Debug, Default)]
pub(crate) struct ShardChange {
    pub(crate) generation: u64,
    /// The shard's instruments.
    pub(crate) mine: BTreeSet<Instrument>,
    /// Those of all other shards, hosted here or not.
    pub(crate) others: BTreeSet<Instrument>,
    /// In the order of their series numbers, which go on from those that the shard has.
    pub(crate) gained: Vec<Member>,
    /// Series whose topics have another name now.
    pub(crate) renamed: Vec<(u32, Listed)>,
}

impl Roster {
    /// `shards` is how many there are, where all are hosted.
    pub(crate) fn new(hosted: Hosted, shards: ShardCount) -> Self {
        let shards = match hosted {
            Hosted::All => usize::from(shards.get()),
            Hosted::One(_) => 1,
        };
        Self {
            hosted,
            members: BTreeMap::new(),
            series: vec![0; shards],
            feeds: BTreeMap::new(),
            feeds_made: 0,
            listed_made: 0,
        }
    }

    /// What is to change so that this is carried. Nothing has changed when it is refused.
    ///
    /// # Errors
    /// When a venue or a symbol of it cannot be carried.
    pub(crate) fn handle_wanted(&mut self, wanted: &Wanted) -> Result<Change, ConfigError> {
        let adapters = self.adapters(wanted)?;
        let listed = list(wanted);
        let mut change = Change {
            sources: Vec::new(),
            shards: (0..self.series.len())
                .map(|index| self.shares(wanted, index))
                .collect(),
        };
        self.keep(&listed, &mut change);
        for (source, adapter) in wanted.sources.iter().zip(adapters) {
            if let Some(adapter) = adapter {
                let placed = self.gain(source, adapter, &listed, &mut change);
                change.sources.push(placed);
            }
        }
        Ok(change)
    }

    /// The shard has let the instrument go, so that a later generation may give it to us anew. Gives its feed, if that
    /// carries nothing any more.
    pub(crate) fn handle_dropped(&mut self, instrument: &Instrument) -> Option<u32> {
        let held = self.members.remove(instrument)?;
        let count = self.feeds.get_mut(&held.feed)?;
        *count = count.saturating_sub(1);
        if *count > 0 {
            return None;
        }
        self.feeds.remove(&held.feed);
        Some(held.feed)
    }

    /// Of each source, the adapter of what it gains here; `None` where that is nothing.
    fn adapters(&self, wanted: &Wanted) -> Result<Vec<Option<Adapter>>, ConfigError> {
        if wanted
            .sources
            .iter()
            .all(|source| source.symbols.is_empty())
        {
            return Err(ConfigError::NoSources);
        }
        let mut venues = BTreeSet::new();
        let mut adapters = Vec::with_capacity(wanted.sources.len());
        for source in &wanted.sources {
            if !venues.insert(&source.venue) {
                return Err(ConfigError::VenueTwice(source.venue.clone()));
            }
            // All of them, so that a bad symbol is refused by every process alike.
            let all: Vec<Symbol> = source
                .symbols
                .iter()
                .map(|(symbol, _)| symbol.clone())
                .collect();
            venue::adapter(&source.venue, &all)?;
            let new = |(symbol, shard): &&(Symbol, ShardId)| {
                let instrument = Instrument::new(source.venue.clone(), symbol.clone());
                self.hosted.index(*shard).is_some() && !self.members.contains_key(&instrument)
            };
            let gained: Vec<(Symbol, ShardId)> =
                source.symbols.iter().filter(new).cloned().collect();
            adapters.push(if gained.is_empty() {
                None
            } else {
                Some(Adapter::new(source, gained)?)
            });
        }
        Ok(adapters)
    }

    /// Who has what, as the shard at the place sees it.
    fn shares(&self, wanted: &Wanted, index: usize) -> ShardChange {
        let own = self.hosted.shard(index);
        let mut change = ShardChange {
            generation: wanted.generation,
            ..ShardChange::default()
        };
        for source in &wanted.sources {
            for (symbol, shard) in &source.symbols {
                let instrument = Instrument::new(source.venue.clone(), symbol.clone());
                if *shard == own {
                    change.mine.insert(instrument);
                } else {
                    change.others.insert(instrument);
                }
            }
        }
        change
    }

    /// Names of what stays.
    fn keep(&mut self, listed: &BTreeMap<Instrument, Listed>, change: &mut Change) {
        for (instrument, held) in &mut self.members {
            if let Some(listed) = listed.get(instrument)
                && *listed != held.listed
            {
                held.listed = listed.clone();
                let renamed = &mut change.shards[held.place.shard].renamed;
                renamed.push((held.place.series, listed.clone()));
            }
        }
    }

    fn gain(
        &mut self,
        source: &WantedSource,
        adapter: Adapter,
        listed: &BTreeMap<Instrument, Listed>,
        change: &mut Change,
    ) -> PlacedSource {
        let Adapter {
            venue,
            url,
            rest,
            gained,
        } = adapter;
        let listed_from = self.listed_made;
        let indices: Vec<InstrumentIndex> = venue.symbols().indices().collect();
        let mut places = Vec::with_capacity(gained.len());
        let mut feeds = Vec::new();
        let mut rest_of = gained.iter();
        for chunk in indices.chunks(venue.limits().symbols_per_connection.max(1)) {
            let feed = self.feeds_made;
            self.feeds_made += 1;
            self.feeds.insert(feed, chunk.len());
            for (symbol, shard) in rest_of.by_ref().take(chunk.len()) {
                let instrument = Instrument::new(source.venue.clone(), symbol.clone());
                // It was chosen because its shard is hosted.
                let shard = self.hosted.index(*shard).unwrap_or_default();
                let place = Place {
                    shard,
                    series: self.series[shard],
                };
                self.series[shard] += 1;
                let listed = listed.get(&instrument).cloned().unwrap_or(Listed {
                    instrument: instrument.clone(),
                    short: false,
                });
                change.shards[shard].gained.push(Member {
                    listed: listed.clone(),
                    feed,
                    at: self.listed_made,
                });
                self.listed_made += 1;
                places.push(place);
                self.members.insert(
                    instrument,
                    Held {
                        place,
                        feed,
                        listed,
                    },
                );
            }
            feeds.push((feed, chunk.to_vec()));
        }
        PlacedSource {
            venue,
            url,
            rest,
            listed_from,
            places: places.into(),
            feeds,
        }
    }
}

/// A source's protocol over what is gained of it.
struct Adapter {
    venue: Arc<dyn Venue>,
    url: String,
    rest: String,
    gained: Vec<(Symbol, ShardId)>,
}

impl Adapter {
    fn new(source: &WantedSource, gained: Vec<(Symbol, ShardId)>) -> Result<Self, ConfigError> {
        let symbols: Vec<Symbol> = gained.iter().map(|(symbol, _)| symbol.clone()).collect();
        let venue: Arc<dyn Venue> = venue::adapter(&source.venue, &symbols)?.into();
        let endpoints = source.endpoints.clone();
        let endpoints = endpoints.unwrap_or_else(|| venue.endpoints());
        let url = venue.stream_url(endpoints.ws.trim_end_matches('/'));
        if url.starts_with("wss://") && !cfg!(feature = "tls") {
            return Err(ConfigError::NoTls(url));
        }
        Ok(Self {
            venue,
            url,
            rest: endpoints.rest.trim_end_matches('/').to_owned(),
            gained,
        })
    }
}

fn list(wanted: &Wanted) -> BTreeMap<Instrument, Listed> {
    let symbols: Vec<Vec<Symbol>> = wanted
        .sources
        .iter()
        .map(|source| {
            source
                .symbols
                .iter()
                .map(|(symbol, _)| symbol.clone())
                .collect()
        })
        .collect();
    let sources = wanted.sources.iter().zip(&symbols);
    let listed =
        listing::list(sources.map(|(source, symbols)| (&source.venue, symbols.as_slice())));
    listed
        .into_iter()
        .map(|listed| (listed.instrument.clone(), listed))
        .collect()
}

#[cfg(test)]
mod tests;
