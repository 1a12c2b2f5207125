// Pure: what the ledger looks like from outside.
#![deny(clippy::disallowed_methods)]

use super::{Counts, Frontier, Hold, Instrument, Ledger, Work};
use crate::owner::status::{Role, Status};

impl Ledger {
    /// When [`Ledger::poll_command`] may give something without anything handed in before; `None` while it waits for
    /// an answer.
    #[must_use]
    pub fn wake_at_ms(&self) -> Option<u64> {
        if self.out.is_some() {
            return None;
        }
        let busy = self.work != Work::Idle || (self.claim.is_some() && !self.ready.is_empty());
        let look_ms = if self.stopping {
            u64::MAX
        } else {
            self.look_next_ms
        };
        let next_ms = if busy { 0 } else { look_ms };
        (next_ms != u64::MAX).then(|| next_ms.max(self.retry_at_ms))
    }

    /// The epoch under which the instrument's open bars may be published; `None` if they may not.
    #[must_use]
    pub fn may_publish(&self, instrument: &Instrument) -> Option<u64> {
        match self.entries.get(instrument)?.hold {
            Hold::Owned { epoch, .. } => Some(epoch),
            _ => None,
        }
    }

    /// What is committed of the instrument, as far as we know; an open bar bears its topic's `close_no`.
    #[must_use]
    pub fn frontier(&self, instrument: &Instrument) -> Option<&Frontier> {
        self.entries.get(instrument).map(|entry| &entry.frontier)
    }

    /// Whether nothing waits that we could commit.
    #[must_use]
    pub fn is_drained(&self) -> bool {
        self.ready.is_empty() && self.work == Work::Idle
    }

    /// Whether so much of what is ours waits that nothing more should be handed over before some is committed. What
    /// waits of instruments that are not ours may never go, so that it does not count: it makes room.
    #[must_use]
    pub fn is_full(&self) -> bool {
        self.owned_len >= self.options.pending_max
    }

    /// Closes that wait.
    #[must_use]
    pub fn pending_len(&self) -> usize {
        self.pending_len
    }

    /// What was counted.
    #[must_use]
    pub fn counts(&self) -> Counts {
        self.counts
    }

    /// Its part of what it looks like from outside.
    #[must_use]
    pub(in crate::owner) fn status(&self) -> Status {
        let mut status = Status {
            role: Role::Standby,
            is_lease_held: false,
            claim: self.claim,
            generation: self.generation,
            is_level: self.is_level(),
            owned: 0,
            taking: 0,
            unowned: 0,
            blocked: std::collections::BTreeMap::new(),
            leaving: self.leaving.len(),
            pending: self.pending_len,
            counts: self.counts,
        };
        for entry in self.entries.values() {
            match entry.hold {
                Hold::Owned { .. } => status.owned += 1,
                Hold::Taking => status.taking += 1,
                Hold::Unowned => {
                    status.unowned += 1;
                    if let Some(block) = entry.block {
                        *status.blocked.entry(block).or_default() += 1;
                    }
                }
            }
        }
        status
    }
}
