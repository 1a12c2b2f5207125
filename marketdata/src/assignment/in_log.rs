//! Which assignments are in force elsewhere, as the log of closes shows.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

/// The newest generation that a checkpoint bears of those that this process has read. Whoever wrote it has that
/// assignment in force. Clones are one.
#[derive(Debug, Clone, Default)]
pub struct InLog {
    newest: Arc<AtomicU64>,
}

impl InLog {
    /// A checkpoint bears this generation.
    pub fn handle_generation(&self, generation: u64) {
        // One number, beside which nothing is to be seen.
        self.newest.fetch_max(generation, Ordering::Relaxed);
    }

    /// The newest so far; 0 before the first.
    #[must_use]
    pub fn newest(&self) -> u64 {
        self.newest.load(Ordering::Relaxed)
    }
}
