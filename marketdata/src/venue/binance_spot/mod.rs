// Pure: Binance spot, by its combined stream.
#![deny(clippy::disallowed_methods)]

//! Binance spot (`wss://stream.binance.com:9443`): `<symbol>@trade` for each instrument, and one `@kline_1s`
//! per connection, whose push each second is the venue's clock while no one trades.

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
pub struct BinanceSpot {
    symbols: Symbols,
}

impl BinanceSpot {
    /// For these instruments.
    ///
    /// # Errors
    /// When two of them are one to the venue, or there are none.
    pub fn new(symbols: &[Symbol]) -> Result<Self, SymbolsError> {
        Ok(Self {
            symbols: Symbols::new(symbols, channel::spell)?,
        })
    }
}

impl Venue for BinanceSpot {
    fn name(&self) -> &'static str {
        wire::Venue::BINANCE_SPOT
    }

    fn endpoints(&self) -> Endpoints {
        Endpoints {
            ws: "wss://stream.binance.com:9443".to_owned(),
            rest: "https://api.binance.com".to_owned(),
        }
    }

    fn limits(&self) -> Limits {
        Limits {
            // The venue takes 1,024 streams.
            symbols_per_connection: 200,
            symbols_per_request: 50,
            // The venue hangs up at more than 5 a second; one is left for a pong.
            messages: Rate {
                burst: 2,
                per_ms: 1_000,
            },
            // 300 in five minutes per address; other programs may share ours.
            attempts: Rate {
                burst: 100,
                per_ms: 300_000,
            },
            lifetime_ms: Some(24 * 3_600_000),
        }
    }

    fn symbols(&self) -> &Symbols {
        &self.symbols
    }

    fn stream_url(&self, ws: &str) -> String {
        format!("{ws}/stream")
    }

    fn trades_request(&self, instruments: &[InstrumentIndex], id: u64) -> String {
        channel::subscribe(&self.symbols, instruments, channel::TRADE, id)
    }

    fn clock_request(&self, instrument: InstrumentIndex, id: u64) -> Option<String> {
        Some(channel::subscribe(
            &self.symbols,
            &[instrument],
            channel::KLINE_1S,
            id,
        ))
    }

    #[inline]
    fn decode(&self, frame: &[u8], out: &mut dyn Sink) -> Result<(), DecodeError> {
        decode::decode(&self.symbols, frame, out)
    }

    fn rest_rate(&self) -> Rate {
        rest::WEIGHT
    }

    fn trades_page(&self, instrument: InstrumentIndex, from_id: u64, to_id: u64) -> Option<Page> {
        let rows = page_rows(from_id, to_id, rest::ROWS_MAX);
        let spelled = self.symbols.spelled(instrument);
        let path = rest::trades_from(spelled, from_id.saturating_sub(1), rows);
        Some(Page::new(path, rest::TRADES_WEIGHT))
    }

    fn decode_page(&self, body: &[u8]) -> Result<Vec<Trade>, Reason> {
        rest::decode_trades(body)
    }

    fn listing_page(&self) -> Option<Page> {
        Some(Page::new(rest::PRICES.to_owned(), rest::PRICES_WEIGHT))
    }

    fn decode_listing(&self, body: &[u8]) -> Option<BTreeSet<String>> {
        rest::decode_prices(body)
    }
}
