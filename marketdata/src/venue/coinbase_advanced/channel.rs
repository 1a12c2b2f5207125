// Pure: what is subscribed at Coinbase Advanced Trade, and how it is asked for.
#![deny(clippy::disallowed_methods)]

use wire::Symbol;

use crate::venue::{InstrumentIndex, Symbols};

/// Every execution.
pub(super) const MARKET_TRADES: &str = "market_trades";
/// Once a second and connection, also while no one trades.
pub(super) const HEARTBEATS: &str = "heartbeats";

/// Products are spelled as we spell symbols.
pub(super) fn spell(symbol: &Symbol) -> String {
    symbol.as_str().to_owned()
}

/// `{"type":"subscribe","product_ids":["BTC-USD"],"channel":"market_trades"}`, answered by a message of the
/// channel `subscriptions` that lists everything subscribed on the connection.
pub(super) fn subscribe_trades(symbols: &Symbols, instruments: &[InstrumentIndex]) -> String {
    let products: Vec<&str> = instruments
        .iter()
        .map(|&instrument| symbols.spelled(instrument))
        .collect();
    serde_json::json!({"type": "subscribe", "product_ids": products, "channel": MARKET_TRADES})
        .to_string()
}

/// `{"type":"subscribe","channel":"heartbeats"}`
pub(super) fn subscribe_heartbeats() -> String {
    serde_json::json!({"type": "subscribe", "channel": HEARTBEATS}).to_string()
}
