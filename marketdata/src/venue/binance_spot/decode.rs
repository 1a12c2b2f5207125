// Pure: Binance's bytes to events. The usual trade allocates nothing.
#![deny(clippy::disallowed_methods)]

use wire::{Side, Trade};

use super::message::{Envelope, Payload};
use crate::venue::json::{Text, find_text, need, price, size, words};
use crate::venue::{DecodeError, Event, Harm, InstrumentIndex, Reason, Sink, Symbols};

/// Takes one frame apart. See [`crate::venue::Venue::decode`].
pub(super) fn decode(
    symbols: &Symbols,
    frame: &[u8],
    out: &mut dyn Sink,
) -> Result<(), DecodeError> {
    let envelope: Envelope<'_> = serde_json::from_slice(frame).map_err(|error| DecodeError {
        reason: error.into(),
        harm: guess(symbols, frame),
    })?;
    match &envelope.data {
        Some(payload) => decode_event(symbols, payload, out),
        None => {
            out.handle_event(answer(&envelope));
            Ok(())
        }
    }
}

fn decode_event(
    symbols: &Symbols,
    payload: &Payload<'_>,
    out: &mut dyn Sink,
) -> Result<(), DecodeError> {
    match payload.kind.as_ref().map(Text::as_str) {
        Some("trade") => decode_trade(symbols, payload, out),
        Some("kline") => {
            let venue_ms = need(payload.event_time_ms, "E").map_err(|reason| DecodeError {
                reason,
                harm: Harm::None,
            })?;
            out.handle_event(Event::Clock { venue_ms });
            Ok(())
        }
        Some("serverShutdown") => {
            out.handle_event(Event::ShutdownAnnounced);
            Ok(())
        }
        _ => {
            out.handle_event(Event::Ignored);
            Ok(())
        }
    }
}

fn decode_trade(
    symbols: &Symbols,
    payload: &Payload<'_>,
    out: &mut dyn Sink,
) -> Result<(), DecodeError> {
    let instrument = match &payload.symbol {
        Some(symbol) => symbols.find(symbol.as_str()).ok_or(DecodeError {
            reason: Reason::Instrument,
            harm: Harm::None,
        })?,
        None => {
            return Err(DecodeError {
                reason: Reason::Field("missing field `s`".to_owned()),
                harm: Harm::Any,
            });
        }
    };
    let event = trade(instrument, payload).map_err(|reason| DecodeError {
        reason,
        harm: Harm::One(instrument),
    })?;
    out.handle_event(event);
    Ok(())
}

fn trade(instrument: InstrumentIndex, payload: &Payload<'_>) -> Result<Event, Reason> {
    let buyer_is_maker = need(payload.buyer_is_maker, "m")?;
    let trade = Trade {
        id: need(payload.trade_id, "t")?,
        time_ms: need(payload.trade_time_ms, "T")?,
        price: price(need(payload.price.as_ref(), "p")?.as_str())?,
        size: size(need(payload.size.as_ref(), "q")?.as_str())?,
        taker: if buyer_is_maker {
            Side::Sell
        } else {
            Side::Buy
        },
    };
    Ok(Event::Trade {
        instrument,
        trade,
        event_time_ms: need(payload.event_time_ms, "E")?,
    })
}

fn answer(envelope: &Envelope<'_>) -> Event {
    match (&envelope.error, envelope.code, envelope.id) {
        (Some(error), _, request) => Event::Refused {
            request,
            instrument: None,
            message: words(error.msg.as_ref(), None),
        },
        (None, Some(_), request) => Event::Refused {
            request,
            instrument: None,
            message: words(envelope.msg.as_ref(), None),
        },
        (None, None, Some(request)) => Event::Acknowledged { request },
        (None, None, None) => Event::Ignored,
    }
}

