//! Clients that do not read, or do not answer.

use std::time::Duration;

use runtime::broker::memory;
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio_tungstenite::tungstenite::Message;
use wire::Bar;

use crate::harness::{Running, Stream, options, symbol_topics, until, within};

const BTC: &str = "kline:1m:BTC-USDT";

const ROUNDS: usize = 60;
const TOPICS: usize = 50;

#[tokio::test]
async fn a_stalled_reader_gets_the_newest_values_and_holds_nobody_up() {
    let gateway = Running::start(options());
    let mut market = Market::new(&gateway).await;
    let mut stalled = gateway.narrow_client().await;
    stalled.subscribe(&market.names()).await;
    let last = market.publish_past_buffers(&gateway).await;
    let seen = stalled.read_to(&last[TOPICS - 1]).await;
    let rounds = ROUNDS * TOPICS;
    assert!(seen.len() < rounds / 2, "{} of {rounds} queued", seen.len());
    // What it has last of each topic is the newest value, and no topic ever went backwards.
    for (topic, last) in market.names().iter().zip(&last) {
        let seqs: Vec<u64> = seen
            .iter()
            .filter(|bar| bar["topic"] == *topic)
            .map(|bar| bar["seq"].as_u64().unwrap())
            .collect();
        assert!(seqs.is_sorted(), "{topic}: {seqs:?}");
        assert_eq!(seqs.last(), Some(&last.seq), "{topic}");
    }
    assert!(gateway.metric("ws_dropped_total") > 0);
    gateway.stop().await;
}

#[tokio::test]
async fn a_slow_reader_gets_each_close_within_the_ring() {
    let gateway = Running::start(gateway::Options {
        ring_len: 500,
        ..options()
    });
    let seen = closes_of_a_stalled_reader(&gateway, 500).await;
    let close_nos: Vec<u64> = seen
        .iter()
        .filter(|object| object["closed"] == true)
        .map(|bar| bar["close_no"].as_u64().unwrap())
        .collect();
    assert_eq!(close_nos, (1..=500).collect::<Vec<u64>>());
    assert!(seen.iter().all(|object| object["op"] == "bar"));
    gateway.stop().await;
}

#[tokio::test]
async fn a_reader_that_falls_off_the_ring_gets_each_close_from_the_log() {
    let gateway = Running::start(gateway::Options {
        ring_len: 8,
        ..options()
    });
    let seen = closes_of_a_stalled_reader(&gateway, 500).await;
    assert_eq!(check_closes(&seen), (500, 0));
    assert!(gateway.metric("ws_replayed_total") > 0);
    gateway.stop().await;
}

#[tokio::test]
async fn a_reader_that_falls_off_the_log_too_is_told_what_it_missed() {
    let options = gateway::Options {
        ring_len: 8,
        ..options()
    };
    let bus = memory::Options {
        closes_max: 20,
        ..memory::Options::default()
    };
    let gateway = Running::start_on(options, bus);
    let seen = closes_of_a_stalled_reader(&gateway, 500).await;
    let (got, missed) = check_closes(&seen);
    assert_eq!(got + missed, 500);
    assert!(missed > 0 && got >= 20, "{got} {missed}");
    assert_eq!(gateway.metric("ws_missed_total"), missed);
    gateway.stop().await;
}

/// Checks that a topic's closes and misses follow each other from 1 on; gives how many of both.
fn check_closes(seen: &[Value]) -> (u64, u64) {
    let (mut got, mut missed) = (0, 0);
    for object in seen.iter().filter(|object| object["closed"] != false) {
        let next = got + missed + 1;
        if object["op"] == "missed" {
            let expect = (&json!(BTC), &json!(next));
            assert_eq!((&object["topic"], &object["from"]), expect);
            missed += object["to"].as_u64().unwrap() + 1 - next;
        } else {
            assert_eq!(object["close_no"], next);
            got += 1;
        }
    }
    (got, missed)
}

