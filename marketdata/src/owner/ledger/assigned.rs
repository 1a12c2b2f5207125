// Pure: which instruments there are in the ledger.
#![deny(clippy::disallowed_methods)]

use std::collections::BTreeSet;

use super::{Block, Entry, Hold, Instrument, Leaving, Ledger, LedgerEvent, Level};

/// What an assignment says to one shard.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Assigned {
    /// Rises with each assignment.
    pub generation: u64,
    /// The shard's own instruments.
    pub mine: BTreeSet<Instrument>,
    /// Those of the other shards.
    pub others: BTreeSet<Instrument>,
}

/// An assignment that is older than the one in force. It is not taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("assignment {generation} is older than {in_force}, which is in force")]
pub struct Stale {
    /// What it says.
    pub generation: u64,
    /// What is in force.
    pub in_force: u64,
}

impl Ledger {
    /// A newer assignment is in force: [`LedgerEvent::Gained`] and [`LedgerEvent::Released`] say what comes of it. One
    /// of the same generation changes nothing.
    ///
    /// # Errors
    /// When it is older than the one in force.
    pub fn handle_assignment(&mut self, now_ms: u64, assigned: &Assigned) -> Result<(), Stale> {
        let generation = assigned.generation;
        match self.generation {
            Some(in_force) if generation < in_force => {
                return Err(Stale {
                    generation,
                    in_force,
                });
            }
            Some(in_force) if generation == in_force => return Ok(()),
            _ => self.generation = Some(generation),
        }
        self.leave(assigned);
        for instrument in &assigned.mine {
            self.leaving.remove(instrument);
            let kept = self.change(instrument, |entry| {
                entry.generation = generation;
                entry.leaving = None;
                if matches!(entry.block, Some(Block::Generation | Block::Contested)) {
                    entry.look_at_ms = now_ms;
                }
            });
            if kept.is_none() {
                let entry = Entry::new(generation, now_ms);
                self.entries.insert(instrument.clone(), entry);
                self.look_next_ms = self.look_next_ms.min(now_ms);
                let instrument = instrument.clone();
                self.events.push_back(LedgerEvent::Gained { instrument });
            }
        }
        self.settle();
        Ok(())
    }

    /// Its checkpoints go on to bear the generation that last gave an instrument to us: the shard that has it now must
    /// be able to tell that its own is newer.
    fn leave(&mut self, assigned: &Assigned) {
        for (instrument, entry) in &mut self.entries {
            if assigned.mine.contains(instrument) {
                continue;
            }
            self.leaving.insert(instrument.clone());
            let elsewhere = assigned.others.contains(instrument);
            entry.leaving = Some(if elsewhere {
                Leaving::Elsewhere
            } else {
                Leaving::Nowhere
            });
        }
    }

    /// Lets those go that have no place here any more.
    pub(super) fn settle(&mut self) {
        if self.leaving.is_empty() {
            return;
        }
        let leaving = std::mem::take(&mut self.leaving);
        for instrument in leaving {
            let goes = self.entries.get(&instrument).is_none_or(|entry| {
                let done = entry.leaving == Some(Leaving::Nowhere) && entry.pending.is_empty();
                !entry.in_flight && (entry.hold == Hold::Unowned || done)
            });
            if goes {
                self.change(&instrument, |entry| {
                    entry.hold = Hold::Unowned;
                    entry.pending.clear();
                });
                self.entries.remove(&instrument);
                self.events.push_back(LedgerEvent::Released { instrument });
            } else {
                self.leaving.insert(instrument);
            }
        }
    }

    /// How well we hear the instrument, when that has changed.
    pub fn handle_level(&mut self, now_ms: u64, instrument: &Instrument, level: Level) {
        let active = self.claim.is_some();
        self.change(instrument, |entry| {
            entry.level = level;
            if active && level > Level::Away && entry.hold == Hold::Unowned {
                entry.look_at_ms = entry.look_at_ms.min(now_ms);
            }
        });
    }

    /// Whether we hear all of the shard, so that we could go on with it at once.
    #[must_use]
    pub fn is_level(&self) -> bool {
        let mut mine = self
            .entries
            .values()
            .filter(|entry| entry.leaving.is_none());
        self.generation.is_some() && mine.all(|entry| entry.level > Level::Away)
    }
}
