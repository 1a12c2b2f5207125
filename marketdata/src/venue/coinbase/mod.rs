// Pure: Coinbase Exchange, by its matches and heartbeat channels.
#![deny(clippy::disallowed_methods)]

//! Coinbase Exchange (`wss://ws-feed.exchange.coinbase.com`): `matches` for the trades and `heartbeat`, a
//! message a second and product, for the venue's clock and its newest trade id.

mod channel;
mod decode;
mod message;

/// REST paths and weights.
pub mod rest;

use std::collections::BTreeSet;

use wire::{Symbol, Trade};

use crate::repair::plan::page_rows;

use super::{
    DecodeError, Endpoints, InstrumentIndex, Limits, Page, Rate, Reason, Sink, Symbols,
    SymbolsError, Venue,
};

/// The adapter.
#[derive(Debug)]
pub struct Coinbase {
    symbols: Symbols,
}

impl Coinbase {
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

impl Venue for Coinbase {
    fn name(&self) -> &'static str {
        wire::Venue::COINBASE
    }

    fn endpoints(&self) -> Endpoints {
        Endpoints {
            ws: "wss://ws-feed.exchange.coinbase.com".to_owned(),
            rest: "https://api.exchange.coinbase.com".to_owned(),
        }
    }

    fn limits(&self) -> Limits {
        Limits {
            symbols_per_connection: 100,
            symbols_per_request: 100,
            // 8 a second and address, 20 at once.
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
        channel::subscribe(&self.symbols, instruments)
    }

    fn clock_request(&self, _instrument: InstrumentIndex, _id: u64) -> Option<String> {
        None
    }

    fn decode(&self, frame: &[u8], out: &mut dyn Sink) -> Result<(), DecodeError> {
        decode::decode(&self.symbols, frame, out)
    }

    fn rest_rate(&self) -> Rate {
        rest::REQUESTS
    }

    fn trades_page(&self, instrument: InstrumentIndex, from_id: u64, to_id: u64) -> Option<Page> {
        let rows = page_rows(from_id, to_id, rest::ROWS_MAX);
        let spelled = self.symbols.spelled(instrument);
        let path = rest::trades_before(spelled, to_id.saturating_add(2), rows);
        Some(Page::new(path, 1))
    }

    fn decode_page(&self, body: &[u8]) -> Result<Vec<Trade>, Reason> {
        rest::decode_trades(body)
    }

    fn listing_page(&self) -> Option<Page> {
        Some(Page::new(rest::PRODUCTS.to_owned(), 1))
    }

    fn decode_listing(&self, body: &[u8]) -> Option<BTreeSet<String>> {
        rest::decode_products(body)
    }
}
