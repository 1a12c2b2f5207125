//! Pure: how long a shard gathers updates before it flushes them.
#![deny(clippy::disallowed_methods)]

use std::time::Duration;

/// A write costs about the same whatever it carries, so that a busy shard does better to gather: after a
/// flush that took *t*, the next one waits [`WAIT_PER_WORK`] × *t*, at most `flush_max`. An idle shard's
/// flushes take microseconds, so that it in effect flushes at once.
#[derive(Debug)]
pub(crate) struct Pacer {
    flush_max: Duration,
    next: Duration,
}

/// At 4, flushing takes at most a fifth of the loop's time until the wait reaches `flush_max`.
const WAIT_PER_WORK: u32 = 4;
/// epoll counts in milliseconds.
const WAIT_MIN: Duration = Duration::from_millis(1);

impl Pacer {
    /// Never waits longer than `flush_max`.
    pub(crate) fn new(flush_max: Duration) -> Self {
        Self {
            flush_max,
            next: Duration::ZERO,
        }
    }

    /// A flush began and ended at these times (since any fixed instant).
    pub(crate) fn handle_flush(&mut self, began: Duration, ended: Duration) {
        let work = ended.saturating_sub(began);
        self.next = ended + work.saturating_mul(WAIT_PER_WORK).min(self.flush_max);
    }

    /// How long to wait until the next flush may begin; zero for what is shorter than a socket wait can be.
    pub(crate) fn wait(&self, now: Duration) -> Duration {
        let wait = self.next.saturating_sub(now);
        if wait < WAIT_MIN {
            Duration::ZERO
        } else {
            wait
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_wait_widens_with_the_work_up_to_the_bound() {
        let check = |work_us: u64, expect_us: u64| {
            let mut pacer = Pacer::new(Duration::from_millis(50));
            assert_eq!(pacer.wait(Duration::ZERO), Duration::ZERO);
            let began = Duration::from_secs(1);
            let ended = began + Duration::from_micros(work_us);
            pacer.handle_flush(began, ended);
            assert_eq!(pacer.wait(ended), Duration::from_micros(expect_us));
            assert_eq!(
                pacer.wait(ended + Duration::from_micros(expect_us)),
                Duration::ZERO
            );
        };
        check(0, 0);
        check(20, 0);
        check(250, 1_000);
        check(5_000, 20_000);
        check(12_500, 50_000);
        check(1_000_000, 50_000);
    }
}
