// Pure: token buckets, so that no venue's limit is met by trying.
#![deny(clippy::disallowed_methods)]

use crate::venue::Rate;

/// So many tokens, earned back evenly. Time is any clock that never runs back, in milliseconds.
#[derive(Debug, Clone)]
pub struct Budget {
    rate: Rate,
    /// In parts of which a token has `rate.per_ms`, so that nothing is lost to rounding. Negative after more
    /// was spent than there was.
    parts: i128,
    as_of_ms: u64,
    /// Nothing is there before.
    held_until_ms: u64,
}

impl Budget {
    /// A full one.
    #[must_use]
    pub fn new(rate: Rate, now_ms: u64) -> Self {
        let mut budget = Self {
            rate,
            parts: 0,
            as_of_ms: now_ms,
            held_until_ms: 0,
        };
        budget.parts = budget.parts_of(rate.burst);
        budget
    }

    /// Takes `tokens` if they are there.
    ///
    /// # Errors
    /// How long it takes until they are, in milliseconds. Nothing was taken. More than the burst are never
    /// there at once: then it is the wait for a full budget.
    pub fn take(&mut self, now_ms: u64, tokens: u32) -> Result<(), u64> {
        if now_ms < self.held_until_ms {
            return Err(self.held_until_ms - now_ms);
        }
        self.earn(now_ms);
        let wanted = self.parts_of(tokens.min(self.rate.burst));
        if self.parts < wanted {
            let missing = wanted - self.parts;
            let per_ms = i128::from(self.rate.burst.max(1));
            let wait = (missing + per_ms - 1) / per_ms;
            return Err(u64::try_from(wait).unwrap_or(u64::MAX));
        }
        self.parts -= self.parts_of(tokens);
        Ok(())
    }

    /// The venue wants to be left alone until then.
    pub fn hold_until(&mut self, until_ms: u64) {
        self.held_until_ms = self.held_until_ms.max(until_ms);
    }

    /// Counts what was spent whether or not it was there: a pong cannot wait.
    pub fn spend(&mut self, now_ms: u64, tokens: u32) {
        self.earn(now_ms);
        self.parts -= self.parts_of(tokens);
    }

    fn earn(&mut self, now_ms: u64) {
        let elapsed = now_ms.saturating_sub(self.as_of_ms);
        self.as_of_ms = self.as_of_ms.max(now_ms);
        let earned = i128::from(elapsed) * i128::from(self.rate.burst);
        self.parts = (self.parts + earned).min(self.parts_of(self.rate.burst));
    }

    fn parts_of(&self, tokens: u32) -> i128 {
        i128::from(tokens) * i128::from(self.rate.per_ms)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const RATE: Rate = Rate {
        burst: 4,
        per_ms: 1_000,
    };

    #[test]
    fn the_wait_is_exact() {
        let mut budget = Budget::new(RATE, 0);
        for _ in 0..4 {
            assert_eq!(budget.take(0, 1), Ok(()));
        }
        assert_eq!(budget.take(0, 1), Err(250));
        assert_eq!(budget.take(249, 1), Err(1));
        assert_eq!(budget.take(250, 1), Ok(()));
        assert_eq!(budget.take(250, 4), Err(1_000));
        // A clock that runs back earns nothing.
        assert_eq!(budget.take(0, 1), Err(250));
    }

    #[test]
    fn what_cannot_wait_is_owed() {
        let mut budget = Budget::new(RATE, 0);
        budget.spend(0, 6);
        assert_eq!(budget.take(0, 1), Err(750));
        assert_eq!(budget.take(750, 1), Ok(()));
    }

    #[test]
    fn while_it_is_held_nothing_is_taken() {
        let mut budget = Budget::new(RATE, 0);
        budget.hold_until(5_000);
        budget.hold_until(3_000);
        assert_eq!(budget.take(1_000, 1), Err(4_000));
        assert_eq!(budget.take(5_000, 4), Ok(()));
    }

    #[test]
    fn more_than_the_burst_needs_a_full_budget_and_leaves_a_debt() {
        let mut budget = Budget::new(RATE, 0);
        assert_eq!(budget.take(0, 8), Ok(()));
        assert_eq!(budget.take(0, 1), Err(1_250));
    }

    proptest! {
        /// In no window of `per_ms` are more than two bursts taken, and waiting as told always succeeds.
        #[test]
        fn the_rate_holds(steps in proptest::collection::vec(0..700u64, 1..200)) {
            let mut budget = Budget::new(RATE, 0);
            let (mut now, mut taken) = (0, Vec::new());
            for step in steps {
                now += step;
                match budget.take(now, 1) {
                    Ok(()) => taken.push(now),
                    Err(wait) => {
                        prop_assert!(budget.clone().take(now + wait, 1).is_ok());
                        prop_assert!(wait == 0 || budget.clone().take(now + wait - 1, 1).is_err());
                    }
                }
            }
            for (at, start) in taken.iter().enumerate() {
                let within = taken[at..].iter().take_while(|time| *time - start < RATE.per_ms).count();
                prop_assert!(within <= 2 * RATE.burst as usize);
            }
        }
    }
}
