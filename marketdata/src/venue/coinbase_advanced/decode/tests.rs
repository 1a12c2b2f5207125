use proptest::prelude::*;
use wire::Symbol;

use super::*;
use crate::venue::{Venue, coinbase_advanced::CoinbaseAdvanced};

const TRADES: &str = r#"{"channel":"market_trades","timestamp":"2026-08-09T21:05:51.452192913Z","sequence_num":136,"events":[{"type":"update","trades":[{"product_id":"BTC-USD","trade_id":"1068572096","price":"65083.66","size":"0.00100346","time":"2026-08-09T21:05:51.426861Z","side":"BUY"},{"product_id":"BTC-USD","trade_id":"1068572095","price":"65083.67","size":"0.00322434","time":"2026-08-09T21:05:51.376358Z","side":"SELL"}]}]}"#;
const BTC: InstrumentIndex = InstrumentIndex(0);
const ETH: InstrumentIndex = InstrumentIndex(1);

fn run(frame: &[u8]) -> (Vec<Event>, Result<(), DecodeError>) {
    let symbols: Vec<Symbol> = ["BTC-USD", "ETH-USD"].map(|s| s.parse().unwrap()).into();
    let mut events = Vec::new();
    let result = CoinbaseAdvanced::new(&symbols)
        .unwrap()
        .decode(frame, &mut events);
    (events, result)
}

fn older() -> Trade {
    Trade {
        id: 1_068_572_095,
        time_ms: 1_786_309_551_376,
        price: "65083.67".parse().unwrap(),
        size: "0.00322434".parse().unwrap(),
        // The maker sold.
        taker: Side::Buy,
    }
}

fn newer() -> Trade {
    Trade {
        id: 1_068_572_096,
        time_ms: 1_786_309_551_426,
        price: "65083.66".parse().unwrap(),
        size: "0.00100346".parse().unwrap(),
        taker: Side::Sell,
    }
}

const SENT_MS: i64 = 1_786_309_551_452;

fn live(trade: Trade) -> Event {
    Event::Trade {
        instrument: BTC,
        trade,
        event_time_ms: SENT_MS,
    }
}

#[test]
fn frames_become_events() {
    let check = |frame: &str, expect: &[Event]| {
        assert_eq!(run(frame.as_bytes()), (expect.to_vec(), Ok(())), "{frame}");
    };
    let sequence = |number| Event::Sequence { number };
    let clock = Event::Clock { venue_ms: SENT_MS };
    // Newest first as sent, oldest first as handed on, but for a snapshot.
    check(
        TRADES,
        &[sequence(136), live(older()), live(newer()), clock.clone()],
    );
    let reference = |trade| Event::Reference {
        instrument: BTC,
        trade,
    };
    check(
        &TRADES.replace("update", "snapshot"),
        &[sequence(136), reference(newer()), reference(older()), clock],
    );
    check(
        r#"{"channel":"heartbeats","timestamp":"2026-08-09T21:05:48.856364007Z","sequence_num":35,"events":[{"current_time":"2026-08-09 21:05:48.854840045 +0000 UTC m=+41691.260485341","heartbeat_counter":41691}]}"#,
        &[
            sequence(35),
            Event::Clock {
                venue_ms: 1_786_309_548_856,
            },
        ],
    );
    check(
        r#"{"channel":"subscriptions","timestamp":"2026-08-09T21:05:48.228846629Z","sequence_num":2,"events":[{"subscriptions":{"heartbeats":["heartbeats"],"market_trades":["ETH-USD","XRP-USD"]}}]}"#,
        &[sequence(2), Event::Subscribed { instrument: ETH }],
    );
    let refused = |instrument, message: &str| Event::Refused {
        request: None,
        instrument,
        message: message.to_owned(),
    };
    check(
        r#"{"type":"error","message":"failed to subscribe: ETH-USD is delisted"}"#,
        &[refused(
            Some(ETH),
            "failed to subscribe: ETH-USD is delisted",
        )],
    );
    check(
        r#"{"type":"error","message":"rate limited"}"#,
        &[refused(None, "rate limited")],
    );
    check(
        r#"{"channel":"status","sequence_num":7}"#,
        &[sequence(7), Event::Ignored],
    );
}

#[test]
fn one_damaged_trade_does_not_take_the_others_with_it() {
    let check = |from: &str, to: &str, reason: &str, harm: Harm, expect: &[Trade]| {
        assert!(TRADES.contains(from));
        let frame = TRADES.replace(from, to);
        let (events, result) = run(frame.as_bytes());
        let error = result.unwrap_err();
        assert_eq!(
            (error.reason.as_str(), error.harm),
            (reason, harm),
            "{frame}"
        );
        let trades: Vec<Event> = events
            .into_iter()
            .filter(|event| matches!(event, Event::Trade { .. }))
            .collect();
        let expect: Vec<Event> = expect.iter().map(|&trade| live(trade)).collect();
        assert_eq!(trades, expect, "{frame}");
    };
    let one = Harm::One(BTC);
    check("\"65083.66\"", "\"-65083.66\"", "price", one, &[older()]);
    check("\"65083.66\"", "65083.66", "field", one, &[older()]);
    check("0.00100346", "0.00000000001", "size", one, &[older()]);
    check("\"BUY\"", "\"buy\"", "field", one, &[older()]);
    check("\"1068572096\"", "\"ten\"", "field", one, &[older()]);
    check("\"1068572096\"", "1068572096", "field", one, &[older()]);
    check("\"1068572096\"", "\"-1\"", "field", one, &[older()]);
    check("21:05:51.426861Z", "25:05:51Z", "time", one, &[older()]);
    check("65083.6", "x65083.6", "price", one, &[]);
    check(
        "\"timestamp\":\"2026-08-09T21:05:51.452192913Z\",",
        "",
        "field",
        Harm::Any,
        &[],
    );
    check("\"events\":[", "\"events\":[5,", "field", Harm::Any, &[]);
    check("]}]}", "]", "json", Harm::Any, &[]);
    check("BTC-USD", "XRP-USD", "instrument", Harm::None, &[]);
}

proptest! {
    #[test]
    fn no_bytes_panic(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
        let _ = run(&bytes);
    }

    #[test]
    fn damage_never_panics(at in 0..TRADES.len(), with in any::<u8>()) {
        let mut frame = TRADES.as_bytes().to_vec();
        frame[at] = with;
        let (events, _) = run(&frame);
        prop_assert!(events.len() <= 4);
    }
}
