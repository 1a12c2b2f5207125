// Pure: what a bus may answer.
#![deny(clippy::disallowed_methods)]

use wire::bar::BarError;
use wire::subject::Kind;
use wire::{Instrument, Topic};

/// A subject or filter of another kind of traffic.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("{got:?} where {expected:?} is carried")]
pub struct WrongKind {
    /// What the call is for.
    pub expected: Kind,
    /// What was given.
    pub got: Kind,
}

impl WrongKind {
    /// Checks that a call was given its own kind.
    ///
    /// # Errors
    /// When it was not.
    pub fn check(expected: Kind, got: Kind) -> Result<(), Self> {
        if expected == got {
            Ok(())
        } else {
            Err(Self { expected, got })
        }
    }
}

/// Why a message from the bus was refused.
#[derive(Debug, thiserror::Error)]
pub enum DecodeError {
    /// Not a bar.
    #[error(transparent)]
    Bar(#[from] BarError),
    /// A bar of another instrument, interval or kind than its subject says.
    #[error("a bar that is not of its subject {subject}")]
    OtherSubject {
        /// The subject it came under.
        subject: String,
    },
}

/// Why open bars were not sent.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PublishError {
    /// A closed bar.
    #[error(transparent)]
    Kind(#[from] WrongKind),
    /// The bus keeps the last value of as many subjects as it may.
    #[error("the bus keeps {max} subjects and takes no further one")]
    TooManySubjects {
        /// The bound.
        max: usize,
    },
}

/// Why closes were not committed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum CommitError {
    /// An open bar.
    #[error(transparent)]
    Kind(#[from] WrongKind),
    /// More than [`super::BATCH_MAX`].
    #[error("{len} closes in one batch, {max} at most")]
    BatchTooLong {
        /// How many were given.
        len: usize,
        /// The bound.
        max: usize,
    },
    /// A topic's numbers would break.
    #[error("{topic}: close_no {got} where {expected} comes next")]
    CloseNo {
        /// The bar's topic.
        topic: Topic,
        /// What comes next.
        expected: u64,
        /// What was given.
        got: u64,
    },
    /// Another owner has committed under a higher epoch.
    #[error("{instrument}: epoch {epoch} is fenced off by {fence}")]
    Fenced {
        /// Whose.
        instrument: Instrument,
        /// The sender's.
        epoch: u64,
        /// The highest that was committed.
        fence: u64,
    },
    /// The bus numbers as many topics as it may.
    #[error("the bus numbers {max} topics and takes no further one")]
    TooManySubjects {
        /// The bound.
        max: usize,
    },
}

/// Why a subscription was refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SubscribeError {
    /// A filter for other traffic.
    #[error(transparent)]
    Kind(#[from] WrongKind),
    /// The place to resume from is beyond the log's end: it belongs to another log.
    #[error("cannot resume after {after}: the log ends at {last}")]
    Ahead {
        /// Where the reader was.
        after: u64,
        /// Where the log ends.
        last: u64,
    },
}

/// Why nothing could be read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ReadError {
    /// A subject or filter for other traffic.
    #[error(transparent)]
    Kind(#[from] WrongKind),
}

/// The bus is gone and nothing is left to read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the bus is closed")]
pub struct Closed;
