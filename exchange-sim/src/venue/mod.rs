// Pure: what the venues have in common. Each venue's folder holds the same four files.
#![deny(clippy::disallowed_methods)]

/// REST answers and their budgets.
pub mod answer;

/// Binance spot.
pub mod binance_spot;

/// Coinbase Exchange.
pub mod coinbase;

/// Coinbase Advanced Trade.
pub mod coinbase_advanced;

use std::collections::VecDeque;

use wire::{Symbol, Venue};

use crate::market::{Event, Market};
use answer::{Answer, Budget, Query, Refusal};

/// The venues that can be played.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Kind {
    /// `binance-spot`
    BinanceSpot,
    /// `coinbase`
    Coinbase,
    /// `coinbase-advanced`
    CoinbaseAdvanced,
}

impl Kind {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::BinanceSpot, Self::Coinbase, Self::CoinbaseAdvanced];

    /// The venue's name, which is also the first part of its paths.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::BinanceSpot => Venue::BINANCE_SPOT,
            Self::Coinbase => Venue::COINBASE,
            Self::CoinbaseAdvanced => Venue::COINBASE_ADVANCED,
        }
    }

    /// The venue behind a name.
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.name() == name)
    }

    /// The venue's own spelling of a symbol.
    #[must_use]
    pub fn native(self, symbol: &Symbol) -> String {
        match self {
            Self::BinanceSpot => format!("{}{}", symbol.base(), symbol.quote()),
            Self::Coinbase | Self::CoinbaseAdvanced => symbol.to_string(),
        }
    }

    /// The canonical symbol behind the venue's own spelling.
    #[must_use]
    pub fn symbol(self, native: &str) -> Option<Symbol> {
        match self {
            Self::Coinbase | Self::CoinbaseAdvanced => Symbol::new(native).ok(),
            Self::BinanceSpot => QUOTES.iter().find_map(|quote| {
                let base = native.strip_suffix(quote)?;
                Symbol::from_parts(base, quote).ok()
            }),
        }
    }

    /// The answer to a REST `GET`; `path` is below the venue's.
    #[must_use]
    pub fn answer(self, path: &str, query: Query<'_>, market: &Market, wall_ms: i64) -> Answer {
        match self {
            Self::BinanceSpot => binance_spot::rest::answer(path, query, market, wall_ms),
            Self::Coinbase => coinbase::rest::answer(path, query, market, wall_ms),
            Self::CoinbaseAdvanced => coinbase_advanced::rest::answer(path, query, market, wall_ms),
        }
    }

    /// The budget of its REST requests.
    #[must_use]
    pub fn budget(self, limits: &Limits) -> Budget {
        match self {
            Self::BinanceSpot => Budget::by_period(limits.rest_weight_per_minute, 60_000),
            Self::Coinbase | Self::CoinbaseAdvanced => {
                Budget::steady(limits.rest_requests_per_second, limits.rest_requests_burst)
            }
        }
    }

    /// What a request takes of the budget.
    #[must_use]
    pub fn weight(self, path: &str) -> u64 {
        match self {
            Self::BinanceSpot => binance_spot::rest::weight(path),
            Self::Coinbase | Self::CoinbaseAdvanced => 1,
        }
    }

    /// The answer to a request over the budget.
    #[must_use]
    pub fn refuse(self, refusal: Refusal) -> Answer {
        match self {
            Self::BinanceSpot => binance_spot::rest::refuse(refusal),
            Self::Coinbase => coinbase::rest::refuse(refusal),
            Self::CoinbaseAdvanced => coinbase_advanced::rest::refuse(refusal),
        }
    }

    /// The venue's error message, as it answers a request that it cannot carry out.
    #[must_use]
    pub fn refusal(self) -> &'static str {
        match self {
            Self::BinanceSpot => r#"{"code":2,"msg":"Invalid request: refused by a fault"}"#,
            Self::Coinbase => {
                r#"{"type":"error","message":"Failed to subscribe","reason":"refused by a fault"}"#
            }
            Self::CoinbaseAdvanced => {
                r#"{"type":"error","message":"failure to subscribe: refused by a fault"}"#
            }
        }
    }

    /// A new connection's session.
    #[must_use]
    pub fn session(self, opening: &Opening<'_>) -> Box<dyn Session> {
        match self {
            Self::BinanceSpot => Box::new(binance_spot::session::Session::new(opening)),
            Self::Coinbase => Box::new(coinbase::session::Session::new(opening)),
            Self::CoinbaseAdvanced => Box::new(coinbase_advanced::session::Session::new(opening)),
        }
    }
}

/// The assets that prices are in on Binance spot; longer names first, since one may end in another.
const QUOTES: [&str; 21] = [
    "FDUSD", "USDT", "USDC", "TUSD", "BUSD", "USDP", "USD1", "EURI", "AEUR", "BIDR", "IDRT", "BTC",
    "ETH", "BNB", "EUR", "TRY", "BRL", "JPY", "DAI", "PLN", "ARS",
];

