// Pure: what a set of trades adds up to, found the slow and obvious way.
#![deny(clippy::disallowed_methods)]

use wire::{Price, Quote, Side, Size, Trade};

/// Totals of the trades in one bucket `[start_ms, end_ms)`.
///
/// This is deliberately not the product's aggregator: it goes over all trades, each time, and keeps nothing, so
/// that a mistake in the one cannot hide in the other.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Row {
    /// Start of the bucket, Unix milliseconds, inclusive.
    pub start_ms: i64,
    /// End of the bucket, Unix milliseconds, exclusive.
    pub end_ms: i64,
    /// Price of the trade with the lowest id; the previous close where there was no trade.
    pub open: Price,
    /// Highest price.
    pub high: Price,
    /// Lowest price.
    pub low: Price,
    /// Price of the trade with the highest id; the previous close where there was no trade.
    pub close: Price,
    /// Sum of the sizes.
    pub volume: Size,
    /// Sum of price times size.
    pub quote_volume: Quote,
    /// Sum of the sizes whose taker bought.
    pub taker_buy_volume: Size,
    /// Sum of price times size whose taker bought.
    pub taker_buy_quote_volume: Quote,
    /// How many trades.
    pub count: u64,
    /// Lowest and highest trade id; `None` where there was no trade.
    pub ids: Option<(u64, u64)>,
}

impl Row {
    /// A bucket without trades: flat at the previous close.
    #[must_use]
    pub fn flat(start_ms: i64, end_ms: i64, previous_close: Price) -> Self {
        Self {
            start_ms,
            end_ms,
            open: previous_close,
            high: previous_close,
            low: previous_close,
            close: previous_close,
            volume: Size::ZERO,
            quote_volume: Quote::ZERO,
            taker_buy_volume: Size::ZERO,
            taker_buy_quote_volume: Quote::ZERO,
            count: 0,
            ids: None,
        }
    }

    /// Adds up the trades of the bucket; those outside are passed over. `None` where there is none, or where a
    /// sum is above what an amount holds (no market's day comes within five orders of magnitude of that).
    #[must_use]
    pub fn of<'a>(
        trades: impl Iterator<Item = &'a Trade>,
        start_ms: i64,
        end_ms: i64,
    ) -> Option<Self> {
        let mut inside: Vec<&Trade> = trades
            .filter(|t| (start_ms..end_ms).contains(&t.time_ms))
            .collect();
        inside.sort_by_key(|trade| trade.id);
        let (first, last) = (inside.first()?, inside.last()?);
        let mut row = Self::flat(start_ms, end_ms, first.price);
        row.close = last.price;
        row.ids = Some((first.id, last.id));
        for trade in inside {
            row.add(trade)?;
        }
        Some(row)
    }

    fn add(&mut self, trade: &Trade) -> Option<()> {
        let value = trade.price.checked_mul(trade.size)?;
        self.high = self.high.max(trade.price);
        self.low = self.low.min(trade.price);
        self.volume = self.volume.checked_add(trade.size)?;
        self.quote_volume = self.quote_volume.checked_add(value)?;
        if trade.taker == Side::Buy {
            self.taker_buy_volume = self.taker_buy_volume.checked_add(trade.size)?;
            self.taker_buy_quote_volume = self.taker_buy_quote_volume.checked_add(value)?;
        }
        self.count += 1;
        Some(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn trade(id: u64, time_ms: i64, price: &str, size: &str, taker: Side) -> Trade {
        Trade {
            id,
            time_ms,
            price: price.parse().unwrap(),
            size: size.parse().unwrap(),
            taker,
        }
    }

    #[test]
    fn open_and_close_go_by_id_and_the_bucket_by_time() {
        let trades = [
            trade(3, 1_000, "12", "1", Side::Buy),
            trade(2, 1_999, "10", "2", Side::Sell),
            trade(1, 1_500, "11", "4", Side::Sell),
            trade(4, 2_000, "99", "9", Side::Buy),
            trade(0, 999, "1", "9", Side::Buy),
        ];
        let row = Row::of(trades.iter(), 1_000, 2_000).unwrap();
        let texts = [row.open, row.high, row.low, row.close].map(|price| price.to_string());
        assert_eq!(texts, ["11", "12", "10", "12"]);
        assert_eq!(
            (row.volume.to_string(), row.quote_volume.to_string()),
            ("7".into(), "76".into())
        );
        assert_eq!(
            (
                row.taker_buy_volume.to_string(),
                row.taker_buy_quote_volume.to_string()
            ),
            ("1".into(), "12".into())
        );
        assert_eq!((row.count, row.ids), (3, Some((1, 3))));
        assert_eq!(Row::of(trades.iter(), 5_000, 6_000), None);
    }
}
