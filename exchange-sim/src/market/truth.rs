// Pure: the bars that should come out of a market, by brute force over its trades.
#![deny(clippy::disallowed_methods)]

use serde::Serialize;
use wire::{Interval, Price, Quote, Size, Symbol};

use super::Market;
use super::row::Row;

/// One bar as it should come out, with the names and texts of the contract's bar.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct TrueBar {
    /// The venue.
    pub venue: String,
    /// Canonical symbol.
    pub symbol: String,
    /// Interval.
    pub interval: String,
    /// Start, Unix milliseconds, inclusive.
    pub start: i64,
    /// End, Unix milliseconds, exclusive.
    pub end: i64,
    /// Price of the trade with the lowest id.
    pub open: Price,
    /// Highest price.
    pub high: Price,
    /// Lowest price.
    pub low: Price,
    /// Price of the trade with the highest id.
    pub close: Price,
    /// Sum of the sizes, in base asset.
    pub volume: Size,
    /// Sum of price times size, in quote asset.
    pub quote_volume: Quote,
    /// As `volume`, of the trades whose taker bought.
    pub taker_buy_volume: Size,
    /// As `quote_volume`, of the trades whose taker bought.
    pub taker_buy_quote_volume: Quote,
    /// How many trades.
    pub count: u64,
    /// Lowest trade id; `None` without trades.
    pub first_id: Option<u64>,
    /// Highest trade id; `None` without trades.
    pub last_id: Option<u64>,
    /// Whether the venue's clock has passed the end.
    pub closed: bool,
    /// `complete`, or `quiet` where there was no trade.
    pub completeness: &'static str,
}

/// Why there is no truth to tell.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// The market does not list the symbol.
    #[error("{0} is not listed")]
    UnknownSymbol(Symbol),
    /// Trades of the range were let go to bound the memory; ask nearer to the present.
    #[error("trades before {0} ms are no longer kept")]
    TooOld(i64),
    /// The range holds more bars than an answer does.
    #[error("more than {BARS_MAX} bars: ask for a shorter range")]
    TooMany,
}

/// A day of one-second bars.
pub const BARS_MAX: usize = 86_400;

impl Market {
    /// The bars of a symbol whose start is in `[start_ms, end_ms)`, oldest first, from the bucket of its first
    /// trade to the one that the venue's clock is in. Faults do not change them.
    ///
    /// # Errors
    /// See [`Error`].
    pub fn truth(
        &self,
        symbol: &Symbol,
        interval: Interval,
        start_ms: Option<i64>,
        end_ms: Option<i64>,
    ) -> Result<Vec<TrueBar>, Error> {
        let tape = self
            .tapes
            .get(symbol)
            .ok_or_else(|| Error::UnknownSymbol(symbol.clone()))?;
        let trades: Vec<_> = tape.executions().map(|e| e.trade).collect();
        let (Some(oldest), Some(clock_ms)) =
            (trades.iter().map(|t| t.time_ms).min(), self.clock_ms())
        else {
            return Ok(Vec::new());
        };
        let newest = trades.iter().map(|t| t.time_ms).max().unwrap_or(oldest);
        let first = interval.start_of(oldest);
        let mut start = match start_ms {
            // The first bucket that starts there or later.
            Some(ms) => interval
                .start_of(ms.saturating_add(interval.ms() - 1))
                .max(first),
            None => first,
        };
        if tape.has_forgotten_since(start) {
            return Err(Error::TooOld(oldest));
        }
        let end_ms = end_ms.unwrap_or(i64::MAX).min(clock_ms.max(newest) + 1);
        let mut bars = Vec::new();
        // The trades are sorted once by time, so that each bucket is found in one pass over its own; what is in
        // a bucket is still added up from nothing.
        let mut by_time = trades;
        by_time.sort_by_key(|t| (t.time_ms, t.id));
        let mut previous = by_time
            .iter()
            .filter(|t| t.time_ms < start)
            .max_by_key(|t| t.id)
            .map(|t| t.price);
        while start < end_ms {
            if bars.len() == BARS_MAX {
                return Err(Error::TooMany);
            }
            let end = start + interval.ms();
            let inside = &by_time[by_time.partition_point(|t| t.time_ms < start)
                ..by_time.partition_point(|t| t.time_ms < end)];
            let row = Row::of(inside.iter(), start, end)
                .or_else(|| Some(Row::flat(start, end, previous?)));
            if let Some(row) = row {
                previous = Some(row.close);
                bars.push(self.true_bar(symbol, interval, &row, clock_ms));
            }
            start = end;
        }
        Ok(bars)
    }

    fn true_bar(&self, symbol: &Symbol, interval: Interval, row: &Row, clock_ms: i64) -> TrueBar {
        TrueBar {
            venue: self.kind.name().to_owned(),
            symbol: symbol.to_string(),
            interval: interval.to_string(),
            start: row.start_ms,
            end: row.end_ms,
            open: row.open,
            high: row.high,
            low: row.low,
            close: row.close,
            volume: row.volume,
            quote_volume: row.quote_volume,
            taker_buy_volume: row.taker_buy_volume,
            taker_buy_quote_volume: row.taker_buy_quote_volume,
            count: row.count,
            first_id: row.ids.map(|(first, _)| first),
            last_id: row.ids.map(|(_, last)| last),
            closed: row.end_ms <= clock_ms,
            completeness: if row.ids.is_some() {
                "complete"
            } else {
                "quiet"
            },
        }
    }
}
