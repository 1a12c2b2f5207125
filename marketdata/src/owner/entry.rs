// Pure: one instrument as one process of its shard sees it.
#![deny(clippy::disallowed_methods)]

use std::collections::BTreeMap;

use wire::Interval;

use super::checkpoint::Checkpoint;
use super::frontier::Frontier;
use super::judge::Block;
use super::pending::{Accepted, Pending};
use crate::aggregate::Closed;

/// One instrument.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) struct Entry {
    pub(super) hold: Hold,
    pub(super) standing: Standing,
    /// What is committed, as far as we know.
    pub(super) frontier: Frontier,
    pub(super) pending: Pending,
    /// Start of the bar after the last one that the engine has closed, by interval.
    closed_to_ms: BTreeMap<Interval, i64>,
    /// The newest assignment that gave it to us.
    pub(super) generation: u64,
    /// When that was first so.
    pub(super) gained_ms: u64,
    /// The assignment does not give it to us any more.
    pub(super) leaving: Option<Leaving>,
    pub(super) level: Level,
    /// When its checkpoint is to be read next, while it is not ours.
    pub(super) look_at_ms: u64,
    pub(super) block: Option<Block>,
    /// Whether it is in a batch whose outcome is not known.
    pub(super) in_flight: bool,
}

/// Whether it is ours.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) enum Hold {
    Unowned,
    /// Its checkpoint is being written under our epoch.
    Taking,
    Owned {
        sequence: u64,
        epoch: u64,
    },
}

/// How well we hear an instrument.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub enum Level {
    /// Its feed is not up.
    #[default]
    Away,
    /// Its feed is up, and what is missing of it is being fetched. That may take long, or fail: it holds up a move, as
    /// its old owner goes on meanwhile, and no take-over, when nobody does.
    Filling,
    /// Its feed is up, and nothing of it is being fetched.
    Whole,
}

/// How our engine's state of it relates to the log.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) enum Standing {
    /// The engine began by itself. Once there is a state to go on from, it is restored from that.
    New,
    /// It follows without a hole from a checkpoint: what it closes is pending, or committed.
    Based,
    /// Something was dropped: nothing more is kept until the engine goes on from a checkpoint, or begins anew where
    /// none has a state yet.
    Lost,
}

/// What is to become of an instrument that the assignment has taken from us.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) enum Leaving {
    /// Another shard gets it: it is published until that one fences us.
    Elsewhere,
    /// No shard has it: it is let go when nothing waits.
    Nowhere,
}

impl Entry {
    pub(super) fn new(generation: u64, now_ms: u64) -> Self {
        Self {
            hold: Hold::Unowned,
            standing: Standing::New,
            frontier: Frontier::default(),
            pending: Pending::default(),
            closed_to_ms: BTreeMap::new(),
            generation,
            gained_ms: now_ms,
            leaving: None,
            level: Level::Away,
            look_at_ms: now_ms,
            block: None,
            in_flight: false,
        }
    }

    pub(super) fn is_owned(&self) -> bool {
        matches!(self.hold, Hold::Owned { .. })
    }

    /// How many closes wait to be committed by us.
    pub(super) fn owned_len(&self) -> usize {
        if self.is_owned() {
            self.pending.len()
        } else {
            0
        }
    }

    /// Takes a close of the engine if it follows.
    pub(super) fn handle_close(&mut self, close: Closed) -> Accepted {
        if self.standing == Standing::Lost {
            return Accepted::Lost;
        }
        let (interval, start_ms) = (close.interval, close.start_ms);
        let next_ms = self.next_start_ms(interval);
        if close.rev > 0 {
            let covered = self.frontier.covers(interval, start_ms);
            return match next_ms {
                Some(next_ms) if start_ms < next_ms => {
                    if covered && !self.is_owned() {
                        return Accepted::Settled;
                    }
                    self.pending.push(close);
                    Accepted::Pending
                }
                // Of a bar that we know no close of: the engine is not where we think.
                _ => self.handle_break(),
            };
        }
        self.closed_to_ms.insert(interval, start_ms + interval.ms());
        match next_ms {
            Some(next_ms) if start_ms < next_ms => Accepted::Settled,
            Some(next_ms) if start_ms > next_ms => self.handle_break(),
            _ => {
                self.pending.push(close);
                Accepted::Pending
            }
        }
    }

