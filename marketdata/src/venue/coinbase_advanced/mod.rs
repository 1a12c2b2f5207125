// Pure: Coinbase Advanced Trade, by its market_trades and heartbeats channels.
#![deny(clippy::disallowed_methods)]

//! Coinbase Advanced Trade (`wss://advanced-trade-ws.coinbase.com`): `market_trades`, which begins with a
//! snapshot of the newest trades, and `heartbeats`, one a second, without which a quiet channel is closed.

mod channel;
mod decode;
mod message;

/// REST paths and weights.
pub mod rest;

use std::collections::BTreeSet;

use wire::{Symbol, Trade};

use super::{
    DecodeError, Endpoints, InstrumentIndex, Limits, Page, Rate, Reason, Sink, Symbols,
    SymbolsError, Venue,
};

/// The adapter.
#[derive(Debug)]
pub struct CoinbaseAdvanced {
    symbols: Symbols,
}

impl CoinbaseAdvanced {
    /// For these instruments.
    ///
    /// # Errors
    /// When one is listed twice, or there are none.
    pub fn new(symbols: &[Symbol]) -> Result<Self, SymbolsError> {
        Ok(Self {
            symbols: Symbols::new(symbols, channel::spell)?,
        })
    }
}

impl Venue for CoinbaseAdvanced {
    fn name(&self) -> &'static str {
        wire::Venue::COINBASE_ADVANCED
    }

    fn endpoints(&self) -> Endpoints {
        Endpoints {
            ws: "wss://advanced-trade-ws.coinbase.com".to_owned(),
            rest: "https://api.coinbase.com".to_owned(),
        }
    }

    fn limits(&self) -> Limits {
        Limits {
            symbols_per_connection: 100,
            symbols_per_request: 100,
            // 8 a second and address, for messages as for connections.
            messages: Rate {
                burst: 3,
                per_ms: 1_000,
            },
            attempts: Rate {
                burst: 3,
                per_ms: 1_000,
            },
            lifetime_ms: None,
        }
    }

    fn symbols(&self) -> &Symbols {
        &self.symbols
    }

    fn stream_url(&self, ws: &str) -> String {
        ws.to_owned()
    }

    fn trades_request(&self, instruments: &[InstrumentIndex], _id: u64) -> String {
        channel::subscribe_trades(&self.symbols, instruments)
    }

    fn clock_request(&self, _instrument: InstrumentIndex, _id: u64) -> Option<String> {
        Some(channel::subscribe_heartbeats())
    }

    fn decode(&self, frame: &[u8], out: &mut dyn Sink) -> Result<(), DecodeError> {
        decode::decode(&self.symbols, frame, out)
    }

    fn rest_rate(&self) -> Rate {
        rest::REQUESTS
    }

    /// The venue gives its newest trades and those between two times, in whole seconds and without a page after the
    /// first: none by id. Its gaps stay.
    fn trades_page(&self, _: InstrumentIndex, _: u64, _: u64) -> Option<Page> {
        None
    }

    fn decode_page(&self, _: &[u8]) -> Result<Vec<Trade>, Reason> {
        Ok(Vec::new())
    }

    /// The venue lists its products to those who sign their requests.
    fn listing_page(&self) -> Option<Page> {
        None
    }

    fn decode_listing(&self, _: &[u8]) -> Option<BTreeSet<String>> {
        None
    }
}
