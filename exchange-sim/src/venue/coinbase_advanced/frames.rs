// Pure: Coinbase Advanced Trade's messages as text.
#![deny(clippy::disallowed_methods)]

use std::collections::BTreeMap;

use serde_json::json;
use wire::Symbol;

use crate::market::tape::Execution;
use crate::venue::coinbase::frames::{maker_side, time_of};

/// A `market_trades` event's inside, `update` or `snapshot`; `newest_first` as the exchange sends it.
pub(crate) fn trades<'a>(
    kind: &str,
    newest_first: impl Iterator<Item = (&'a Symbol, &'a Execution)>,
) -> String {
    let trades: Vec<_> = newest_first
        .map(|(symbol, execution)| trade(symbol, execution))
        .collect();
    format!(r#"{{"type":"{kind}","trades":[{}]}}"#, trades.join(","))
}

fn trade(symbol: &Symbol, execution: &Execution) -> String {
    let trade = &execution.trade;
    format!(
        r#"{{"product_id":"{symbol}","trade_id":"{}","price":"{}","size":"{}","time":"{}","side":"{}"}}"#,
        trade.id,
        trade.price,
        trade.size,
        time_of(execution.time_us),
        maker_side(trade.taker).to_uppercase(),
    )
}

/// `{"current_time":"2026-08-09 21:05:48.854840045 +0000 UTC m=+41691.260485341","heartbeat_counter":41691}`
pub(crate) fn heartbeat(second_ms: i64, counter: u64) -> String {
    let time = jiff::Timestamp::from_millisecond(second_ms)
        .map(|time| time.strftime("%Y-%m-%d %H:%M:%S.%9f +0000 UTC").to_string())
        .unwrap_or_default();
    format!(r#"{{"current_time":"{time} m=+{counter}.000000000","heartbeat_counter":{counter}}}"#)
}

/// `{"subscriptions":{"market_trades":["BTC-USD","ETH-USD"]}}`
pub(crate) fn subscriptions(channels: &BTreeMap<String, Vec<Symbol>>) -> String {
    let channels: BTreeMap<&str, Vec<&str>> = channels
        .iter()
        .map(|(name, products)| {
            let products = products.iter().map(Symbol::as_str);
            // The heartbeats channel has no products; the exchange lists its own name there.
            (
                name.as_str(),
                if name == "heartbeats" {
                    vec!["heartbeats"]
                } else {
                    products.collect()
                },
            )
        })
        .filter(|(_, products)| !products.is_empty())
        .collect();
    json!({ "subscriptions": channels }).to_string()
}

/// Wraps an event with the connection's next sequence number. `timestamp` has nanoseconds.
pub(crate) fn message(channel: &str, clock_ms: i64, sequence_num: u64, event: &str) -> String {
    let time = jiff::Timestamp::from_millisecond(clock_ms)
        .map(|time| time.strftime("%Y-%m-%dT%H:%M:%S.%9fZ").to_string())
        .unwrap_or_default();
    format!(
        r#"{{"channel":"{channel}","client_id":"","timestamp":"{time}","sequence_num":{sequence_num},"events":[{event}]}}"#
    )
}

/// `{"type":"error","message":"..."}`
pub(crate) fn error(message: &str) -> String {
    format!(
        r#"{{"type":"error","message":{}}}"#,
        serde_json::Value::from(message)
    )
}
