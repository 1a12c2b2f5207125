// Pure: one instrument as one process of its shard sees it.
#![deny(clippy::disallowed_methods)]

use wire::Interval;

use super::checkpoint::Checkpoint;
use super::frontier::Frontier;
use super::judge::Block;
use super::pending::{Accepted, Close, Pending};

/// One instrument.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) struct Entry {
    pub(super) hold: Hold,
    pub(super) standing: Standing,
    /// What is committed, as far as we know.
    pub(super) frontier: Frontier,
    pub(super) pending: Pending,
    /// The newest assignment that gave it to us.
    pub(super) generation: u64,
    /// When that was first so.
    pub(super) gained_ms: u64,
    /// The assignment does not give it to us any more.
    pub(super) leaving: Option<Leaving>,
    pub(super) is_level: bool,
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

/// How our engine's state of it relates to the log.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) enum Standing {
    /// The engine began by itself. Once there is a state to go on from, it is restored from that.
    New,
    /// It follows without a hole from a checkpoint: what it closes is pending, or committed.
    Based,
    /// Something was dropped: nothing more is kept until it is restored.
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
            generation,
            gained_ms: now_ms,
            leaving: None,
            is_level: false,
            look_at_ms: now_ms,
            block: None,
            in_flight: false,
        }
    }

    pub(super) fn is_owned(&self) -> bool {
        matches!(self.hold, Hold::Owned { .. })
    }

    /// Takes a close of the engine if it follows.
    pub(super) fn handle_close(&mut self, close: Close) -> Accepted {
        if self.standing == Standing::Lost {
            return Accepted::Lost;
        }
        let (interval, start_ms) = (close.bar.interval, close.bar.start_ms);
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

    /// The log was read while it is not ours. Gives whether the engine must go on from the checkpoint instead of its
    /// own state.
    pub(super) fn handle_stored(&mut self, stored: Option<&Checkpoint>) -> bool {
        let Some(stored) = stored else {
            // A new log, or one that was emptied: its numbers begin anew, with what waits here.
            self.frontier = Frontier::default();
            self.standing = Standing::New;
            return false;
        };
        self.frontier = stored.topics.clone();
        if stored.series.is_none() {
            // Taken by somebody who has not closed a bar yet: there is nothing to go on from.
            self.standing = Standing::New;
            return false;
        }
        self.pending.prune(&self.frontier);
        let follows = self.standing == Standing::Based && self.pending.follows(&self.frontier);
        if !follows {
            self.pending.clear();
            self.standing = Standing::Based;
        }
        !follows
    }
}
