// Pure: Coinbase Exchange's messages as text.
#![deny(clippy::disallowed_methods)]

use std::collections::BTreeMap;

use serde_json::Value;
use wire::{Side, Symbol};

use crate::market::tape::Execution;

/// A `match` or `last_match`; the recorded shape is in `recorded.rs`.
///
/// Order ids are made up from the trade id, and so is `sequence`, which rises by four a trade: on the real
/// `matches` channel it has holes too.
pub(crate) fn match_of(kind: &str, symbol: &Symbol, execution: &Execution) -> String {
    let trade = &execution.trade;
    format!(
        concat!(
            r#"{{"type":"{}","trade_id":{},"maker_order_id":"{}","taker_order_id":"{}","side":"{}","#,
            r#""size":"{}","price":"{}","product_id":"{}","sequence":{},"time":"{}"}}"#,
        ),
        kind,
        trade.id,
        order_id(trade.id, 1),
        order_id(trade.id, 2),
        maker_side(trade.taker),
        trade.size,
        trade.price,
        symbol,
        sequence(trade.id),
        time_of(execution.time_us),
    )
}

/// `{"type":"heartbeat","last_trade_id":1092969669,"product_id":"BTC-USD","sequence":136118091026,
/// "time":"2026-09-15T11:01:54.000000Z"}`
pub(crate) fn heartbeat(symbol: &Symbol, last_trade_id: u64, second_ms: i64) -> String {
    format!(
        r#"{{"type":"heartbeat","last_trade_id":{last_trade_id},"product_id":"{symbol}","sequence":{},"time":"{}"}}"#,
        sequence(last_trade_id) + 1,
        time_of(second_ms.saturating_mul(1_000)),
    )
}

/// `{"type":"subscriptions","channels":[{"name":"matches","product_ids":["BTC-USD"]}]}`
pub(crate) fn subscriptions(channels: &BTreeMap<String, Vec<Symbol>>) -> String {
    let channel = |(name, products): (&String, &Vec<Symbol>)| {
        let products: Vec<_> = products
            .iter()
            .map(|symbol| format!(r#""{symbol}""#))
            .collect();
        format!(
            r#"{{"name":"{name}","product_ids":[{}]}}"#,
            products.join(",")
        )
    };
    let channels: Vec<_> = channels
        .iter()
        .filter(|(_, products)| !products.is_empty())
        .map(channel)
        .collect();
    format!(
        r#"{{"type":"subscriptions","channels":[{}]}}"#,
        channels.join(",")
    )
}

/// `{"type":"error","message":"Failed to subscribe","reason":"GIBBERISH-USD is not a valid product"}`
pub(crate) fn error(message: &str, reason: Option<&str>) -> String {
    let message = Value::from(message);
    match reason {
        Some(reason) => format!(
            r#"{{"type":"error","message":{message},"reason":{}}}"#,
            Value::from(reason)
        ),
        None => format!(r#"{{"type":"error","message":{message}}}"#),
    }
}

/// One trade of `GET /products/{id}/trades`.
pub(crate) fn rest_trade(execution: &Execution) -> String {
    let trade = &execution.trade;
    format!(
        r#"{{"trade_id":{},"side":"{}","size":"{}","price":"{}","time":"{}"}}"#,
        trade.id,
        maker_side(trade.taker),
        trade.size,
        trade.price,
        time_of(execution.time_us),
    )
}

/// Coinbase names the maker's side.
pub(crate) fn maker_side(taker: Side) -> &'static str {
    match taker {
        Side::Buy => "sell",
        Side::Sell => "buy",
    }
}

/// Unix microseconds as `2021-04-17T16:43:30.244075Z`; empty if it is outside the calendar.
pub(crate) fn time_of(time_us: i64) -> String {
    jiff::Timestamp::from_microsecond(time_us)
        .map(|time| time.strftime("%Y-%m-%dT%H:%M:%S.%6fZ").to_string())
        .unwrap_or_default()
}

fn sequence(trade_id: u64) -> u64 {
    trade_id.saturating_mul(4)
}

fn order_id(trade_id: u64, salt: u64) -> String {
    // SplitMix64's finaliser: any bits will do, as long as they are always the same.
    let mut mixed = trade_id
        .wrapping_mul(2)
        .wrapping_add(salt)
        .wrapping_mul(0x9E37_79B9_7F4A_7C15);
    mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    mixed ^= mixed >> 31;
    let hex = format!("{mixed:016x}{trade_id:016x}");
    format!(
        "{}-{}-4{}-a{}-{}",
        &hex[..8],
        &hex[8..12],
        &hex[13..16],
        &hex[17..20],
        &hex[20..]
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::market::Body;
    use crate::venue::coinbase::recorded;

    #[test]
    fn a_rendered_match_reads_back() {
        let trade = wire::Trade {
            id: 881_613,
            time_ms: 1_618_677_810_244,
            price: "14.7775".parse().unwrap(),
            size: "0.04".parse().unwrap(),
            taker: Side::Buy,
        };
        let execution = Execution {
            trade,
            time_us: 1_618_677_810_244_075,
            event_ms: 0,
            aggregate_id: 1,
            position: 1,
        };
        let symbol = Symbol::new("BAND-GBP").unwrap();
        let text = match_of("match", &symbol, &execution);
        let (body, _) = recorded::read(&text).unwrap().unwrap();
        let Body::Trades { fills, .. } = body else {
            panic!("not trades")
        };
        assert_eq!(fills, [(trade, 1_618_677_810_244_075)]);
        assert!(
            text.ends_with(r#""time":"2021-04-17T16:43:30.244075Z"}"#),
            "{text}"
        );
        let id = text.split('"').nth(9).unwrap();
        assert_eq!(
            id.split('-').map(str::len).collect::<Vec<_>>(),
            [8, 4, 4, 4, 12],
            "{id}"
        );
    }
}
