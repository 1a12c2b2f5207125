//! The contract's texts, kept as files: an encoder that drifts from them breaks clients.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test may panic")]
use wire::frame::{ClientOp, ErrorCode, Reply, Request};
use wire::{Bar, Completeness, Topic};

fn golden(name: &str) -> String {
    let path = format!("{}/tests/golden/{name}", env!("CARGO_MANIFEST_DIR"));
    std::fs::read_to_string(&path)
        .unwrap_or_else(|error| panic!("{path}: {error}"))
        .trim_end()
        .to_owned()
}

#[test]
fn bars_are_written_to_the_letter() {
    for name in ["bar-closed.json", "bar-open-quiet-long.json"] {
        let text = golden(name);
        let bar = Bar::decode(text.as_bytes()).unwrap();
        assert_eq!(String::from_utf8(bar.encode()).unwrap(), text, "{name}");
    }
}

#[test]
fn a_bar_keeps_its_fields_under_its_long_name() {
    let bar = Bar::decode(golden("bar-closed.json").as_bytes()).unwrap();
    let mut text = Vec::new();
    bar.encode_as(&Topic::long(&bar.instrument, bar.interval), &mut text);
    let expect = golden("bar-closed.json").replace("kline:1m:", "kline:binance-spot:1m:");
    assert_eq!(String::from_utf8(text).unwrap(), expect);
}

#[test]
fn a_bar_of_a_later_release_is_read_but_never_passed_off_as_whole() {
    let bar = Bar::decode(golden("bar-newer.json").as_bytes()).unwrap();
    assert_eq!(bar.completeness, Completeness::Unknown);
    assert_eq!(bar.candle.volume.to_string(), "922337203680000.0000000001");
    assert_eq!(bar.close_no, u64::MAX);
}

/// As 0.1.0 wrote it. The file never changes, whatever later releases write.
#[test]
fn a_bar_of_the_first_release_is_read() {
    let bar = Bar::decode(golden("bar-older.json").as_bytes()).unwrap();
    assert_eq!(bar.completeness, Completeness::Complete);
    assert_eq!(bar.candle.quote_volume.to_string(), "272512.384512");
    assert_eq!((bar.close_no, bar.candle.count, bar.seq), (7, 611, 240));
}

#[test]
fn bars_that_contradict_themselves_are_refused() {
    let good = golden("bar-closed.json");
    let check = |from: &str, to: &str, expect: &str| {
        let text = good.replace(from, to);
        assert_ne!(text, good, "{from:?} is not in the golden bar");
        let error = Bar::decode(text.as_bytes()).unwrap_err().to_string();
        assert!(error.contains(expect), "{to:?}: {error}");
    };
    check("\"op\":\"bar\"", "\"op\":\"ok\"", "not a bar but \"ok\"");
    check(
        "\"end\":1723161300000",
        "\"end\":1723161300001",
        "end is not start plus interval",
    );
    check(
        "\"start\":1723161240000,\"end\":1723161300000",
        "\"start\":1723161240001,\"end\":1723161300001",
        "multiple",
    );
    check("kline:1m:BTC", "kline:1m:ETH", "another bar");
    check("kline:1m:BTC", "kline:5m:BTC", "another bar");
    check("kline:1m:BTC", "kline:coinbase:1m:BTC", "another bar");
    check("\"low\":\"61830.1\"", "\"low\":\"61836\"", "prices outside");
    check("\"high\":\"61840\"", "\"high\":\"61836\"", "prices outside");
    check("\"count\":182", "\"count\":0", "ids do not fit");
    check(
        "\"first_id\":3735683259",
        "\"first_id\":null",
        "one id without",
    );
    check(
        "\"first_id\":3735683259",
        "\"first_id\":3735683441",
        "ids do not fit",
    );
    check(
        "\"taker_buy_volume\":\"6.1\"",
        "\"taker_buy_volume\":\"13\"",
        "taker volume",
    );
    check("\"open\":\"61837.63\"", "\"open\":61837.63", "not a bar");
    check(
        "\"open\":\"61837.63\"",
        "\"open\":\"-61837.63\"",
        "plain decimal",
    );
    check("\"volume\":\"12.345\",", "", "missing field");
    check("\"rev\":0", "\"rev\":-1", "not a bar");
    check(
        "\"start\":1723161240000",
        "\"start\":9223372036854775807",
        "end is not start",
    );
    check("\"count\":182", "\"count\":183", "more trades than ids");
    check(
        "\"completeness\":\"complete\"",
        "\"completeness\":\"quiet\"",
        "quiet, and trades",
    );
    check(
        "\"closed\":true,\"rev\":0",
        "\"closed\":false,\"rev\":1",
        "amended while open",
    );
    // In a bar that is not whole there may be two counts of ids.
    for word in ["gap", "unknown"] {
        let doubtful = good.replace("\"count\":182", "\"count\":183").replace(
            "\"completeness\":\"complete\"",
            &format!("\"completeness\":\"{word}\""),
        );
        assert!(Bar::decode(doubtful.as_bytes()).is_ok(), "{word}");
    }
    let lowest = "\"start\":-9223372036854775808,\"end\":-9223372036854715808";
    check(
        "\"start\":1723161240000,\"end\":1723161300000",
        lowest,
        "multiple",
    );
    assert!(
        Bar::decode(b"").is_err()
            && Bar::decode(b"[]").is_err()
            && Bar::decode(b"\xff\xfe").is_err()
    );
}

