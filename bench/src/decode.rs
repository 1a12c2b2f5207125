//! How fast Binance's trade messages are read.
use anyhow::{Context, Result, ensure};
use marketdata::venue::binance_spot::BinanceSpot;
use marketdata::venue::{Event, Sink, Venue};
use wire::{Side, Symbol};

use crate::cpu::{Spread, timed};
use crate::tape::{self, Shape};

/// What was measured.
pub(crate) struct Decoded {
    pub(crate) messages: usize,
    pub(crate) bytes_mean: usize,
    /// CPU seconds for all messages, over the runs.
    pub(crate) cpu_s: Spread,
}

/// Counts what comes out, so that nothing is optimised away and nothing is kept.
#[derive(Default)]
struct Count {
    trades: usize,
    id_sum: u64,
}

impl Sink for Count {
    fn handle_event(&mut self, event: Event) {
        if let Event::Trade { trade, .. } = event {
            self.trades += 1;
            self.id_sum = self.id_sum.wrapping_add(trade.id);
        }
    }
}

/// Messages of the combined stream, as the exchange writes them.
pub(crate) fn run(messages: usize, runs: usize) -> Result<Decoded> {
    let shape = Shape {
        symbols: 200,
        trades: messages,
        rate: 200_000,
    };
    let symbols: Vec<Symbol> = (0..shape.symbols)
        .map(|n| Symbol::new(&format!("S{n}-USDT")))
        .collect::<Result<_, _>>()?;
    let entries = tape::make(shape);
    let frames: Vec<String> = entries.iter().map(frame).collect();
    let venue = BinanceSpot::new(&symbols)?;
    let expect: u64 = entries
        .iter()
        .fold(0, |sum, entry| sum.wrapping_add(entry.trade.id));
    let mut spent = Vec::new();
    for _ in 0..runs {
        let (count, cpu_s) = timed(|| {
            let mut count = Count::default();
            for frame in &frames {
                venue.decode(frame.as_bytes(), &mut count)?;
            }
            Ok::<_, marketdata::venue::DecodeError>(count)
        });
        let count = count.context("a message could not be read")?;
        ensure!(
            count.trades == messages && count.id_sum == expect,
            "not every message became its trade"
        );
        spent.push(cpu_s);
    }
    let bytes_mean = frames.iter().map(String::len).sum::<usize>() / frames.len().max(1);
    Ok(Decoded {
        messages,
        bytes_mean,
        cpu_s: Spread::of(spent).context("no runs")?,
    })
}

fn frame(entry: &tape::Entry) -> String {
    let tape::Entry { symbol, trade } = entry;
    // The exchange writes eight decimals, zeros too.
    let eight = |units: i128, unit: i128| {
        let units = units / unit;
        format!("{}.{:08}", units / 100_000_000, units % 100_000_000)
    };
    format!(
        r#"{{"stream":"s{symbol}usdt@trade","data":{{"e":"trade","E":{},"s":"S{symbol}USDT","t":{},"p":"{}","q":"{}","T":{},"m":{},"M":true}}}}"#,
        trade.time_ms + 1,
        trade.id,
        eight(trade.price.units(), tape::PRICE_UNIT),
        eight(trade.size.units(), tape::SIZE_UNIT),
        trade.time_ms,
        trade.taker == Side::Sell,
    )
}
