use super::*;
use crate::market::tape::Listing;
use crate::market::{Body, Listed, Step};
use crate::venue::{Kind, Session as _};
use wire::{Side, Trade};

fn market() -> Market {
    let listing = Listing {
        tick_decimals: 2,
        lot_decimals: 5,
    };
    let listed = ["BTC-USD", "ETH-USD"].map(|id| Listed {
        symbol: id.parse().unwrap(),
        listing,
        reference: None,
    });
    Market::new(Kind::Coinbase, &listed, 0)
}

fn open() -> Session {
    Session::new(&Opening {
        path: "/",
        query: "",
        now_ms: 0,
        position: 0,
        limits: &Limits::default(),
    })
}

fn out(session: &mut Session) -> Vec<String> {
    std::iter::from_fn(|| session.poll_output())
        .filter_map(|output| match output {
            Output::Text(_, text) => Some(text),
            Output::Close(code, reason) => Some(format!("close {code} {reason}")),
            Output::Wants(symbol) => Some(format!("wants {symbol}")),
            Output::Ping(_) => None,
        })
        .collect()
}

fn trade(market: &mut Market, id: u64) -> Event {
    let (price, size) = ("10.5".parse().unwrap(), "2".parse().unwrap());
    let trade = Trade {
        id,
        time_ms: 1_000,
        price,
        size,
        taker: Side::Buy,
    };
    let body = Body::Trades {
        symbol: "BTC-USD".parse().unwrap(),
        fills: vec![(trade, 1_000_000)],
        frame: None,
    };
    market
        .handle_step(Step {
            at_ns: 0,
            clock_ms: Some(1_000),
            body,
        })
        .unwrap()
}

#[test]
fn five_seconds_to_subscribe() {
    let (mut session, market) = (open(), market());
    assert_eq!(session.poll_timeout(), Some(5_000));
    session.handle_timeout(4_999);
    assert_eq!(out(&mut session), Vec::<String>::new());
    session.handle_timeout(5_000);
    assert_eq!(
        out(&mut session),
        ["close 1008 no subscription within 5 seconds"]
    );

    let mut session = open();
    session.handle_text(
        0,
        r#"{"type":"subscribe","product_ids":["BTC-USD"],"channels":["ticker"]}"#,
        &market,
    );
    assert_eq!(session.poll_timeout(), None);
}

#[test]
fn answers_are_the_exchanges() {
    let market = market();
    let check = |text: &str, expect: &str| {
        let mut session = open();
        session.handle_text(0, text, &market);
        assert_eq!(out(&mut session)[0], expect, "{text}");
    };
    check(
        r#"{"type":"subscribe","product_ids":["BTC-USD"],"channels":["full"]}"#,
        r#"{"type":"error","message":"Failed to subscribe","reason":"full is not a valid channel"}"#,
    );
    check(
        r#"{"type":"subscribe","channels":[{"name":"matches","product_ids":["NO-USD"]}]}"#,
        r#"{"type":"error","message":"Failed to subscribe","reason":"NO-USD is not a valid product"}"#,
    );
    check(
        r#"{"type":"hello"}"#,
        r#"{"type":"error","message":"Failed to parse","reason":"hello is not a valid type"}"#,
    );
    check("[]", r#"{"type":"error","message":"Malformed JSON"}"#);
    check(
        r#"{"type":"unsubscribe","product_ids":["BTC-USD"],"channels":["matches"]}"#,
        r#"{"type":"subscriptions","channels":[]}"#,
    );
}

#[test]
fn a_subscriber_knows_only_what_its_place_in_the_stream_has_shown() {
    let (mut session, mut market) = (open(), market());
    let seen = trade(&mut market, 7);
    trade(&mut market, 8);
    session.handle_event(0, &seen, &market);
    session.handle_text(
        0,
        r#"{"type":"subscribe","product_ids":["BTC-USD"],"channels":["matches"]}"#,
        &market,
    );
    let out = out(&mut session);
    assert!(
        out[1].starts_with(r#"{"type":"last_match","trade_id":7,"#),
        "{out:?}"
    );
    assert_eq!(out[2], "wants BTC-USD");
}

#[test]
fn heartbeats_name_the_last_trade_of_each_product() {
    let (mut session, mut market) = (open(), market());
    let subscribe =
        r#"{"type":"subscribe","product_ids":["BTC-USD","ETH-USD"],"channels":["heartbeat"]}"#;
    session.handle_text(0, subscribe, &market);
    out(&mut session);
    trade(&mut market, 7);
    let second = market.handle_second(2_000);
    session.handle_event(0, &second, &market);
    let time = r#""time":"1970-01-01T00:00:02.000000Z"}"#;
    let expect = [
        format!(
            r#"{{"type":"heartbeat","last_trade_id":7,"product_id":"BTC-USD","sequence":29,{time}"#
        ),
        format!(
            r#"{{"type":"heartbeat","last_trade_id":0,"product_id":"ETH-USD","sequence":1,{time}"#
        ),
    ];
    assert_eq!(out(&mut session), expect);
}

#[test]
fn a_heartbeat_is_never_before_the_trade_that_it_names() {
    let (mut session, mut market) = (open(), market());
    let subscribe = r#"{"type":"subscribe","product_ids":["BTC-USD"],"channels":["heartbeat"]}"#;
    session.handle_text(0, subscribe, &market);
    out(&mut session);
    // A last_match from beyond the second: it shows no clock, so the second has yet to pass.
    let trade = Trade {
        id: 9,
        time_ms: 2_056,
        price: "1".parse().unwrap(),
        size: "1".parse().unwrap(),
        taker: Side::Buy,
    };
    market.handle_step(Step {
        at_ns: 0,
        clock_ms: None,
        body: Body::Trades {
            symbol: "BTC-USD".parse().unwrap(),
            fills: vec![(trade, 2_056_746)],
            frame: None,
        },
    });
    for (second_ms, time) in [(2_000, "00:00:02.057000Z"), (3_000, "00:00:03.000000Z")] {
        let second = market.handle_second(second_ms);
        session.handle_event(0, &second, &market);
        let expect = format!(
            r#"{{"type":"heartbeat","last_trade_id":9,"product_id":"BTC-USD","sequence":37,"time":"1970-01-01T{time}"}}"#
        );
        assert_eq!(out(&mut session), [expect]);
    }
}

#[test]
fn a_market_that_is_over_goes_on_with_heartbeats_at_a_clock_that_creeps() {
    let (mut session, mut market) = (open(), market());
    market
        .recorded_streams
        .insert("heartbeat:BTC-USD".to_owned());
    let subscribe = r#"{"type":"subscribe","product_ids":["BTC-USD"],"channels":["heartbeat"]}"#;
    session.handle_text(0, subscribe, &market);
    out(&mut session);
    trade(&mut market, 7);
    let second = market.handle_second(2_000);
    session.handle_event(0, &second, &market);
    assert!(out(&mut session).is_empty(), "the recording has its own");
    for (creep_ms, time) in [(0, "00:00:02.000000Z"), (1, "00:00:02.001000Z")] {
        let event = market.handle_idle(creep_ms);
        session.handle_event(0, &event, &market);
        let expect = format!(
            r#"{{"type":"heartbeat","last_trade_id":7,"product_id":"BTC-USD","sequence":29,"time":"1970-01-01T{time}"}}"#
        );
        assert_eq!(out(&mut session), [expect]);
    }
}
