//! The bus between those who make bars and those who pass them on.
//!
//! Two kinds of traffic, never mixed: *open bars* may be conflated, so the newest one a subject is
//! all that anybody is owed; *closes* (and amendments) form one log in which every topic's
//! `close_no` goes up by one, and which readers resume by sequence. [`Broker`](crate::broker::Broker) says what both must
//! keep; a shared contract suite (feature `contract`) checks every implementation of it.

use std::sync::Arc;

use async_trait::async_trait;
use wire::{Subject, SubjectFilter};

mod error;

mod message;

/// What one commit appends, and the checkpoints that guard it.
mod commit;

/// Which process of a shard should publish it: compare-and-set entries, one a shard.
pub mod lease;

/// The newest bar of each subject, for last values and mailboxes.
mod newest;

/// What a reader of open bars has not taken yet.
mod mailbox;

/// The bus inside one process.
pub mod memory;

/// The bus between processes.
#[cfg(feature = "nats")]
pub mod nats;

/// What every [`Broker`] must pass.
#[cfg(any(test, feature = "contract"))]
pub mod contract;

pub use commit::{CheckpointWrite, Commit, Committed, StoredCheckpoint, commit_alone};
pub use error::{
    Closed, CommitError, DecodeError, PublishError, ReadError, SubscribeError, WrongKind,
};
pub use lease::{LeaseEntry, LeaseError, Leases};
pub use message::{BarMessage, SequencedClose};
pub use wire::subject::CheckpointSubject;

/// The most messages in one commit, closes and checkpoints together: what NATS takes as one atomic publish (server
/// 2.12, ADR-50).
pub const BATCH_MAX: usize = 1_000;

/// A bus. Publishers never wait for a slow subscriber.
#[async_trait]
pub trait Broker: Send + Sync + 'static {
    /// Which kind of bus it is, as traces name it.
    fn system(&self) -> &'static str {
        "memory"
    }

    /// Sends open bars, at most once, and keeps the last one of each subject. A bar that is older
    /// than one that was sent before on this broker, by [`wire::Bar::open_order`], is dropped
    /// without an error: the sender has been overtaken. Between processes only subscribers can tell,
    /// and they do.
    ///
    /// # Errors
    /// On a closed bar, or when the bus takes no further subject; then nothing was sent. When the
    /// bus is away, or becomes so on the way: then some may have been sent, and nothing is kept for
    /// later.
    async fn publish_open(&self, bars: &[BarMessage]) -> Result<(), PublishError>;

    /// Appends closes and amendments to the log and replaces their instruments' checkpoints: all of it or nothing, in
    /// order. See `docs/decisions/0007-ownership.md`.
    ///
    /// Each checkpoint is written on the condition that the one that it replaces has the expected sequence; of every
    /// instrument with a close in the commit there must be one. A commit of checkpoints alone takes instruments over.
    ///
    /// # Errors
    /// When a condition does not hold or the bus does not take it; then nothing was appended. Only
    /// [`CommitError::Unknown`] leaves that open: read the checkpoints before anything is sent again.
    async fn commit(&self, commit: &Commit) -> Result<Committed, CommitError>;

    /// The newest checkpoint of each of these instruments, in their order; `None` where there is none. Read where
    /// commits are decided (the stream's leader), so that a commit that was answered is seen.
    ///
    /// # Errors
    /// When the bus cannot be asked.
    async fn checkpoints(
        &self,
        subjects: &[CheckpointSubject],
    ) -> Result<Vec<Option<StoredCheckpoint>>, ReadError>;

    /// Subscribes to open bars: first the last value of each subject, then what comes, newest only.
    /// Within a subject the order never goes backwards, over losses of the connection too, after
    /// which the last values come again as far as they are newer. Where the last values cannot be
    /// had, it begins with what comes.
    ///
    /// # Errors
    /// When the filter is not for open bars, or the bus is away.
    async fn subscribe_open(
        &self,
        filter: SubjectFilter,
    ) -> Result<Box<dyn OpenSubscription>, SubscribeError>;

    /// Reads the log of closes from a place on, and waits at its end. Whatever becomes of connections and servers
    /// between, each close comes once, in order.
    ///
    /// A log may keep the newest closes of each topic rather than the newest of all. It has holes then (from the start,
    /// since checkpoints take places in it too), and cannot tell by sequences what a reader has lost: such a log never
    /// says [`Drained::Lagged`], and a reader that has been away finds by `close_no` which topics went on without it.
    ///
    /// # Errors
    /// When the filter is not for committed closes, the place is of another log or beyond the log's end, or the bus is
    /// away.
    async fn subscribe_closes(
        &self,
        filter: SubjectFilter,
        from: CloseStart,
    ) -> Result<Box<dyn CloseSubscription>, SubscribeError>;

    /// The last open bar of each subject, as far as the bus has taken them in: a moment behind what
    /// was sent, between processes.
    ///
    /// # Errors
    /// When the filter is not for open bars, or the bus cannot be asked.
    async fn last_open(&self, filter: &SubjectFilter) -> Result<Vec<BarMessage>, ReadError>;

    /// Closes of one subject whose `close_no` is above the given one, oldest first, `max` at most.
    ///
    /// # Errors
    /// When the subject is not for committed closes, or the bus cannot be asked.
    async fn closes_after(
        &self,
        subject: &Subject,
        close_no: u64,
        max: usize,
    ) -> Result<Replay, ReadError>;
}

