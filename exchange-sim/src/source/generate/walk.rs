// Pure: one made-up market: its price, its orders, and their fills.
#![deny(clippy::disallowed_methods)]

use wire::{Side, Trade};

use super::listing::Terms;
use super::mood::Mood;
use crate::random::Random;

/// One instrument's market: a fair price that wanders, a lean that orders leave and that fades, and a bid and an
/// ask around the two.
#[derive(Debug)]
pub(super) struct Walk {
    random: Random,
    pub(super) terms: Terms,
    /// The fair price in 2^-16 ticks, so that moves of less than a tick add up.
    fair_fine: i64,
    /// How far recent orders have pushed the price off the fair one, in 2^-16 ticks.
    lean_fine: i64,
    mood: Mood,
    /// When the last order came.
    last_us: i64,
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
            fair_fine: terms.price_ticks << FINE_BITS,
            lean_fine: 0,
            mood: Mood::new(&mut random, start_us),
            last_us: start_us,
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
            self.side = self.either_side();
        }
        let mut mean_us = self.mood.mean_us(self.mean_us);
        if self.burst > 0 {
            self.burst -= 1;
            mean_us /= 30;
        }
        after_us.saturating_add(i64::try_from(self.random.exponential(mean_us)).unwrap_or(i64::MAX))
    }

    /// The order that comes at this time.
    pub(super) fn order(&mut self, time_us: i64) -> Order {
        let elapsed_us = time_us
            .saturating_sub(self.last_us)
            .clamp(0, ELAPSED_US_MAX);
        self.last_us = time_us;
        self.mood.handle_time(&mut self.random, time_us, elapsed_us);
        // Takers go on in one direction for a few orders, in a burst for most of it.
        if self.random.one_in(if self.burst > 0 { 10 } else { 2 }) {
            self.side = self.either_side();
        }
        self.move_price(elapsed_us);
        let (count, reach_ticks) = match self.random.below(3) {
            0 => (self.random.between(2, 5), self.reach_ticks()),
            _ => (1, 0),
        };
        let fills = (0..count)
            .filter_map(|n| self.fill(time_us, n, reach_ticks))
            .collect();
        Order { time_us, fills }
    }

    fn either_side(&mut self) -> Side {
        if self.random.one_in(2) {
            Side::Buy
        } else {
            Side::Sell
        }
    }

    /// The fair price wanders with the root of the time that has passed, whatever the rate of orders, and yields to
    /// the taker a little; what else the taker pushes is the lean, and fades.
    fn move_price(&mut self, elapsed_us: i64) {
        let root = elapsed_us.isqrt();
        let deviation_ppb = self.mood.deviation_ppb * root / 1_000;
        let taker = match self.side {
            Side::Buy => 1,
            Side::Sell => -1,
        };
        let ppb = self.random.normal(deviation_ppb)
            + taker * deviation_ppb * 3 / 10
            + self.mood.drift_ppb(elapsed_us);
        // Far from where it began, it is pulled back: a market left on for days must not come to nothing.
        let start_fine = self.terms.price_ticks << FINE_BITS;
        let pull_fine = i128::from(start_fine - self.fair_fine) * i128::from(elapsed_us) / PULL_US;
        let moved_fine = self.share(ppb) + i64::try_from(pull_fine).unwrap_or(0);
        self.fair_fine = self
            .fair_fine
            .saturating_add(moved_fine)
            .max(1 << FINE_BITS);
        let push_ppb = taker * deviation_ppb / if self.burst > 0 { 1 } else { 3 };
        self.lean_fine -= self.lean_fine / FADE_MS * (elapsed_us / 1_000).min(FADE_MS);
        self.lean_fine += self.share(push_ppb);
    }

    /// So many billionths of the price, in 2^-16 ticks.
    fn share(&self, ppb: i64) -> i64 {
        let share = i128::from(self.fair_fine) * i128::from(ppb) / 1_000_000_000;
        i64::try_from(share).unwrap_or(0)
    }

    /// How far each fill of an order goes beyond the one before: mostly nothing, at times through the book, which
    /// leaves a wick.
    fn reach_ticks(&mut self) -> i64 {
        if !self.random.one_in(12) {
            return 0;
        }
        let usual_fine = self.share(self.mood.deviation_ppb / 6).unsigned_abs();
        let fine = self.random.exponential(usual_fine);
        i64::try_from(fine >> FINE_BITS).unwrap_or(0)
    }

    /// The `n`th fill of an order; each takes what lies at one price, and half of them go a tick further.
    fn fill(&mut self, time_us: i64, n: u64, reach_ticks: i64) -> Option<(Trade, i64)> {
        let n = i64::try_from(n).unwrap_or(0);
        let depth = n / 2 + n * reach_ticks;
        let middle_fine = self.fair_fine.saturating_add(self.lean_fine);
        let half_spread_fine = self.share(self.mood.deviation_ppb / 12);
        let ticks = match self.side {
            Side::Buy => (middle_fine.saturating_add(half_spread_fine) >> FINE_BITS) + 1 + depth,
            Side::Sell => (middle_fine.saturating_sub(half_spread_fine) >> FINE_BITS) - depth,
        };
        let lots = self.lots();
        let id = self.next_id;
        let trade = Trade {
            id,
            time_ms: time_us.div_euclid(1_000),
            price: self.terms.price(ticks.max(1))?,
            size: self.terms.size(lots)?,
            taker: self.side,
        };
        self.next_id += 1;
        Some((trade, time_us))
    }

    /// A round order, or one of a heavy tail: each doubling is a third as likely as the one before.
    fn lots(&mut self) -> u64 {
        let usual = self.terms.order_lots;
        if self.random.one_in(10) {
            return usual.next_power_of_two();
        }
        let mut mean = usual.div_ceil(2);
        for _ in 0..DOUBLINGS_MAX {
            if !self.random.one_in(3) {
                break;
            }
            mean = mean.saturating_mul(2);
        }
        self.random.exponential(mean).max(1)
    }
}

const FINE_BITS: u32 = 16;
const ORDERS_PER_BURST: u64 = 80;
const DOUBLINGS_MAX: u32 = 10;

/// After a longer silence the price has moved no further than this.
const ELAPSED_US_MAX: i64 = 60_000_000;

/// How long a lean takes to fade.
const FADE_MS: i64 = 1_500;

/// The pull back takes a day: in it, the usual deviations come to some percent.
const PULL_US: i128 = 86_400_000_000;

/// A third of the orders have 2 to 5 fills, the others one: 11/6 fills an order.
pub(super) const FILLS_PER_6_ORDERS: u64 = 11;
