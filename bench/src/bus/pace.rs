// Pure: when what is due.
#![deny(clippy::disallowed_methods)]

use std::time::{Duration, Instant};

/// So many at a time, every so often, from the beginning on.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Pace {
    pub(crate) count: usize,
    pub(crate) every: Duration,
}

/// 20,000 open bars a second as many shards send them whose turns are spread.
pub(crate) const EVENLY: Pace = Pace::new(200, 10);
/// The same as one shard sends them, which has a turn every 250 ms.
pub(crate) const IN_TURNS: Pace = Pace::new(5_000, 250);
/// 2,000 closes a second.
pub(crate) const CLOSES: Pace = Pace::new(200, 100);

impl Pace {
    const fn new(count: usize, every_ms: u64) -> Self {
        let every = Duration::from_millis(every_ms);
        Self { count, every }
    }

    /// When the `n`-th is due, from 0.
    pub(crate) fn due_at(&self, n: usize, begin: Instant) -> Instant {
        begin + self.every * u32::try_from(n / self.count).unwrap_or(u32::MAX)
    }

    /// How many are due by now.
    pub(crate) fn due(&self, begin: Instant, now: Instant) -> usize {
        let since = now.saturating_duration_since(begin).as_nanos();
        let turns = since / self.every.as_nanos() + 1;
        usize::try_from(turns).unwrap_or(usize::MAX) * self.count
    }
}