/// All that whoever publishes needs.
pub trait Bus: Broker + Leases {}

impl<T: Broker + Leases> Bus for T {}

/// Where open bars arrive.
#[async_trait]
pub trait OpenSubscription: Send {
    /// Waits until there is something, then appends all of it: the newest bar of each subject that
    /// has moved since the last call. Cancel-safe: a dropped call has taken nothing.
    ///
    /// # Errors
    /// [`Closed`] once the bus is gone and nothing is left.
    async fn drain(&mut self, into: &mut Vec<BarMessage>) -> Result<(), Closed>;
}

/// Where closes arrive, each one, in the log's order.
#[async_trait]
pub trait CloseSubscription: Send {
    /// Waits until there is something, then appends up to `max` closes (at least one; zero counts
    /// as one). If what was next has aged out, appends nothing and says so; the call after that
    /// goes on with the oldest held. Cancel-safe: a dropped call has taken nothing.
    ///
    /// # Errors
    /// [`Closed`] once the bus is gone, or its log is another one than it was, and nothing is left.
    async fn drain(
        &mut self,
        max: usize,
        into: &mut Vec<SequencedClose>,
    ) -> Result<Drained, Closed>;

    /// Behind what was given so far: [`CloseStart::After`] it another subscription goes on with what comes next.
    fn place(&self) -> ClosePlace;
}

/// Which log it is. Two logs of one name, of which the second was made after the first was removed or lost, have
/// two; nothing is said of their order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LogId(Arc<str>);

impl LogId {
    /// By whatever the bus tells its logs apart by.
    #[must_use]
    pub fn new(text: &str) -> Self {
        Self(text.into())
    }
}

/// A place in a log of closes. Sequences mean something in their own log only: one that was made anew may begin anywhere,
/// and have those of the old one again. (In memory it begins with 1, on NATS with the microsecond of its making; but one
/// that somebody else made begins with 1 there too.)
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ClosePlace {
    /// Of which log.
    pub log: LogId,
    /// The last sequence before it; 0 at the log's beginning.
    pub sequence: u64,
}

/// Where a subscription to closes begins.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum CloseStart {
    /// With what is committed from now on.
    Next,
    /// With the oldest that is held.
    First,
    /// After this place, to resume.
    After(ClosePlace),
}

/// What a drain of closes found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Drained {
    /// At least one close was appended.
    Closes,
    /// The log no longer holds these sequences. Some of them may have been of other subjects.
    Lagged {
        /// The first that is lost.
        from: u64,
        /// The last that is lost.
        to: u64,
    },
}

/// A stretch of one topic's closes.
#[derive(Debug, Clone, Default)]
pub struct Replay {
    /// What is held, oldest first, with `close_no` going up by one.
    pub closes: Vec<SequencedClose>,
    /// The first and last `close_no` that were asked for and have aged out.
    pub missed: Option<(u64, u64)>,
    /// The topic's highest `close_no`; `None` if the bus has never had one.
    pub newest: Option<u64>,
}
