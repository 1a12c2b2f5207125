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
