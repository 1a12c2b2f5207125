// Pure: how fast a venue may be asked, by all that ask it in a process.
#![deny(clippy::disallowed_methods)]

use std::time::Duration;

use runtime::backoff::{self, Backoff};

use crate::budget::Budget;
use crate::venue::Rate;

/// How long a venue is left alone that was asked too much, at least: so long the first time, twice as long each further
/// time, and up to half as much again by chance, so that processes do not come back in step.
const PAUSE: backoff::Options = backoff::Options {
    base: Duration::from_secs(1),
    cap: Duration::from_secs(120),
};

/// So long after a pause the next one is the first again: twice the span over which Binance counts.
const CALM_MS: u64 = 120_000;

/// The longest pause that a venue may want: Binance's longest ban.
const WANTED_MAX_MS: u64 = 3 * 86_400_000;

/// A venue's budget, and its pauses. Time is any clock that never runs back, in milliseconds.
#[derive(Debug, Clone)]
pub struct Pace {
    budget: Budget,
    pauses: Backoff,
    /// Until when the last pause lasts.
    paused_until_ms: u64,
}

impl Pace {
    /// A full budget.
    #[must_use]
    pub fn new(rate: Rate, now_ms: u64, rng: fastrand::Rng) -> Self {
        Self {
            budget: Budget::new(rate, now_ms),
            pauses: Backoff::new(PAUSE, rng),
            paused_until_ms: 0,
        }
    }

    /// Takes `tokens` if they are there.
    ///
    /// # Errors
    /// How long it takes until they are, in milliseconds; see [`Budget::take`].
    pub fn take(&mut self, now_ms: u64, tokens: u32) -> Result<(), u64> {
        self.budget.take(now_ms, tokens)
    }

    /// The venue was asked too much, and wants so many milliseconds of quiet, if it says so. Nothing is there before they
    /// are over, nor before our own pause is. Gives until when.
    pub fn handle_too_many(&mut self, now_ms: u64, wanted_ms: Option<u64>) -> u64 {
        let mut pause_ms = wanted_ms.unwrap_or(0).min(WANTED_MAX_MS);
        // What was asked before the pause and is refused in it is no further reason for a longer one.
        if now_ms >= self.paused_until_ms {
            if now_ms - self.paused_until_ms >= CALM_MS {
                self.pauses.reset();
            }
            let least = self.pauses.ceiling();
            let pause = least + self.pauses.next_delay() / 2;
            pause_ms = pause_ms.max(u64::try_from(pause.as_millis()).unwrap_or(WANTED_MAX_MS));
        }
        let until_ms = now_ms.saturating_add(pause_ms);
        self.paused_until_ms = self.paused_until_ms.max(until_ms);
        self.budget.hold_until(self.paused_until_ms);
        self.paused_until_ms
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pace() -> Pace {
        let rate = Rate {
            burst: 4,
            per_ms: 1_000,
        };
        Pace::new(rate, 0, fastrand::Rng::with_seed(1))
    }

    #[test]
    fn each_pause_is_longer_and_none_is_without_end() {
        let (mut pace, mut now_ms) = (pace(), 5);
        for least_s in [1, 2, 4, 8, 16, 32, 64, 120, 120, 120] {
            let until_ms = pace.handle_too_many(now_ms, None);
            let pause_ms = until_ms - now_ms;
            let least_ms = least_s * 1_000;
            assert!(
                (least_ms..=least_ms * 3 / 2).contains(&pause_ms),
                "{pause_ms}"
            );
            assert_eq!(pace.take(now_ms, 1), Err(pause_ms));
            assert_eq!(pace.take(until_ms - 1, 1), Err(1));
            assert_eq!(pace.take(until_ms, 1), Ok(()));
            now_ms = until_ms + CALM_MS - 1;
        }
        // After a calm the next one is the first.
        let until_ms = pace.handle_too_many(now_ms + 1, None);
        assert!((1_000..=1_500).contains(&(until_ms - now_ms - 1)));
    }

    #[test]
    fn what_the_venue_wants_is_kept_within_bounds() {
        let mut pace = pace();
        assert_eq!(pace.handle_too_many(0, Some(7_000)), 7_000);
        // Several that were under way are one pause, and none of them makes it shorter.
        assert_eq!(pace.handle_too_many(10, None), 7_000);
        assert_eq!(pace.handle_too_many(10, Some(1_000)), 7_000);
        assert_eq!(pace.handle_too_many(10, Some(8_000)), 8_010);
        // Its seconds are too few: the second pause is ours.
        let until_ms = pace.handle_too_many(8_010, Some(1));
        assert!((10_010..=11_010).contains(&until_ms), "{until_ms}");
        let until_ms = pace.handle_too_many(20_000, Some(u64::MAX));
        assert_eq!(until_ms, 20_000 + WANTED_MAX_MS);
    }
}
