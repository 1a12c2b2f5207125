// Pure: what a bus may answer.
#![deny(clippy::disallowed_methods)]

use wire::Instrument;
use wire::bar::BarError;
use wire::subject::Kind;

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
    /// The bus is away. Nothing is kept for later: newer bars will be sent then.
    #[error("the bus cannot be reached: {0}")]
    Unavailable(String),
}

/// Why nothing was committed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum CommitError {
    /// An open bar.
    #[error(transparent)]
    Kind(#[from] WrongKind),
    /// More than [`super::BATCH_MAX`].
    #[error("{len} messages in one commit, {max} at most")]
    BatchTooLong {
        /// How many were given.
        len: usize,
        /// The bound.
        max: usize,
    },
    /// Closes without the checkpoint that guards them, or two checkpoints of one instrument.
    #[error(
        "{instrument}: a commit has one checkpoint of each instrument with a close, not {count}"
    )]
    Checkpoints {
        /// Whose.
        instrument: Instrument,
        /// How many there are.
        count: usize,
    },
    /// A checkpoint is not the one that was to be replaced: somebody else has written it, or this same commit went
    /// through before. The checkpoints tell which.
    #[error("a checkpoint is not the expected one")]
    Fenced,
    /// No answer: it may have been committed. Read the checkpoints before anything is sent again.
    #[error("no answer to a commit: {0}")]
    Unknown(String),
    /// The bus is away or has no quorum; nothing was committed.
    #[error("the bus takes no commit now: {0}")]
    Unavailable(String),
    /// The credentials or the log's own settings do not allow it, and will not later.
    #[error("the bus does not allow it: {0}")]
    Denied(String),
    /// The bus numbers as many topics as it may.
    #[error("the bus numbers {max} topics and takes no further one")]
    TooManySubjects {
        /// The bound.
        max: usize,
    },
}

impl CommitError {
    /// Whether sending the same again cannot help: we are wrong, or are not allowed to.
    #[must_use]
    pub fn is_terminal(&self) -> bool {
        match self {
            Self::Kind(_)
            | Self::BatchTooLong { .. }
            | Self::Checkpoints { .. }
            | Self::Denied(_) => true,
            Self::Fenced
            | Self::Unknown(_)
            | Self::Unavailable(_)
            | Self::TooManySubjects { .. } => false,
        }
    }
}

/// Why a subscription was refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SubscribeError {
    /// A filter for other traffic.
    #[error(transparent)]
    Kind(#[from] WrongKind),
    /// The place to resume from is of a log that is not there any more: another one was made since, whose topics are
    /// numbered anew.
    #[error("cannot resume: the log of closes was made anew")]
    OtherLog,
    /// The place to resume from is beyond the log's end: the log has lost its last closes.
    #[error("cannot resume after {after}: the log ends at {last}")]
    Ahead {
        /// Where the reader was.
        after: u64,
        /// Where the log ends.
        last: u64,
    },
    /// The bus is away, or lacks what is to be read.
    #[error("the bus cannot be read: {0}")]
    Unavailable(String),
    /// The credentials do not allow it.
    #[error("the bus does not allow it: {0}")]
    Denied(String),
}

/// Why nothing could be read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ReadError {
    /// A subject or filter for other traffic.
    #[error(transparent)]
    Kind(#[from] WrongKind),
    /// The bus is away, or lacks what is to be read.
    #[error("the bus cannot be read: {0}")]
    Unavailable(String),
    /// The credentials do not allow it.
    #[error("the bus does not allow it: {0}")]
    Denied(String),
}

/// The bus is gone and nothing is left to read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the bus is closed")]
pub struct Closed;
