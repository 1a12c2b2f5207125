//! Which topics are carried, as far as is known.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use indexmap::IndexMap;
use runtime::broker::BarMessage;
use wire::Topic;
use wire::api::TopicEntry;

/// The topics by the names that their bars bear, configured ones first, then in the order in which they
/// were heard of. Bounded by what the feed carries. Clones share it.
#[derive(Debug, Clone, Default)]
pub struct Catalogue {
    entries: Arc<Mutex<IndexMap<Topic, TopicEntry>>>,
}

impl Catalogue {
    /// Begins with what is configured.
    #[must_use]
    pub fn new(configured: &[TopicEntry]) -> Self {
        let catalogue = Self::default();
        catalogue.lock().extend(
            configured
                .iter()
                .map(|entry| (entry.topic.clone(), entry.clone())),
        );
        catalogue
    }

    /// What is carried, for `GET /api/v1/topics`.
    #[must_use]
    pub fn list(&self) -> Vec<TopicEntry> {
        self.lock().values().cloned().collect()
    }

    /// Adds the topics of bars that came.
    pub(crate) fn learn<'a>(&self, messages: impl Iterator<Item = &'a BarMessage>) {
        let mut entries = self.lock();
        for BarMessage { bar, .. } in messages {
            if !entries.contains_key(&bar.topic) {
                let entry = TopicEntry {
                    topic: bar.topic.clone(),
                    venue: bar.instrument.venue.clone(),
                    symbol: bar.instrument.symbol.clone(),
                    interval: bar.interval,
                };
                entries.insert(bar.topic.clone(), entry);
            }
        }
    }

    /// No holder panics with the map half changed.
    fn lock(&self) -> MutexGuard<'_, IndexMap<Topic, TopicEntry>> {
        self.entries.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
