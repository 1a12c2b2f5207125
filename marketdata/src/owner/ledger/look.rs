// Pure: reading checkpoints of instruments that are not ours, and taking them.
#![deny(clippy::disallowed_methods)]

use std::sync::Arc;

use super::{
    Batch, Block, Checkpoint, Entry, Hold, Instrument, Ledger, LedgerEvent, Level, Part, Standing,
    StoredAt, Work,
};
use crate::owner::judge::{Verdict, judge};

impl Ledger {
    /// The instruments whose checkpoints are to be read now.
    pub(super) fn due(&mut self, now_ms: u64) -> Option<Vec<Instrument>> {
        if self.stopping || now_ms < self.look_next_ms {
            return None;
        }
        let max = match self.claim {
            Some(_) => self.take_len,
            None => self.options.take_max,
        };
        let mut of = Vec::new();
        let mut next_ms = u64::MAX;
        for (instrument, entry) in &self.entries {
            let looked_at = entry.hold == Hold::Unowned && entry.leaving.is_none();
            if looked_at && entry.look_at_ms <= now_ms && of.len() < max {
                of.push(instrument.clone());
            } else if looked_at {
                next_ms = next_ms.min(entry.look_at_ms);
            }
        }
        self.look_next_ms = next_ms;
        (!of.is_empty()).then_some(of)
    }

    /// Checkpoints were read: standbys drop what is committed, an owner takes what it may.
    pub(super) fn handle_looked(
        &mut self,
        now_ms: u64,
        of: &[Instrument],
        stored: Vec<Option<StoredAt>>,
        may_take: bool,
    ) {
        let claim = self.claim.filter(|_| may_take && !self.stopping);
        let commit_no = self.commit_no + 1;
        let mut parts = Vec::new();
        for (instrument, stored) in of.iter().zip(stored) {
            let looked = self.look(now_ms, instrument, stored.as_ref(), claim);
            if let (Some(claim), true) = (claim, looked) {
                parts.extend(self.take(instrument, stored, claim, commit_no));
            }
        }
        if !parts.is_empty() {
            self.commit_no = commit_no;
            self.work = Work::Commit(Arc::new(Batch { commit_no, parts }));
        }
    }

    /// Gives whether it is to be taken.
    fn look(
        &mut self,
        now_ms: u64,
        instrument: &Instrument,
        stored: Option<&StoredAt>,
        claim: Option<u64>,
    ) -> bool {
        let unowned = |entry: &&Entry| entry.hold == Hold::Unowned && entry.leaving.is_none();
        let Some(entry) = self.entries.get(instrument).filter(unowned) else {
            return false;
        };
        let before = entry.block;
        let block = self.block(now_ms, entry, stored, claim);
        let read = stored.map(|stored| stored.checkpoint.as_ref());
        let (look_ms, soon_ms) = (self.options.look_ms, self.options.watch_ms / 2);
        let takes = claim.is_some() && block.is_none();
        let restore = self.change(instrument, |entry| {
            entry.block = block;
            // If it is taken and that fails, it is looked at again at once.
            entry.look_at_ms = match block {
                _ if takes => now_ms,
                // And at once when the engine has closed what it has yet to.
                Some(Block::Behind) => now_ms + soon_ms,
                _ => now_ms + look_ms,
            };
            match read {
                Some(None) => false,
                read => entry.handle_stored(read.flatten(), takes),
            }
        });
        if let (Some(true), Some(Some(checkpoint))) = (restore, read) {
            self.events.push_back(LedgerEvent::Restore {
                instrument: instrument.clone(),
                checkpoint: Box::new(checkpoint.clone()),
            });
        }
        if let (Some(Block::Outclaimed), Some(Some(checkpoint))) = (block, read) {
            self.events
                .push_back(LedgerEvent::Outclaimed(checkpoint.claim));
        } else if let Some(block) = block.filter(|_| block != before) {
            let instrument = instrument.clone();
            self.events
                .push_back(LedgerEvent::Blocked { instrument, block });
        }
        takes
    }

    /// What keeps us from taking it. A standby takes nothing, so that only what it cannot read matters to it.
    fn block(
        &self,
        now_ms: u64,
        entry: &Entry,
        stored: Option<&StoredAt>,
        claim: Option<u64>,
    ) -> Option<Block> {
        let stored = match stored?.checkpoint.as_ref() {
            None => return Some(Block::Unreadable),
            Some(stored) => stored,
        };
        match judge(&self.me, claim?, entry.generation, stored) {
            Verdict::Outclaimed(_) => Some(Block::Outclaimed),
            Verdict::Leave(block) => Some(block),
            Verdict::Take { moved } => {
                let waits_to_ms = if moved {
                    // Its old owner goes on meanwhile.
                    entry.gained_ms + self.options.move_wait_ms
                } else {
                    // Nobody does, but to go on from the checkpoint would lose what came since, where it cannot be
                    // fetched; what we are behind by is milliseconds.
                    self.granted_ms + self.options.behind_wait_ms
                };
                let is_behind =
                    entry.standing == Standing::Based && entry.is_behind(&stored.topics);
                match now_ms < waits_to_ms {
                    true if moved && entry.level < Level::Whole => Some(Block::NotLevel),
                    true if is_behind && entry.level > Level::Away => Some(Block::Behind),
                    _ => None,
                }
            }
        }
    }

    /// Its checkpoint anew, content unchanged, under an epoch of ours.
    fn take(
        &mut self,
        instrument: &Instrument,
        stored: Option<StoredAt>,
        claim: u64,
        commit_no: u64,
    ) -> Option<Part> {
        let (owner, shard) = (self.me.owner.clone(), self.me.shard);
        let expect = stored.as_ref().map_or(0, |stored| stored.sequence);
        let before = stored.and_then(|stored| stored.checkpoint);
        let epoch = before
            .as_ref()
            .map_or(claim, |before| claim.max(before.epoch + 1));
        let generation = self.change(instrument, |entry| {
            entry.hold = Hold::Taking;
            entry.in_flight = true;
            entry.generation
        })?;
        let (topics, series) = before
            .map(|before| (before.topics, before.series))
            .unwrap_or_default();
        Some(Part {
            instrument: instrument.clone(),
            expect,
            is_take: true,
            closes: Vec::new(),
            checkpoint: Checkpoint {
                owner,
                shard,
                generation,
                claim,
                epoch,
                commit_no,
                topics,
                series,
            },
            sections: 0,
        })
    }
}

/// The newest generation that these checkpoints bear, as far as they can be read: whoever wrote one had that assignment
/// in force.
#[must_use]
pub fn newest_generation<'a>(stored: impl IntoIterator<Item = &'a StoredAt>) -> Option<u64> {
    let read = stored.into_iter().filter_map(|it| it.checkpoint.as_ref());
    read.map(|checkpoint| checkpoint.generation).max()
}
