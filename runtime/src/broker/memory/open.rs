//! Open bars between tasks of one process: last values, and a conflating mailbox a subscriber.

use std::collections::{BTreeMap, HashSet};
use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use wire::SubjectFilter;

use crate::broker::mailbox::Mailbox;
use crate::broker::newest::Newest;
use crate::broker::{BarMessage, Closed, OpenSubscription, PublishError};
use crate::lock::lock;

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
    subscribers: BTreeMap<u64, Subscriber>,
}

#[derive(Debug)]
struct Subscriber {
    filter: SubjectFilter,
    mailbox: Arc<Mailbox>,
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
            last, subscribers, ..
        } = &mut *state;
        let advanced: Vec<&BarMessage> = bars
            .iter()
            .filter(|message| last.handle_bar(message))
            .collect();
        for Subscriber { filter, mailbox } in subscribers.values() {
            let theirs = advanced.iter().filter(|it| filter.matches(&it.subject));
            mailbox.put(theirs.copied());
        }
        Ok(())
    }

    pub(super) fn subscribe(self: &Arc<Self>, filter: SubjectFilter) -> MemoryOpen {
        let mut state = lock(&self.state);
        let mut bars = Newest::default();
        for message in state.last.matching(&filter) {
            bars.handle_bar(message);
        }
        let mailbox = Arc::new(Mailbox::new(bars));
        let id = state.next_id;
        state.next_id += 1;
        let subscriber = Subscriber {
            filter,
            mailbox: Arc::clone(&mailbox),
        };
        state.subscribers.insert(id, subscriber);
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
        lock(&self.state).subscribers.len()
    }

    /// Tells every subscriber that nothing more will come.
    pub(super) fn close(&self) {
        for subscriber in lock(&self.state).subscribers.values() {
            subscriber.mailbox.close();
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
        self.mailbox.drain(into).await
    }
}

impl Drop for MemoryOpen {
    fn drop(&mut self) {
        lock(&self.bars.state).subscribers.remove(&self.id);
    }
}
