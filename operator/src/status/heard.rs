// Pure: what a gateway hears, by shard.
#![deny(clippy::disallowed_methods)]

use std::collections::BTreeMap;

use wire::api::{FeedReport, InstrumentReport};
use wire::{Assignment, Instrument, ShardId};

use crate::spec::ShardStatus;

/// An owner says every open bar again each 10 s: two of these may be lost, in milliseconds.
const HEARD_MAX_MS: u64 = 25_000;

/// What is heard of a feed's instruments. Of others, which may have been removed, nothing is said.
#[derive(Debug)]
pub(super) struct Heard {
    shards: Vec<Shard>,
    /// Instruments whose owner is not heard, and those that are heard and get no news from their venue.
    pub(super) silent: Vec<Instrument>,
    pub(super) stale: Vec<Instrument>,
    fresh: usize,
}

#[derive(Debug, Default)]
struct Shard {
    epoch: Option<u64>,
    instruments: usize,
    silent: usize,
}

impl Heard {
    pub(super) fn of(report: &FeedReport, assignment: &Assignment) -> Self {
        let key = |one: &InstrumentReport| Instrument::new(one.venue.clone(), one.symbol.clone());
        let by_instrument: BTreeMap<Instrument, &InstrumentReport> = report
            .instruments
            .iter()
            .map(|one| (key(one), one))
            .collect();
        let mut heard = Self {
            shards: (0..assignment.shards().get())
                .map(|_| Shard::default())
                .collect(),
            silent: Vec::new(),
            stale: Vec::new(),
            fresh: 0,
        };
        for (instrument, ShardId(shard)) in assignment.instruments() {
            let one = by_instrument.get(&instrument);
            let is_heard = one.is_some_and(|one| one.heard.is_some_and(|ago| ago <= HEARD_MAX_MS));
            // The assignment's shards are below its count.
            let shard = &mut heard.shards[usize::from(shard)];
            shard.instruments += 1;
            shard.epoch = shard.epoch.max(one.and_then(|one| one.epoch));
            if !is_heard {
                shard.silent += 1;
                heard.silent.push(instrument);
            } else if one.is_some_and(|one| one.fresh) {
                heard.fresh += 1;
            } else {
                heard.stale.push(instrument);
            }
        }
        heard
    }

    /// Shards of which every instrument is heard; one without instruments lacks nothing.
    pub(super) fn owned(&self) -> usize {
        self.shards.iter().filter(|shard| shard.silent == 0).count()
    }

    /// Those of which some are not, by number.
    pub(super) fn silent_shards(&self) -> Vec<usize> {
        let silent = self
            .shards
            .iter()
            .enumerate()
            .filter(|(_, shard)| shard.silent > 0);
        silent.map(|(number, _)| number).collect()
    }

    /// Instruments that are heard and get news.
    pub(super) fn fresh(&self) -> usize {
        self.fresh
    }

    pub(super) fn is_anything_heard(&self) -> bool {
        let silent = self.silent.len();
        self.shards
            .iter()
            .map(|shard| shard.instruments)
            .sum::<usize>()
            > silent
    }

    /// The highest epoch of each shard of which one is heard, by its number.
    pub(super) fn epochs(&self) -> BTreeMap<u16, u64> {
        let numbered = (0..).zip(&self.shards);
        numbered
            .filter_map(|(number, shard)| Some((number, shard.epoch?)))
            .collect()
    }

    pub(super) fn shards(&self, owners: &BTreeMap<u16, String>) -> Vec<ShardStatus> {
        let status = |(number, shard): (u16, &Shard)| ShardStatus {
            shard: i32::from(number),
            owner: shard.epoch.and_then(|_| owners.get(&number).cloned()),
            epoch: shard.epoch.and_then(|epoch| i64::try_from(epoch).ok()),
            instruments: i32::try_from(shard.instruments).unwrap_or(i32::MAX),
        };
        (0..).zip(&self.shards).map(status).collect()
    }
}

/// `3/4`, or `?/4` while nobody can tell.
pub(super) fn of_all(some: Option<usize>, all: usize) -> String {
    some.map_or_else(|| format!("?/{all}"), |some| format!("{some}/{all}"))
}
