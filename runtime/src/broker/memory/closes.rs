//! Closes between tasks of one process: the log under a lock, and readers with cursors.

use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use tokio::sync::watch;
use wire::SubjectFilter;

use super::log::{CloseLog, Found};
use crate::broker::{ClosePlace, CloseSubscription, Closed, Drained, LogId, SequencedClose};
use crate::lock::lock;

/// A cursor into the shared log. It holds nothing of it, so that a slow reader costs nothing.
pub(super) struct MemoryCloses {
    pub(super) filter: SubjectFilter,
    /// Which log it reads.
    pub(super) id: LogId,
    /// Sequence to read next.
    pub(super) next: u64,
    pub(super) log: Arc<Mutex<CloseLog>>,
    /// The log's last sequence; ends with the bus.
    pub(super) last: watch::Receiver<u64>,
}

#[async_trait]
impl CloseSubscription for MemoryCloses {
    async fn drain(
        &mut self,
        max: usize,
        into: &mut Vec<SequencedClose>,
    ) -> Result<Drained, Closed> {
        loop {
            // Marked as seen before the look: a commit after the look then wakes the wait.
            self.last.borrow_and_update();
            let found = {
                let log = lock(&self.log);
                if *log.id() != self.id {
                    return Err(Closed);
                }
                log.poll_read(&self.filter, self.next, max.max(1), into)
            };
            match found {
                Found::Closes { next } => {
                    self.next = next;
                    return Ok(Drained::Closes);
                }
                Found::Lagged { next } => {
                    let from = std::mem::replace(&mut self.next, next);
                    return Ok(Drained::Lagged { from, to: next - 1 });
                }
                Found::Nothing { next } => self.next = next,
            }
            self.last.changed().await.map_err(|_| Closed)?;
        }
    }

    fn place(&self) -> ClosePlace {
        ClosePlace {
            log: self.id.clone(),
            sequence: self.next - 1,
        }
    }
}
