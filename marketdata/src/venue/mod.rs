// Pure: what the exchanges' protocols have in common. No socket is opened here.
#![deny(clippy::disallowed_methods)]

//! Adapters: bytes of a venue in, [`crate::venue::Event`]s out, and the texts that ask for them.
//!
//! Every venue's folder has the same files: `channel` (what is subscribed and how), `message` (the raw
//! types, each with a real payload), `decode` (bytes to events), `rest` (paths, their weights, and what the
//! answers say: for [`crate::repair`]). What all of them must do is numbered in `docs/venues.md` and tested by
//! `tests/path/venue_acceptance.rs`.

use std::collections::BTreeSet;
use std::fmt;

/// What an adapter makes of a frame.
pub mod event;

/// Symbols as configured and as the venue spells them.
pub mod symbols;

/// Borrowed JSON text, and times in it.
mod json;

/// Binance spot.
pub mod binance_spot;

/// Coinbase Exchange.
pub mod coinbase;

/// Coinbase Advanced Trade.
pub mod coinbase_advanced;

pub use event::{DecodeError, Event, Harm, Reason, Sink};
pub use symbols::{InstrumentIndex, Symbols, SymbolsError};

/// One venue's protocol, over the instruments that it was made with.
pub trait Venue: Send + Sync + fmt::Debug + 'static {
    /// The venue's word in topics and subjects.
    fn name(&self) -> &'static str;

    /// Where the real exchange is.
    fn endpoints(&self) -> Endpoints;

    /// What the venue allows, and what we make of it.
    fn limits(&self) -> Limits;

    /// The instruments, in the order in which they were listed.
    fn symbols(&self) -> &Symbols;

    /// The address to open, below the endpoint's base.
    fn stream_url(&self, ws: &str) -> String;

    /// The text that subscribes the trades of these instruments under this request number.
    fn trades_request(&self, instruments: &[InstrumentIndex], id: u64) -> String;

    /// The text that subscribes something that ticks while no one trades; `None` where the trades' request
    /// has done that already. `instrument` is the one to tick for, where the venue has no other clock.
    fn clock_request(&self, instrument: InstrumentIndex, id: u64) -> Option<String>;

    /// Takes one text frame apart. Events go to `out` in the order in which they are to be handled; trades of
    /// one instrument rise by id.
    ///
    /// # Errors
    /// When the frame, or a trade in it, cannot be read exactly. What was read before it has been handed out.
    fn decode(&self, frame: &[u8], out: &mut dyn Sink) -> Result<(), DecodeError>;

    /// What may be asked of the REST interface, in tokens of [`Page`].
    fn rest_rate(&self) -> Rate;

    /// The page of trades that has the most of these ids, both included, and if it can one beside them on each side:
    /// from the lowest on upwards, or from the highest on downwards. `None` where the venue has none by id.
    fn trades_page(&self, instrument: InstrumentIndex, from_id: u64, to_id: u64) -> Option<Page>;

    /// Takes such a page apart; in the venue's order.
    ///
    /// # Errors
    /// When it, or a trade in it, cannot be read exactly. Nothing of it is to be believed then.
    fn decode_page(&self, body: &[u8]) -> Result<Vec<wire::Trade>, Reason>;

    /// The page that lists all that the venue has; `None` where it tells nobody without credentials.
    fn listing_page(&self) -> Option<Page>;

    /// What such a page of HTTP status 200 lists, in the venue's spelling; `None` where it says nothing: it cannot be
    /// read, or it lists nothing at all, as a venue in trouble does.
    fn decode_listing(&self, body: &[u8]) -> Option<BTreeSet<String>>;
}

/// A request to a venue's REST interface.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Page {
    /// Path and query.
    pub path: String,
    /// What it costs.
    pub tokens: u32,
}

/// Base addresses of a venue, without a slash at the end.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Endpoints {
    /// WebSocket.
    pub ws: String,
    /// HTTP.
    pub rest: String,
}

/// What a venue allows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Instruments that share a connection. Fewer than the venue takes, so that one loss darkens few.
    pub symbols_per_connection: usize,
    /// Instruments named in one request.
    pub symbols_per_request: usize,
    /// Messages that we may send on a connection, pongs included.
    pub messages: Rate,
    /// Connections that we may try to open.
    pub attempts: Rate,
    /// How long the venue keeps a connection at most, in milliseconds; `None` for no stated limit.
    pub lifetime_ms: Option<u64>,
}

/// So many, over so long. After a pause, up to twice as many pass within one span: the burst, and what is
/// earned meanwhile. A venue's limit is therefore written here as half of what it allows, or less.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rate {
    /// How many at once, when none were used before.
    pub burst: u32,
    /// How long it takes to earn that many again, in milliseconds.
    pub per_ms: u64,
}

/// Makes the adapter of a venue.
///
/// # Errors
/// When there is none of that name, or when two of the symbols are one to the venue.
pub fn adapter(
    venue: &wire::Venue,
    symbols: &[wire::Symbol],
) -> Result<Box<dyn Venue>, AdapterError> {
    match venue.as_str() {
        wire::Venue::BINANCE_SPOT => Ok(Box::new(binance_spot::BinanceSpot::new(symbols)?)),
        wire::Venue::COINBASE => Ok(Box::new(coinbase::Coinbase::new(symbols)?)),
        wire::Venue::COINBASE_ADVANCED => {
            Ok(Box::new(coinbase_advanced::CoinbaseAdvanced::new(symbols)?))
        }
        _ => Err(AdapterError::Unknown(venue.clone())),
    }
}

/// Why there is no adapter.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum AdapterError {
    /// No such venue.
    #[error("venue {0} is not one of binance-spot, coinbase, coinbase-advanced")]
    Unknown(wire::Venue),
    /// The symbols cannot be told apart.
    #[error(transparent)]
    Symbols(#[from] SymbolsError),
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What names venues without knowing their protocols, such as a custom resource, goes by that list.
    #[test]
    fn the_known_venues_are_those_that_are_spoken() {
        let symbols = ["BTC-USD".parse().unwrap()];
        for name in wire::Venue::KNOWN {
            let venue = wire::Venue::new(name).unwrap();
            assert_eq!(adapter(&venue, &symbols).unwrap().name(), name);
        }
        let other = wire::Venue::new("kraken").unwrap();
        let error = adapter(&other, &symbols).unwrap_err().to_string();
        assert!(error.ends_with(&wire::Venue::KNOWN.join(", ")), "{error}");
    }
}
