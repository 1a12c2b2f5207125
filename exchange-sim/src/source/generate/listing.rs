// Pure: what a made-up instrument costs and how its prices and sizes step.
#![deny(clippy::disallowed_methods)]

use wire::{Price, Size, Symbol};

use crate::market::tape::Listing;
use crate::random::Random;

/// What a market starts from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Terms {
    /// Decimals of price and size.
    pub(super) listing: Listing,
    /// First price, in ticks.
    pub(super) price_ticks: i64,
    /// A usual order, in lots.
    pub(super) order_lots: u64,
}

/// Prices in quote units x 10^8, about those of 2024, and the decimals of price and size on Binance.
const KNOWN: [(&str, i64, u32, u32); 24] = [
    ("BTC", 6_000_000_000_000, 2, 5),
    ("ETH", 260_000_000_000, 2, 4),
    ("BNB", 51_000_000_000, 2, 3),
    ("SOL", 15_000_000_000, 2, 3),
    ("XRP", 58_000_000, 4, 0),
    ("DOGE", 10_500_000, 5, 0),
    ("SHIB", 1_350, 8, 0),
    ("ADA", 34_000_000, 4, 1),
    ("AVAX", 2_150_000_000, 2, 2),
    ("LINK", 1_030_000_000, 2, 2),
    ("PEPE", 760, 8, 0),
    ("DOT", 460_000_000, 3, 2),
    ("LTC", 6_100_000_000, 2, 3),
    ("BCH", 35_000_000_000, 1, 3),
    ("UNI", 610_000_000, 3, 2),
    ("ATOM", 470_000_000, 3, 2),
    ("XLM", 10_000_000, 4, 0),
    ("NEAR", 410_000_000, 3, 1),
    ("APT", 600_000_000, 2, 2),
    ("ARB", 56_000_000, 4, 1),
    ("FIL", 370_000_000, 3, 2),
    ("AAVE", 10_500_000_000, 2, 3),
    ("TRX", 12_700_000, 4, 1),
    ("BTTC", 77, 8, 1),
];

/// Symbols for a market of `count`: the known ones first, then made-up ones.
#[must_use]
pub fn symbols(count: usize, quote: &str) -> Vec<Symbol> {
    let known = KNOWN.iter().map(|(base, ..)| (*base).to_owned());
    let made_up = (0..).map(|n| format!("SIM{n:04}"));
    known
        .chain(made_up)
        .filter_map(|base| Symbol::from_parts(&base, quote).ok())
        .take(count)
        .collect()
}

impl Terms {
    /// The terms of a symbol; a base that is not known gets a price by its name.
    pub(super) fn of(symbol: &Symbol) -> Self {
        let (price_e8, tick_decimals, lot_decimals) = in_usd(symbol.base());
        match symbol.quote() {
            "BTC" => Self::new(
                i128::from(price_e8) * 100_000_000 / 6_000_000_000_000,
                8,
                lot_decimals,
                900_000,
            ),
            "ETH" => Self::new(
                i128::from(price_e8) * 100_000_000 / 260_000_000_000,
                7,
                lot_decimals,
                20_000_000,
            ),
            _ => Self::new(
                i128::from(price_e8),
                tick_decimals,
                lot_decimals,
                50_000_000_000,
            ),
        }
    }

    /// `order_e8`: the value of a usual order in quote units x 10^8.
    fn new(price_e8: i128, tick_decimals: u32, lot_decimals: u32, order_e8: i128) -> Self {
        let tick_e8 = 10i128.pow(8 - tick_decimals);
        let price_ticks = (price_e8 / tick_e8).max(TICKS_MIN);
        let order_lots = order_e8 * 10i128.pow(lot_decimals) / (price_ticks * tick_e8);
        Self {
            listing: Listing {
                tick_decimals,
                lot_decimals,
            },
            price_ticks: i64::try_from(price_ticks).unwrap_or(i64::MAX),
            order_lots: u64::try_from(order_lots.max(1)).unwrap_or(u64::MAX),
        }
    }

    /// Ticks as a price.
    pub(super) fn price(&self, ticks: i64) -> Option<Price> {
        let unit = 10i128.pow(Price::SCALE - self.listing.tick_decimals);
        Price::from_units(i128::from(ticks) * unit)
    }

    /// Lots as a size.
    pub(super) fn size(&self, lots: u64) -> Option<Size> {
        let unit = 10i128.pow(Size::SCALE - self.listing.lot_decimals);
        Size::from_units(i128::from(lots) * unit)
    }
}

/// A price below this many ticks would only jump up and down.
const TICKS_MIN: i128 = 50;

fn in_usd(base: &str) -> (i64, u32, u32) {
    if let Some((_, price, tick, lot)) = KNOWN.iter().find(|(known, ..)| *known == base) {
        return (*price, *tick, *lot);
    }
    let seed = base.bytes().fold(0u64, |hash, byte| {
        hash.wrapping_mul(31).wrapping_add(u64::from(byte))
    });
    let mut random = Random::new(seed);
    // From a hundredth to some hundred units, each magnitude as likely.
    let magnitude = u32::try_from(random.below(5)).unwrap_or(0);
    let price = i64::try_from(random.between(100, 999)).unwrap_or(100) * 10i64.pow(4 + magnitude);
    (price, 6 - magnitude, magnitude)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn prices_look_like_their_markets() {
        let check = |symbol: &str, expect: &str| {
            let terms = Terms::of(&Symbol::new(symbol).unwrap());
            assert_eq!(terms.price(terms.price_ticks).unwrap().to_string(), expect);
        };
        check("BTC-USDT", "60000");
        check("SHIB-USDT", "0.0000135");
        check("ETH-BTC", "0.04333333");
        check("XRP-USD", "0.58");
        let lots = Terms::of(&Symbol::new("BTC-USDT").unwrap());
        assert_eq!(lots.size(lots.order_lots).unwrap().to_string(), "0.00833");
    }

    #[test]
    fn any_number_of_symbols_is_different_ones() {
        let symbols = symbols(1_000, "USDT");
        let distinct: std::collections::BTreeSet<_> = symbols.iter().collect();
        assert_eq!((symbols.len(), distinct.len()), (1_000, 1_000));
        for symbol in &symbols {
            let terms = Terms::of(symbol);
            assert!(terms.price_ticks >= 50 && terms.order_lots >= 1, "{symbol}");
        }
    }
}
