//! What is remembered of feeds, and why they are not as they should be.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use kube::Client;
use wire::{Assignment, AssignmentError};

use super::gateways::Ask;
use super::ledger::Ledger;
use super::stores::Stores;
use crate::build::Release;
use crate::status::Patience;

/// What a look at a feed needs, and what is remembered from one to the next.
pub struct Context {
    pub(super) client: Client,
    pub(super) release: Release,
    pub(super) stores: Stores,
    pub(super) ask: Arc<dyn Ask>,
    pub(super) linger: Duration,
    /// By the feed's UID.
    memories: Mutex<BTreeMap<String, Memory>>,
}

/// What is remembered of a feed. Lost with the process, at no loss but that all of it is applied once more.
#[derive(Debug, Default)]
pub(super) struct Memory {
    pub(super) ledger: Ledger,
    pub(super) patience: Patience,
    /// What was applied last: what is watched may be behind it.
    pub(super) assignment: Option<Assignment>,
    /// What was said of an object that cannot be read.
    pub(super) undecodable: Option<String>,
    failures: u32,
}

/// Why a feed is not as it should be.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The API server refuses something, or is away.
    #[error("{doing}: {source}")]
    Api {
        /// What was tried.
        doing: &'static str,
        /// Why not.
        source: kube::Error,
    },
    /// No assignment can be made. Not for what was checked.
    #[error(transparent)]
    Assignment(#[from] AssignmentError),
    /// An object cannot be written. That is a mistake of ours.
    #[error(transparent)]
    Json(#[from] serde_json::Error),
    /// Nothing is watched any more: the process ends.
    #[error("what is there is not watched any more")]
    Unwatched,
}

/// The first pause after a failure, and the longest.
const PAUSES: (Duration, Duration) = (Duration::from_secs(1), Duration::from_secs(120));

/// How long a shard that is not wanted any more goes on: until the others have heard of what was its own, connected to its
/// venues, and taken it over.
const LINGER: Duration = Duration::from_secs(30);

impl Context {
    /// Nothing is remembered.
    #[must_use]
    pub fn new(client: Client, release: Release, stores: Stores, ask: Arc<dyn Ask>) -> Self {
        Self {
            client,
            release,
            stores,
            ask,
            linger: LINGER,
            memories: Mutex::default(),
        }
    }

    /// With another time for which a shard that is not wanted any more goes on.
    #[must_use]
    pub fn with_linger(self, linger: Duration) -> Self {
        Self { linger, ..self }
    }

    /// A look at it went well.
    pub(super) fn handle_success(&self, uid: &str) {
        self.with(|memories| {
            if let Some(memory) = memories.get_mut(uid) {
                memory.failures = 0;
            }
        });
    }

    /// A look at it failed: so long is waited.
    pub(super) fn handle_failure(&self, uid: &str) -> Duration {
        let failures = self.with(|memories| {
            let memory = memories.entry(uid.to_owned()).or_default();
            memory.failures = memory.failures.saturating_add(1);
            memory.failures
        });
        let doubled = PAUSES
            .0
            .saturating_mul(1 << failures.saturating_sub(1).min(16));
        doubled.min(PAUSES.1)
    }

    pub(super) fn with<T>(&self, look: impl FnOnce(&mut BTreeMap<String, Memory>) -> T) -> T {
        // Plain data: whoever has panicked with it has left it whole.
        look(&mut self.memories.lock().unwrap_or_else(PoisonError::into_inner))
    }

    pub(super) fn take(&self, uid: &str) -> Memory {
        self.with(|memories| memories.remove(uid))
            .unwrap_or_default()
    }
}
