//! The history of a laptop: closed bars in memory, read by HTTP.

/// The bars.
pub mod store;

/// The request and the answer.
pub mod query;

use std::sync::{Arc, PoisonError, RwLock};

use runtime::broker::{Broker, CloseStart, Closed, Drained, SubscribeError};
use wire::subject::Kind;
use wire::{Bar, Scope, SubjectFilter};

use self::query::Query;
use self::store::{Page, Store};

/// Closes taken in one go. It bounds how long a reader waits for the lock (some 0.2 ms).
const DRAIN_MAX: usize = 1_000;

/// Reads the bars; cheap to clone.
#[derive(Debug, Clone)]
pub struct Handle {
    store: Arc<RwLock<Store>>,
}

/// Why the history ended.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The bus refused the subscription.
    #[error("cannot read the closes: {0}")]
    Subscribe(#[from] SubscribeError),
    /// The bus is gone.
    #[error("the bus of closes ended: {0}")]
    Closed(#[from] Closed),
}

impl Handle {
    /// An empty history that keeps `bars_max` bars of each topic.
    #[must_use]
    pub fn new(bars_max: usize) -> Self {
        Self {
            store: Arc::new(RwLock::new(Store::new(bars_max))),
        }
    }

    /// The bars that a request asks for.
    #[must_use]
    pub fn page(&self, query: &Query) -> Page {
        // A store is changed by one insert at a time, so that a poisoned lock still guards sound data.
        let store = self.store.read().unwrap_or_else(PoisonError::into_inner);
        store.page(&query.instrument, query.interval, query.range)
    }

    /// Takes every close from the bus, from the oldest that it holds on, for good.
    ///
    /// # Errors
    /// When the bus refuses or ends.
    pub async fn run(self, broker: Arc<dyn Broker>, scope: Scope) -> Result<(), Error> {
        let filter = SubjectFilter::all(Kind::Committed, &scope);
        let mut closes = broker.subscribe_closes(filter, CloseStart::First).await?;
        let mut taken = Vec::with_capacity(DRAIN_MAX);
        loop {
            if let Drained::Lagged { from, to } = closes.drain(DRAIN_MAX, &mut taken).await? {
                tracing::warn!(from, to, "closes were lost before the history took them");
            }
            self.take(taken.drain(..).map(|close| close.message.bar));
        }
    }

    /// Takes closes and amendments.
    pub(crate) fn take(&self, closes: impl Iterator<Item = Arc<Bar>>) {
        let mut store = self.store.write().unwrap_or_else(PoisonError::into_inner);
        closes.for_each(|bar| store.handle_close(bar));
    }
}