/// What is known when a connection opens.
#[derive(Debug, Clone, Copy)]
pub struct Opening<'a> {
    /// The request's path below the venue's, such as `/ws/btcusdt@trade`.
    pub path: &'a str,
    /// The request's query, without `?`.
    pub query: &'a str,
    /// The server's clock, milliseconds from an arbitrary start.
    pub now_ms: u64,
    /// The market's position: what happens after it, the session will be told.
    pub position: u64,
    /// The limits to enforce.
    pub limits: &'a Limits,
}

/// The limits of a venue's connections, in real time. The defaults are the venues' own.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Limits {
    /// Whether anything happens by the server's clock: pings, idle closes, message rates. Off while a recording
    /// is replayed at full speed, where the server's clock means nothing.
    pub enforced: bool,
    /// Binance: how often the server pings.
    pub ping_every_ms: u64,
    /// Binance: how long a pong may take.
    pub pong_within_ms: u64,
    /// Binance: how long a connection lives.
    pub lifetime_ms: u64,
    /// Binance: incoming messages in a second.
    pub messages_per_second: usize,
    /// Binance: streams on a connection.
    pub streams_max: usize,
    /// Coinbase: how long a connection may stay without a subscription.
    pub subscribe_within_ms: u64,
    /// Binance: weight of REST requests in a minute.
    pub rest_weight_per_minute: u64,
    /// Coinbase: REST requests in a second, in the long run.
    pub rest_requests_per_second: u64,
    /// Coinbase: REST requests at once.
    pub rest_requests_burst: u64,
    /// Coinbase Advanced: how long a connection may stay silent.
    pub silence_ms: u64,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            enforced: true,
            ping_every_ms: 20_000,
            pong_within_ms: 60_000,
            lifetime_ms: 24 * 3_600_000,
            messages_per_second: 5,
            streams_max: 1_024,
            subscribe_within_ms: 5_000,
            rest_weight_per_minute: 6_000,
            rest_requests_per_second: 10,
            rest_requests_burst: 15,
            silence_ms: 75_000,
        }
    }
}

/// What a session wants sent or done.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Output {
    /// A text message.
    Text(Class, String),
    /// A ping with this payload.
    Ping(String),
    /// A close frame, then the end.
    Close(u16, &'static str),
    /// Nothing to send: the client now wants the trades of this symbol.
    Wants(Symbol),
}

/// What a text message is about; faults choose by it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Class {
    /// Trades.
    Trade,
    /// What shows the venue's clock: klines, heartbeats.
    Tick,
    /// An answer to the client.
    Answer,
    /// Any other stream.
    Other,
}

/// One connection's side of a venue's protocol.
///
/// Call a `handle_*`, then drain `poll_output`, then wait until `poll_timeout` at most. Each call adds few
/// outputs (at most one for each message and stream), so the queue between the two needs no bound of its own.
pub trait Session: Send {
    /// A text message came from the client.
    fn handle_text(&mut self, now_ms: u64, text: &str, market: &Market);
    /// A ping came; the transport has answered it.
    fn handle_ping(&mut self, now_ms: u64);
    /// A pong came.
    fn handle_pong(&mut self, now_ms: u64, payload: &[u8]);
    /// Something happened at the venue. Events come in order, without holes.
    fn handle_event(&mut self, now_ms: u64, event: &Event, market: &Market);
    /// The time asked for by `poll_timeout` has come.
    fn handle_timeout(&mut self, now_ms: u64);
    /// When `handle_timeout` is next due, if ever.
    fn poll_timeout(&self) -> Option<u64>;
    /// The next thing to do.
    fn poll_output(&mut self) -> Option<Output>;
}

/// A queue of outputs; sessions fill it within one call and the caller drains it before the next.
pub(crate) type Outputs = VecDeque<Output>;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spellings_go_both_ways() {
        let check = |kind: Kind, native: &str, canonical: &str| {
            let symbol = kind.symbol(native).unwrap();
            assert_eq!(symbol.as_str(), canonical);
            assert_eq!(kind.native(&symbol), native);
        };
        check(Kind::BinanceSpot, "BTCUSDT", "BTC-USDT");
        check(Kind::BinanceSpot, "ETHBTC", "ETH-BTC");
        check(Kind::BinanceSpot, "BTCFDUSD", "BTC-FDUSD");
        check(Kind::BinanceSpot, "1000SATSUSDT", "1000SATS-USDT");
        check(Kind::Coinbase, "BAND-GBP", "BAND-GBP");
        for native in ["BTCXYZ", "USDT", ""] {
            assert_eq!(Kind::BinanceSpot.symbol(native), None);
        }
    }
}
