// Pure: reads what Coinbase Exchange was recorded to send.
#![deny(clippy::disallowed_methods)]

use std::sync::Arc;

use serde::Deserialize;
use wire::{Price, Side, Size, Symbol, Trade};

use crate::market::Body;

#[derive(Debug, Deserialize)]
struct Envelope<'a> {
    #[serde(rename = "type")]
    kind: &'a str,
    product_id: Option<&'a str>,
    time: Option<&'a str>,
}

/// `{"type":"last_match","trade_id":881613,"maker_order_id":"...","taker_order_id":"...","side":"sell",
/// "size":"0.04","price":"14.7775","product_id":"BAND-GBP","sequence":333938798,
/// "time":"2021-04-17T16:43:30.244075Z"}`
#[derive(Debug, Deserialize)]
struct RawMatch<'a> {
    trade_id: u64,
    /// The maker's side: `sell` means that the taker bought.
    side: &'a str,
    size: Size,
    price: Price,
    product_id: &'a str,
    time: &'a str,
}

/// Reads one message: what happened, and the venue time that it shows (Unix milliseconds). `Ok(None)` is a message
/// of no stream (an answer to the recorder, or a type that is not known).
pub(crate) fn read(text: &str) -> Result<Option<(Body, Option<i64>)>, String> {
    let envelope: Envelope<'_> = serde_json::from_str(text).map_err(|error| error.to_string())?;
    let Some(product) = envelope.product_id else {
        return Ok(None);
    };
    match envelope.kind {
        "match" | "last_match" => {
            let (symbol, fill) = fill(text)?;
            // A last_match tells of a trade before the recording: its time is not what the clock said.
            let clock_ms = (envelope.kind == "match").then_some(fill.0.time_ms);
            let body = Body::Trades {
                symbol,
                fills: vec![fill],
                frame: Some(Arc::from(text)),
            };
            Ok(Some((body, clock_ms)))
        }
        "heartbeat" | "l2update" | "snapshot" | "ticker" => {
            // A ticker's time is that of its trade, however long ago that was.
            let time = envelope.time.filter(|_| envelope.kind != "ticker");
            let clock_ms = time
                .map(micros_of)
                .transpose()?
                .map(|us| us.div_euclid(1_000));
            let channel = if matches!(envelope.kind, "l2update" | "snapshot") {
                "level2"
            } else {
                envelope.kind
            };
            Ok(Some((
                Body::Other {
                    stream: format!("{channel}:{product}"),
                    frame: Arc::from(text),
                },
                clock_ms,
            )))
        }
        _ => Ok(None),
    }
}

fn fill(text: &str) -> Result<(Symbol, (Trade, i64)), String> {
    let raw: RawMatch<'_> =
        serde_json::from_str(text).map_err(|error| format!("match: {error}"))?;
    let taker = match raw.side {
        "sell" => Side::Buy,
        "buy" => Side::Sell,
        side => return Err(format!("match: side {side:?} is neither buy nor sell")),
    };
    let time_us = micros_of(raw.time)?;
    let trade = Trade {
        id: raw.trade_id,
        time_ms: time_us.div_euclid(1_000),
        price: raw.price,
        size: raw.size,
        taker,
    };
    let symbol = Symbol::new(raw.product_id).map_err(|error| error.to_string())?;
    Ok((symbol, (trade, time_us)))
}

/// `2021-04-17T16:43:30.244075Z` as Unix microseconds.
pub(crate) fn micros_of(time: &str) -> Result<i64, String> {
    time.parse::<jiff::Timestamp>()
        .map(jiff::Timestamp::as_microsecond)
        .map_err(|error| format!("time {time:?}: {error}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    const MATCH: &str = r#"{"type":"match","trade_id":881613,"maker_order_id":"27fff20b-af29-4f45-8744-56dd1ef57dc0","taker_order_id":"1da6ce16-c8da-4732-9f71-6049f4c6aaf8","side":"sell","size":"0.04","price":"14.7775","product_id":"BAND-GBP","sequence":333938798,"time":"2021-04-17T16:43:30.244075Z"}"#;

    #[test]
    fn the_makers_side_is_turned_round() {
        let (body, clock_ms) = read(MATCH).unwrap().unwrap();
        let Body::Trades { symbol, fills, .. } = body else {
            panic!("not trades")
        };
        assert_eq!(
            (symbol.as_str(), clock_ms),
            ("BAND-GBP", Some(1_618_677_810_244))
        );
        assert_eq!(
            (fills[0].0.id, fills[0].0.taker, fills[0].1),
            (881_613, Side::Buy, 1_618_677_810_244_075)
        );
        let (_, clock_ms) = read(&MATCH.replace("\"match\"", "\"last_match\""))
            .unwrap()
            .unwrap();
        assert_eq!(clock_ms, None);
    }

    #[test]
    fn other_channels_and_answers() {
        let check = |text: &str, expect: Option<(&str, Option<i64>)>| {
            let read = read(text).unwrap().map(|(body, clock_ms)| match body {
                Body::Other { stream, .. } => (stream, clock_ms),
                Body::Trades { .. } => panic!("trades"),
            });
            assert_eq!(
                read,
                expect.map(|(stream, clock_ms)| (stream.to_owned(), clock_ms)),
                "{text}"
            );
        };
        check(
            r#"{"type":"heartbeat","last_trade_id":1,"product_id":"BTC-USD","sequence":2,"time":"2026-09-15T11:01:54.000000Z"}"#,
            Some(("heartbeat:BTC-USD", Some(1_789_470_114_000))),
        );
        check(
            r#"{"type":"snapshot","product_id":"BTC-USD","asks":[]}"#,
            Some(("level2:BTC-USD", None)),
        );
        check(
            r#"{"type":"ticker","product_id":"A-B","time":"2021-04-17T16:43:30.244075Z"}"#,
            Some(("ticker:A-B", None)),
        );
        check(r#"{"type":"subscriptions","channels":[]}"#, None);
    }

    #[test]
    fn a_match_that_cannot_be_read_is_an_error() {
        for (from, to) in [
            ("\"sell\"", "\"long\""),
            ("\"14.7775\"", "\"1e1\""),
            ("30.244075Z", "99"),
            ("BAND-GBP", "gbp"),
        ] {
            assert!(read(&MATCH.replace(from, to)).is_err(), "{from} -> {to}");
        }
    }
}