/// Commits closes one by one while one client reads and another does not; gives what of their topic that
/// one then gets, up to the open bar behind the last close.
async fn closes_of_a_stalled_reader(gateway: &Running, count: usize) -> Vec<Value> {
    let mut btc = Stream::new(BTC);
    let mut market = Market::new(gateway).await;
    gateway.publish([btc.open()]).await;
    gateway.knows(TOPICS + 1).await;
    let mut stalled = gateway.narrow_client().await;
    let mut names = market.names();
    names.push(BTC);
    stalled.subscribe(&names).await;
    market.publish_past_buffers(gateway).await;
    let mut reader = gateway.subscribed(&[BTC]).await;
    for _ in 0..count {
        let close = btc.close();
        gateway.commit([close.clone()]).await;
        reader.read_to(&close).await;
    }
    let open = btc.open();
    gateway.publish([open.clone()]).await;
    let mut seen = stalled.read_to(&open).await;
    seen.retain(|object| object["topic"] == BTC);
    seen
}

/// Streams that fill a client's buffers.
struct Market {
    topics: Vec<String>,
    streams: Vec<Stream>,
}

impl Market {
    /// A market that the gateway knows.
    async fn new(gateway: &Running) -> Self {
        let topics = symbol_topics(TOPICS);
        let streams = topics.iter().map(|topic| Stream::new(topic)).collect();
        let mut market = Self { topics, streams };
        gateway.publish(market.round()).await;
        gateway.knows(TOPICS).await;
        market
    }

    fn names(&self) -> Vec<&str> {
        self.topics.iter().map(String::as_str).collect()
    }

    /// The next value of each.
    fn round(&mut self) -> Vec<Bar> {
        self.streams.iter_mut().map(Stream::open).collect()
    }

    /// Publishes more than the kernel's buffers hold for a client that does not read, each round only when
    /// one that reads has the round before. Gives the last round.
    async fn publish_past_buffers(&mut self, gateway: &Running) -> Vec<Bar> {
        let mut reader = gateway.subscribed(&self.names()).await;
        let mut last = Vec::new();
        for _ in 0..ROUNDS {
            last = self.round();
            gateway.publish(last.clone()).await;
            reader.read_to(&last[TOPICS - 1]).await;
        }
        last
    }
}

#[tokio::test]
async fn a_client_whose_frame_does_not_leave_is_closed_as_slow() {
    let gateway = Running::start(gateway::Options {
        write_lag_max: Duration::from_millis(300),
        ..options()
    });
    let mut market = Market::new(&gateway).await;
    let mut stalled = gateway.narrow_client().await;
    stalled.subscribe(&market.names()).await;
    let slow = r#"ws_close_total{code="4001",reason="slow"}"#;
    within(async {
        while gateway.metric(slow) == 0 {
            gateway.publish(market.round()).await;
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    })
    .await;
    // It is counted before its place is free.
    until(|| gateway.handle.connections() == 0).await;
    gateway.stop().await;
}

#[tokio::test]
async fn clients_are_pinged_and_closed_if_they_do_not_answer() {
    let gateway = Running::start(gateway::Options {
        ping_period: Duration::from_millis(40),
        pong_max: Duration::from_millis(1_500),
        ..options()
    });
    let mut answering = gateway.client().await;
    // It answers only while it is read.
    let _silent = gateway.client().await;
    let missed = r#"ws_close_total{code="4002",reason="pong_missed"}"#;
    let mut pings = 0;
    while gateway.metric(missed) == 0 {
        if let Message::Ping(_) = answering.message().await {
            pings += 1;
        }
    }
    assert!(pings > 2);
    answering.expect_silence().await;
    until(|| gateway.handle.connections() == 1).await;
    gateway.stop().await;
}

#[tokio::test]
async fn a_message_that_does_not_end_is_not_waited_for() {
    let gateway = Running::start(gateway::Options {
        message_wait_max: Duration::from_millis(200),
        ..options()
    });
    let mut idle = gateway.client().await;
    let mut socket = gateway.raw().await;
    // The header of a hundred bytes, and three of them.
    let begun = [0x81, 0x80 | 100, 0, 0, 0, 0, b'x', b'x', b'x'];
    socket.write_all(&begun).await.unwrap();
    let mut answer = Vec::new();
    within(socket.read_to_end(&mut answer)).await.unwrap();
    assert_eq!(answer.get(2..4), Some(&4003_u16.to_be_bytes()[..]));
    // Who has begun nothing may be silent.
    idle.expect_silence().await;
    gateway.stop().await;
}
