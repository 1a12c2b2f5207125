// Pure: what is subscribed at Binance, and how it is asked for.
#![deny(clippy::disallowed_methods)]

use wire::Symbol;

use crate::venue::{InstrumentIndex, Symbols};

/// Every execution, one message each.
pub(super) const TRADE: &str = "@trade";
/// Pushed every second, also while no one trades.
pub(super) const KLINE_1S: &str = "@kline_1s";

/// `BTC-USDT` is `BTCUSDT` in messages, `btcusdt` in stream names.
pub(super) fn spell(symbol: &Symbol) -> String {
    format!("{}{}", symbol.base(), symbol.quote())
}

/// `{"method":"SUBSCRIBE","params":["btcusdt@trade"],"id":1}`, answered by `{"result":null,"id":1}`.
pub(super) fn subscribe(
    symbols: &Symbols,
    instruments: &[InstrumentIndex],
    channel: &str,
    id: u64,
) -> String {
    let params: Vec<String> = instruments
        .iter()
        .map(|&instrument| symbols.spelled(instrument).to_ascii_lowercase() + channel)
        .collect();
    serde_json::json!({"method": "SUBSCRIBE", "params": params, "id": id}).to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn streams_are_in_lower_case() {
        let list: Vec<Symbol> = ["BTC-USDT", "ETH-BTC"].map(|s| s.parse().unwrap()).into();
        let symbols = Symbols::new(&list, spell).unwrap();
        let all: Vec<_> = symbols.indices().collect();
        let text = subscribe(&symbols, &all, TRADE, 7);
        let value: serde_json::Value = serde_json::from_str(&text).unwrap();
        let expect = serde_json::json!({
            "method": "SUBSCRIBE", "params": ["btcusdt@trade", "ethbtc@trade"], "id": 7
        });
        assert_eq!(value, expect);
    }
}
