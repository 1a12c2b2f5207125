// Pure: one made-up market: its moods, its orders, and their fills.
#![deny(clippy::disallowed_methods)]

use wire::{Side, Trade};

use super::listing::Terms;
use crate::random::Random;

/// How a market behaves for a while.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Mood {
    Calm,
    /// Drifts, one way.
    Trend(Side),
    Volatile,
}

/// One instrument's market.
#[derive(Debug)]
pub(super) struct Walk {
    random: Random,
    pub(super) terms: Terms,
    /// The price in 2^-16 ticks, so that moves of less than a tick add up.
    price_fine: i64,
    mood: Mood,
    mood_until_us: i64,
    /// Orders left in the current burst.
    burst: u64,
    side: Side,
    next_id: u64,
    /// Mean time between orders, microseconds.
    mean_us: u64,
}

/// Fills of one order, at one time.
#[derive(Debug)]
pub(super) struct Order {
    pub(super) time_us: i64,
    pub(super) fills: Vec<(Trade, i64)>,
}

impl Walk {
    pub(super) fn new(terms: Terms, seed: u64, mean_us: u64, start_us: i64) -> Self {
        let mut random = Random::new(seed);
        let next_id = random.between(1_000_000, 4_000_000_000);
        Self {
            terms,
            price_fine: terms.price_ticks << FINE_BITS,
            mood: Mood::Calm,
            mood_until_us: start_us,
            burst: 0,
            side: Side::Buy,
            next_id,
            mean_us: mean_us.max(1),
            random,
        }
    }

    /// When the order after this time comes, Unix microseconds.
    pub(super) fn next_time_us(&mut self, after_us: i64) -> i64 {
        if self.burst == 0 && self.random.one_in(ORDERS_PER_BURST) {
            self.burst = self.random.between(10, 50);
        }
        let mut mean_us = match self.mood {
            Mood::Volatile => self.mean_us / 2,
            Mood::Calm | Mood::Trend(_) => self.mean_us,
        };
        if self.burst > 0 {
            self.burst -= 1;
            mean_us /= 30;
        }
        after_us.saturating_add(i64::try_from(self.random.exponential(mean_us)).unwrap_or(i64::MAX))
    }

    /// The order that comes at this time.
    pub(super) fn order(&mut self, time_us: i64) -> Order {
        if time_us >= self.mood_until_us {
            self.change_mood(time_us);
        }
        self.move_price();
        if self.random.one_in(3) {
            self.side = if self.random.one_in(2) {
                Side::Buy
            } else {
                Side::Sell
            };
        }
        if let Mood::Trend(side) = self.mood
            && self.random.one_in(2)
        {
            self.side = side;
        }
        let count = if self.random.one_in(3) {
            self.random.between(2, 5)
        } else {
            1
        };
        let fills = (0..count).filter_map(|n| self.fill(time_us, n)).collect();
        Order { time_us, fills }
    }

    fn change_mood(&mut self, time_us: i64) {
        let (mood, seconds) = match self.random.below(10) {
            0..=4 => (Mood::Calm, self.random.between(30, 240)),
            5 | 6 => (Mood::Trend(Side::Buy), self.random.between(20, 120)),
            7 | 8 => (Mood::Trend(Side::Sell), self.random.between(20, 120)),
            _ => (Mood::Volatile, self.random.between(10, 60)),
        };
        self.mood = mood;
        self.mood_until_us =
            time_us.saturating_add(i64::try_from(seconds).unwrap_or(60) * 1_000_000);
    }

    /// Moves by some millionths of the price. Quiet markets move more an order, as their orders are further apart.
    fn move_price(&mut self) {
        let apart = 1 + i64::try_from(self.mean_us / 250_000).unwrap_or(0).min(40);
        let (deviation_ppm, drift_ppm) = match self.mood {
            Mood::Calm => (12, 0),
            Mood::Trend(Side::Buy) => (15, 3),
            Mood::Trend(Side::Sell) => (15, -3),
            Mood::Volatile => (60, 0),
        };
        let start_fine = self.terms.price_ticks << FINE_BITS;
        // Far from where it began, it is pulled back: a market left on for days must not come to nothing.
        let pull_ppm = match self.price_fine {
            price if price > start_fine.saturating_mul(2) => -6,
            price if price < start_fine / 2 => 6,
            _ => 0,
        };
        let ppm =
            self.random.normal(deviation_ppm * 16) * apart / 16 + (drift_ppm + pull_ppm) * apart;
        let moved = i128::from(self.price_fine) * i128::from(ppm) / 1_000_000;
        let moved = i64::try_from(moved).unwrap_or(0);
        self.price_fine = self.price_fine.saturating_add(moved).max(1 << FINE_BITS);
    }

    /// The `n`th fill of an order; each takes what lies at one price, and half of them go a tick further.
    fn fill(&mut self, time_us: i64, n: u64) -> Option<(Trade, i64)> {
        let depth = i64::try_from(n / 2).unwrap_or(0);
        let mid = self.price_fine >> FINE_BITS;
        let ticks = match self.side {
            Side::Buy => mid + 1 + depth,
            Side::Sell => (mid - depth).max(1),
        };
        let usual = self.terms.order_lots;
        let lots = match self.random.below(100) {
            // Round orders, usual ones, and a rare whale.
            0..=9 => usual.next_power_of_two(),
            10..=98 => self.random.exponential(usual),
            _ => usual.saturating_mul(self.random.between(20, 80)),
        };
        let id = self.next_id;
        let trade = Trade {
            id,
            time_ms: time_us.div_euclid(1_000),
            price: self.terms.price(ticks)?,
            size: self.terms.size(lots.max(1))?,
            taker: self.side,
        };
        self.next_id += 1;
        Some((trade, time_us))
    }
}

const FINE_BITS: u32 = 16;
const ORDERS_PER_BURST: u64 = 80;

/// A third of the orders have 2 to 5 fills, the others one: 11/6 fills an order.
pub(super) const FILLS_PER_6_ORDERS: u64 = 11;
