//! What may be asked of the venues' REST interfaces: one budget a venue, of all that ask in this process.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use tokio::time::Instant;

use super::pace::Pace;
use crate::venue::Venue;

/// One venue's. Clones are one.
#[derive(Debug, Clone)]
pub struct RestBudget {
    pace: Arc<Mutex<Pace>>,
    /// By our clock, what is milliseconds zero.
    begun: Instant,
}

impl RestBudget {
    /// A full one, without a pause.
    #[must_use]
    pub fn new(venue: &dyn Venue) -> Self {
        let pace = Pace::new(venue.rest_rate(), 0, fastrand::Rng::new());
        Self {
            pace: Arc::new(Mutex::new(pace)),
            begun: Instant::now(),
        }
    }

    /// The budget's own time, in milliseconds.
    #[must_use]
    pub fn now_ms(&self) -> u64 {
        u64::try_from(self.begun.elapsed().as_millis()).unwrap_or(u64::MAX)
    }

    /// When that time is.
    #[must_use]
    pub fn instant(&self, at_ms: u64) -> Instant {
        self.begun + std::time::Duration::from_millis(at_ms)
    }

    /// Does something with it, which waits for nothing.
    pub fn with<T>(&self, act: impl FnOnce(&mut Pace) -> T) -> T {
        act(&mut self.pace.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

/// All venues'. Clones are one.
#[derive(Debug, Clone, Default)]
pub struct RestBudgets {
    /// As many as there are venues at most.
    budgets: Arc<Mutex<BTreeMap<&'static str, RestBudget>>>,
}

impl RestBudgets {
    /// The venue's.
    #[must_use]
    pub fn of(&self, venue: &dyn Venue) -> RestBudget {
        let mut budgets = self.budgets.lock().unwrap_or_else(PoisonError::into_inner);
        let budget = budgets.entry(venue.name());
        budget.or_insert_with(|| RestBudget::new(venue)).clone()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::venue::binance_spot::BinanceSpot;
    use crate::venue::coinbase::Coinbase;

    #[tokio::test(start_paused = true)]
    async fn a_venue_has_one_however_often_it_is_asked_for() {
        let budgets = RestBudgets::default();
        let binance = BinanceSpot::new(&["BTC-USDT".parse().unwrap()]).unwrap();
        let later = BinanceSpot::new(&["ETH-USDT".parse().unwrap()]).unwrap();
        let coinbase = Coinbase::new(&["BTC-USD".parse().unwrap()]).unwrap();
        let all = binance.rest_rate().burst;
        assert_eq!(budgets.of(&binance).with(|it| it.take(0, all)), Ok(()));
        assert!(budgets.clone().of(&later).with(|it| it.take(0, 1)).is_err());
        assert_eq!(budgets.of(&coinbase).with(|it| it.take(0, 1)), Ok(()));
    }
}
