// Pure: what ownership looks like from outside.
#![deny(clippy::disallowed_methods)]

use std::collections::BTreeMap;

use super::judge::Block;
use super::ledger::Counts;

/// What this process is to its shard.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Role {
    /// It follows, and takes the shard when nobody else has it.
    Standby,
    /// The shard is its own, and some instruments are not yet.
    Taking,
    /// It publishes the shard.
    Active,
}

impl Role {
    /// The word for logs and metrics.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Standby => "standby",
            Self::Taking => "taking",
            Self::Active => "active",
        }
    }
}

/// The state of a shard in one process.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Status {
    /// What we are to it.
    pub role: Role,
    /// Whether the lease is confirmed as ours just now.
    pub is_lease_held: bool,
    /// Our claim; `None` for a standby.
    pub claim: Option<u64>,
    /// The assignment in force.
    pub generation: Option<u64>,
    /// Whether we hear all of it, so that we could go on with it at once.
    pub is_level: bool,
    /// Instruments that we publish.
    pub owned: usize,
    /// Instruments that are being taken.
    pub taking: usize,
    /// Instruments of ours that we do not publish.
    pub unowned: usize,
    /// Of those, the ones that cannot be taken now, by the reason.
    pub blocked: BTreeMap<Block, usize>,
    /// Instruments that another shard is to take, or that nobody carries any more.
    pub leaving: usize,
    /// Closes that wait.
    pub pending: usize,
    /// What was counted since the start.
    pub counts: Counts,
}
