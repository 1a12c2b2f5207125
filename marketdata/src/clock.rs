// Pure: the venue's clock as one connection shows it.
#![deny(clippy::disallowed_methods)]

/// The newest time that a connection's messages have shown. It never goes back, and one message alone can
/// neither start it nor move it far: a single damaged number must not close a bar that has not ended.
///
/// A time that is not believed of one message is a claim. The next message decides: a later time close by makes
/// both true, any other refutes the claim.
#[derive(Debug, Clone, Default)]
pub struct VenueClock {
    newest_ms: Option<i64>,
    claim_ms: Option<i64>,
    /// What other connections of the feed show, if there are any.
    feed_ms: Option<i64>,
    refuted: u64,
}

/// What a time means to the clock.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Judged {
    /// It has moved on to this.
    Moved,
    /// It has moved on to this, and the claims before it were true.
    Agreed,
    /// No newer than what was known.
    Known,
    /// Not to be believed of one message.
    Claimed,
}

/// How far one message can move the clock, in milliseconds. Every venue ticks each second, and the default reorder
/// window is no shorter: a clock that is this far ahead closes no bar that has not ended.
pub(crate) const STEP_MAX_MS: i64 = 2_000;

impl VenueClock {
    /// A message shows this time, in Unix milliseconds.
    #[inline]
    pub fn handle_time(&mut self, venue_ms: i64) -> Judged {
        match self.newest_ms {
            Some(newest) if venue_ms <= newest => {
                self.refute();
                Judged::Known
            }
            Some(newest) if venue_ms.saturating_sub(newest) <= STEP_MAX_MS => {
                self.refute();
                self.newest_ms = Some(venue_ms);
                Judged::Moved
            }
            _ => self.judge_claim(venue_ms),
        }
    }

    /// Other connections of the same feed show this time, or there are none. A clock that has not started does
    /// not start ahead of them.
    pub fn handle_feed_time(&mut self, feed_ms: Option<i64>) {
        self.feed_ms = feed_ms;
    }

    /// The newest time, in Unix milliseconds.
    #[must_use]
    #[inline]
    pub fn newest_ms(&self) -> Option<i64> {
        self.newest_ms
    }

    /// Whether an execution can be of this time: none is of the future.
    #[must_use]
    #[inline]
    pub fn admits(&self, time_ms: i64) -> bool {
        self.newest_ms
            .is_none_or(|newest| time_ms.saturating_sub(newest) <= STEP_MAX_MS)
    }

    /// How many claims were refuted since the last call.
    pub fn poll_refuted(&mut self) -> u64 {
        std::mem::take(&mut self.refuted)
    }

    fn judge_claim(&mut self, venue_ms: i64) -> Judged {
        // One message may show its time several times over: the same time again is no second opinion.
        if self.claim_ms == Some(venue_ms) {
            return Judged::Claimed;
        }
        let near = self.claim_ms.is_some_and(|claim| {
            // A first time may come before a second one that is a little older.
            let later = venue_ms > claim || self.newest_ms.is_none();
            later && venue_ms.saturating_sub(claim).saturating_abs() <= STEP_MAX_MS
        });
        if !near {
            self.refute();
            self.claim_ms = Some(venue_ms);
            return Judged::Claimed;
        }
        let ahead_of_feed = self.newest_ms.is_none()
            && self
                .feed_ms
                .is_some_and(|feed| venue_ms.saturating_sub(feed) > STEP_MAX_MS);
        if ahead_of_feed {
            self.claim_ms = Some(venue_ms);
            return Judged::Claimed;
        }
        self.claim_ms = None;
        self.newest_ms = Some(venue_ms);
        Judged::Agreed
    }

    fn refute(&mut self) {
        self.refuted += u64::from(self.claim_ms.take().is_some());
    }
}

#[cfg(test)]
mod tests {
    use super::Judged::{Agreed, Claimed, Known, Moved};
    use super::*;

