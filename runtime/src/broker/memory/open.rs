//! Open bars between tasks of one process: last values, and a conflating mailbox a subscriber.

use std::collections::{BTreeMap, HashSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use async_trait::async_trait;
use tokio::sync::Notify;
use wire::SubjectFilter;

use crate::broker::newest::Newest;
use crate::broker::{BarMessage, Closed, OpenSubscription, PublishError};

/// Last values and subscribers. One lock covers both, so that a subscriber's snapshot and what
/// follows it cannot overlap or leave a hole.
#[derive(Debug)]
pub(super) struct OpenBars {
    subjects_max: usize,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    last: Newest,
    next_id: u64,
    mailboxes: BTreeMap<u64, Arc<Mailbox>>,
}

/// What one subscriber has not taken yet.
#[derive(Debug)]
struct Mailbox {
    filter: SubjectFilter,
    waiting: Mutex<Waiting>,
    /// Woken once a publish, whatever it carries.
    arrived: Notify,
}

#[derive(Debug, Default)]
struct Waiting {
    bars: Newest,
    closed: bool,
}

impl OpenBars {
    pub(super) fn new(subjects_max: usize) -> Self {
        Self {
            subjects_max,
            state: Mutex::default(),
        }
    }

    pub(super) fn publish(&self, bars: &[BarMessage]) -> Result<(), PublishError> {
        let mut state = lock(&self.state);
        let new: HashSet<_> = bars
            .iter()
            .map(|message| &message.subject)
            .filter(|subject| !state.last.holds(subject))
            .collect();
        if state.last.len() + new.len() > self.subjects_max {
            return Err(PublishError::TooManySubjects {
                max: self.subjects_max,
            });
        }
        let State {
            last, mailboxes, ..
        } = &mut *state;
        let advanced: Vec<&BarMessage> = bars
            .iter()
            .filter(|message| last.handle_bar(message))
            .collect();
        for mailbox in mailboxes.values() {
            mailbox.put(&advanced);
        }
        Ok(())
    }

    pub(super) fn subscribe(self: &Arc<Self>, filter: SubjectFilter) -> MemoryOpen {
        let mut state = lock(&self.state);
        let mut bars = Newest::default();
        for message in state.last.matching(&filter) {
            bars.handle_bar(message);
        }
        let mailbox = Arc::new(Mailbox {
            filter,
            waiting: Mutex::new(Waiting {
                bars,
                closed: false,
            }),
            arrived: Notify::new(),
        });
        let id = state.next_id;
        state.next_id += 1;
        state.mailboxes.insert(id, Arc::clone(&mailbox));
        MemoryOpen {
            id,
            mailbox,
            bars: Arc::clone(self),
        }
    }

    pub(super) fn last(&self, filter: &SubjectFilter) -> Vec<BarMessage> {
        lock(&self.state).last.matching(filter).cloned().collect()
    }

    pub(super) fn subscribers(&self) -> usize {
        lock(&self.state).mailboxes.len()
    }

    /// Tells every subscriber that nothing more will come.
    pub(super) fn close(&self) {
        for mailbox in lock(&self.state).mailboxes.values() {
            lock(&mailbox.waiting).closed = true;
            mailbox.arrived.notify_one();
        }
    }
}

impl Mailbox {
    fn put(&self, bars: &[&BarMessage]) {
        let mut waiting = lock(&self.waiting);
        let mut any = false;
        for message in bars {
            if self.filter.matches(&message.subject) {
                any |= waiting.bars.handle_bar(message);
            }
        }
        drop(waiting);
        if any {
            self.arrived.notify_one();
        }
    }
}

/// One subscriber's end. Dropping it frees the mailbox.
pub(super) struct MemoryOpen {
    id: u64,
    mailbox: Arc<Mailbox>,
    bars: Arc<OpenBars>,
}

#[async_trait]
impl OpenSubscription for MemoryOpen {
    async fn drain(&mut self, into: &mut Vec<BarMessage>) -> Result<(), Closed> {
        loop {
            {
                let mut waiting = lock(&self.mailbox.waiting);
                if waiting.bars.poll_drain(into) {
                    return Ok(());
                }
                if waiting.closed {
                    return Err(Closed);
                }
            }
            // A wake between the look and this wait is kept by the Notify; one that a dropped call
            // swallowed is made good by looking first.
            self.mailbox.arrived.notified().await;
        }
    }
}

impl Drop for MemoryOpen {
    fn drop(&mut self) {
        lock(&self.bars.state).mailboxes.remove(&self.id);
    }
}

/// No holder panics with the data half changed, so a poisoned lock still guards sound data.
pub(super) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
