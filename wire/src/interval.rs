// Pure: bar lengths. Every one divides a day, so that buckets start at UTC midnight.
use std::fmt;
use std::num::NonZeroU32;
use std::str::FromStr;

use crate::token::{serde_by_text, shown};

/// A bar's length: whole seconds that divide a day. `1d` is a UTC day.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Interval(NonZeroU32);

/// Why text is not an interval.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum IntervalError {
    /// Not `<number><s|m|h|d>`.
    #[error("interval {0:?} is not valid: write a number and s, m, h or d, such as 1m")]
    Malformed(String),
    /// Its length does not divide a day, so that its buckets would not start at midnight.
    #[error("interval {0:?} does not divide a day")]
    DoesNotDivideDay(String),
    /// Another text of the same length is the one to write: one length has one topic.
    #[error("interval {text:?} has a shorter spelling: write {canonical}")]
    NotCanonical {
        /// What was given.
        text: String,
        /// What to write instead.
        canonical: Interval,
    },
}

const DAY_S: u32 = 86_400;
const UNITS: [(u8, u32); 4] = [(b'd', DAY_S), (b'h', 3_600), (b'm', 60), (b's', 1)];

impl Interval {
    /// One second.
    pub const S1: Self = Self(NonZeroU32::MIN);

    /// Takes a length in seconds; `None` unless it divides a day.
    pub fn from_secs(secs: u32) -> Option<Self> {
        let secs = NonZeroU32::new(secs)?;
        DAY_S.is_multiple_of(secs.get()).then_some(Self(secs))
    }

    /// Length in seconds.
    pub fn secs(self) -> u32 {
        self.0.get()
    }

    /// Length in milliseconds.
    pub fn ms(self) -> i64 {
        i64::from(self.0.get()) * 1_000
    }

    /// Start of the bucket `[start, start + ms)` that holds the time. The first bucket that there is begins with the
    /// lowest time, whether or not that is a multiple: no number from outside overflows here.
    #[inline]
    pub fn start_of(self, time_ms: i64) -> i64 {
        time_ms.saturating_sub(time_ms.rem_euclid(self.ms()))
    }

    /// Appends the interval's text.
    pub fn write_to(self, out: &mut Vec<u8>) {
        let secs = self.0.get();
        // The last unit is one second, so that one is always found.
        if let Some((letter, unit_s)) = UNITS
            .into_iter()
            .find(|(_, unit_s)| secs.is_multiple_of(*unit_s))
        {
            crate::codec::write_u64(out, u64::from(secs / unit_s));
            out.push(letter);
        }
    }

    /// Whether bars of `self` can be rolled up from bars of `shorter`.
    pub fn is_multiple_of(self, shorter: Self) -> bool {
        self.0.get().is_multiple_of(shorter.0.get())
    }
}

impl FromStr for Interval {
    type Err = IntervalError;
    fn from_str(text: &str) -> Result<Self, IntervalError> {
        let malformed = || IntervalError::Malformed(shown(text));
        let (&unit, digits) = text.as_bytes().split_last().ok_or_else(malformed)?;
        let (_, unit_s) = UNITS
            .iter()
            .find(|(letter, _)| *letter == unit)
            .ok_or_else(malformed)?;
        // Five digits hold the 86,400 seconds of a day; no sign, no blank, no leading zero.
        let plain = (1..=5).contains(&digits.len())
            && digits.iter().all(u8::is_ascii_digit)
            && digits[0] != b'0';
        if !plain {
            return Err(malformed());
        }
        let number: u32 = text[..digits.len()].parse().map_err(|_| malformed())?;
        let interval = number
            .checked_mul(*unit_s)
            .and_then(Self::from_secs)
            .ok_or_else(|| IntervalError::DoesNotDivideDay(shown(text)))?;
        if interval.to_string() == text {
            Ok(interval)
        } else {
            Err(IntervalError::NotCanonical {
                text: shown(text),
                canonical: interval,
            })
        }
    }
}

impl fmt::Display for Interval {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut text = Vec::with_capacity(6);
        self.write_to(&mut text);
        f.write_str(std::str::from_utf8(&text).map_err(|_| fmt::Error)?)
    }
}

impl fmt::Debug for Interval {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

serde_by_text!(Interval);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_length_has_one_spelling() {
        for text in [
            "1s", "5s", "1m", "5m", "15m", "90s", "1h", "4h", "90m", "12h", "1d",
        ] {
            assert_eq!(text.parse::<Interval>().unwrap().to_string(), text);
        }
        let check = |text: &str, expect: &str| {
            let error = text.parse::<Interval>().unwrap_err().to_string();
            assert!(error.contains(expect), "{text:?}: {error}");
        };
        check("60s", "write 1m");
        check("24h", "write 1d");
        check("1440m", "write 1d");
        check("7s", "does not divide");
        check("2d", "does not divide");
        check("99999d", "does not divide");
        for text in [
            "", "m", "1", "0m", "01m", "-1m", "+1m", "1M", "1 m", "1.5m", "100000s", "１m", "1ü",
        ] {
            check(text, "not valid");
        }
    }

    #[test]
    fn every_divisor_of_a_day_round_trips() {
        for secs in (1..=DAY_S).filter(|secs| DAY_S.is_multiple_of(*secs)) {
            let interval = Interval::from_secs(secs).unwrap();
            assert_eq!(interval.to_string().parse(), Ok(interval));
        }
    }

    #[test]
    fn buckets_start_at_multiples_also_before_1970() {
        let minute: Interval = "1m".parse().unwrap();
        assert_eq!(minute.start_of(1_723_161_255_342), 1_723_161_240_000);
        assert_eq!(minute.start_of(1_723_161_240_000), 1_723_161_240_000);
        assert_eq!(minute.start_of(-1), -60_000);
        assert_eq!(minute.start_of(i64::MIN), i64::MIN);
        assert_eq!(minute.start_of(i64::MAX), i64::MAX - i64::MAX % 60_000);
    }
}
