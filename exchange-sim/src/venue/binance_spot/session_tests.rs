use super::*;
use crate::market::{Body, Listed, Step, tape::Listing};
use crate::venue::Session as _;
use wire::{Side, Trade};

/// A session and the market it looks at.
struct Pair {
    session: Session,
    market: Market,
}

fn open(path: &str, query: &str) -> Pair {
    let listing = Listing {
        tick_decimals: 2,
        lot_decimals: 5,
    };
    let listed = ["BTC-USDT", "ETH-USDT"].map(|symbol| Listed {
        symbol: symbol.parse().unwrap(),
        listing,
        reference: Some("10".parse().unwrap()),
    });
    let opening = Opening {
        path,
        query,
        now_ms: 0,
        position: 0,
        limits: &Limits::default(),
    };
    Pair {
        session: Session::new(&opening),
        market: Market::new(Kind::BinanceSpot, &listed, 0),
    }
}

impl Pair {
    fn out(&mut self) -> Vec<String> {
        std::iter::from_fn(|| self.session.poll_output())
            .filter_map(|output| match output {
                Output::Text(_, text) => Some(text),
                Output::Ping(payload) => Some(format!("ping {payload}")),
                Output::Close(code, reason) => Some(format!("close {code} {reason}")),
                Output::Wants(_) => None,
            })
            .collect()
    }

    fn text(&mut self, now_ms: u64, text: &str) -> Vec<String> {
        self.session.handle_text(now_ms, text, &self.market);
        self.out()
    }

    fn trade(&mut self, id: u64, time_ms: i64, price: &str) -> Vec<String> {
        let trade = Trade {
            id,
            time_ms,
            price: price.parse().unwrap(),
            size: "2".parse().unwrap(),
            taker: Side::Buy,
        };
        let body = Body::Trades {
            symbol: "BTC-USDT".parse().unwrap(),
            fills: vec![(trade, time_ms * 1_000)],
            frame: None,
        };
        let step = Step {
            at_ns: 0,
            clock_ms: Some(time_ms),
            body,
        };
        let event = self.market.handle_step(step).unwrap();
        self.session.handle_event(0, &event, &self.market);
        self.out()
    }

    fn second(&mut self, second_ms: i64) -> Vec<String> {
        let event = self.market.handle_second(second_ms);
        self.session.handle_event(0, &event, &self.market);
        self.out()
    }
}

