// Pure: what trades add up to. Every sum is exact and checked.
use crate::{Price, Quote, Side, Size, Trade};

/// The exact part of a bar. Adding trades, and merging candles, gives the same value in any order: open and
/// close belong to the lowest and the highest trade id, not to the first and the last to arrive.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Candle {
    /// Price of the trade with the lowest id; in a candle without trades, the previous close.
    pub open: Price,
    /// Highest price.
    pub high: Price,
    /// Lowest price.
    pub low: Price,
    /// Price of the trade with the highest id; in a candle without trades, the previous close.
    pub close: Price,
    /// Sum of sizes, in base asset.
    pub volume: Size,
    /// Sum of price times size, in quote asset.
    pub quote_volume: Quote,
    /// Part of `volume` in which the taker bought.
    pub taker_buy_volume: Size,
    /// Part of `quote_volume` in which the taker bought.
    pub taker_buy_quote_volume: Quote,
    /// Number of trades.
    pub count: u64,
    /// Lowest and highest trade id; `None` exactly when `count` is 0.
    pub ids: Option<(u64, u64)>,
}

/// A sum left the range of its type. The candle is unchanged; whoever holds it marks the bar.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum CandleError {
    /// Price times size does not fit [`Quote`].
    #[error("price times size is out of range")]
    Value,
    /// A volume does not fit any more.
    #[error("a sum is out of range")]
    Sum,
}

impl Candle {
    /// A candle without trades at the previous close.
    pub fn flat(close: Price) -> Self {
        Self {
            open: close,
            high: close,
            low: close,
            close,
            volume: Size::ZERO,
            quote_volume: Quote::ZERO,
            taker_buy_volume: Size::ZERO,
            taker_buy_quote_volume: Quote::ZERO,
            count: 0,
            ids: None,
        }
    }

    /// The candle of one trade.
    ///
    /// # Errors
    /// [`CandleError::Value`] when the trade's value does not fit.
    #[inline]
    pub fn of_trade(trade: &Trade) -> Result<Self, CandleError> {
        let value = trade
            .price
            .checked_mul(trade.size)
            .ok_or(CandleError::Value)?;
        let (taker_buy_volume, taker_buy_quote_volume) = match trade.taker {
            Side::Buy => (trade.size, value),
            Side::Sell => (Size::ZERO, Quote::ZERO),
        };
        Ok(Self {
            open: trade.price,
            high: trade.price,
            low: trade.price,
            close: trade.price,
            volume: trade.size,
            quote_volume: value,
            taker_buy_volume,
            taker_buy_quote_volume,
            count: 1,
            ids: Some((trade.id, trade.id)),
        })
    }

    /// Adds what `other` holds. Both must come from different trades of one instrument. A candle without
    /// trades adds nothing.
    ///
    /// # Errors
    /// [`CandleError::Sum`] when a sum does not fit; `self` is then unchanged.
    #[inline]
    pub fn merge(&mut self, other: &Self) -> Result<(), CandleError> {
        let Some((other_first, other_last)) = other.ids else {
            return Ok(());
        };
        let Some((first, last)) = self.ids else {
            *self = *other;
            return Ok(());
        };
        let volume = self.volume.checked_add(other.volume);
        let quote_volume = self.quote_volume.checked_add(other.quote_volume);
        let (Some(volume), Some(quote_volume)) = (volume, quote_volume) else {
            return Err(CandleError::Sum);
        };
        let count = self
            .count
            .checked_add(other.count)
            .ok_or(CandleError::Sum)?;
        // The taker's part is never above the whole, so that it fits where the whole fits.
        let taker = self.taker_buy_volume.checked_add(other.taker_buy_volume);
        let taker_quote = self
            .taker_buy_quote_volume
            .checked_add(other.taker_buy_quote_volume);
        let (Some(taker), Some(taker_quote)) = (taker, taker_quote) else {
            return Err(CandleError::Sum);
        };
        if other_first < first {
            self.open = other.open;
        }
        if other_last > last {
            self.close = other.close;
        }
        self.high = self.high.max(other.high);
        self.low = self.low.min(other.low);
        self.volume = volume;
        self.quote_volume = quote_volume;
        self.taker_buy_volume = taker;
        self.taker_buy_quote_volume = taker_quote;
        self.count = count;
        self.ids = Some((first.min(other_first), last.max(other_last)));
        Ok(())
    }

    /// Rolls shorter candles up into the one that spans them, in any order. `None` for no candles at all.
    ///
    /// # Errors
    /// [`CandleError::Sum`] when a sum does not fit.
    pub fn roll_up<'a>(
        candles: impl IntoIterator<Item = &'a Self>,
    ) -> Result<Option<Self>, CandleError> {
        let mut whole: Option<Self> = None;
        for candle in candles {
            match &mut whole {
                None => whole = Some(*candle),
                Some(whole) => whole.merge(candle)?,
            }
        }
        Ok(whole)
    }

    /// Lowest trade id.
    pub fn first_id(&self) -> Option<u64> {
        self.ids.map(|(first, _)| first)
    }

    /// Highest trade id.
    pub fn last_id(&self) -> Option<u64> {
        self.ids.map(|(_, last)| last)
    }
}
