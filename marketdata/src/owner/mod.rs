// Pure: the map of a shard's ownership in one process.
//! Who publishes a shard's instruments: the lease, the take-over, and commits that a checkpoint an instrument guards.
//! The protocol, and why, is `docs/decisions/0007-ownership.md`. Nothing here reads a clock or a socket: the shell
//! carries out what is polled, and says what became of it.
//!
//! Read first: [`Owner`] (what the shell talks to, and in which order), [`Checkpoint`] (what is written down),
//! [`Ledger`] (the instruments), [`Lease`] (who should try).
#![deny(clippy::disallowed_methods)]

/// Times and bounds.
mod options;

/// A close on its way, and those that wait.
mod pending;

/// Where each topic of an instrument stands.
mod frontier;

/// What the log says of an instrument.
mod checkpoint;

/// What is committed at once.
mod batch;

/// One instrument.
mod entry;

/// What another's checkpoint means to us.
mod judge;

/// All of the shard's instruments.
mod ledger;

/// Which process of the shard should try.
mod lease;

/// Both together.
mod machine;

/// What they look like from outside.
mod status;

pub use batch::{Batch, Numbered, Part};
pub use checkpoint::{Checkpoint, CheckpointError, Snapshot, Snapshots};
pub use entry::Level;
pub use frontier::{Frontier, Place};
pub use judge::{Block, Identity};
pub use lease::{Lease, LeaseAnswer, LeaseCommand, LeaseEvent, LeaseValue};
pub use ledger::{
    Assigned, CommitOutcome, Counts, Ledger, LedgerCommand, LedgerEvent, Stale, StoredAt,
    newest_generation,
};
pub use machine::{Command, Event, Owner};
pub use options::Options;
pub use pending::Accepted;
pub use status::{Role, Status};

#[cfg(test)]
mod tests;
