//! Made-up markets have the statistics of real ones, whatever their seed.

use std::collections::BTreeMap;

use wire::Side;

use super::*;

const SECONDS: i64 = 300;

/// One second of one instrument: open, high, low, close, in units of the price.
#[derive(Debug, Clone, Copy)]
struct Second {
    open: i128,
    high: i128,
    low: i128,
    close: i128,
}

/// Five minutes of a market.
#[derive(Debug, Default)]
struct Minutes {
    seconds: BTreeMap<i64, Second>,
    /// Trades that a buyer took.
    bought: usize,
    sizes: Vec<i128>,
    silence_ms_max: i64,
    last_ms: i64,
    /// Buyers less sellers among a second's takers.
    flow: BTreeMap<i64, i64>,
}

fn minutes(seed: u64) -> BTreeMap<Symbol, Minutes> {
    let start_ms = 1_700_000_000_000;
    let plan = Plan {
        symbols: symbols(5, "USDT"),
        rate: 100,
        seed,
        start_ms,
        trades_max: None,
    };
    let mut markets: BTreeMap<Symbol, Minutes> = BTreeMap::new();
    for step in Generator::new(plan) {
        let Body::Trades { symbol, fills, .. } = step.body else {
            panic!("not trades")
        };
        let market = markets.entry(symbol).or_default();
        for (trade, _) in fills {
            let second = (trade.time_ms - start_ms) / 1_000;
            if second >= SECONDS {
                return markets;
            }
            market.take(second, &trade);
        }
    }
    markets
}

impl Minutes {
    fn take(&mut self, second: i64, trade: &wire::Trade) {
        let price = trade.price.units();
        let bar = self.seconds.entry(second).or_insert(Second {
            open: price,
            high: price,
            low: price,
            close: price,
        });
        (bar.high, bar.low, bar.close) = (bar.high.max(price), bar.low.min(price), price);
        let buys = trade.taker == Side::Buy;
        self.bought += usize::from(buys);
        *self.flow.entry(second).or_default() += if buys { 1 } else { -1 };
        self.sizes.push(trade.size.units());
        if self.last_ms > 0 {
            self.silence_ms_max = self.silence_ms_max.max(trade.time_ms - self.last_ms);
        }
        self.last_ms = trade.time_ms;
    }

    /// Moves from close to close, in millionths of the price.
    fn moves_ppm(&self) -> Vec<i128> {
        let closes: Vec<_> = self.seconds.values().map(|second| second.close).collect();
        closes
            .windows(2)
            .map(|pair| (pair[1] - pair[0]) * 1_000_000 / pair[0])
            .collect()
    }
}

/// What five minutes of a market that trades every second come to.
#[derive(Debug)]
struct Figures {
    /// Seconds that closed higher, and lower, than the one before, percent.
    up: usize,
    down: usize,
    /// The longest run of closes in one direction.
    run_max: usize,
    /// Whole drift against what independent moves of this size would come to, percent.
    drift: u64,
    /// Deviation of a minute, millionths.
    minute_ppm: u64,
    /// Agreement of each second's move with its takers, percent of seconds with both.
    agreement: usize,
    /// Seconds with a wick beyond both open and close, percent.
    wicks: usize,
    /// Trades taken by a buyer, percent.
    bought: usize,
    /// The largest hundredth of trades, percent of all volume.
    top_hundredth: i128,
    /// The deviation of the liveliest half minute against that of the calmest, percent.
    clustering: u64,
}

fn deviation_ppm(moves: &[i128]) -> u64 {
    let squares: i128 = moves.iter().map(|ppm| ppm * ppm).sum();
    u64::try_from((squares / moves.len() as i128).isqrt()).unwrap()
}

impl Minutes {
    fn figures(&self) -> Figures {
        let moves = self.moves_ppm();
        let percent = |part: usize, whole: usize| part * 100 / whole.max(1);
        let count = |want: i128| moves.iter().filter(|ppm| ppm.signum() == want).count();
        let runs = moves.chunk_by(|a, b| a.signum() == b.signum());
        let square_sum: i128 = moves.iter().map(|ppm| ppm * ppm).sum();
        let halves = moves.chunks_exact(30).map(deviation_ppm);
        let mut sizes = self.sizes.clone();
        sizes.sort_unstable();
        let top: i128 = sizes.iter().rev().take(sizes.len().div_ceil(100)).sum();
        let flows = self.seconds.iter().filter_map(|(second, bar)| {
            let pushed = i128::from(self.flow[second]).signum() * (bar.close - bar.open).signum();
            (pushed != 0).then_some(pushed > 0)
        });
        let (with, against): (Vec<bool>, Vec<bool>) = flows.partition(|agrees| *agrees);
        let wick =
            |bar: &&Second| bar.high > bar.open.max(bar.close) || bar.low < bar.open.min(bar.close);
        Figures {
            up: percent(count(1), moves.len()),
            down: percent(count(-1), moves.len()),
            run_max: runs.map(<[i128]>::len).max().unwrap(),
            drift: u64::try_from(moves.iter().sum::<i128>().abs() * 100 / square_sum.isqrt())
                .unwrap(),
            minute_ppm: u64::try_from((square_sum / (i128::from(SECONDS) / 60)).isqrt()).unwrap(),
            agreement: percent(with.len(), with.len() + against.len()),
            wicks: percent(
                self.seconds.values().filter(wick).count(),
                self.seconds.len(),
            ),
            bought: percent(self.bought, self.sizes.len()),
            top_hundredth: top * 100 / sizes.iter().sum::<i128>(),
            clustering: halves.clone().max().unwrap() * 100 / halves.min().unwrap(),
        }
    }
}

#[test]
fn busy_markets_swing_both_ways_and_drift_little() {
    let mut clustering = Vec::new();
    for seed in 1..=20 {
        let markets = minutes(seed);
        for symbol in ["BTC-USDT", "ETH-USDT"] {
            let figures = markets[&Symbol::new(symbol).unwrap()].figures();
            let context = format!("{symbol} seed {seed}: {figures:?}");
            assert!((30..=70).contains(&figures.up), "{context}");
            assert!((30..=70).contains(&figures.down), "{context}");
            assert!(figures.run_max <= 15, "{context}");
            assert!(figures.drift <= 300, "{context}");
            assert!((500..=3_000).contains(&figures.minute_ppm), "{context}");
            assert!((55..=95).contains(&figures.agreement), "{context}");
            assert!(figures.wicks >= 40, "{context}");
            assert!((30..=70).contains(&figures.bought), "{context}");
            assert!((10..=60).contains(&figures.top_hundredth), "{context}");
            clustering.push(figures.clustering);
        }
    }
    clustering.sort_unstable();
    // Thirty independent moves of one deviation give about 1.6 between the extremes of ten.
    assert!(clustering[clustering.len() / 2] >= 200, "{clustering:?}");
}

#[test]
fn a_quiet_market_falls_silent_for_long_and_trades_again() {
    for seed in 1..=20 {
        let markets = minutes(seed);
        let quiet = &markets[&Symbol::new("XRP-USDT").unwrap()];
        assert!(!quiet.seconds.is_empty(), "seed {seed}");
        let silence_ms = quiet.silence_ms_max;
        assert!(
            quiet.seconds.len() < 100 && silence_ms >= 20_000,
            "seed {seed}: {silence_ms} ms"
        );
    }
}
