// Pure: what one assignment changes against another, for people.
use std::fmt;

use super::Assignment;
use crate::{Instrument, ShardId};

/// What a newer assignment changes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Difference {
    /// Generations before (`None`: there was none) and after.
    pub generations: (Option<u64>, u64),
    /// Instruments that change their shard, in the newer listing's order.
    pub moved: Vec<Move>,
    /// Instruments that were not there before, and their shards, in the newer listing's order.
    pub added: Vec<(Instrument, ShardId)>,
    /// Instruments that are there no more, and their shards before, in the older listing's order.
    pub removed: Vec<(Instrument, ShardId)>,
    /// How many instruments each shard has before and after, by its number.
    pub loads: Vec<(usize, usize)>,
    /// Whether the bar lengths are others.
    pub intervals_changed: bool,
    /// Whether venues are listed in another order, or elsewhere, or their instruments in another order.
    pub sources_changed: bool,
}

/// An instrument that changes its shard.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Move {
    /// Which.
    pub instrument: Instrument,
    /// Its shard before.
    pub from: ShardId,
    /// Its shard after.
    pub to: ShardId,
}

impl Difference {
    /// What `new` changes against `old`; against nothing, everything is added.
    #[must_use]
    pub fn between(old: Option<&Assignment>, new: &Assignment) -> Self {
        let mut moved = Vec::new();
        let mut added = Vec::new();
        for (instrument, to) in new.instruments() {
            match old.and_then(|old| old.shard_of(&instrument)) {
                None => added.push((instrument, to)),
                Some(from) if from == to => {}
                Some(from) => moved.push(Move {
                    instrument,
                    from,
                    to,
                }),
            }
        }
        let removed = old.map(|old| {
            old.instruments()
                .filter(|(instrument, _)| new.shard_of(instrument).is_none())
                .collect()
        });
        let (before, after) = (old.map(Assignment::loads).unwrap_or_default(), new.loads());
        let load = |loads: &[usize], at: usize| loads.get(at).copied().unwrap_or(0);
        Self {
            generations: (old.map(Assignment::generation), new.generation()),
            moved,
            added,
            removed: removed.unwrap_or_default(),
            loads: (0..before.len().max(after.len()))
                .map(|at| (load(&before, at), load(&after, at)))
                .collect(),
            intervals_changed: old.is_some_and(|old| old.intervals() != new.intervals()),
            sources_changed: old.is_some_and(|old| frame(old, new) != frame(new, old)),
        }
    }

    /// Whether nothing changes.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        let Self {
            generations: (before, after),
            ..
        } = self;
        *before == Some(*after)
    }
}

/// The venues, their addresses and their instruments that both have, without their shards.
fn frame<'a>(
    of: &'a Assignment,
    and: &Assignment,
) -> Vec<(
    &'a crate::Venue,
    Option<&'a super::AssignedEndpoints>,
    Vec<&'a crate::Symbol>,
)> {
    let both = |venue: &crate::Venue, symbol: &crate::Symbol| {
        and.shard_of(&Instrument::new(venue.clone(), symbol.clone()))
            .is_some()
    };
    of.sources()
        .iter()
        .map(|source| {
            let symbols = source.instruments.iter().map(|(symbol, _)| symbol);
            let symbols = symbols.filter(|symbol| both(&source.venue, symbol));
            (
                &source.venue,
                source.endpoints.as_ref(),
                symbols.collect::<Vec<_>>(),
            )
        })
        .filter(|(.., symbols)| !symbols.is_empty())
        .collect()
}

/// A line for each instrument that moves, comes or goes, one for each shard, and one in sum.
impl fmt::Display for Difference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for Move {
            instrument,
            from,
            to,
        } in &self.moved
        {
            writeln!(f, "move {instrument} from shard {from} to {to}")?;
        }
        for (instrument, shard) in &self.added {
            writeln!(f, "add {instrument} to shard {shard}")?;
        }
        for (instrument, shard) in &self.removed {
            writeln!(f, "remove {instrument} from shard {shard}")?;
        }
        for (shard, (before, after)) in self.loads.iter().enumerate() {
            writeln!(f, "shard {shard}: {before} -> {after} instruments")?;
        }
        if self.intervals_changed {
            writeln!(f, "the intervals change")?;
        }
        if self.sources_changed {
            writeln!(f, "the sources' order or addresses change")?;
        }
        match self.generations {
            (None, after) => write!(f, "generation {after}")?,
            (Some(before), after) if before == after => {
                write!(f, "generation {after}, as before")?;
            }
            (Some(before), after) => write!(f, "generation {before} -> {after}")?,
        }
        write!(
            f,
            ": {} moved, {} added, {} removed",
            self.moved.len(),
            self.added.len(),
            self.removed.len()
        )
    }
}
