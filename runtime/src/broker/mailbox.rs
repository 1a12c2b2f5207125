//! What one reader of open bars has not taken yet: the newest of each subject, whoever puts them in.

use std::sync::Mutex;

use tokio::sync::Notify;

use super::newest::Newest;
use super::{BarMessage, Closed};
use crate::lock::lock;

/// Shared by the reader and by who fills it, neither of whom waits for the other.
#[derive(Debug)]
pub(super) struct Mailbox {
    waiting: Mutex<Waiting>,
    /// Woken once a put, whatever it carries.
    arrived: Notify,
}

#[derive(Debug)]
struct Waiting {
    bars: Newest,
    closed: bool,
}

impl Mailbox {
    /// One that holds these already.
    pub(super) fn new(bars: Newest) -> Self {
        let closed = false;
        Self {
            waiting: Mutex::new(Waiting { bars, closed }),
            arrived: Notify::new(),
        }
    }

    /// Puts in those that are newer than what waits.
    pub(super) fn put<'b>(&self, bars: impl IntoIterator<Item = &'b BarMessage>) {
        let mut waiting = lock(&self.waiting);
        let mut any = false;
        for message in bars {
            any |= waiting.bars.handle_bar(message);
        }
        drop(waiting);
        if any {
            self.arrived.notify_one();
        }
    }

    /// Nothing more will come. What waits can be taken still.
    pub(super) fn close(&self) {
        lock(&self.waiting).closed = true;
        self.arrived.notify_one();
    }

    /// Waits for bars and takes all of them.
    ///
    /// # Errors
    /// When it is closed and empty.
    pub(super) async fn drain(&self, into: &mut Vec<BarMessage>) -> Result<(), Closed> {
        loop {
            {
                let mut waiting = lock(&self.waiting);
                if waiting.bars.poll_drain(into) {
                    return Ok(());
                }
                if waiting.closed {
                    return Err(Closed);
                }
            }
            // A wake between the look and this wait is kept by the Notify; one that a dropped call swallowed is made
            // good by looking first.
            self.arrived.notified().await;
        }
    }
}
