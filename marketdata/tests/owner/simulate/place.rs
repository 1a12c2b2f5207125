//! What a schedule is made of: processes and their circumstances, and requests on their way.

use std::collections::{BTreeMap, BTreeSet};
use std::num::NonZeroU16;

use fastrand::Rng;
use marketdata::owner::{Assigned, Command, CommitOutcome, LeaseAnswer, Level, Options, StoredAt};
use wire::{Instrument, ShardId};

use crate::node::Node;

/// Something that happens at a time.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Happening {
    /// A process looks at its clock and its feeds.
    Turn(usize),
    /// A request gets to its server.
    Arrives(usize),
    /// An answer gets to its process, or is known not to come.
    Answered(usize),
    Fault,
}

/// A request on its way, or its answer.
#[derive(Debug, Clone)]
pub(super) struct Request {
    pub(super) process: usize,
    pub(super) name: String,
    pub(super) command: Command,
    pub(super) answer: Option<Answer>,
    /// It has arrived, or will not.
    pub(super) lost: bool,
}

#[derive(Debug, Clone)]
pub(super) enum Answer {
    Lease(LeaseAnswer),
    Read(Vec<Option<StoredAt>>),
    Commit(CommitOutcome),
}

/// A place where a process runs, and its circumstances.
pub(super) struct Process {
    pub(super) shard: ShardId,
    pub(super) node: Option<Node>,
    pub(super) starts: u32,
    /// Its clock: offset, and rate in thousandths.
    pub(super) offset_ms: u64,
    pub(super) rate: u64,
    pub(super) wall_ms: u64,
    pub(super) paused_to_ms: u64,
    pub(super) cut_from_lease_to_ms: u64,
    pub(super) cut_from_log_to_ms: u64,
    pub(super) feed_down_to_ms: u64,
    /// Until then it has the assignment that it has.
    pub(super) file_late_to_ms: u64,
    pub(super) lag_ms: u64,
    pub(super) generation: usize,
    pub(super) next_turn_ms: u64,
}

pub(super) fn options(rng: &mut Rng) -> Options {
    Options {
        look_ms: rng.u64(500..4_000),
        move_wait_ms: 4_000,
        unlevel_wait_ms: 2_000,
        // Small, so that sections and overflows happen.
        batch_max: rng.usize(3..24),
        take_max: rng.usize(1..5),
        pending_max: rng.usize(60..400),
        ..Options::default()
    }
}

/// Where an instrument belongs, if there are so many shards.
pub(super) fn assign(
    instruments: &[Instrument],
    shards: u16,
    generation: u64,
) -> BTreeMap<ShardId, Assigned> {
    let shards = NonZeroU16::new(shards).unwrap();
    let all = |of: &dyn Fn(&Instrument) -> bool| -> BTreeSet<Instrument> {
        instruments.iter().filter(|i| of(i)).cloned().collect()
    };
    (0..shards.get())
        .map(|shard| {
            let shard = ShardId(shard);
            let assigned = Assigned {
                generation,
                mine: all(&|i| ShardId::of(i, shards) == shard),
                others: all(&|i| ShardId::of(i, shards) != shard),
            };
            (shard, assigned)
        })
        .collect()
}

impl Process {
    pub(super) fn new(shard: ShardId, rng: &mut Rng) -> Self {
        Self {
            shard,
            node: None,
            starts: 0,
            offset_ms: rng.u64(0..1_000_000),
            rate: rng.u64(950..1_050),
            // Wall clocks are wrong by up to an hour.
            wall_ms: rng.u64(0..3_600_000),
            paused_to_ms: 0,
            cut_from_lease_to_ms: 0,
            cut_from_log_to_ms: 0,
            feed_down_to_ms: 0,
            file_late_to_ms: 0,
            lag_ms: rng.u64(0..300),
            generation: usize::MAX,
            next_turn_ms: 0,
        }
    }

    pub(super) fn own_ms(&self, now_ms: u64) -> u64 {
        self.offset_ms + now_ms * self.rate / 1_000
    }
}

/// How well an instrument is heard.
pub(super) fn level(is_up: bool, now_ms: u64) -> Level {
    match is_up {
        false => Level::Away,
        // A repair that takes a while.
        true if now_ms.is_multiple_of(5) => Level::Filling,
        true => Level::Whole,
    }
}
