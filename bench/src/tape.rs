//! The same seeded trades for every competitor.
use std::io::{self, BufWriter, Write};

use wire::{Price, Side, Size, Trade};

/// What a tape looks like.
#[derive(Clone, Copy)]
pub(crate) struct Shape {
    pub(crate) symbols: u32,
    pub(crate) trades: usize,
    /// Trades in a second of the market's time, over all symbols. The lower it is, the more bars close per trade.
    pub(crate) rate: usize,
}

/// One trade of one of the tape's symbols.
#[derive(Clone, Copy)]
pub(crate) struct Entry {
    pub(crate) symbol: u32,
    pub(crate) trade: Trade,
}

/// Midnight, so that the longest bar is whole.
pub(crate) const START_MS: i64 = 1_723_161_600_000;
/// Amounts on the tape are counts of 1e-8, as Binance writes them.
pub(crate) const PRICE_UNIT: i128 = 10_000;
pub(crate) const SIZE_UNIT: i128 = 100;

/// Trades in the order of their time; ids are contiguous per symbol, prices walk at random.
pub(crate) fn make(shape: Shape) -> Vec<Entry> {
    let mut rng = fastrand::Rng::with_seed(7);
    let symbols = usize::try_from(shape.symbols).unwrap_or(usize::MAX);
    let mut prices: Vec<i64> = (0..symbols)
        .map(|_| rng.i64(100_000_000..6_000_000_000_000))
        .collect();
    let mut ids = vec![0u64; symbols];
    (0..shape.trades)
        .map(|n| {
            let symbol = rng.usize(0..symbols);
            let price = &mut prices[symbol];
            *price = (*price + rng.i64(-2_000..=2_000)).max(1_000);
            ids[symbol] += 1;
            let ms = n * 1_000 / shape.rate;
            let trade = Trade {
                id: ids[symbol],
                time_ms: START_MS + i64::try_from(ms).unwrap_or(0),
                price: amount(*price),
                size: size(rng.i64(1..5_000_000_000)),
                taker: if rng.bool() { Side::Buy } else { Side::Sell },
            };
            Entry {
                symbol: u32::try_from(symbol).unwrap_or(0),
                trade,
            }
        })
        .collect()
}

fn amount(units: i64) -> Price {
    Price::from_units(i128::from(units) * PRICE_UNIT).unwrap_or(Price::ZERO)
}

fn size(units: i64) -> Size {
    Size::from_units(i128::from(units) * SIZE_UNIT).unwrap_or(Size::ZERO)
}

/// Writes the tape in the peers' format (see `peers/nautilus_bars.py`).
pub(crate) fn write(entries: &[Entry], out: impl Write) -> io::Result<()> {
    let mut out = BufWriter::new(out);
    for Entry { symbol, trade } in entries {
        let narrow = |units: i128| i64::try_from(units).map_err(io::Error::other);
        out.write_all(&symbol.to_le_bytes())?;
        out.write_all(&trade.id.to_le_bytes())?;
        out.write_all(&trade.time_ms.to_le_bytes())?;
        out.write_all(&narrow(trade.price.units() / PRICE_UNIT)?.to_le_bytes())?;
        out.write_all(&narrow(trade.size.units() / SIZE_UNIT)?.to_le_bytes())?;
        out.write_all(&[u8::from(trade.taker == Side::Buy)])?;
    }
    out.flush()
}