/// Whose trade an unreadable frame may have held, by its stream's name or its symbol.
fn guess(symbols: &Symbols, frame: &[u8]) -> Harm {
    let by_stream =
        find_text(frame, b"\"stream\":\"", b'@').map(|name| symbols.find(&name.to_uppercase()));
    let by_symbol = find_text(frame, b"\"s\":\"", b'"').map(|name| symbols.find(name));
    match by_stream.or(by_symbol) {
        Some(Some(instrument)) => Harm::One(instrument),
        // A name that is not ours may itself be what was damaged.
        _ => Harm::Any,
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use wire::Symbol;

    use super::*;
    use crate::venue::{InstrumentIndex, Venue, binance_spot::BinanceSpot};

    const TRADE: &str = r#"{"stream":"btcusdt@trade","data":{"e":"trade","E":1723161255343,"s":"BTCUSDT","t":3735683259,"p":"61837.63000000","q":"0.02000000","T":1723161255342,"m":true,"M":true}}"#;
    const KLINE: &str = r#"{"stream":"ethusdt@kline_1s","data":{"e":"kline","E":1682244928001,"s":"ETHUSDT","k":{"t":1682244927000,"T":1682244927999,"s":"ETHUSDT","i":"1s","f":-1,"L":-1,"o":"1870.76000000","c":"1870.76000000","h":"1870.76000000","l":"1870.76000000","v":"0.00000000","n":0,"x":true,"q":"0.00000000","V":"0.00000000","Q":"0.00000000"}}}"#;

    fn run(frame: &[u8]) -> Result<Vec<Event>, DecodeError> {
        let symbols: Vec<Symbol> = ["ETH-USDT", "BTC-USDT"].map(|s| s.parse().unwrap()).into();
        let mut events = Vec::new();
        BinanceSpot::new(&symbols)
            .unwrap()
            .decode(frame, &mut events)?;
        Ok(events)
    }

    fn event(taker: Side) -> Event {
        Event::Trade {
            instrument: InstrumentIndex(1),
            trade: Trade {
                id: 3_735_683_259,
                time_ms: 1_723_161_255_342,
                price: "61837.63".parse().unwrap(),
                size: "0.02".parse().unwrap(),
                taker,
            },
            event_time_ms: 1_723_161_255_343,
        }
    }

    #[test]
    fn frames_become_events() {
        let check =
            |frame: &str, expect: Event| assert_eq!(run(frame.as_bytes()), Ok(vec![expect]));
        check(TRADE, event(Side::Sell));
        check(
            &TRADE.replace("\"m\":true", "\"m\":false"),
            event(Side::Buy),
        );
        // Other order, new fields, escapes.
        check(
            r#"{"data":{"M":true,"m":true,"new":{"a":[1]},"T":1723161255342,"q":"0.02","p":"61837.63","t":3735683259,"s":"BTC\u0055SDT","E":1723161255343,"e":"trade"},"stream":"btcusdt@trade","more":1}"#,
            event(Side::Sell),
        );
        check(
            KLINE,
            Event::Clock {
                venue_ms: 1_682_244_928_001,
            },
        );
        check(
            r#"{"result":null,"id":1}"#,
            Event::Acknowledged { request: 1 },
        );
        let refused = |request, message: &str| Event::Refused {
            request,
            instrument: None,
            message: message.to_owned(),
        };
        check(
            r#"{"code":2,"msg":"Invalid request: too many parameters"}"#,
            refused(None, "Invalid request: too many parameters"),
        );
        check(
            r#"{"error":{"code":3,"msg":"Invalid JSON"},"id":4}"#,
            refused(Some(4), "Invalid JSON"),
        );
        check(
            r#"{"stream":"!serverShutdown","data":{"e":"serverShutdown","E":1770123456789}}"#,
            Event::ShutdownAnnounced,
        );
        check(
            r#"{"stream":"btcusdt@bookTicker","data":{"u":50093239212,"s":"BTCUSDT","b":"1","B":"3","a":"6","A":"1"}}"#,
            Event::Ignored,
        );
        check(r#"{"result":["btcusdt@trade"]}"#, Event::Ignored);
    }

    #[test]
    fn what_cannot_be_read_exactly_is_an_error_that_names_whom_it_harms() {
        let btc = Harm::One(InstrumentIndex(1));
        let check = |frame: &str, reason: &str, harm: Harm| {
            let error = run(frame.as_bytes()).unwrap_err();
            assert_eq!(
                (error.reason.as_str(), error.harm),
                (reason, harm),
                "{frame}"
            );
        };
        let with = |from: &str, to: &str| {
            assert!(TRADE.contains(from));
            TRADE.replace(from, to)
        };
        check(&with("\"61837.63000000\"", "\"-1\""), "price", btc);
        check(&with("\"61837.63000000\"", "\"1e5\""), "price", btc);
        check(&with("\"61837.63000000\"", "\"0.0\""), "price", btc);
        check(&with("\"61837.63000000\"", "61837.63"), "field", btc);
        check(&with("61837.63000000", &"9".repeat(60)), "price", btc);
        check(&with("0.02000000", "0.00000000001"), "size", btc);
        for field in [
            "\"t\":3735683259,",
            "\"T\":1723161255342,",
            "\"m\":true,",
            "\"p\":\"61837.63000000\",",
            "\"E\":1723161255343,",
        ] {
            check(&with(field, ""), "field", btc);
        }
        check(&with("\"s\":\"BTCUSDT\",", ""), "field", Harm::Any);
        check(&with("\"t\":3735683259", "\"t\":-1"), "field", btc);
        check(&with("3735683259", "99999999999999999999999"), "field", btc);
        check(
            &with("\"s\":\"BTCUSDT\"", "\"s\":\"XRPUSDT\""),
            "instrument",
            Harm::None,
        );
        check(&TRADE[..120], "json", btc);
        check("", "json", Harm::Any);
        check("garbage", "json", Harm::Any);
        check("[]", "field", Harm::Any);
        check("{\"data\":5}", "field", Harm::Any);
        check(&"[".repeat(100_000), "field", Harm::Any);
        let mut broken = TRADE.as_bytes().to_vec();
        broken[70] = 0xff;
        assert!(run(&broken).is_err());
    }

    proptest! {
        #[test]
        fn no_bytes_panic(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
            let _ = run(&bytes);
        }

        /// A damaged frame is read as an error, as the same trade, or as a trade whose text it now is; never as
        /// two events.
        #[test]
        fn damage_never_panics(at in 0..TRADE.len(), with in any::<u8>(), cut in 0..TRADE.len()) {
            let mut frame = TRADE.as_bytes().to_vec();
            frame[at] = with;
            if let Ok(events) = run(&frame) {
                prop_assert_eq!(events.len(), 1);
            }
            prop_assert!(run(&TRADE.as_bytes()[..cut]).is_err());
        }
    }
}
