// Pure: how instruments are given their shards: as they are, if they may; else by rendezvous hashing with bounded
// load (Mirrokni, Thorup and Zadimoghaddam 2018).
use std::collections::BTreeSet;

use super::{AssignedEndpoints, AssignedSource, Assignment, AssignmentError, SHARDS_MAX};
use crate::shard::Weights;
use crate::{Instrument, Interval, ShardCount, ShardId, Symbol, Venue};

/// A venue as it is to be carried.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WantedSource {
    /// Which venue.
    pub venue: Venue,
    /// Where it is, if not where the exchange itself is.
    pub endpoints: Option<AssignedEndpoints>,
    /// What of it, in the order in which it is listed.
    pub symbols: Vec<Symbol>,
}

/// The most instruments that are put on one shard: a quarter above the mean, rounded up.
#[must_use]
pub fn load_max(instruments: usize, shards: ShardCount) -> usize {
    (5 * instruments).div_ceil(4 * usize::from(shards.get()))
}

/// Gives every wanted instrument its shard, and moves as few as it can:
///
/// - An instrument stays where it was, if that shard still exists. Others, also those of shards that go, are put
///   on the shard that weighs most for them of those below [`load_max`].
/// - New shards take instruments from the fullest of the others until they are level, and no more than their
///   share: the mean, rounded up.
/// - Where instruments were removed, shards that are left above [`load_max`] shed the excess. Only then: a new
///   shard lowers the bound too, and with few instruments a shard a rounding may leave an old shard above it that
///   only moves beyond the share, or between old shards, would bring down. It stays there, as moves are what
///   costs.
///
/// So planning again changes nothing, more symbols move nothing, more shards move their share and only to
/// themselves, and fewer shards move only what was on those that go.
///
/// The generation is the previous one, if it says the same; else one more. Without a previous one it is 1.
///
/// # Errors
/// As [`Assignment::new`].
pub fn assign(
    previous: Option<&Assignment>,
    sources: Vec<WantedSource>,
    intervals: impl IntoIterator<Item = Interval>,
    shards: ShardCount,
) -> Result<Assignment, AssignmentError> {
    if shards.get() > SHARDS_MAX {
        return Err(AssignmentError::Shards(u64::from(shards.get())));
    }
    let instruments: Vec<Instrument> = sources.iter().flat_map(instruments).collect();
    let mut plan = Plan::keeping(previous, &instruments, shards);
    plan.place_rest();
    if let Some(previous) = previous {
        plan.fill_new(previous.shards());
        // What is listed twice is refused below.
        let kept: BTreeSet<&Instrument> = instruments.iter().collect();
        let removed = |(instrument, _)| !kept.contains(&instrument);
        if previous.instruments().any(removed) {
            plan.shed_excess();
        }
    }
    let mut places = plan.places().into_iter();
    let place = |source: WantedSource| AssignedSource {
        venue: source.venue,
        endpoints: source.endpoints,
        instruments: source.symbols.into_iter().zip(places.by_ref()).collect(),
    };
    let sources = sources.into_iter().map(place).collect();
    let generation = previous.map_or(0, Assignment::generation);
    let next = Assignment::new(generation.saturating_add(1), intervals, shards, sources)?;
    Ok(match previous {
        Some(previous) if next.says_the_same_as(previous) => previous.clone(),
        _ => next,
    })
}

fn instruments(source: &WantedSource) -> impl Iterator<Item = Instrument> {
    let instrument = |symbol: &Symbol| Instrument::new(source.venue.clone(), symbol.clone());
    source.symbols.iter().map(instrument)
}

/// Instruments on their way to their shards, both by their number.
struct Plan {
    weights: Vec<Weights>,
    /// Of each shard, its instruments.
    members: Vec<Vec<usize>>,
    /// Those that have no shard yet.
    rest: Vec<usize>,
    /// What [`load_max`] says.
    load_max: usize,
}

impl Plan {
    /// Instruments of which the shard is still there are on it.
    fn keeping(
        previous: Option<&Assignment>,
        instruments: &[Instrument],
        shards: ShardCount,
    ) -> Self {
        let mut plan = Self {
            weights: instruments.iter().map(Weights::of).collect(),
            members: vec![Vec::new(); usize::from(shards.get())],
            rest: Vec::new(),
            load_max: load_max(instruments.len(), shards),
        };
        for (number, instrument) in instruments.iter().enumerate() {
            let shard = previous.and_then(|previous| previous.shard_of(instrument));
            match shard.and_then(|shard| plan.members.get_mut(usize::from(shard.0))) {
                Some(members) => members.push(number),
                None => plan.rest.push(number),
            }
        }
        plan
    }

    /// Puts those without a shard on the one that weighs most for them of those with room.
    fn place_rest(&mut self) {
        for number in std::mem::take(&mut self.rest) {
            let room = |shard: &usize| self.members[*shard].len() < self.load_max;
            let best = (0..self.members.len())
                .filter(room)
                .max_by_key(|&shard| self.weight(number, shard));
            // There is room for all: the bound is not below the mean.
            self.members[best.unwrap_or(0)].push(number);
        }
    }

    /// Lets the shards from `old` on take from those before, until they are level or have their share.
    fn fill_new(&mut self, old: ShardCount) {
        let old = usize::from(old.get());
        let count: usize = self.members.iter().map(Vec::len).sum();
        let share = count.div_ceil(self.members.len());
        loop {
            let new = old..self.members.len();
            let emptiest = new.min_by_key(|&shard| (self.members[shard].len(), shard));
            let Some(to) = emptiest else { return };
            let from = self.fullest(0..old);
            let (high, low) = (self.members[from].len(), self.members[to].len());
            if low >= share || high <= low + 1 {
                return;
            }
            let taken = (0..high).max_by_key(|&at| self.weight(self.members[from][at], to));
            self.move_one(from, taken, to);
        }
    }

    /// Moves from shards above the bound what weighs least there, to where it weighs most of those with room.
    fn shed_excess(&mut self) {
        loop {
            let from = self.fullest(0..self.members.len());
            let high = self.members[from].len();
            if high <= self.load_max {
                return;
            }
            let shed = (0..high).min_by_key(|&at| self.weight(self.members[from][at], from));
            let Some(at) = shed else { return };
            let number = self.members[from].swap_remove(at);
            self.rest.push(number);
            self.place_rest();
        }
    }

    fn fullest(&self, shards: std::ops::Range<usize>) -> usize {
        let fullest = shards.max_by_key(|&shard| (self.members[shard].len(), usize::MAX - shard));
        fullest.unwrap_or(0)
    }

    fn move_one(&mut self, from: usize, at: Option<usize>, to: usize) {
        if let Some(at) = at {
            let number = self.members[from].swap_remove(at);
            self.members[to].push(number);
        }
    }

    /// Equal weights are told apart by the shard, so that the order of shards' members says nothing.
    fn weight(&self, number: usize, shard: usize) -> (u64, usize, usize) {
        (self.weights[number].at(id(shard)), shard, number)
    }

    /// The shard of each instrument.
    fn places(self) -> Vec<ShardId> {
        let mut places = vec![ShardId(0); self.weights.len()];
        for (shard, members) in self.members.into_iter().enumerate() {
            for number in members {
                places[number] = id(shard);
            }
        }
        places
    }
}

fn id(shard: usize) -> ShardId {
    // The count of shards is 16 bits, so that its numbers fit.
    ShardId(u16::try_from(shard).unwrap_or(u16::MAX))
}
