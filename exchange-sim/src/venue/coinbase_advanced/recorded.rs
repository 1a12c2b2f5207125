// Pure: reads what Coinbase Advanced Trade was recorded to send.
#![deny(clippy::disallowed_methods)]

use serde::Deserialize;
use wire::{Price, Side, Size, Symbol, Trade};

use crate::market::Body;
use crate::venue::coinbase::recorded::micros_of;

/// `{"channel":"market_trades","timestamp":"2026-08-09T21:05:51.452192913Z","sequence_num":136,"events":[...]}`
#[derive(Debug, Deserialize)]
struct Envelope<'a> {
    channel: &'a str,
    timestamp: Option<&'a str>,
    #[serde(default)]
    events: Vec<TradesEvent>,
}

#[derive(Debug, Deserialize)]
struct TradesEvent {
    #[serde(rename = "type")]
    kind: Option<String>,
    #[serde(default)]
    trades: Vec<RawTrade>,
}

/// `{"product_id":"BTC-USD","trade_id":"1068572096","price":"65083.66","size":"0.00100346",
/// "time":"2026-08-09T21:05:51.426861Z","side":"BUY"}`; `side` is the maker's.
#[derive(Debug, Deserialize)]
struct RawTrade {
    product_id: String,
    trade_id: String,
    price: Price,
    size: Size,
    time: String,
    side: String,
}

/// Reads one message: what happened, product by product, and the venue time that it shows (Unix milliseconds).
///
/// The bytes are not kept: a message carries its connection's `sequence_num`, so it has to be written anew.
pub(crate) fn read(text: &str) -> Result<Vec<(Body, Option<i64>)>, String> {
    let envelope: Envelope<'_> = serde_json::from_str(text).map_err(|error| error.to_string())?;
    if envelope.channel != "market_trades" {
        return Ok(Vec::new());
    }
    let clock_ms = envelope
        .timestamp
        .map(micros_of)
        .transpose()?
        .map(|us| us.div_euclid(1_000));
    let mut bodies = Vec::new();
    for event in envelope.events {
        // A snapshot tells of trades before the recording, though at a time that the clock did show.
        let mut fills: Vec<(Symbol, (Trade, i64))> =
            event.trades.iter().map(fill).collect::<Result<_, _>>()?;
        fills.sort_by(|(a, (at, _)), (b, (bt, _))| (a, at.id).cmp(&(b, bt.id)));
        for group in fills.chunk_by(|(a, _), (b, _)| a == b) {
            let symbol = group[0].0.clone();
            let fills = group.iter().map(|(_, fill)| *fill).collect();
            bodies.push((
                Body::Trades {
                    symbol,
                    fills,
                    frame: None,
                },
                clock_ms,
            ));
        }
        tracing::trace!(kind = event.kind, "market_trades event");
    }
    Ok(bodies)
}

fn fill(raw: &RawTrade) -> Result<(Symbol, (Trade, i64)), String> {
    let symbol = Symbol::new(&raw.product_id).map_err(|error| error.to_string())?;
    let id = raw
        .trade_id
        .parse()
        .map_err(|_| format!("trade_id {:?} is not a number", raw.trade_id))?;
    let taker = match raw.side.as_str() {
        "SELL" => Side::Buy,
        "BUY" => Side::Sell,
        side => return Err(format!("side {side:?} is neither BUY nor SELL")),
    };
    let time_us = micros_of(&raw.time)?;
    let trade = Trade {
        id,
        time_ms: time_us.div_euclid(1_000),
        price: raw.price,
        size: raw.size,
        taker,
    };
    Ok((symbol, (trade, time_us)))
}

#[cfg(test)]
mod tests {
    use super::*;

    const UPDATE: &str = r#"{"channel":"market_trades","timestamp":"2026-08-09T21:05:51.452192913Z","sequence_num":136,"events":[{"type":"update","trades":[{"product_id":"BTC-USD","trade_id":"1068572096","price":"65083.66","size":"0.00100346","time":"2026-08-09T21:05:51.426861Z","side":"BUY"},{"product_id":"BTC-USD","trade_id":"1068572095","price":"65083.67","size":"0.00322434","time":"2026-08-09T21:05:51.376358Z","side":"SELL"}]}]}"#;

    #[test]
    fn newest_first_becomes_oldest_first() {
        let bodies = read(UPDATE).unwrap();
        let [(Body::Trades { symbol, fills, .. }, clock_ms)] = &bodies[..] else {
            panic!("{bodies:?}")
        };
        assert_eq!(
            (symbol.as_str(), *clock_ms),
            ("BTC-USD", Some(1_786_309_551_452))
        );
        let ids: Vec<_> = fills
            .iter()
            .map(|(trade, _)| (trade.id, trade.taker))
            .collect();
        assert_eq!(
            ids,
            [(1_068_572_095, Side::Buy), (1_068_572_096, Side::Sell)]
        );
    }

    #[test]
    fn other_channels_hold_no_trades_and_bad_ones_are_errors() {
        assert!(
            read(r#"{"channel":"heartbeats","events":[{"heartbeat_counter":41691}]}"#)
                .unwrap()
                .is_empty()
        );
        assert!(read(&UPDATE.replace("1068572096", "x")).is_err());
        assert!(read(&UPDATE.replace("\"BUY\"", "\"LONG\"")).is_err());
    }
}