#[test]
fn requests_are_read() {
    let check = |text: &str, id: Option<u64>, op: ClientOp| {
        assert_eq!(Request::decode(text, 10), Ok(Request { id, op }), "{text}");
    };
    let filter = |text: &str| Ok(text.parse().unwrap());
    check(
        r#"{"op":"subscribe","topics":["kline:1m:BTC-USDT"],"after":{"kline:1m:BTC-USDT":8812},"id":1}"#,
        Some(1),
        ClientOp::Subscribe {
            topics: vec![filter("kline:1m:BTC-USDT")],
            after: [("kline:1m:BTC-USDT".parse().unwrap(), 8812)].into(),
        },
    );
    check(
        r#"{"id":2,"topics":["kline:*:BTC-USDT"],"op":"unsubscribe","unknown":true}"#,
        Some(2),
        ClientOp::Unsubscribe {
            topics: vec![filter("kline:*:BTC-USDT")],
        },
    );
    check(r#"{"op":"list","id":3}"#, Some(3), ClientOp::List);
    check(
        r#"{"op":"auth","token":"t","id":4}"#,
        Some(4),
        ClientOp::Auth { token: "t".into() },
    );
    check(r#"{"op":"ping"}"#, None, ClientOp::Ping);
}

#[test]
fn bad_requests_are_refused_with_their_number() {
    let check = |text: &str, id: Option<u64>, code: ErrorCode| {
        let error = Request::decode(text, 2).unwrap_err();
        assert_eq!((error.id, error.code), (id, code), "{text}: {error}");
    };
    check("", None, ErrorCode::BadJson);
    check("nonsense", None, ErrorCode::BadJson);
    check(r#"["ping",null,null,null,5]"#, None, ErrorCode::BadJson);
    check("[1]", None, ErrorCode::BadJson);
    check(r#"{"id":1}"#, Some(1), ErrorCode::BadRequest);
    check(r#"{"op":"dance","id":1}"#, Some(1), ErrorCode::UnknownOp);
    check(
        r#"{"op":"subscribe","id":1}"#,
        Some(1),
        ErrorCode::BadRequest,
    );
    check(
        r#"{"op":"subscribe","topics":[],"id":1}"#,
        Some(1),
        ErrorCode::BadRequest,
    );
    check(
        r#"{"op":"subscribe","topics":"kline:1m:A-B","id":1}"#,
        Some(1),
        ErrorCode::BadRequest,
    );
    check(
        r#"{"op":"subscribe","topics":["a","b","c"],"id":1}"#,
        Some(1),
        ErrorCode::TooManyTopics,
    );
    check(
        r#"{"op":"subscribe","topics":["kline:1m:A-B"],"after":{"kline:*:A-B":1},"id":1}"#,
        Some(1),
        ErrorCode::BadAfter,
    );
    check(
        r#"{"op":"subscribe","topics":["kline:1m:A-B"],"after":{"kline:1m:A-B":-1},"id":1}"#,
        Some(1),
        ErrorCode::BadRequest,
    );
    check(r#"{"op":"auth","id":1}"#, Some(1), ErrorCode::BadRequest);
    check(r#"{"op":"list","id":-1}"#, None, ErrorCode::BadRequest);
}

#[test]
fn what_a_refusal_repeats_is_cut() {
    let text = format!(r#"{{"op":"ping","id":"{}"}}"#, "x".repeat(60_000));
    let error = Request::decode(&text, 2).unwrap_err();
    assert_eq!(error.code, ErrorCode::BadRequest);
    assert!(error.message.len() < 200, "{} bytes", error.message.len());
    assert!(error.message.contains("column"), "{error}");
}

#[test]
fn a_bad_topic_does_not_spoil_the_others() {
    let request = Request::decode(
        r#"{"op":"subscribe","topics":["kline:1m:btc","kline:1m:A-B"],"id":1}"#,
        10,
    )
    .unwrap();
    let ClientOp::Subscribe { topics, .. } = request.op else {
        panic!("not a subscribe")
    };
    assert_eq!(topics[0].as_ref().unwrap_err().text, "kline:1m:btc");
    assert!(topics[1].is_ok());
}

#[test]
fn replies_are_written_to_the_letter() {
    let check = |reply: Reply, expect: &str| {
        assert_eq!(String::from_utf8(reply.encode()).unwrap(), expect);
        assert_eq!(serde_json::from_str::<Reply>(expect).unwrap(), reply);
    };
    let topic = || "kline:1m:BTC-USDT".to_owned();
    check(
        Reply::Ok {
            id: Some(1),
            topics: Some(vec![topic()]),
        },
        r#"{"op":"ok","id":1,"topics":["kline:1m:BTC-USDT"]}"#,
    );
    check(
        Reply::Error {
            id: Some(1),
            code: ErrorCode::UnknownTopic,
            message: "m".into(),
            topic: Some(topic()),
        },
        r#"{"op":"error","id":1,"code":"unknown_topic","message":"m","topic":"kline:1m:BTC-USDT"}"#,
    );
    check(
        Reply::Missed {
            topic: topic().parse().unwrap(),
            from: 3,
            to: 9,
        },
        r#"{"op":"missed","topic":"kline:1m:BTC-USDT","from":3,"to":9}"#,
    );
    check(Reply::Pong { id: Some(5) }, r#"{"op":"pong","id":5}"#);
    check(Reply::Pong { id: None }, r#"{"op":"pong"}"#);
}
