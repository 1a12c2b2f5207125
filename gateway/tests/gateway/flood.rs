//! Clients that ask more than they listen.

use std::time::Duration;

use futures_util::SinkExt;
use serde_json::json;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio_tungstenite::tungstenite::Message;

use crate::harness::{Running, Stream, options, symbol_topics, within};

/// Far more than both kernels' buffers take for a connection that nobody reads.
const FLOOD_LEN: usize = 16 * 1024 * 1024;
/// Without a byte taken for so long, nothing is taken any more.
const STALL: Duration = Duration::from_secs(2);

#[tokio::test]
async fn a_client_that_asks_and_does_not_read_is_no_longer_read_either() {
    let gateway = Running::start(options());
    let mut socket = gateway.narrow_socket().await;
    let mut message = Vec::new();
    let pings: Vec<String> = (0..60)
        .map(|id| json!({"op": "ping", "id": id}).to_string())
        .collect();
    push_text(&mut message, &pings.join("\n"));
    let flood = message.repeat(FLOOD_LEN / message.len());
    // What the gateway does not read stays with us.
    let mut sent = 0;
    let stalled = loop {
        let write = tokio::time::timeout(STALL, socket.write(&flood[sent..]));
        match write.await {
            Ok(len) => sent += len.unwrap(),
            Err(_) => break true,
        }
        if sent == flood.len() {
            break false;
        }
    };
    assert!(
        stalled,
        "the gateway took {sent} bytes of a client that reads nothing"
    );
    // Others are served meanwhile.
    gateway.client().await.expect_silence().await;
    gateway.stop().await;
}

#[tokio::test]
async fn requests_that_come_faster_than_replies_leave_are_each_answered() {
    let gateway = Running::start(options());
    let topics = symbol_topics(100);
    let mut streams: Vec<Stream> = topics.iter().map(|topic| Stream::new(topic)).collect();
    gateway.publish(streams.iter_mut().map(Stream::open)).await;
    gateway.knows(100).await;
    let names: Vec<&str> = topics.iter().map(String::as_str).collect();
    let mut client = gateway.subscribed(&names).await;
    for _ in &names {
        client.next().await;
    }
    // In one write, and some 400 KB of replies: several times what may wait unsent.
    let count = 200;
    for id in 0..count {
        let request = json!({"op": "list", "id": id}).to_string();
        within(client.socket.feed(Message::text(request)))
            .await
            .unwrap();
    }
    within(client.socket.flush()).await.unwrap();
    for id in 0..count {
        assert_eq!(client.next().await["id"], id);
    }
    gateway.stop().await;
}

#[tokio::test]
async fn a_goodbye_is_answered_though_the_end_comes_with_it() {
    let gateway = Running::start(options());
    for _ in 0..20 {
        let mut socket = gateway.raw().await;
        socket
            .write_all(&[0x88, 0x82, 0, 0, 0, 0, 3, 0xE8])
            .await
            .unwrap();
        socket.shutdown().await.unwrap();
        let mut rest = Vec::new();
        within(socket.read_to_end(&mut rest)).await.unwrap();
        assert_eq!(rest.get(2..4), Some(&[3, 0xE8][..]), "{rest:?}");
    }
    gateway.stop().await;
}

/// A client's text frame, masked with zeros.
fn push_text(out: &mut Vec<u8>, text: &str) {
    let len = u16::try_from(text.len()).unwrap();
    assert!(len > 125, "a short frame has another header");
    out.extend([0x81, 0x80 | 126]);
    out.extend(len.to_be_bytes());
    out.extend([0; 4]);
    out.extend(text.as_bytes());
}
