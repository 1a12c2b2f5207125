//! What a world is made of, and how it begins.

use std::collections::BTreeSet;
use std::sync::LazyLock;

use marketdata::owner::{Assigned, Level, Options};
use wire::{Instrument, ShardId, Symbol, Venue};

use super::{Budget, Place, State};
use crate::log::Log;

/// What a world is made of, besides its bounds.
#[derive(Debug, Clone, Copy)]
pub(super) struct World {
    /// Of the two processes.
    pub(super) shards: [u16; 2],
    /// One or two.
    pub(super) instruments: usize,
    /// How well the second process hears to begin with.
    pub(super) second: Level,
    /// Messages in one commit.
    pub(super) batch_max: usize,
}

const OPTIONS: Options = Options {
    ttl_ms: 3,
    // Half of it is waited where a process is behind: no wait at all would be states without end.
    watch_ms: 2,
    unlevel_wait_ms: 2,
    move_wait_ms: 2,
    behind_wait_ms: 1,
    look_ms: 2,
    retry_ms: 1,
    retry_max_ms: 1,
    batch_max: 4,
    take_max: 2,
    pending_max: 100,
    stop_ms: 3,
};

impl World {
    pub(super) fn options(self) -> Options {
        Options {
            batch_max: self.batch_max,
            ..OPTIONS
        }
    }

    pub(super) fn instruments(self) -> &'static [Instrument] {
        static ALL: LazyLock<Vec<Instrument>> = LazyLock::new(|| {
            let symbols = ["S0-USD", "S1-USD"].map(|symbol| Symbol::new(symbol).unwrap());
            let venue = Venue::new(Venue::COINBASE).unwrap();
            symbols
                .map(|symbol| Instrument::new(venue.clone(), symbol))
                .into()
        });
        &ALL[..self.instruments]
    }

    /// Whose the n-th instrument is. Odd generations give everything to the first place's shard, even ones the first
    /// instrument to the second's.
    pub(super) fn shard_of(self, n: usize, generation: u64) -> ShardId {
        let moved = generation.is_multiple_of(2) && n == 0;
        ShardId(self.shards[usize::from(moved)])
    }

    pub(super) fn assigned(self, shard: ShardId, generation: u64) -> Assigned {
        let all = |is_mine: bool| -> BTreeSet<Instrument> {
            let all = self.instruments().iter().enumerate();
            all.filter(|&(n, _)| (self.shard_of(n, generation) == shard) == is_mine)
                .map(|(_, instrument)| instrument.clone())
                .collect()
        };
        Assigned {
            generation,
            mine: all(true),
            others: all(false),
        }
    }

    /// An owner in the first place that has committed, and a process in the second that has looked.
    pub(super) fn begin(self, left: Budget) -> State {
        let place = |at: usize| Place {
            shard: ShardId(self.shards[at]),
            node: None,
            starts: 0,
            generation: 0,
            level: [Level::Whole, self.second][at],
            lease: None,
            log: None,
        };
        let mut state = State {
            now_ms: 100,
            tick: 10,
            places: [place(0), place(1)],
            leases: Default::default(),
            log: Log::default(),
            late: Vec::new(),
            generation: 1,
            left,
        };
        for at in 0..2 {
            state.start(self, at);
            state.settle(self, 3).unwrap();
            state.tick += 1;
        }
        // So that the second has seen the newest renewal of the lease: it may take it when that has aged.
        state.settle(self, 3).unwrap();
        state
    }
}
