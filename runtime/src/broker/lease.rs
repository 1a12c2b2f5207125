//! Entries that say which process of a shard should publish it. They are no fence: see
//! `docs/decisions/0007-ownership.md`.

use async_trait::async_trait;
use bytes::Bytes;
use wire::{Scope, ShardId};

/// One compare-and-set entry a shard. It never expires: who reads it judges its age by the revision and a clock of its
/// own.
#[async_trait]
pub trait Leases: Send + Sync + 'static {
    /// The shard's entry as the bus's quorum has it; `None` where there never was one.
    ///
    /// # Errors
    /// When the bus cannot be asked.
    async fn lease(&self, scope: &Scope, shard: ShardId) -> Result<Option<LeaseEntry>, LeaseError>;

    /// Writes the entry if its revision is still `expect` (0 where there must be none); gives the new revision.
    ///
    /// # Errors
    /// [`LeaseError::Conflict`] when another revision stands there; otherwise it is open whether it was written.
    async fn write_lease(
        &self,
        scope: &Scope,
        shard: ShardId,
        value: Bytes,
        expect: u64,
    ) -> Result<u64, LeaseError>;
}

/// A shard's entry.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LeaseEntry {
    /// Rises with each write.
    pub revision: u64,
    /// What it says. The bus does not read it.
    pub value: Bytes,
}

/// Why an entry was not read or written.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum LeaseError {
    /// Somebody else has written it.
    #[error("the lease has another revision than {expected}")]
    Conflict {
        /// What the writer knew.
        expected: u64,
    },
    /// No answer, or no quorum.
    #[error("leases cannot be reached: {0}")]
    Unavailable(String),
    /// The credentials do not allow it.
    #[error("not allowed to use leases: {0}")]
    Denied(String),
}
