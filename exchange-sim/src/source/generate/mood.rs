// Pure: how a made-up market feels for a while: how far it moves, how busy it is, and which way it leans.
#![deny(clippy::disallowed_methods)]

use crate::random::Random;

/// How agitated a market is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Calm,
    Active,
    Volatile,
}

/// A market's volatility and trend. Moods follow each other; volatility eases from one to the next, so that large
/// moves stand next to large ones.
#[derive(Debug)]
pub(super) struct Mood {
    kind: Kind,
    until_us: i64,
    /// How far the price moves in a second (one deviation), in billionths of it.
    pub(super) deviation_ppb: i64,
    /// How much livelier than others this market is, percent.
    temper: i64,
    /// Deviations that the price is carried in a minute; a minute's noise is about eight of them.
    trend: i64,
    trend_until_us: i64,
}

impl Mood {
    /// Calm and without a trend, until the first order.
    pub(super) fn new(random: &mut Random, start_us: i64) -> Self {
        let temper = random.between(80, 140).cast_signed();
        Self {
            kind: Kind::Calm,
            until_us: start_us,
            deviation_ppb: Kind::Calm.deviation_ppb() * temper / 100,
            temper,
            trend: 0,
            trend_until_us: start_us,
        }
    }

    /// Time has come to an order, so long after the one before.
    pub(super) fn handle_time(&mut self, random: &mut Random, time_us: i64, elapsed_us: i64) {
        if time_us >= self.until_us {
            let (kind, seconds) = match random.below(20) {
                0..=9 => (Kind::Calm, random.between(30, 180)),
                10..=16 => (Kind::Active, random.between(20, 120)),
                _ => (Kind::Volatile, random.between(8, 40)),
            };
            self.kind = kind;
            self.until_us = later(time_us, seconds);
        }
        if time_us >= self.trend_until_us {
            let strength = random.between(2, 4).cast_signed();
            self.trend = match random.below(4) {
                0 => strength,
                1 => -strength,
                _ => 0,
            };
            self.trend_until_us = later(time_us, random.between(30, 150));
        }
        let aim_ppb = self.kind.deviation_ppb() * self.temper / 100;
        self.deviation_ppb += (aim_ppb - self.deviation_ppb) * elapsed_us.min(EASE_US) / EASE_US;
    }

    /// How far the trend carries the price in this time, in billionths of it.
    pub(super) fn drift_ppb(&self, elapsed_us: i64) -> i64 {
        self.deviation_ppb * self.trend * elapsed_us / 60_000_000
    }

    /// The mean time between orders, given the usual one: an agitated market trades more.
    pub(super) fn mean_us(&self, usual_us: u64) -> u64 {
        match self.kind {
            Kind::Calm => usual_us * 5 / 4,
            Kind::Active => usual_us * 3 / 4,
            Kind::Volatile => usual_us / 3,
        }
    }
}

impl Kind {
    /// In a second; a minute's is about eight times as much: 0.05, 0.08 and 0.16 %.
    fn deviation_ppb(self) -> i64 {
        match self {
            Self::Calm => 65_000,
            Self::Active => 110_000,
            Self::Volatile => 210_000,
        }
    }
}

fn later(time_us: i64, seconds: u64) -> i64 {
    time_us.saturating_add(seconds.cast_signed().saturating_mul(1_000_000))
}

const EASE_US: i64 = 4_000_000;
