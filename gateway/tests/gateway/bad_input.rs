//! What clients send wrong.

use std::time::Duration;

use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio_tungstenite::tungstenite::{Bytes, Message};

use crate::harness::{HANDSHAKE, Running, Stream, options, within};

const BTC: &str = "kline:1m:BTC-USDT";

#[tokio::test]
async fn a_bad_request_gets_a_code_and_the_connection_goes_on() {
    let gateway = Running::start(gateway::Options {
        subscriptions_max: 3,
        request_topics_max: 4,
        ..options()
    });
    let mut btc = Stream::new(BTC);
    let mut more: Vec<Stream> = (0..5)
        .map(|n| Stream::new(&format!("kline:1m:S{n}-USDT")))
        .collect();
    gateway.publish([btc.open()]).await;
    gateway.publish(more.iter_mut().map(Stream::open)).await;
    gateway.knows(6).await;
    let mut client = gateway.client().await;
    let mut check = async |text: &str, code: &str, id: Value| {
        client.send(Message::text(text)).await;
        let reply = client.next().await;
        let got = (&reply["op"], &reply["code"], &reply["id"]);
        assert_eq!(got, (&json!("error"), &json!(code), &id), "{text}: {reply}");
        client.expect_silence().await;
    };
    let null = || Value::Null;
    check("", "bad_json", null()).await;
    check("hello", "bad_json", null()).await;
    check("[1]", "bad_json", null()).await;
    check("{}", "bad_request", null()).await;
    check(r#"{"op":7,"id":3}"#, "bad_request", json!(3)).await;
    check(r#"{"op":"dance","id":4}"#, "unknown_op", json!(4)).await;
    check(
        r#"{"op":"auth","token":"x","id":5}"#,
        "unsupported",
        json!(5),
    )
    .await;
    check(r#"{"op":"subscribe","id":6}"#, "bad_request", json!(6)).await;
    check(
        r#"{"op":"subscribe","topics":["kline:1m"],"id":7}"#,
        "bad_topic",
        json!(7),
    )
    .await;
    check(
        r#"{"op":"subscribe","topics":["kline:60s:BTC-USDT"]}"#,
        "bad_topic",
        null(),
    )
    .await;
    check(
        r#"{"op":"subscribe","topics":["kline:1m:NO-USDT"],"id":8}"#,
        "unknown_topic",
        json!(8),
    )
    .await;
    check(
        r#"{"op":"unsubscribe","topics":["kline:1m:NO-USDT"],"id":8}"#,
        "unknown_topic",
        json!(8),
    )
    .await;
    check(
        r#"{"op":"subscribe","topics":["kline:1m:BTC-USDT"],"after":{"kline:1m:S0-USDT":1},"id":9}"#,
        "bad_after",
        json!(9),
    )
    .await;
    check(
        r#"{"op":"subscribe","topics":["kline:1m:*"],"id":10}"#,
        "too_many_topics",
        json!(10),
    )
    .await;
    let five = r#"{"op":"subscribe","topics":["a","b","c","d","e"],"id":11}"#;
    check(five, "too_many_topics", json!(11)).await;
    // None of it has subscribed to anything.
    client.ask(json!({"op": "list"})).await;
    assert_eq!(client.next().await, json!({"op": "ok", "topics": []}));
    gateway.stop().await;
}

#[tokio::test]
async fn good_topics_of_a_request_count_beside_bad_ones() {
    let gateway = Running::start(options());
    let mut btc = Stream::new(BTC);
    let bar = btc.open();
    gateway.publish([bar.clone()]).await;
    gateway.knows(1).await;
    let mut client = gateway.client().await;
    client
        .ask(json!({"op": "subscribe", "topics": ["nonsense", BTC, "kline:1m:NO-USDT"], "id": 1}))
        .await;
    assert_eq!(
        client.next().await,
        json!({"op": "ok", "id": 1, "topics": [BTC]})
    );
    let errors = [client.next().await, client.next().await];
    assert_eq!(
        (&errors[0]["code"], &errors[0]["topic"]),
        (&json!("bad_topic"), &json!("nonsense"))
    );
    assert_eq!(
        (&errors[1]["code"], &errors[1]["topic"]),
        (&json!("unknown_topic"), &json!("kline:1m:NO-USDT"))
    );
    client.expect(&bar).await;
    gateway.stop().await;
}

#[tokio::test]
async fn what_breaks_the_protocol_closes_with_its_code() {
    let gateway = Running::start(options());
    let check = async |name: &str, bytes: &[u8], code: u16| {
        let mut socket = gateway.raw().await;
        socket.write_all(bytes).await.unwrap();
        let mut answer = Vec::new();
        within(socket.read_to_end(&mut answer)).await.unwrap();
        assert_eq!(answer[0], 0x88, "{name}: not a close frame but {answer:?}");
        assert_eq!(u16::from_be_bytes([answer[2], answer[3]]), code, "{name}");
    };
    check("binary", &[0x82, 0x80, 0, 0, 0, 0], 1003).await;
    check("not masked", &[0x81, 0x01, b'x'], 1002).await;
    check("reserved bit", &[0xC1, 0x80, 0, 0, 0, 0], 1002).await;
    check("reserved opcode", &[0x83, 0x80, 0, 0, 0, 0], 1002).await;
    check("not utf-8", &[0x81, 0x81, 0, 0, 0, 0, 0xFF], 1007).await;
    check(
        "too big",
        &[0x81, 0xFF, 0, 0, 0, 0, 0, 1, 0, 1, 0, 0, 0, 0],
        1009,
    )
    .await;
    check("continues nothing", &[0x80, 0x80, 0, 0, 0, 0], 1002).await;
    check("long ping", &[0x89, 0xFE, 0, 126, 0, 0, 0, 0], 1002).await;
    check("bad close code", &[0x88, 0x82, 0, 0, 0, 0, 3, 0xED], 1002).await;
    check("goodbye", &[0x88, 0x82, 0, 0, 0, 0, 3, 0xE8], 1000).await;
    // It lives on.
    gateway.client().await.expect_silence().await;
    gateway.stop().await;
}

#[tokio::test]
async fn a_handshake_that_is_none_gets_a_json_error() {
    let gateway = Running::start(options());
    let check = async |request: &str, status: &str, code: &str| {
        let mut socket = TcpStream::connect(gateway.address).await.unwrap();
        socket.write_all(request.as_bytes()).await.unwrap();
        let mut answer = String::new();
        within(socket.read_to_string(&mut answer)).await.unwrap();
        assert!(answer.starts_with(status), "{request}: {answer}");
        let (_, body) = answer.split_once("\r\n\r\n").unwrap();
        let body: Value = serde_json::from_str(body).unwrap();
        assert_eq!(body["error"]["code"], code);
    };
    let end = "host: x\r\nconnection: close\r\n\r\n";
    check(
        &format!("GET /ws HTTP/1.1\r\n{end}"),
        "HTTP/1.1 426",
        "upgrade_required",
    )
    .await;
    check(
        &format!("POST /ws HTTP/1.1\r\ncontent-length: 0\r\n{end}"),
        "HTTP/1.1 405",
        "bad_method",
    )
    .await;
    let upgrade =
        "GET /ws HTTP/1.1\r\nhost: x\r\nconnection: upgrade, close\r\nupgrade: websocket\r\n";
    check(
        &format!("{upgrade}sec-websocket-version: 12\r\n\r\n"),
        "HTTP/1.1 426",
        "bad_websocket_version",
    )
    .await;
    check(
        &format!("{upgrade}sec-websocket-version: 13\r\nsec-websocket-key: x\r\n\r\n"),
        "HTTP/1.1 400",
        "bad_websocket_key",
    )
    .await;
    gateway.stop().await;
}

#[tokio::test]
async fn all_places_taken_is_a_503_with_retry_after() {
    let gateway = Running::start(gateway::Options {
        connections_max: 1,
        ..options()
    });
    let held = gateway.client().await;
    let mut socket = TcpStream::connect(gateway.address).await.unwrap();
    socket.write_all(HANDSHAKE.as_bytes()).await.unwrap();
    let mut answer = vec![0; 512];
    let len = within(socket.read(&mut answer)).await.unwrap();
    let answer = String::from_utf8_lossy(&answer[..len]).into_owned();
    assert!(
        answer.starts_with("HTTP/1.1 503") && answer.contains("retry-after: 5"),
        "{answer}"
    );
    drop(held);
    crate::harness::until(|| gateway.handle.connections() == 0).await;
    gateway.client().await.expect_silence().await;
    gateway.stop().await;
}

#[tokio::test]
async fn frames_sent_right_behind_the_handshake_are_not_lost() {
    let gateway = Running::start(options());
    let mut socket = TcpStream::connect(gateway.address).await.unwrap();
    let mut bytes = HANDSHAKE.as_bytes().to_vec();
    let ping = br#"{"op":"ping","id":1}"#;
    bytes.extend([0x81, 0x80 | ping.len() as u8, 0, 0, 0, 0]);
    bytes.extend(ping);
    socket.write_all(&bytes).await.unwrap();
    let mut answer = Vec::new();
    within(async {
        while !answer.ends_with(br#"{"op":"pong","id":1}"#) {
            assert_ne!(socket.read_buf(&mut answer).await.unwrap(), 0, "{answer:?}");
        }
    })
    .await;
    gateway.stop().await;
}

#[tokio::test]
async fn pings_are_answered_with_their_payload() {
    let gateway = Running::start(options());
    let mut client = gateway.client().await;
    let payload = Bytes::from_static(b"are you there");
    client.send(Message::Ping(payload.clone())).await;
    assert_eq!(client.message().await, Message::Pong(payload));
    gateway.stop().await;
}

#[tokio::test]
async fn clients_that_do_not_read_their_response_do_not_keep_the_door_shut() {
    let gateway = Running::start(gateway::Options {
        http_max: 2,
        http_life_max: Duration::from_millis(500),
        ..options()
    });
    let mut held = Vec::new();
    for _ in 0..2 {
        let mut socket = TcpStream::connect(gateway.address).await.unwrap();
        let request = "GET /big HTTP/1.1\r\nhost: x\r\n\r\n";
        socket.write_all(request.as_bytes()).await.unwrap();
        held.push(socket);
    }
    gateway.client().await.expect_silence().await;
    drop(held);
    gateway.stop().await;
}
