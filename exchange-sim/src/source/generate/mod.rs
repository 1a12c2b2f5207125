// Pure: markets made up from a seed. The same seed and start give the same bytes.
#![deny(clippy::disallowed_methods)]

/// What instruments cost and how they step.
mod listing;

/// How a market feels for a while.
mod mood;

/// One instrument's market.
mod walk;

/// Generated steps as lines of a recording.
pub mod lines;

use std::cmp::Reverse;
use std::collections::BinaryHeap;

use wire::Symbol;

pub use listing::symbols;

use super::{Source, Summary};
use crate::market::{Body, Listed, Step};
use crate::random::Random;
use crate::recording;
use listing::Terms;
use walk::{FILLS_PER_6_ORDERS, Walk};

/// What to make up.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Plan {
    /// The instruments, busiest first: the `n`th trades about `1/n` as much as the first, the last fifth of five or
    /// more hardly at all.
    pub symbols: Vec<Symbol>,
    /// Trades a second over all instruments, in the mean over many minutes.
    pub rate: u32,
    /// What it is made from.
    pub seed: u64,
    /// When it begins, Unix milliseconds.
    pub start_ms: i64,
    /// After how many trades it ends, if ever (the last order's fills may go a few beyond).
    pub trades_max: Option<u64>,
}

/// A made-up market, as an iterator of steps without end (or up to [`Plan::trades_max`]).
#[derive(Debug)]
pub struct Generator {
    plan: Plan,
    summary: Summary,
    walks: Vec<Walk>,
    /// When each instrument's next order comes; ties go to the earlier listed.
    orders: BinaryHeap<Reverse<(i64, usize)>>,
    random: Random,
    trades: u64,
}

impl Generator {
    /// Stands at the market's beginning.
    #[must_use]
    pub fn new(plan: Plan) -> Self {
        let terms: Vec<Terms> = plan.symbols.iter().map(Terms::of).collect();
        let listed = plan
            .symbols
            .iter()
            .zip(&terms)
            .map(|(symbol, terms)| Listed {
                symbol: symbol.clone(),
                listing: terms.listing,
                reference: terms.price(terms.price_ticks),
            });
        let summary = Summary {
            listed: listed.collect(),
            recorded_streams: Default::default(),
            trades: plan.trades_max,
            opening_ms: Some(plan.start_ms),
        };
        let mut generator = Self {
            random: Random::new(plan.seed),
            plan,
            summary,
            walks: Vec::new(),
            orders: BinaryHeap::new(),
            trades: 0,
        };
        generator.begin_at(&terms);
        generator
    }

    fn begin_at(&mut self, terms: &[Terms]) {
        let start_us = self.plan.start_ms.saturating_mul(1_000);
        let weights: Vec<u64> = (0..terms.len()).map(|n| weight(n, terms.len())).collect();
        let total: u64 = weights.iter().sum();
        for (index, (terms, weight)) in terms.iter().zip(weights).enumerate() {
            // Orders a second of this one: rate x 6/11 x weight/total.
            let per_second = u128::from(self.plan.rate.max(1)) * 6 * u128::from(weight);
            let mean_us =
                1_000_000 * u128::from(FILLS_PER_6_ORDERS) * u128::from(total) / per_second;
            // Bursts and agitated moods add almost a half to it.
            let mean_us = u64::try_from(mean_us * 3 / 2).unwrap_or(u64::MAX);
            let mut walk = Walk::new(*terms, self.random.next(), mean_us, start_us);
            let first_us = walk
                .next_time_us(start_us)
                .min(start_us.saturating_add(first_after_us(index)));
            self.orders.push(Reverse((first_us, index)));
            self.walks.push(walk);
        }
    }
}

/// When an instrument's first order comes at the latest, microseconds after the beginning: one after the other
/// from a tenth of a second on, so that every chart has something to show within two seconds. Beyond the first 128
/// it takes longer, since thousands of first orders at once would be a load that no `--rate` asked for.
fn first_after_us(index: usize) -> i64 {
    let index = i64::try_from(index).unwrap_or(i64::MAX);
    index.saturating_mul(FIRST_EVERY_US).saturating_add(100_000)
}

const FIRST_EVERY_US: i64 = 14_000;

/// Zipf's law, with a quiet end: the last fifth of the instruments has a hundredth of its share.
fn weight(index: usize, count: usize) -> u64 {
    let share = 1_000_000 / (index as u64 + 1);
    let quiet = count >= 5 && index >= count - count / 5;
    if quiet {
        (share / 100).max(1)
    } else {
        share.max(1)
    }
}

impl Iterator for Generator {
    type Item = Step;

    fn next(&mut self) -> Option<Step> {
        if self.plan.trades_max.is_some_and(|max| self.trades >= max) {
            return None;
        }
        let Reverse((time_us, index)) = self.orders.pop()?;
        let walk = &mut self.walks[index];
        let order = walk.order(time_us);
        self.orders
            .push(Reverse((walk.next_time_us(time_us), index)));
        self.trades += order.fills.len() as u64;
        // Announced a moment after it happened, as the recordings show: mostly within a millisecond.
        let announced_us = order
            .time_us
            .saturating_add(i64::try_from(self.random.exponential(700)).unwrap_or(0));
        Some(Step {
            at_ns: order.time_us.saturating_mul(1_000),
            clock_ms: Some(announced_us.div_euclid(1_000)),
            body: Body::Trades {
                symbol: self.plan.symbols[index].clone(),
                fills: order.fills,
                frame: None,
            },
        })
    }
}

