// Pure: what became of a commit.
#![deny(clippy::disallowed_methods)]

use std::sync::Arc;

use super::{Batch, CommitOutcome, Hold, Ledger, LedgerEvent, Part, StoredAt, Work};
use crate::owner::judge::{Verdict, judge};

/// What a batch's part became, by the checkpoint that stands there now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Became {
    /// It is in the log, and its checkpoint is the newest.
    Happened,
    /// The checkpoint that it was to replace still stands.
    Standing,
    /// Another stands there, so that the batch will never be taken any more, if it was not before.
    Overtaken,
}

impl Ledger {
    pub(super) fn handle_outcome(
        &mut self,
        now_ms: u64,
        batch: Arc<Batch>,
        outcome: CommitOutcome,
    ) {
        match outcome {
            CommitOutcome::Committed(sequences) if sequences.len() == batch.parts.len() => {
                for (part, &sequence) in batch.parts.iter().zip(&sequences) {
                    self.handle_happened(part, sequence);
                }
                self.handle_success(&batch);
            }
            CommitOutcome::Committed(_) | CommitOutcome::Unknown => {
                self.counts.unknown += 1;
                self.work = Work::Resolve(batch);
                self.wait(now_ms);
            }
            CommitOutcome::Fenced => {
                self.counts.fenced += 1;
                self.work = Work::Resolve(batch);
            }
            CommitOutcome::Unavailable => {
                // The same again. An earlier copy may be on its way: the condition lets one of them through.
                self.work = Work::Commit(batch);
                self.wait(now_ms);
            }
        }
    }

    /// The checkpoints of a batch, whose outcome was not known, were read.
    pub(super) fn handle_resolved(
        &mut self,
        now_ms: u64,
        batch: &Arc<Batch>,
        stored: &[Option<StoredAt>],
    ) {
        let became: Vec<Became> = batch
            .parts
            .iter()
            .zip(stored)
            .map(|(part, stored)| part.became(stored.as_ref()))
            .collect();
        if became.iter().all(|&became| became == Became::Standing) {
            // Not yet, and perhaps soon: only the same batch may be sent until that is known.
            self.work = Work::Commit(Arc::clone(batch));
            self.wait(now_ms);
            return;
        }
        if became.contains(&Became::Happened) && became.contains(&Became::Standing) {
            // A commit happens as a whole, and checkpoints are read one by one: it came between. The next read tells.
            self.work = Work::Resolve(Arc::clone(batch));
            self.wait(now_ms);
            return;
        }
        let mut outclaimed = false;
        for ((part, stored), &became) in batch.parts.iter().zip(stored).zip(&became) {
            match (became, stored) {
                (Became::Happened, Some(stored)) => self.handle_happened(part, stored.sequence),
                (Became::Overtaken, stored) => {
                    outclaimed |= self.handle_overtaken(now_ms, part, stored.as_ref());
                }
                _ => self.handle_not_happened(now_ms, part),
            }
        }
        if became.contains(&Became::Happened) {
            self.handle_success(batch);
        } else {
            // Whatever we lost, the rest goes into another batch.
            self.take_len = (self.take_len / 2).max(1);
            self.wait(now_ms);
        }
        if outclaimed {
            self.handle_lease_lost(now_ms);
            self.events.push_back(LedgerEvent::SteppedDown);
        }
    }

    fn handle_success(&mut self, batch: &Arc<Batch>) {
        self.fails = 0;
        self.retry_at_ms = 0;
        self.take_len = (self.take_len * 2).min(self.options.take_max);
        let closes: usize = batch.parts.iter().map(|part| part.closes.len()).sum();
        if closes > 0 {
            self.counts.committed += u64::try_from(closes).unwrap_or(u64::MAX);
            self.events
                .push_back(LedgerEvent::Committed(Arc::clone(batch)));
        }
    }

    fn handle_happened(&mut self, part: &Part, sequence: u64) {
        let checkpoint = &part.checkpoint;
        let taken = self.change(&part.instrument, |entry| {
            entry.in_flight = false;
            if part.is_take {
                return Some(entry.handle_taken(sequence, checkpoint));
            }
            entry.handle_committed(sequence, checkpoint, part.sections);
            None
        });
        if let Some(Some(restores)) = taken {
            self.counts.taken += 1;
            self.events.push_back(LedgerEvent::Taken {
                instrument: part.instrument.clone(),
                checkpoint: Box::new(checkpoint.clone()),
                restores,
            });
        }
    }

    fn handle_not_happened(&mut self, now_ms: u64, part: &Part) {
        self.change(&part.instrument, |entry| {
            entry.in_flight = false;
            if part.is_take {
                entry.hold = Hold::Unowned;
                entry.look_at_ms = now_ms;
            }
        });
    }

    /// Gives whether it was a later owner of our shard, so that we are none.
    fn handle_overtaken(&mut self, now_ms: u64, part: &Part, stored: Option<&StoredAt>) -> bool {
        let instrument = &part.instrument;
        let section_max = self.options.section_max();
        let read = stored.and_then(|stored| stored.checkpoint.as_ref());
        let verdict = self
            .entries
            .get(instrument)
            .zip(read)
            .zip(self.claim)
            .map(|((entry, read), claim)| judge(&self.me, claim, entry.generation, read));
        let restore = self.change(instrument, |entry| {
            let was_owned = entry.is_owned();
            entry.let_go(section_max);
            entry.look_at_ms = now_ms;
            if let Some(Verdict::Leave(block)) = verdict {
                entry.block = Some(block);
            }
            was_owned
        });
        if restore != Some(true) {
            return false; // A take that came too late: it is looked at again.
        }
        self.events.push_back(LedgerEvent::Fenced {
            instrument: instrument.clone(),
        });
        matches!(verdict, Some(Verdict::Outclaimed(_)))
    }
}

impl Part {
    fn became(&self, stored: Option<&StoredAt>) -> Became {
        if stored.map_or(0, |stored| stored.sequence) == self.expect {
            return Became::Standing;
        }
        let ours = &self.checkpoint;
        let same = stored
            .and_then(|stored| stored.checkpoint.as_ref())
            .is_some_and(|read| {
                read.owner == ours.owner
                    && read.epoch == ours.epoch
                    && read.commit_no == ours.commit_no
            });
        if same {
            Became::Happened
        } else {
            Became::Overtaken
        }
    }
}