#[test]
fn answers_are_the_exchanges() {
    let check =
        |text: &str, expect: &str| assert_eq!(open("/ws", "").text(0, text), [expect], "{text}");
    check(
        r#"{"method":"SUBSCRIBE","params":["btcusdt@trade"],"id":1}"#,
        r#"{"result":null,"id":1}"#,
    );
    check(
        r#"{"method":"UNSUBSCRIBE","params":["btcusdt@trade"],"id":"x"}"#,
        r#"{"result":null,"id":"x"}"#,
    );
    check(
        r#"{"method":"LIST_SUBSCRIPTIONS","id":3}"#,
        r#"{"result":[],"id":3}"#,
    );
    check(
        r#"{"method":"LIST_SUBSCRIPTIONS","params":["a"],"id":3}"#,
        r#"{"code":2,"msg":"Invalid request: too many parameters"}"#,
    );
    check(
        "nonsense",
        r#"{"code":3,"msg":"Invalid JSON: expected ident at line 1 column 2"}"#,
    );
    check(
        "",
        r#"{"code":3,"msg":"Invalid JSON: EOF while parsing a value at line 1 column 0"}"#,
    );
    check(
        "<",
        r#"{"code":3,"msg":"Invalid JSON: expected value at line 1 column 1"}"#,
    );
    check(
        r#"{"method":"SUBSCRIBE","params":["btc"],"id":1}"#,
        r#"{"code":2,"msg":"Invalid request: invalid stream"}"#,
    );
    let unknown = open("/ws", "").text(0, r#"{"method":"JUMP","id":1}"#);
    assert!(
        unknown[0].starts_with(r#"{"code":2,"msg":"Invalid request: unknown variant `JUMP`"#),
        "{unknown:?}"
    );
}

#[test]
fn subscriptions_come_by_url_and_by_message_and_are_listed() {
    let mut pair = open("/stream", "streams=btcusdt@trade/ethusdt%40trade");
    assert!(
        pair.text(
            0,
            r#"{"method":"SUBSCRIBE","params":["btcusdt@aggTrade"],"id":1}"#
        )
        .len()
            == 1
    );
    pair.text(
        0,
        r#"{"method":"UNSUBSCRIBE","params":["ethusdt@trade"],"id":2}"#,
    );
    let listed = pair.text(0, r#"{"method":"LIST_SUBSCRIPTIONS","id":3}"#);
    assert_eq!(
        listed,
        [r#"{"result":["btcusdt@trade","btcusdt@aggTrade"],"id":3}"#]
    );
    let out = pair.trade(7, 1_000, "11");
    assert_eq!(out.len(), 2);
    assert!(out[0].starts_with(
        r#"{"stream":"btcusdt@trade","data":{"e":"trade","E":1000,"s":"BTCUSDT","t":7,"#
    ));
    assert!(
        out[1].starts_with(r#"{"stream":"btcusdt@aggTrade","data":{"e":"aggTrade","#),
        "{}",
        out[1]
    );
}

#[test]
fn klines_tick_each_second_or_each_two_and_are_flat_when_quiet() {
    let mut pair = open("/ws", "");
    let subscribe =
        r#"{"method":"SUBSCRIBE","params":["btcusdt@kline_1s","btcusdt@kline_1m"],"id":1}"#;
    pair.text(0, subscribe);
    pair.trade(1, 60_500, "11");
    let intervals = |out: Vec<String>| -> Vec<(String, bool, u64)> {
        let value = |text: &String| serde_json::from_str::<serde_json::Value>(text).unwrap();
        let of = |v: serde_json::Value| {
            (
                v["k"]["i"].as_str().unwrap().to_owned(),
                v["k"]["x"] == true,
                v["k"]["n"].as_u64().unwrap(),
            )
        };
        out.iter().map(|text| of(value(text))).collect()
    };
    let s = |closed, count| ("1s".to_owned(), closed, count);
    let m = |closed, count| ("1m".to_owned(), closed, count);
    assert_eq!(intervals(pair.second(61_000)), [s(true, 1)]);
    assert_eq!(intervals(pair.second(62_000)), [s(true, 0), m(false, 1)]);
    assert_eq!(intervals(pair.second(119_000)), [s(true, 0)]);
    assert_eq!(intervals(pair.second(120_000)), [s(true, 0), m(true, 1)]);
    let quiet = pair.second(121_000);
    assert!(
        quiet[0].contains(r#""t":120000,"T":120999"#)
            && quiet[0].contains(r#""o":"11.00000000","c":"11.00000000""#)
    );
    assert!(quiet[0].contains(r#""f":-1,"L":-1"#), "{quiet:?}");
}

#[test]
fn five_messages_a_second_and_no_more() {
    let mut pair = open("/ws", "");
    let list = r#"{"method":"LIST_SUBSCRIPTIONS","id":3}"#;
    for n in 0..5 {
        assert_eq!(pair.text(n * 100, list).len(), 1);
    }
    // The first has left the window by then.
    assert_eq!(pair.text(1_000, list), [r#"{"result":[],"id":3}"#]);
    assert_eq!(pair.text(1_050, list), ["close 1008 Too many requests"]);
    assert_eq!(pair.text(9_000, list), Vec::<String>::new());
}

#[test]
fn a_thousand_and_twenty_four_streams_and_no_more() {
    let mut pair = open("/ws", "");
    let streams = |n: usize| {
        let names: Vec<_> = (0..n).map(|n| format!("\"s{n}@trade\"")).collect();
        format!(
            r#"{{"method":"SUBSCRIBE","params":[{}],"id":1}}"#,
            names.join(",")
        )
    };
    assert_eq!(pair.text(0, &streams(1_024)), [r#"{"result":null,"id":1}"#]);
    let more = pair.text(
        2_000,
        r#"{"method":"SUBSCRIBE","params":["x@trade"],"id":1}"#,
    );
    assert_eq!(more.last().unwrap(), "close 1008 Too many streams");
}

#[test]
fn pings_go_out_and_a_missing_pong_ends_it() {
    let mut pair = open("/ws", "");
    assert_eq!(pair.session.poll_timeout(), Some(20_000));
    pair.session.handle_timeout(20_000);
    assert_eq!(pair.out(), ["ping 1"]);
    pair.session.handle_pong(20_001, b"1");
    pair.session.handle_timeout(40_000);
    assert_eq!(pair.out(), ["ping 2"]);
    pair.session.handle_pong(40_001, b"another");
    for now_ms in [60_000, 80_000] {
        pair.session.handle_timeout(now_ms);
    }
    assert_eq!(pair.out(), ["ping 3", "ping 4"]);
    assert_eq!(pair.session.poll_timeout(), Some(100_000));
    pair.session.handle_timeout(100_000);
    assert_eq!(pair.out(), ["close 1008 Pong timeout"]);
    assert_eq!(pair.session.poll_timeout(), None);
}

#[test]
fn a_day_is_all_it_lives() {
    let mut pair = open("/ws", "");
    let mut pings = 0;
    loop {
        let now_ms = pair.session.poll_timeout().unwrap();
        pair.session.handle_timeout(now_ms);
        let out = pair.out();
        if out[0].starts_with("close") {
            assert_eq!(
                (out[0].as_str(), now_ms),
                ("close 1001 Connection lifetime is over", 86_400_000)
            );
            break;
        }
        pings += 1;
        pair.session
            .handle_pong(now_ms + 1, pings.to_string().as_bytes());
    }
    assert_eq!(pings, 4_319);
}

#[test]
fn the_server_says_that_it_goes_away() {
    let mut pair = open("/stream", "streams=btcusdt@trade");
    pair.second(5_000);
    let event = pair.market.handle_shutdown();
    pair.session.handle_event(0, &event, &pair.market);
    assert_eq!(
        pair.out(),
        [r#"{"stream":"!serverShutdown","data":{"e":"serverShutdown","E":5000}}"#]
    );
}

#[test]
fn a_market_that_is_over_repeats_its_last_klines_at_a_clock_that_creeps() {
    let mut pair = open("/ws", "");
    let subscribe =
        r#"{"method":"SUBSCRIBE","params":["btcusdt@kline_1s","btcusdt@kline_1m"],"id":1}"#;
    pair.text(0, subscribe);
    pair.trade(7, 60_500, "11");
    let last = pair.second(62_000);
    assert_eq!(last.len(), 2);
    let mut idle = |creep_ms| {
        let event = pair.market.handle_idle(creep_ms);
        pair.session.handle_event(0, &event, &pair.market);
        pair.out()
    };
    assert_eq!(idle(0), last);
    let at = |event_ms: &str| -> Vec<String> {
        let moved = |text: &String| text.replace("\"E\":62001,", event_ms);
        last.iter().map(moved).collect()
    };
    assert_eq!(idle(1), at("\"E\":62002,"));
    assert_eq!(idle(0), at("\"E\":62002,"));

    // A recording's own klines came from it; after its end there is no other source of them.
    pair.market
        .recorded_streams
        .insert("btcusdt@kline_1s".to_owned());
    assert!(pair.second(63_000).is_empty());
    let event = pair.market.handle_idle(0);
    pair.session.handle_event(0, &event, &pair.market);
    assert_eq!(pair.out().len(), 2);
}
