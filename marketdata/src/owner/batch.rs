// Pure: what one commit appends.
#![deny(clippy::disallowed_methods)]

use wire::Instrument;

use super::checkpoint::Checkpoint;
use crate::aggregate::Closed;

/// What one commit appends, all of it or nothing: every part's closes in order, then every part's checkpoint in the
/// order of the parts.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Batch {
    /// Our count of commits. The same batch may be sent several times under one number; two batches never share one.
    pub commit_no: u64,
    /// One an instrument.
    pub parts: Vec<Part>,
}

/// What one commit says of one instrument.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Part {
    /// Which.
    pub instrument: Instrument,
    /// The sequence of the checkpoint that it replaces; 0 where there must be none.
    pub expect: u64,
    /// Whether it only takes the instrument: its checkpoint as it was, under our epoch.
    pub is_take: bool,
    /// Its closes and amendments in order; none where the instrument is only taken.
    pub closes: Vec<Numbered>,
    /// The checkpoint after them; its epoch is that of the closes.
    pub checkpoint: Checkpoint,
    /// How many sections of what waits they are.
    pub(super) sections: usize,
}

/// A close with its number.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Numbered {
    /// The topic's next number.
    pub close_no: u64,
    /// The close or amendment.
    pub close: Closed,
}

impl Batch {
    /// Messages in it.
    #[must_use]
    pub fn len(&self) -> usize {
        self.parts.iter().map(|part| part.closes.len() + 1).sum()
    }

    /// Whether it appends nothing.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.parts.is_empty()
    }

    /// The instruments in it, in the order of the parts.
    pub fn instruments(&self) -> impl Iterator<Item = &Instrument> {
        self.parts.iter().map(|part| &part.instrument)
    }
}
