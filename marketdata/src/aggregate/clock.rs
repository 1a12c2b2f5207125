// Pure: the venue's clock, and which times are believed.
#![deny(clippy::disallowed_methods)]

use super::event::Rejection;

/// The newest believed venue time.
#[derive(Debug, Clone)]
pub(super) struct Clock {
    now_ms: Option<i64>,
    /// A time too far ahead to be believed of one message; a second one that agrees makes it true.
    claim_ms: Option<i64>,
}

/// 2009-01-01, before any of the venues existed.
const TIME_MIN_MS: i64 = 1_230_768_000_000;
/// 2100-01-01.
const TIME_MAX_MS: i64 = 4_102_444_800_000;

impl Clock {
    pub(super) fn new() -> Self {
        Self {
            now_ms: None,
            claim_ms: None,
        }
    }

    /// As it was: its time, and the claim that waits for a second one.
    pub(super) fn restore(now_ms: Option<i64>, claim_ms: Option<i64>) -> Self {
        Self {
            now_ms: now_ms.filter(|now| is_plausible(*now)),
            claim_ms: claim_ms.filter(|claim| is_plausible(*claim)),
        }
    }

    pub(super) fn claim_ms(&self) -> Option<i64> {
        self.claim_ms
    }

    pub(super) fn now_ms(&self) -> Option<i64> {
        self.now_ms
    }

    /// Judges a time without moving the clock, which one message alone moves by `jump_max_ms` at most.
    #[inline]
    pub(super) fn check(&mut self, time_ms: i64, jump_max_ms: i64) -> Result<(), Rejection> {
        if !is_plausible(time_ms) {
            return Err(Rejection::TimeOutOfRange);
        }
        let Some(now) = self.now_ms else {
            return Ok(());
        };
        if time_ms - now <= jump_max_ms {
            self.claim_ms = None;
            return Ok(());
        }
        let agreed = self
            .claim_ms
            .is_some_and(|claim| (time_ms - claim).abs() <= jump_max_ms);
        if agreed {
            return Ok(());
        }
        self.claim_ms = Some(time_ms);
        Err(Rejection::TimeJump)
    }

    /// Moves on to a time that was checked. It never goes back.
    #[inline]
    pub(super) fn advance(&mut self, time_ms: i64) {
        self.now_ms = Some(self.now_ms.map_or(time_ms, |now| now.max(time_ms)));
    }
}

/// Whether any venue was ever there at that time.
pub(super) fn is_plausible(time_ms: i64) -> bool {
    (TIME_MIN_MS..TIME_MAX_MS).contains(&time_ms)
}
