// Pure: venues, symbols and their pairs.
use std::fmt;

use crate::token::{TokenError, check_lower, token};

token! {
    /// An exchange's product line: `binance-spot`, `coinbase`, `coinbase-advanced`.
    Venue, |text: &str| check_lower("venue", text, 32)
}

token! {
    /// A canonical symbol, `BASE-QUOTE` in upper case: `BTC-USDT`. Each venue maps it to its own spelling.
    Symbol, check_symbol
}

impl Venue {
    /// Binance's spot market.
    pub const BINANCE_SPOT: &'static str = "binance-spot";
    /// Coinbase Exchange, by its `matches` channel.
    pub const COINBASE: &'static str = "coinbase";
    /// Coinbase Advanced Trade, by its `market_trades` channel.
    pub const COINBASE_ADVANCED: &'static str = "coinbase-advanced";
    /// All of them: those that `marketdata` speaks, and so those that a custom resource may name.
    pub const KNOWN: [&'static str; 3] =
        [Self::BINANCE_SPOT, Self::COINBASE, Self::COINBASE_ADVANCED];
}

impl Symbol {
    /// Joins the two sides. Case is not folded: a venue's mapping does that where the venue's spelling allows it.
    ///
    /// # Errors
    /// When either side is not 1 to 20 upper-case letters and digits.
    pub fn from_parts(base: &str, quote: &str) -> Result<Self, TokenError> {
        Self::new(&format!("{base}-{quote}"))
    }

    /// The traded asset: `BTC` of `BTC-USDT`.
    pub fn base(&self) -> &str {
        self.parts().0
    }

    /// The asset that prices are in: `USDT` of `BTC-USDT`.
    pub fn quote(&self) -> &str {
        self.parts().1
    }

    fn parts(&self) -> (&str, &str) {
        // The constructor has checked that there is exactly one hyphen.
        self.as_str().split_once('-').unwrap_or((self.as_str(), ""))
    }
}

fn check_symbol(text: &str) -> Result<(), TokenError> {
    const SIDE_LEN_MAX: usize = 20;
    let side = |s: &str| {
        (1..=SIDE_LEN_MAX).contains(&s.len())
            && s.bytes()
                .all(|b| b.is_ascii_uppercase() || b.is_ascii_digit())
    };
    match text.split_once('-') {
        Some((base, quote)) if side(base) && side(quote) => Ok(()),
        _ => Err(TokenError::new(
            "symbol",
            text,
            "write BASE-QUOTE in upper case, such as BTC-USDT",
        )),
    }
}

/// A symbol at a venue.
#[derive(
    Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize, serde::Deserialize,
)]
pub struct Instrument {
    /// Where it trades.
    pub venue: Venue,
    /// What trades.
    pub symbol: Symbol,
}

impl Instrument {
    /// Pairs the two.
    pub fn new(venue: Venue, symbol: Symbol) -> Self {
        Self { venue, symbol }
    }
}

/// `binance-spot/BTC-USDT`, for people and logs.
impl fmt::Display for Instrument {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.venue, self.symbol)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn symbols_are_checked_once() {
        let check = |text: &str, ok: bool| assert_eq!(Symbol::new(text).is_ok(), ok, "{text:?}");
        check("BTC-USDT", true);
        check("1000SATS-USDT", true);
        check("btc-USDT", false);
        check("BTCUSDT", false);
        check("BTC-", false);
        check("-USDT", false);
        check("BTC-USD-T", false);
        check("BTC.X-USDT", false);
        check("*-USDT", false);
        check(">-USDT", false);
        check("BTC -USDT", false);
        check("BTC-USDT:x", false);
        check("ÄBC-USDT", false);
        check(&format!("{}-USDT", "A".repeat(21)), false);
    }

    #[test]
    fn venues_are_checked_once() {
        let check = |text: &str, ok: bool| assert_eq!(Venue::new(text).is_ok(), ok, "{text:?}");
        check(Venue::BINANCE_SPOT, true);
        check(Venue::COINBASE, true);
        check(Venue::COINBASE_ADVANCED, true);
        check("", false);
        check("Binance", false);
        check("a.b", false);
        check("-a", false);
        check("a-", false);
        check(&"a".repeat(33), false);
    }

    #[test]
    fn a_symbol_knows_its_sides() {
        let symbol = Symbol::new("BTC-USDT").unwrap();
        assert_eq!((symbol.base(), symbol.quote()), ("BTC", "USDT"));
    }
}