    /// What each time means, where the clock ends, and how many claims were refuted.
    fn check(times: &[(i64, Judged)], newest: Option<i64>, refuted: u64) {
        let mut clock = VenueClock::default();
        for &(time_ms, expect) in times {
            assert_eq!(clock.handle_time(time_ms), expect, "{time_ms} of {times:?}");
        }
        assert_eq!(clock.newest_ms(), newest, "{times:?}");
        assert_eq!(clock.poll_refuted(), refuted, "{times:?}");
        assert_eq!(clock.poll_refuted(), 0);
    }

    #[test]
    fn no_message_alone_starts_it() {
        check(&[(5, Claimed)], None, 0);
        check(&[(5, Claimed), (5, Claimed)], None, 0);
        check(&[(5, Claimed), (6, Agreed)], Some(6), 0);
        check(&[(5, Claimed), (2_005, Agreed)], Some(2_005), 0);
        // Of two that are sent at about the same time the older may come second.
        check(&[(5, Claimed), (4, Agreed), (5, Moved)], Some(5), 0);
        // Twelve hours ahead, or behind.
        check(
            &[(43_200_000, Claimed), (5, Claimed), (1_005, Agreed)],
            Some(1_005),
            1,
        );
        check(
            &[(-43_200_000, Claimed), (5, Claimed), (1_005, Agreed)],
            Some(1_005),
            1,
        );
        check(
            &[(5, Claimed), (43_200_000, Claimed), (1_005, Claimed)],
            None,
            2,
        );
        check(
            &[(i64::MIN, Claimed), (i64::MAX, Claimed), (0, Claimed)],
            None,
            2,
        );
    }

    #[test]
    fn one_message_moves_it_two_seconds_at_most_and_two_that_agree_any_way() {
        let check = |times: &[(i64, Judged)], newest: i64, refuted: u64| {
            let start = [(-1, Claimed), (0, Agreed)];
            check(&[&start, times].concat(), Some(newest), refuted);
        };
        check(&[(0, Known), (-1, Known), (2_000, Moved)], 2_000, 0);
        check(&[(2_001, Claimed), (1, Moved)], 1, 1);
        // A claim that the next message contradicts is forgotten, even by one that tells nothing new.
        check(&[(9_000, Claimed), (1, Moved), (9_001, Claimed)], 1, 1);
        check(&[(9_000, Claimed), (0, Known), (9_001, Claimed)], 0, 1);
        check(&[(9_000, Claimed), (10_000, Agreed)], 10_000, 0);
        check(
            &[(9_000, Claimed), (90_000, Claimed), (90_001, Agreed)],
            90_001,
            1,
        );
        // The same time again is no second opinion, nor is an older one.
        check(
            &[(9_000, Claimed), (9_000, Claimed), (9_001, Agreed)],
            9_001,
            0,
        );
        check(&[(9_000, Claimed), (8_999, Claimed)], 0, 1);
        check(&[(i64::MAX, Claimed), (i64::MIN, Known)], 0, 1);
    }

    #[test]
    fn beside_another_connection_it_does_not_start_ahead() {
        let check = |feed_ms: Option<i64>, expect: Judged| {
            let mut clock = VenueClock::default();
            clock.handle_feed_time(feed_ms);
            clock.handle_time(9_000);
            assert_eq!(clock.handle_time(10_000), expect, "{feed_ms:?}");
            // The other connection has caught up, or has gone.
            clock.handle_feed_time(feed_ms.map(|_| 10_000));
            assert_ne!(clock.handle_time(11_000), Claimed);
            // Once started, it goes by what its own messages show.
            clock.handle_feed_time(Some(0));
            assert_eq!(clock.handle_time(12_000), Moved);
            assert_eq!(clock.poll_refuted(), 0);
        };
        check(None, Agreed);
        check(Some(8_000), Agreed);
        check(Some(7_999), Claimed);
        check(Some(90_000), Agreed);
        check(Some(i64::MIN), Claimed);
    }

    #[test]
    fn executions_are_not_of_the_future() {
        let mut clock = VenueClock::default();
        assert!(clock.admits(i64::MAX));
        clock.handle_time(999);
        clock.handle_time(1_000);
        assert!(clock.admits(3_000) && !clock.admits(3_001) && clock.admits(i64::MIN));
    }
}
