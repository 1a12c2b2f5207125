// Pure: what is subscribed at Coinbase Exchange, and how it is asked for.
#![deny(clippy::disallowed_methods)]

use wire::Symbol;

use crate::venue::{InstrumentIndex, Symbols};

/// Every execution.
pub(super) const MATCHES: &str = "matches";
/// Once a second and product, also while no one trades.
pub(super) const HEARTBEAT: &str = "heartbeat";

/// Products are spelled as we spell symbols.
pub(super) fn spell(symbol: &Symbol) -> String {
    symbol.as_str().to_owned()
}

/// `{"type":"subscribe","product_ids":["BTC-USD"],"channels":["matches","heartbeat"]}`, answered by a
/// `subscriptions` message that lists everything subscribed on the connection. It must come within 5 s.
pub(super) fn subscribe(symbols: &Symbols, instruments: &[InstrumentIndex]) -> String {
    let products: Vec<&str> = instruments
        .iter()
        .map(|&instrument| symbols.spelled(instrument))
        .collect();
    serde_json::json!({
        "type": "subscribe", "product_ids": products, "channels": [MATCHES, HEARTBEAT]
    })
    .to_string()
}
