//! What a careless or hostile client sends: an answer with a code, and the connection goes on, or a close with one.

use crate::client::{Client, Feed, Object, get, get_json};
use exchange_sim::{Kind, Play, Speed};
use standalone::market::Market;
use standalone::up::Options;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::protocol::frame::Frame;
use tokio_tungstenite::tungstenite::protocol::frame::coding::{Data, OpCode};
use wire::Symbol;
use wire::frame::{ErrorCode, Reply};

fn options() -> Options {
    let play = Play::Generate {
        symbols: vec![(Kind::BinanceSpot, Symbol::new("BTC-USDT").unwrap())],
        rate: 100,
        seed: 1,
        start_ms: None,
        trades_max: None,
    };
    Options::new(Market::Simulated {
        play,
        speed: Speed::Times(1.0),
    })
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn bad_requests_are_answered_and_the_connection_goes_on() {
    let feed = Feed::start(options()).await;
    let mut client = Client::connect(feed.address).await;
    let mut check = async |request: &str, expect: ErrorCode| {
        client.send(Message::text(request)).await;
        match client.reply().await {
            Reply::Error { code, message, .. } => {
                assert_eq!(code, expect, "{request}");
                assert!(
                    !message.is_empty() && message.len() < 500,
                    "{request}: {message}"
                );
            }
            other => panic!("{request}: {other:?}"),
        }
    };
    check("", ErrorCode::BadJson).await;
    check("hello", ErrorCode::BadJson).await;
    check("[1,2]", ErrorCode::BadJson).await;
    check(&"[".repeat(10_000), ErrorCode::BadJson).await;
    check("{}", ErrorCode::BadRequest).await;
    check(r#"{"op":7}"#, ErrorCode::BadRequest).await;
    check(r#"{"op":"dance","id":1}"#, ErrorCode::UnknownOp).await;
    check(r#"{"op":"subscribe"}"#, ErrorCode::BadRequest).await;
    check(
        r#"{"op":"subscribe","topics":"kline:1s:BTC-USDT"}"#,
        ErrorCode::BadRequest,
    )
    .await;
    check(
        r#"{"op":"subscribe","topics":["kline:1s:btcusdt"]}"#,
        ErrorCode::BadTopic,
    )
    .await;
    check(
        r#"{"op":"subscribe","topics":["kline:1s:BTC.USDT"]}"#,
        ErrorCode::BadTopic,
    )
    .await;
    check(
        r#"{"op":"subscribe","topics":["kline:7s:BTC-USDT"]}"#,
        ErrorCode::BadTopic,
    )
    .await;
    check(
        r#"{"op":"subscribe","topics":["kline:1s:DOGE-USDT"]}"#,
        ErrorCode::UnknownTopic,
    )
    .await;
    check(
        r#"{"op":"subscribe","topics":["kline:1d:BTC-USDT"]}"#,
        ErrorCode::UnknownTopic,
    )
    .await;
    check(r#"{"op":"auth","token":"x"}"#, ErrorCode::Unsupported).await;
    let many = vec!["kline:1s:BTC-USDT"; 2_000];
    check(
        &serde_json::json!({"op": "subscribe", "topics": many}).to_string(),
        ErrorCode::TooManyTopics,
    )
    .await;

    // After all that the connection serves as before.
    client.subscribe(&["kline:1s:BTC-USDT"], false).await;
    assert!(matches!(client.next().await, Some(Object::Bar(_))));
    feed.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn bad_frames_close_with_their_code() {
    let feed = Feed::start(options()).await;
    let check = async |message: Message, code: u16| {
        let mut client = Client::connect(feed.address).await;
        client.send(message).await;
        assert_eq!(client.close_code().await, Some(code));
    };
    check(Message::binary(vec![1, 2, 3]), 1003).await;
    check(Message::text("x".repeat(65 * 1_024)), 1009).await;
    let not_utf8 = Frame::message(vec![0xff, 0xfe], OpCode::Data(Data::Text), true);
    check(Message::Frame(not_utf8), 1007).await;
    feed.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn http_refuses_with_a_code() {
    let feed = Feed::start(options()).await;
    let check = async |path: &str, status: u16, code: &str| {
        let (got, body) = get_json(feed.address, path).await;
        assert_eq!(
            (got, &body["error"]["code"]),
            (status, &code.into()),
            "{path}"
        );
    };
    check(
        "/api/v1/klines?symbol=BTC-USDT&interval=5x",
        400,
        "bad_interval",
    )
    .await;
    check(
        "/api/v1/klines?symbol=BTCUSDT&interval=1s",
        400,
        "bad_symbol",
    )
    .await;
    check(
        "/api/v1/klines?symbol=ETH-USDT&interval=1s",
        404,
        "unknown_topic",
    )
    .await;
    check(
        "/api/v1/klines?symbol=BTC-USDT&interval=1s&limit=1e9",
        400,
        "bad_limit",
    )
    .await;
    check("/nothing", 404, "not_found").await;
    let (status, body) = get_json(feed.address, "/api/v1/topics").await;
    assert_eq!(
        (status, &body["topics"][0]["topic"]),
        (200, &"kline:1s:BTC-USDT".into())
    );
    for (path, part) in [
        ("/", "MarketFeed"),
        ("/livez", "ok"),
        ("/readyz", "ready"),
        ("/metrics", "ws_connections"),
    ] {
        let (status, body) = get(feed.address, path).await;
        assert_eq!(status, 200, "{path}");
        assert!(body.contains(part), "{path}: {body}");
    }
    feed.stop().await;
}