    fn handle_break(&mut self) -> Accepted {
        self.lose();
        Accepted::Lost
    }

    /// Nothing of it is worth keeping: it is to be restored.
    pub(super) fn lose(&mut self) {
        self.pending.clear();
        self.standing = Standing::Lost;
    }

    /// Start of the bar that the engine should close next; `None` before the topic's first.
    fn next_start_ms(&self, interval: Interval) -> Option<i64> {
        let pending = self.pending.next_start_ms(interval);
        let committed = self
            .frontier
            .place(interval)
            .map(|place| place.next_start_ms);
        pending.max(committed)
    }

    /// It is not ours, or not any more. A standby keeps no more than one commit can hold.
    pub(super) fn let_go(&mut self, section_max: usize) {
        self.hold = Hold::Unowned;
        self.in_flight = false;
        self.pending.unseal();
        self.bound(section_max);
    }

    pub(super) fn bound(&mut self, section_max: usize) {
        if !self.is_owned() && self.pending.len() >= section_max {
            self.lose();
        }
    }

    /// Whether a bar is committed that the engine has yet to close. It would make another one of it.
    pub(super) fn is_behind(&self, frontier: &Frontier) -> bool {
        let mut places = frontier.places();
        places.any(|(interval, place)| {
            let closed_to_ms = self.closed_to_ms.get(&interval).copied();
            closed_to_ms < Some(place.next_start_ms)
        })
    }

    /// The log was read while it is not ours. Gives whether the engine must go on from the checkpoint now instead of
    /// its own state. A standby may be behind; who takes the instrument, `takes`, may not, and is restored when it has
    /// taken it: what it closes then may be more than a standby keeps.
    pub(super) fn handle_stored(&mut self, stored: Option<&Checkpoint>, takes: bool) -> bool {
        let state = stored.and_then(|stored| stored.series.as_ref());
        let Some(stored) = stored.filter(|_| state.is_some()) else {
            // Nobody has closed a bar of it yet, or the log was emptied, and what we know of it is void.
            if self.frontier.places().next().is_some() {
                self.lose();
            } else if self.standing != Standing::Lost {
                self.standing = Standing::New;
            }
            self.frontier = Frontier::default();
            return false;
        };
        self.frontier = stored.topics.clone();
        self.pending.prune(&self.frontier);
        let follows = self.standing == Standing::Based
            && self.pending.follows(&self.frontier)
            && !(takes && self.is_behind(&self.frontier));
        if follows {
            return false;
        }
        self.lose();
        if !takes {
            self.handle_restored();
        }
        !takes
    }

    /// The engine goes on from the frontier: what it has closed beyond that it closes again.
    pub(super) fn handle_restored(&mut self) {
        self.pending.clear();
        self.standing = Standing::Based;
        let places = self.frontier.places();
        self.closed_to_ms = places
            .map(|(of, place)| (of, place.next_start_ms))
            .collect();
    }

    /// It was taken. Gives whether the engine must go on from the checkpoint instead of its own state.
    pub(super) fn handle_taken(&mut self, sequence: u64, checkpoint: &Checkpoint) -> bool {
        self.hold = Hold::Owned {
            sequence,
            epoch: checkpoint.epoch,
        };
        self.block = None;
        self.frontier.clone_from(&checkpoint.topics);
        let restores = self.standing == Standing::Lost;
        if restores {
            self.handle_restored();
        }
        // Before a state of ours is in the log, another may yet put its own there.
        self.standing = match checkpoint.series {
            Some(_) => Standing::Based,
            None => Standing::New,
        };
        restores
    }

    /// A part of a commit is in the log.
    pub(super) fn handle_committed(
        &mut self,
        sequence: u64,
        checkpoint: &Checkpoint,
        sections: usize,
    ) {
        let Hold::Owned { epoch, .. } = self.hold else {
            return; // It was lost meanwhile, with what waited; the checkpoint will tell the rest.
        };
        self.hold = Hold::Owned { sequence, epoch };
        self.standing = Standing::Based;
        self.frontier.clone_from(&checkpoint.topics);
        self.pending.handle_committed(sections);
    }
}
