// Pure: one execution at a venue.
use crate::{Price, Size};

/// Which side took liquidity.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Side {
    /// The taker bought.
    Buy,
    /// The taker sold.
    Sell,
}

/// One execution. Its instrument is known by where it is handed over.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Trade {
    /// The venue's trade id: contiguous and rising per instrument.
    pub id: u64,
    /// Unix milliseconds of the execution, by the venue's clock. It alone decides the bucket.
    pub time_ms: i64,
    /// In quote asset per base asset.
    pub price: Price,
    /// In base asset.
    pub size: Size,
    /// The taker's side (Coinbase sends the maker's: its decoder turns it round).
    pub taker: Side,
}
