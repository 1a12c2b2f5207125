//! Pure: exponential backoff with full jitter; the caller brings the randomness and does the waiting.
#![deny(clippy::disallowed_methods)]

use std::time::Duration;

/// How long to wait between attempts: `random_between(0, min(cap, base * 2^attempt))`, the
/// "full jitter" of the AWS Architecture Blog, "Exponential Backoff And Jitter" (2015). Of the
/// variants compared there it makes competing clients do the least work, because it spreads them
/// over the whole span.
#[derive(Debug, Clone)]
pub struct Backoff {
    options: Options,
    rng: fastrand::Rng,
    attempts: u32,
}

/// The two ends of the exponential.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Options {
    /// The most that the first wait can take.
    pub base: Duration,
    /// The most that any wait can take.
    pub cap: Duration,
}

impl Backoff {
    /// A sequence that starts at `options.base`. Seed `rng` differently in each process, or they
    /// come back in step.
    #[must_use]
    pub fn new(options: Options, rng: fastrand::Rng) -> Self {
        Self {
            options,
            rng,
            attempts: 0,
        }
    }

    /// The wait before the next attempt, in whole microseconds, from zero to [`Backoff::ceiling`].
    pub fn next_delay(&mut self) -> Duration {
        let ceiling_us = u64::try_from(self.ceiling().as_micros()).unwrap_or(u64::MAX);
        self.attempts = self.attempts.saturating_add(1);
        Duration::from_micros(self.rng.u64(0..=ceiling_us))
    }

    /// The most that the next wait can take: `min(cap, base * 2^attempts)`.
    #[must_use]
    pub fn ceiling(&self) -> Duration {
        let factor = 1_u32.checked_shl(self.attempts).unwrap_or(u32::MAX);
        self.options
            .base
            .checked_mul(factor)
            .map_or(self.options.cap, |grown| grown.min(self.options.cap))
    }

    /// How many waits were given since the last reset.
    #[must_use]
    pub fn attempts(&self) -> u32 {
        self.attempts
    }

    /// Starts over. Call it when the thing has worked for a while, not when it merely connected: a
    /// peer that accepts and then hangs up would be called back at full speed for ever.
    pub fn reset(&mut self) {
        self.attempts = 0;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn backoff(base_ms: u64, cap_ms: u64, seed: u64) -> Backoff {
        let options = Options {
            base: Duration::from_millis(base_ms),
            cap: Duration::from_millis(cap_ms),
        };
        Backoff::new(options, fastrand::Rng::with_seed(seed))
    }

    #[test]
    fn the_ceiling_doubles_up_to_the_cap() {
        let check = |base_ms, cap_ms, expect: &[u128]| {
            let mut backoff = backoff(base_ms, cap_ms, 1);
            for &ceiling_ms in expect {
                assert_eq!(backoff.ceiling().as_millis(), ceiling_ms);
                backoff.next_delay();
            }
            backoff.reset();
            assert_eq!(backoff.attempts(), 0);
            assert_eq!(backoff.ceiling().as_millis(), expect[0]);
        };
        check(100, 1_000, &[100, 200, 400, 800, 1_000, 1_000]);
        check(500, 500, &[500, 500]);
        check(900, 300, &[300, 300]);
        check(0, 300, &[0, 0]);
        check(100, 0, &[0, 0]);
    }

    #[test]
    fn the_jitter_is_full() {
        // Over 4,000 waits of at most 1 s each tenth of it is hit: about 400 times, so 200 to 600
        // is ten standard deviations to each side.
        let mut tenths = [0_u32; 10];
        let mut backoff = backoff(1_000, 1_000, 7);
        for _ in 0..4_000 {
            let tenth = backoff.next_delay().as_micros() * 10 / 1_000_001;
            tenths[usize::try_from(tenth).unwrap()] += 1;
        }
        assert!(
            tenths.iter().all(|count| (200..600).contains(count)),
            "{tenths:?}"
        );
    }

    proptest! {
        #[test]
        fn a_wait_is_never_above_its_ceiling(
            base_ms in 0_u64..=u64::MAX / 1_000,
            cap_ms in 0_u64..=u64::MAX / 1_000,
            seed: u64,
            attempts in 0_usize..200,
        ) {
            let mut backoff = backoff(base_ms, cap_ms, seed);
            let mut ceiling_before = Duration::ZERO;
            for attempt in 0..attempts {
                let ceiling = backoff.ceiling();
                prop_assert!(ceiling >= ceiling_before && ceiling <= Duration::from_millis(cap_ms));
                prop_assert!(backoff.next_delay() <= ceiling);
                prop_assert_eq!(backoff.attempts() as usize, attempt + 1);
                ceiling_before = ceiling;
            }
        }

        #[test]
        fn one_seed_gives_one_sequence(seed: u64) {
            let waits = |seed| {
                let mut backoff = backoff(50, 60_000, seed);
                std::array::from_fn::<_, 20, _>(|_| backoff.next_delay())
            };
            prop_assert_eq!(waits(seed), waits(seed));
            prop_assert_ne!(waits(seed), waits(seed.wrapping_add(1)));
        }
    }
}
