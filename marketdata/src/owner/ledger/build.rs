// Pure: what a commit is made of.
#![deny(clippy::disallowed_methods)]

use std::ops::Bound;
use std::sync::Arc;

use super::{Batch, Checkpoint, Hold, Instrument, Ledger, Part, Snapshots};
use crate::owner::batch::Numbered;

impl Ledger {
    /// The next commit of what waits: whole sections of as many instruments as there is room for, beginning after the
    /// last one that there was no room for.
    pub(super) fn build(&mut self, snapshots: &mut dyn Snapshots) -> Option<Arc<Batch>> {
        let claim = self.claim?;
        if self.ready.is_empty() {
            return None;
        }
        let commit_no = self.commit_no + 1;
        let mut room = self.options.batch_max.max(2);
        let mut parts = Vec::new();
        let from = self.cursor.take();
        for instrument in self.in_turn(from.as_ref()) {
            if room < 2 {
                self.cursor = Some(instrument);
                break;
            }
            match self.part(&instrument, claim, commit_no, room - 1, snapshots) {
                Some(part) => {
                    room -= part.closes.len() + 1;
                    parts.push(part);
                }
                None => {
                    self.cursor.get_or_insert(instrument);
                }
            }
        }
        if parts.is_empty() {
            return None;
        }
        self.commit_no = commit_no;
        Some(Arc::new(Batch { commit_no, parts }))
    }

    fn in_turn(&self, from: Option<&Instrument>) -> Vec<Instrument> {
        let Some(from) = from else {
            return self.ready.iter().cloned().collect();
        };
        let range = |bounds: (Bound<&Instrument>, Bound<&Instrument>)| {
            self.ready.range::<Instrument, _>(bounds).cloned()
        };
        let first = range((Bound::Included(from), Bound::Unbounded));
        let then = range((Bound::Unbounded, Bound::Excluded(from)));
        first.chain(then).collect()
    }

    /// One instrument's part, with `max` closes at most; `None` if its first section does not fit.
    fn part(
        &mut self,
        instrument: &Instrument,
        claim: u64,
        commit_no: u64,
        max: usize,
        snapshots: &mut dyn Snapshots,
    ) -> Option<Part> {
        let entry = self.entries.get_mut(instrument)?;
        let Hold::Owned { sequence, epoch } = entry.hold else {
            return None;
        };
        let sections = entry.pending.fitting(max);
        if sections == 0 {
            return None;
        }
        if entry.pending.ends_open(sections) {
            entry.pending.seal(snapshots.snapshot(instrument));
        }
        let (closes, series) = entry.pending.front(sections);
        let mut topics = entry.frontier.clone();
        let number = |close| {
            // What does not follow was refused when it was handed over.
            let close_no = topics.handle_close(&close)?;
            Some(Numbered { close_no, close })
        };
        let closes = closes.into_iter().filter_map(number).collect();
        entry.in_flight = true;
        Some(Part {
            instrument: instrument.clone(),
            expect: sequence,
            is_take: false,
            closes,
            checkpoint: Checkpoint {
                owner: self.me.owner.clone(),
                shard: self.me.shard,
                generation: entry.generation,
                claim,
                epoch,
                commit_no,
                topics,
                series,
            },
            sections,
        })
    }
}
