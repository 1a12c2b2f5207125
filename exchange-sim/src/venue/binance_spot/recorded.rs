// Pure: reads what Binance was recorded to send.
#![deny(clippy::disallowed_methods)]

use std::borrow::Cow;
use std::sync::Arc;

use serde::Deserialize;
use wire::{Price, Side, Size, Symbol, Trade};

use crate::market::Body;
use crate::venue::Kind;

/// `{"e":"trade","E":1723161255343,"s":"BTCUSDT","t":3735683259,"p":"61837.63000000","q":"0.02000000",
/// "T":1723161255342,"m":true,"M":true}`
#[derive(Debug, Deserialize)]
struct RawTrade<'a> {
    #[serde(rename = "E")]
    event_ms: i64,
    #[serde(rename = "s")]
    native: &'a str,
    #[serde(rename = "t")]
    id: u64,
    #[serde(rename = "p")]
    price: Price,
    #[serde(rename = "q")]
    size: Size,
    #[serde(rename = "T")]
    time_ms: i64,
    #[serde(rename = "m")]
    buyer_is_maker: bool,
}

/// Reads one message: what happened, and the event time that it shows (Unix milliseconds). `Ok(None)` is a message
/// of no stream (an answer to the recorder).
pub(crate) fn read(text: &str) -> Result<Option<(Body, Option<i64>)>, String> {
    let (stream, data) = split_combined(text);
    let event_ms = number_after(data, "\"E\":").filter(|ms| *ms < 1 << 45);
    let kind = text_after(data, "\"e\":\"");
    if kind == Some("trade") {
        let raw: RawTrade<'_> =
            serde_json::from_str(data).map_err(|error| format!("trade: {error}"))?;
        let symbol = symbol_of(raw.native)?;
        let taker = if raw.buyer_is_maker {
            Side::Sell
        } else {
            Side::Buy
        };
        let trade = Trade {
            id: raw.id,
            time_ms: raw.time_ms,
            price: raw.price,
            size: raw.size,
            taker,
        };
        // Up to the year 3084: whatever is reckoned from it stays within 64 bits of microseconds.
        if [raw.time_ms, raw.event_ms]
            .iter()
            .any(|ms| ms.unsigned_abs() >= 1 << 45)
        {
            return Err("trade: time out of range".to_owned());
        }
        let time_us = raw.time_ms * 1_000;
        let body = Body::Trades {
            symbol,
            fills: vec![(trade, time_us)],
            frame: Some(Arc::from(text)),
        };
        return Ok(Some((body, Some(raw.event_ms))));
    }
    let stream = match (stream, kind) {
        (Some(stream), _) => Cow::Borrowed(stream),
        (None, Some(kind)) => match raw_stream(kind, data) {
            Some(stream) => Cow::Owned(stream),
            None => return Ok(None),
        },
        (None, None) => return Ok(None),
    };
    Ok(Some((
        Body::Other {
            stream: stream.into_owned(),
            frame: Arc::from(text),
        },
        event_ms,
    )))
}

/// The stream of a message that was recorded from a raw connection, which does not name it.
fn raw_stream(kind: &str, data: &str) -> Option<String> {
    let native = text_after(data, "\"s\":\"")?.to_lowercase();
    match kind {
        "kline" => Some(format!("{native}@kline_{}", text_after(data, "\"i\":\"")?)),
        "depthUpdate" => Some(format!("{native}@depth")),
        kind => Some(format!("{native}@{kind}")),
    }
}

fn symbol_of(native: &str) -> Result<Symbol, String> {
    Kind::BinanceSpot
        .symbol(native)
        .ok_or_else(|| format!("{native:?} does not end in a known quote asset"))
}

/// Splits `{"stream":"<name>","data":<data>}` into its name and the bytes of its data; a raw message is its own
/// data. Works on the text, since the bytes have to stay as they were.
pub(crate) fn split_combined(text: &str) -> (Option<&str>, &str) {
    let split = || {
        let (stream, rest) = text.strip_prefix("{\"stream\":\"")?.split_once('"')?;
        Some((
            stream,
            rest.strip_prefix(",\"data\":")?
                .trim_end()
                .strip_suffix('}')?,
        ))
    };
    match split() {
        Some((stream, data)) => (Some(stream), data),
        None => (None, text),
    }
}

fn text_after<'a>(text: &'a str, key: &str) -> Option<&'a str> {
    let rest = &text[text.find(key)? + key.len()..];
    rest.split_once('"').map(|(value, _)| value)
}

fn number_after(text: &str, key: &str) -> Option<i64> {
    let rest = &text[text.find(key)? + key.len()..];
    let end = rest
        .bytes()
        .position(|b| !b.is_ascii_digit())
        .unwrap_or(rest.len());
    rest[..end].parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    const TRADE: &str = r#"{"stream":"btcusdt@trade","data":{"e":"trade","E":1723161255343,"s":"BTCUSDT","t":3735683259,"p":"61837.63000000","q":"0.02000000","T":1723161255342,"m":true,"M":true}}"#;

    #[test]
    fn a_trade_is_read_and_its_bytes_kept() {
        let (body, event_ms) = read(TRADE).unwrap().unwrap();
        assert_eq!(event_ms, Some(1_723_161_255_343));
        let Body::Trades {
            symbol,
            fills,
            frame,
        } = body
        else {
            panic!("not trades")
        };
        assert_eq!(
            (symbol.as_str(), frame.as_deref()),
            ("BTC-USDT", Some(TRADE))
        );
        let (trade, time_us) = fills[0];
        assert_eq!(
            (trade.id, trade.time_ms, trade.taker),
            (3_735_683_259, 1_723_161_255_342, Side::Sell)
        );
        assert_eq!(
            (trade.price.to_string(), trade.size.to_string()),
            ("61837.63".to_owned(), "0.02".to_owned())
        );
        assert_eq!(time_us, 1_723_161_255_342_000);
    }

    #[test]
    fn other_streams_keep_their_name() {
        let check = |text: &str, expect: Option<(&str, Option<i64>)>| {
            let read = read(text).unwrap().map(|(body, event_ms)| match body {
                Body::Other { stream, .. } => (stream, event_ms),
                Body::Trades { .. } => panic!("trades"),
            });
            assert_eq!(
                read,
                expect.map(|(stream, event_ms)| (stream.to_owned(), event_ms)),
                "{text}"
            );
        };
        check(
            r#"{"stream":"btcusdt@bookTicker","data":{"u":5,"s":"BTCUSDT"}}"#,
            Some(("btcusdt@bookTicker", None)),
        );
        check(
            r#"{"stream":"btcusdt@depth@100ms","data":{"e":"depthUpdate","E":1723161255208}}"#,
            Some(("btcusdt@depth@100ms", Some(1_723_161_255_208))),
        );
        check(
            r#"{"e":"kline","E":12,"s":"ETHUSDT","k":{"i":"1s"}}"#,
            Some(("ethusdt@kline_1s", Some(12))),
        );
        check(r#"{"lastUpdateId":50093239218,"bids":[]}"#, None);
        check(r#"{"result":null,"id":1}"#, None);
    }

    #[test]
    fn a_trade_that_cannot_be_read_is_an_error() {
        for (from, to) in [
            ("\"t\":3735683259,", ""),
            ("61837.63000000", "-1"),
            ("BTCUSDT", "BTCXXX"),
            ("0.02", "1e5"),
            ("1723161255342", "9223372036854775807"),
        ] {
            assert!(read(&TRADE.replace(from, to)).is_err(), "{from} -> {to}");
        }
    }
}