impl Source for Generator {
    fn summary(&self) -> &Summary {
        &self.summary
    }

    fn next_step(&mut self) -> Option<Result<Step, recording::Error>> {
        self.next().map(Ok)
    }
}

/// A generated market that begins when its gate opens: at speed 1 its time is the wall clock's.
#[derive(Debug)]
pub struct Live(Generator);

impl Live {
    /// A market that has yet to begin; the plan's start is not used.
    #[must_use]
    pub fn new(plan: Plan) -> Self {
        let mut generator = Generator::new(plan);
        generator.summary.opening_ms = None;
        Self(generator)
    }
}

impl Source for Live {
    fn summary(&self) -> &Summary {
        self.0.summary()
    }

    fn handle_start(&mut self, wall_ms: i64) -> Option<i64> {
        self.0 = Generator::new(Plan {
            start_ms: wall_ms,
            ..self.0.plan.clone()
        });
        Some(wall_ms.saturating_mul(1_000_000))
    }

    fn next_step(&mut self) -> Option<Result<Step, recording::Error>> {
        self.0.next_step()
    }
}

#[cfg(test)]
#[path = "statistics_tests.rs"]
mod statistics;

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;

    fn plan(count: usize, rate: u32, trades: u64) -> Plan {
        let symbols = symbols(count, "USDT");
        Plan {
            symbols,
            rate,
            seed: 7,
            start_ms: 1_700_000_000_000,
            trades_max: Some(trades),
        }
    }

    #[test]
    fn a_seed_gives_the_same_market_and_another_another() {
        let steps = |plan: Plan| Generator::new(plan).collect::<Vec<_>>();
        assert_eq!(steps(plan(5, 100, 2_000)), steps(plan(5, 100, 2_000)));
        assert_ne!(
            steps(plan(5, 100, 2_000)),
            steps(Plan {
                seed: 8,
                ..plan(5, 100, 2_000)
            })
        );
    }

    #[test]
    fn ids_are_contiguous_and_time_never_runs_back() {
        let mut last: BTreeMap<Symbol, u64> = BTreeMap::new();
        let mut time_ns = 0;
        for step in Generator::new(plan(20, 500, 20_000)) {
            assert!(step.at_ns >= time_ns);
            time_ns = step.at_ns;
            let Body::Trades { symbol, fills, .. } = step.body else {
                panic!("not trades")
            };
            for (trade, _) in fills {
                assert!(!trade.price.is_zero() && !trade.size.is_zero());
                if let Some(last) = last.insert(symbol.clone(), trade.id) {
                    assert_eq!(trade.id, last + 1);
                }
            }
        }
        assert!(last.len() > 10);
    }

    #[test]
    fn every_symbol_trades_within_two_seconds() {
        for count in [1, 2, 20, 128] {
            let mut seen = std::collections::BTreeSet::new();
            let in_time = |step: &Step| step.at_ns < (1_700_000_000_000 + 2_000) * 1_000_000;
            for step in Generator::new(plan(count, 10, 100_000)).take_while(in_time) {
                let Body::Trades { symbol, .. } = step.body else {
                    panic!("not trades")
                };
                seen.insert(symbol);
            }
            assert_eq!(seen.len(), count);
        }
    }

    #[test]
    fn the_rate_is_about_what_was_asked() {
        let steps: Vec<_> = Generator::new(plan(10, 200, 100_000)).collect();
        let seconds = (steps[steps.len() - 1].at_ns - steps[0].at_ns) / 1_000_000_000;
        // 100,000 at 200/s are 500 s.
        assert!((420..=580).contains(&seconds), "{seconds}");
    }

    #[test]
    fn there_are_quiet_symbols_and_busy_ones_and_prices_stay_sane() {
        let mut counts: BTreeMap<Symbol, u64> = BTreeMap::new();
        let mut range: BTreeMap<Symbol, (wire::Price, wire::Price)> = BTreeMap::new();
        for step in Generator::new(plan(10, 100, 200_000)) {
            let Body::Trades { symbol, fills, .. } = step.body else {
                panic!("not trades")
            };
            for (trade, _) in fills {
                *counts.entry(symbol.clone()).or_default() += 1;
                let (low, high) = range
                    .entry(symbol.clone())
                    .or_insert((trade.price, trade.price));
                *low = trade.price.min(*low);
                *high = trade.price.max(*high);
            }
        }
        let btc = Symbol::new("BTC-USDT").unwrap();
        let most = counts[&btc];
        assert!(
            counts.values().any(|count| count * 200 < most),
            "{counts:?}"
        );
        let (low, high) = range[&btc];
        assert!(
            low.units() * 3 > high.units(),
            "half an hour does not triple a price: {low} {high}"
        );
        assert!(
            low.units() * 1_005 < high.units() * 1_000,
            "but it does move: {low} {high}"
        );
    }
}
