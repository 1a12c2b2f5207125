//! How fast trades become bars, and what a symbol costs in memory.
use anyhow::{Context, Result, ensure};
use marketdata::aggregate::{Closed, Config, Engine, FeedIndex, SeriesIndex};
use wire::{Instrument, Interval, Price, Size, Symbol, Venue};

use crate::cpu::{Spread, resident_bytes, timed};
use crate::tape::{self, Entry, START_MS, Shape};

/// What was measured.
pub(crate) struct Aggregated {
    pub(crate) trades: usize,
    pub(crate) closes: usize,
    /// CPU seconds for all trades, over the runs.
    pub(crate) cpu_s: Spread,
    pub(crate) sums: Sums,
}

/// What a peer must come to as well: over all closed one-second bars that hold trades.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Sums {
    pub(crate) bars: usize,
    pub(crate) volume: Size,
    pub(crate) close: Price,
}

impl Sums {
    fn add(&mut self, bar: &Closed) {
        if bar.interval == Interval::S1 && bar.candle.count > 0 {
            self.bars += 1;
            self.volume = self
                .volume
                .checked_add(bar.candle.volume)
                .unwrap_or(self.volume);
            self.close = self
                .close
                .checked_add(bar.candle.close)
                .unwrap_or(self.close);
        }
    }
}

fn intervals() -> Result<Vec<Interval>> {
    ["1s", "1m", "1h", "1d"]
        .into_iter()
        .map(|text| text.parse().context("interval"))
        .collect()
}

fn engine(symbols: u32) -> Result<(Engine, FeedIndex, Vec<SeriesIndex>)> {
    let mut engine = Engine::new(Config::new(intervals()?));
    let feed = engine.add_feed();
    let venue = Venue::new(Venue::BINANCE_SPOT)?;
    let mut series = Vec::new();
    for n in 0..symbols {
        let symbol = Symbol::new(&format!("S{n}-USDT"))?;
        series.push(engine.add(Instrument::new(venue.clone(), symbol), feed));
    }
    engine.handle_feed_up(feed, Some(START_MS));
    Ok((engine, feed, series))
}

/// Runs the tape through an engine: one shard, one thread. A close is fetched as it falls due.
pub(crate) fn run(shape: Shape, runs: usize) -> Result<Aggregated> {
    let entries = tape::make(shape);
    let mut spent = Vec::new();
    let mut last = None;
    for _ in 0..runs {
        let (mut engine, _, series) = engine(shape.symbols)?;
        let ((closes, sums), cpu_s) = timed(|| replay(&mut engine, &series, &entries));
        let added = engine.counters().added;
        ensure!(
            added == entries.len() as u64,
            "{added} of {} trades were added",
            entries.len()
        );
        spent.push(cpu_s);
        last = Some((closes, sums));
    }
    let (closes, sums) = last.context("no runs")?;
    Ok(Aggregated {
        trades: entries.len(),
        closes,
        cpu_s: Spread::of(spent).context("no runs")?,
        sums,
    })
}

fn replay(engine: &mut Engine, series: &[SeriesIndex], entries: &[Entry]) -> (usize, Sums) {
    let (mut closes, mut sums) = (0, Sums::default());
    for Entry { symbol, trade } in entries {
        engine.handle_trade(series[*symbol as usize], trade, trade.time_ms);
        while let Some((_, bar)) = engine.poll_close() {
            closes += 1;
            sums.add(&bar);
        }
    }
    (closes, sums)
}

/// Bytes of resident memory per symbol that has traded for some seconds, and by the engine's own count.
pub(crate) fn memory(symbols: u32) -> Result<(u64, u64)> {
    let trades = usize::try_from(symbols)? * 20;
    let entries = tape::make(Shape {
        symbols,
        trades,
        rate: trades / 4,
    });
    let before = resident_bytes()?;
    let (mut engine, _, series) = engine(symbols)?;
    replay(&mut engine, &series, &entries);
    let resident = resident_bytes()?.saturating_sub(before);
    let own = u64::try_from(engine.size_in_memory())?;
    Ok((resident / u64::from(symbols), own / u64::from(symbols)))
}
