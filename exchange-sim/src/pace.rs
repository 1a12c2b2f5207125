// Pure: when a step is due, and which whole seconds of the venue's clock come before it.
#![deny(clippy::disallowed_methods)]

use std::time::Duration;

use crate::market::{Body, Step};

/// How fast a source plays.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Speed {
    /// As fast as its readers take it: nothing is dropped, and nothing goes by the server's clock.
    Max,
    /// This many times as fast as it happened; 1 is real time.
    Times(f64),
}

/// Turns a step's own time into time since the first step.
#[derive(Debug)]
pub struct Pacer {
    speed: Speed,
    origin_ns: Option<i64>,
}

impl Pacer {
    /// A pacer whose time starts with its first step.
    #[must_use]
    pub fn new(speed: Speed) -> Self {
        Self {
            speed,
            origin_ns: None,
        }
    }

    /// How long after the first step this one is due; `None` is now.
    pub fn due_after(&mut self, at_ns: i64) -> Option<Duration> {
        let origin_ns = *self.origin_ns.get_or_insert(at_ns);
        match self.speed {
            Speed::Max => None,
            Speed::Times(times) => {
                let elapsed = u64::try_from(at_ns.saturating_sub(origin_ns)).unwrap_or(0);
                Some(Duration::from_nanos(elapsed).div_f64(times.max(SPEED_MIN)))
            }
        }
    }
}

/// A thousandth of real time; slower is a mistake, and nought would be forever.
const SPEED_MIN: f64 = 0.001;

/// The whole seconds that the venue's clock passes.
#[derive(Debug)]
pub struct Seconds {
    /// The second in which the source begins, Unix milliseconds: neither it nor any before it is passed.
    opening_ms: i64,
    /// The last second that was given out, Unix milliseconds.
    last_ms: Option<i64>,
}

impl Seconds {
    /// The seconds of a source that begins at this time of the venue's clock (Unix milliseconds), if that is known.
    #[must_use]
    pub fn new(opening_ms: Option<i64>) -> Self {
        let opening_ms = opening_ms.map_or(i64::MIN, |ms| ms.saturating_sub(ms.rem_euclid(1_000)));
        Self {
            opening_ms,
            last_ms: None,
        }
    }

    /// The next second that the clock passes before this step, and when to play it (Unix nanoseconds on the
    /// step's own scale). Call until `None`.
    pub fn before(&mut self, step: &Step) -> Option<(i64, i64)> {
        let basis_ms = basis_ms(step)?;
        let floor_ms = basis_ms - basis_ms.rem_euclid(1_000);
        let last_ms = *self.last_ms.get_or_insert(floor_ms.max(self.opening_ms));
        if floor_ms <= last_ms {
            return None;
        }
        // A clock that leaps over more than a day (a bad line, two recordings joined) does not tick all the way.
        let next_ms = last_ms
            .saturating_add(1_000)
            .max(floor_ms.saturating_sub(LEAP_MS_MAX));
        self.last_ms = Some(next_ms);
        let ahead_ns = (basis_ms - next_ms).saturating_mul(1_000_000);
        Some((next_ms, step.at_ns.saturating_sub(ahead_ns)))
    }

    /// The seconds after the end of a session, given the last clock it showed: the one in which it ended, and
    /// `tail_s` more, so that whoever waits for a clock to pass the end of a bucket sees it pass.
    pub fn after(&self, clock_ms: i64, tail_s: u32) -> impl Iterator<Item = i64> + use<> {
        let end_ms = clock_ms
            .saturating_add(999)
            .div_euclid(1_000)
            .saturating_add(i64::from(tail_s));
        let first_ms = self
            .last_ms
            .map_or(end_ms, |last| last.div_euclid(1_000) + 1);
        (first_ms..=end_ms).map(|second| second * 1_000)
    }
}

/// Up to where the venue's clock has surely come before the step. Trades in flight are announced a few
/// milliseconds after their time, so other messages count with an allowance: a second's kline must hold all of
/// that second's trades.
fn basis_ms(step: &Step) -> Option<i64> {
    match &step.body {
        // A last_match is older than the session; it shows no clock.
        Body::Trades { fills, .. } => step
            .clock_ms
            .and_then(|_| fills.iter().map(|(t, _)| t.time_ms).min()),
        Body::Other { .. } => step.clock_ms.map(|ms| ms.saturating_sub(IN_FLIGHT_MS)),
    }
}

const IN_FLIGHT_MS: i64 = 200;
const LEAP_MS_MAX: i64 = 86_400_000;

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;

    fn other(at_ms: i64, clock_ms: i64) -> Step {
        let body = Body::Other {
            stream: "s".to_owned(),
            frame: Arc::from("{}"),
        };
        Step {
            at_ns: at_ms * 1_000_000,
            clock_ms: Some(clock_ms),
            body,
        }
    }

    #[test]
    fn speed_divides_time() {
        let check = |speed, expect: Option<u64>| {
            let mut pacer = Pacer::new(speed);
            pacer.due_after(5_000_000_000);
            assert_eq!(
                pacer.due_after(7_000_000_000),
                expect.map(Duration::from_millis)
            );
        };
        check(Speed::Max, None);
        check(Speed::Times(1.0), Some(2_000));
        check(Speed::Times(4.0), Some(500));
        check(Speed::Times(0.5), Some(4_000));
    }

    #[test]
    fn every_second_is_passed_once_at_its_own_time() {
        let mut seconds = Seconds::new(None);
        assert_eq!(seconds.before(&other(9_000, 1_000_700)), None);
        let step = other(12_000, 1_003_500);
        assert_eq!(seconds.before(&step), Some((1_001_000, 9_700_000_000)));
        assert_eq!(seconds.before(&step), Some((1_002_000, 10_700_000_000)));
        assert_eq!(seconds.before(&step), Some((1_003_000, 11_700_000_000)));
        assert_eq!(seconds.before(&step), None);
        assert_eq!(
            seconds.after(1_003_500, 2).collect::<Vec<_>>(),
            [1_004_000, 1_005_000, 1_006_000]
        );
    }

    #[test]
    fn no_second_before_the_opening_is_passed() {
        // The allowance for trades in flight puts the first message into the second before.
        let check = |opening_ms, expect: &[i64]| {
            let mut seconds = Seconds::new(opening_ms);
            assert_eq!(seconds.before(&other(0, 1_037_080)), None);
            let passed = |at_ms| seconds.before(&other(0, at_ms)).map(|(ms, _)| ms);
            let got: Vec<_> = [1_037_300, 1_038_300]
                .into_iter()
                .filter_map(passed)
                .collect();
            assert_eq!(got, expect, "{opening_ms:?}");
        };
        check(Some(1_037_080), &[1_038_000]);
        check(None, &[1_037_000, 1_038_000]);
    }

    #[test]
    fn a_leap_of_years_does_not_tick_through_them() {
        let mut seconds = Seconds::new(None);
        seconds.before(&other(0, 1_000_000));
        let leap = other(0, 1_000_000_000_000);
        let count = std::iter::from_fn(|| seconds.before(&leap)).count();
        assert_eq!(count, 86_401);
    }
}
