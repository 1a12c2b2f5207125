// Pure: the venue's clock as one connection shows it.
#![deny(clippy::disallowed_methods)]

/// The newest time that a connection's messages have shown. It never goes back, and one message alone cannot
/// move it far: a single damaged number must not close an hour of bars.
#[derive(Debug, Clone, Default)]
pub struct VenueClock {
    newest_ms: Option<i64>,
    /// A time too far ahead to be believed of one message.
    claim_ms: Option<i64>,
}

/// What a time means to the clock.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Judged {
    /// It has moved on to this.
    Moved,
    /// No newer than what was known.
    Known,
    /// Further ahead than one message is believed.
    Doubted,
}

/// A connection ticks every second and is given up after some ten without: a longer step is a damaged number, or
/// a venue that set its clock; the next message tells which.
const STEP_MAX_MS: i64 = 60_000;

impl VenueClock {
    /// A message shows this time, in Unix milliseconds.
    #[inline]
    pub fn handle_time(&mut self, venue_ms: i64) -> Judged {
        let Some(newest) = self.newest_ms else {
            self.newest_ms = Some(venue_ms);
            return Judged::Moved;
        };
        if venue_ms <= newest {
            return Judged::Known;
        }
        if venue_ms.saturating_sub(newest) > STEP_MAX_MS {
            // One message may show its time several times over: only a later time agrees.
            let agreed = self.claim_ms.is_some_and(|claim| {
                venue_ms > claim && venue_ms.saturating_sub(claim) <= STEP_MAX_MS
            });
            if !agreed {
                self.claim_ms = Some(venue_ms);
                return Judged::Doubted;
            }
        }
        self.claim_ms = None;
        self.newest_ms = Some(venue_ms);
        Judged::Moved
    }

    /// The newest time, in Unix milliseconds.
    #[must_use]
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
}

#[cfg(test)]
mod tests {
    use super::Judged::{Doubted, Known, Moved};
    use super::*;

    #[test]
    fn one_message_moves_it_a_minute_at_most_and_two_that_agree_any_way() {
        let check = |times: &[(i64, Judged)], newest: i64| {
            let mut clock = VenueClock::default();
            for &(time_ms, expect) in times {
                assert_eq!(clock.handle_time(time_ms), expect, "{time_ms} of {times:?}");
            }
            assert_eq!(clock.newest_ms(), Some(newest));
        };
        check(
            &[(5, Moved), (5, Known), (4, Known), (60_005, Moved)],
            60_005,
        );
        check(&[(0, Moved), (60_001, Doubted), (1, Moved)], 1);
        // The doubt is forgotten once the old time goes on.
        check(
            &[(0, Moved), (90_000, Doubted), (1, Moved), (90_001, Doubted)],
            1,
        );
        check(&[(0, Moved), (90_000, Doubted), (91_000, Moved)], 91_000);
        check(
            &[
                (0, Moved),
                (90_000, Doubted),
                (900_000, Doubted),
                (900_001, Moved),
            ],
            900_001,
        );
        check(&[(0, Moved), (i64::MAX, Doubted), (i64::MIN, Known)], 0);
        // The same time again is no second opinion.
        check(
            &[
                (0, Moved),
                (90_000, Doubted),
                (90_000, Doubted),
                (90_001, Moved),
            ],
            90_001,
        );
        check(
            &[
                (i64::MIN, Moved),
                (i64::MAX - 1, Doubted),
                (i64::MAX, Moved),
            ],
            i64::MAX,
        );
    }

    #[test]
    fn executions_are_not_of_the_future() {
        let mut clock = VenueClock::default();
        assert!(clock.admits(i64::MAX));
        clock.handle_time(1_000);
        assert!(clock.admits(61_000) && !clock.admits(61_001) && clock.admits(i64::MIN));
    }
}
