// Pure: closes that are not committed yet, in sections that a commit takes whole.
#![deny(clippy::disallowed_methods)]

use std::collections::VecDeque;
use std::hash::{Hash, Hasher};

use crate::aggregate::Closed;

use super::checkpoint::Snapshot;
use super::frontier::Frontier;

/// By what tells closes of one topic apart; equal closes have equal hashes.
impl Hash for Closed {
    fn hash<H: Hasher>(&self, state: &mut H) {
        (self.interval, self.start_ms, self.rev, self.candle.count).hash(state);
    }
}

/// What became of a close that was handed over.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Accepted {
    /// It waits to be committed.
    Pending,
    /// It is committed already, by whoever owned the instrument; or, an amendment while another owns it: who takes the
    /// instrument compares its bars with the committed ones then.
    Settled,
    /// It does not follow the close before it; or there is no room; or its instrument waits to be restored. What is
    /// missing is made again from the checkpoint: [`super::Event::Restore`].
    Lost,
    /// Of an instrument that is not carried here.
    Unknown,
}

/// One instrument's closes that are not committed, oldest first, over all intervals in the order of the engine.
///
/// **A commit takes whole sections.** A section is a run of closes that fits one commit, and the series' state right
/// after the last of them. So the state in a checkpoint is always that of its frontier, however far the engine is
/// ahead: who goes on from it makes every close after it again, and none before it. The last section is open: its
/// state is taken when it is committed or full.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Default)]
pub(super) struct Pending {
    sections: VecDeque<Section>,
    len: usize,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, Default)]
struct Section {
    closes: Vec<Closed>,
    /// `None` while it is open.
    after: Option<Snapshot>,
}

impl Pending {
    pub(super) fn len(&self) -> usize {
        self.len
    }

    pub(super) fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// Adds the newest.
    pub(super) fn push(&mut self, close: Closed) {
        self.len += 1;
        if self.is_sealed() {
            self.sections.push_back(Section::default());
        }
        if let Some(open) = self.sections.back_mut() {
            open.closes.push(close);
        }
    }

    /// Whether no section is open.
    pub(super) fn is_sealed(&self) -> bool {
        self.sections
            .back()
            .is_none_or(|section| section.after.is_some())
    }

    /// Ends the open section.
    pub(super) fn seal(&mut self, after: Snapshot) {
        if let Some(open) = self.sections.back_mut() {
            open.after.get_or_insert(after);
        }
    }

    /// How many closes the open section has.
    pub(super) fn open_len(&self) -> usize {
        let open = self.sections.back().filter(|open| open.after.is_none());
        open.map_or(0, |open| open.closes.len())
    }

    /// How many sections at the front have `max` closes or fewer together.
    pub(super) fn fitting(&self, max: usize) -> usize {
        let mut len = 0;
        let fits = |section: &&Section| {
            len += section.closes.len();
            len <= max
        };
        self.sections.iter().take_while(fits).count()
    }

    /// The closes of the first `sections`, and the state after them; `None` while that is open.
    pub(super) fn front(&self, sections: usize) -> (Vec<Closed>, Option<Snapshot>) {
        let mut taken = self.sections.iter().take(sections);
        let closes = taken.clone().flat_map(|section| &section.closes).copied();
        let after = taken.next_back().and_then(|section| section.after.clone());
        (closes.collect(), after)
    }

    /// Whether the first `sections` are all there are and the last of them is open.
    pub(super) fn ends_open(&self, sections: usize) -> bool {
        sections == self.sections.len() && !self.is_sealed()
    }

    /// The first sections are committed; gives how many closes they were.
    pub(super) fn handle_committed(&mut self, sections: usize) -> usize {
        let sections = sections.min(self.sections.len());
        let gone = self.sections.drain(..sections);
        let count = gone.map(|section| section.closes.len()).sum();
        self.len -= count;
        count
    }

    /// Drops all; gives how many that were.
    pub(super) fn clear(&mut self) -> usize {
        self.sections.clear();
        std::mem::take(&mut self.len)
    }

    /// Makes one open section of all: the states in between are those of an owner, which this is no longer.
    pub(super) fn unseal(&mut self) {
        if self.sections.is_empty() {
            return;
        }
        let sections = self.sections.drain(..);
        let closes = sections.flat_map(|section| section.closes).collect();
        self.sections.push_back(Section {
            closes,
            after: None,
        });
    }

    /// Drops what lies before the frontier; gives how many that were. An amendment of a bar that another has committed
    /// goes too: see [`Accepted::Settled`].
    pub(super) fn prune(&mut self, frontier: &Frontier) -> usize {
        self.unseal();
        let before = self.len;
        for section in &mut self.sections {
            section
                .closes
                .retain(|close| !frontier.covers(close.interval, close.start_ms));
        }
        self.sections.retain(|section| !section.closes.is_empty());
        self.len = self
            .sections
            .iter()
            .map(|section| section.closes.len())
            .sum();
        before - self.len
    }

    /// Whether every topic's oldest close that waits is the one after the frontier.
    pub(super) fn follows(&self, frontier: &Frontier) -> bool {
        let closes = self.sections.iter().flat_map(|section| &section.closes);
        let mut closes = closes.filter(|close| close.rev == 0);
        let mut ahead = frontier.clone();
        closes.all(|close| ahead.handle_close(close).is_some())
    }

    /// Start of the bar after the newest of the interval that waits.
    pub(super) fn next_start_ms(&self, interval: wire::Interval) -> Option<i64> {
        let closes = self.sections.iter().rev();
        let mut closes = closes.flat_map(|section| section.closes.iter().rev());
        let newest = closes.find(|close| close.rev == 0 && close.interval == interval)?;
        Some(newest.start_ms + interval.ms())
    }
}
