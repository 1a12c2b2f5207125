use proptest::prelude::*;
use wire::Symbol;

use super::*;
use crate::venue::{Venue, coinbase::Coinbase};

const LAST_MATCH: &str = r#"{"type":"last_match","trade_id":881613,"maker_order_id":"27fff20b-af29-4f45-8744-56dd1ef57dc0","taker_order_id":"1da6ce16-c8da-4732-9f71-6049f4c6aaf8","side":"sell","size":"0.04","price":"14.7775","product_id":"BAND-GBP","sequence":333938798,"time":"2021-04-17T16:43:30.244075Z"}"#;
const HEARTBEAT: &str = r#"{"type":"heartbeat","last_trade_id":1092969669,"product_id":"BTC-USD","sequence":136118091026,"time":"2026-09-15T11:01:54.000000Z"}"#;
const BTC: InstrumentIndex = InstrumentIndex(0);
const BAND: InstrumentIndex = InstrumentIndex(1);

fn run(frame: &[u8]) -> Result<Vec<Event>, DecodeError> {
    let symbols: Vec<Symbol> = ["BTC-USD", "BAND-GBP"].map(|s| s.parse().unwrap()).into();
    let mut events = Vec::new();
    Coinbase::new(&symbols)
        .unwrap()
        .decode(frame, &mut events)?;
    Ok(events)
}

fn band(taker: Side) -> Trade {
    Trade {
        id: 881_613,
        time_ms: 1_618_677_810_244,
        price: "14.7775".parse().unwrap(),
        size: "0.04".parse().unwrap(),
        taker,
    }
}

#[test]
fn frames_become_events() {
    let check = |frame: &str, expect: &[Event]| {
        assert_eq!(run(frame.as_bytes()).as_deref(), Ok(expect), "{frame}");
    };
    let reference = |taker| Event::Reference {
        instrument: BAND,
        trade: band(taker),
    };
    // The maker sold, so the taker bought.
    check(LAST_MATCH, &[reference(Side::Buy)]);
    check(&LAST_MATCH.replace("sell", "buy"), &[reference(Side::Sell)]);
    let live = Event::Trade {
        instrument: BAND,
        trade: band(Side::Buy),
        event_time_ms: 1_618_677_810_244,
    };
    check(&LAST_MATCH.replace("last_match", "match"), &[live]);
    check(
        HEARTBEAT,
        &[
            Event::LastTrade {
                instrument: BTC,
                trade_id: 1_092_969_669,
                venue_ms: 1_789_470_114_000,
            },
            Event::Clock {
                venue_ms: 1_789_470_114_000,
            },
        ],
    );
    check(
        r#"{"type":"subscriptions","channels":[{"name":"heartbeat","product_ids":["BAND-GBP"]},{"name":"matches","product_ids":["BTC-USD","XRP-USD"]}]}"#,
        &[Event::Subscribed { instrument: BTC }],
    );
    check(r#"{"type":"subscriptions","channels":[]}"#, &[]);
    let refused = |instrument, message: &str| Event::Refused {
        request: None,
        instrument,
        message: message.to_owned(),
    };
    check(
        r#"{"type":"error","message":"Failed to subscribe","reason":"GIBBERISH-USD is not a valid product"}"#,
        &[refused(
            None,
            "Failed to subscribe: GIBBERISH-USD is not a valid product",
        )],
    );
    check(
        r#"{"type":"error","message":"Failed to subscribe","reason":"BAND-GBP is not a valid product"}"#,
        &[refused(
            Some(BAND),
            "Failed to subscribe: BAND-GBP is not a valid product",
        )],
    );
    check(
        r#"{"type":"ticker","price":1,"time":7,"trade_id":"x"}"#,
        &[Event::Ignored],
    );
}

#[test]
fn what_cannot_be_read_exactly_is_an_error_that_names_whom_it_harms() {
    let check = |frame: &str, reason: &str, harm: Harm| {
        let error = run(frame.as_bytes()).unwrap_err();
        assert_eq!(
            (error.reason.as_str(), error.harm),
            (reason, harm),
            "{frame}"
        );
    };
    let with = |from: &str, to: &str| {
        assert!(LAST_MATCH.contains(from));
        LAST_MATCH.replace(from, to)
    };
    let one = Harm::One(BAND);
    check(&with("\"14.7775\"", "14.7775"), "field", one);
    check(&with("14.7775", "-14.7775"), "price", one);
    check(&with("14.7775", &"9".repeat(60)), "price", one);
    check(&with("0.04", "0.00000000001"), "size", one);
    check(&with("\"side\":\"sell\",", ""), "field", one);
    check(&with("\"sell\"", "\"SELL\""), "field", one);
    check(&with("\"trade_id\":881613,", ""), "field", one);
    check(&with("881613", "-5"), "field", one);
    check(
        &with(
            "\"time\":\"2021-04-17T16:43:30.244075Z\"",
            "\"time\":\"yesterday\"",
        ),
        "time",
        one,
    );
    check(
        &with("\"product_id\":\"BAND-GBP\",", ""),
        "field",
        Harm::Any,
    );
    check(&with("BAND-GBP", "XRP-USD"), "instrument", Harm::None);
    check(&LAST_MATCH[..100], "json", Harm::Any);
    check(&LAST_MATCH[..LAST_MATCH.len() - 2], "json", one);
    check(
        &HEARTBEAT.replace("1092969669", "null"),
        "field",
        Harm::None,
    );
    check(
        &HEARTBEAT.replace("2026-09-15", "2026-19-15"),
        "time",
        Harm::None,
    );
    check("", "json", Harm::Any);
    check("{}", "field", Harm::Any);
    check("[1,2]", "field", Harm::Any);
}

proptest! {
    #[test]
    fn no_bytes_panic(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
        let _ = run(&bytes);
    }

    #[test]
    fn damage_never_panics(at in 0..LAST_MATCH.len(), with in any::<u8>()) {
        let mut frame = LAST_MATCH.as_bytes().to_vec();
        frame[at] = with;
        if let Ok(events) = run(&frame) {
            prop_assert!(events.len() <= 1);
        }
    }
}
