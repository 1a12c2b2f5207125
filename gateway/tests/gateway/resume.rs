//! Coming back: what the ring has not got comes from the bus's log.

use std::sync::Arc;

use runtime::broker::memory::{self, MemoryBroker};
use runtime::broker::{BarMessage, Broker, CloseStart};
use serde_json::{Value, json};
use wire::Bar;

use crate::harness::{Client, PATIENCE, Running, Stream, commit, options, scope};

const BTC: &str = "kline:1m:BTC-USDT";
const LONG: &str = "kline:binance-spot:1m:BTC-USDT";

/// A gateway with a ring of 4 on a bus that keeps so many closes.
fn start(closes_from: CloseStart, closes_max: usize) -> Running {
    let options = gateway::Options {
        ring_len: 4,
        closes_from,
        ..options()
    };
    let bus = memory::Options {
        closes_max,
        ..memory::Options::default()
    };
    Running::start_on(options, bus)
}

/// Commits so many closes, and shows an open bar behind them. A shard that shows it has its ring filled.
async fn filled(gateway: &Running, btc: &mut Stream, count: usize) -> Bar {
    let closes: Vec<_> = (0..count).map(|_| btc.close()).collect();
    gateway.commit(closes).await;
    let open = btc.open();
    gateway.publish([open.clone()]).await;
    gateway.knows(1).await;
    for _ in 0..2 {
        let mut witness = gateway.subscribed(&[BTC]).await;
        witness.read_to(&open).await;
    }
    open
}

/// Comes back with closes up to `after`.
async fn resumed(gateway: &Running, topic: &str, after: u64) -> Client {
    let mut client = gateway.client().await;
    client
        .ask(json!({"op": "subscribe", "topics": [topic], "after": {topic: after}, "id": 1}))
        .await;
    assert_eq!(client.next().await["op"], "ok");
    client
}

/// The close_nos that came, and pairs of what was missed.
fn close_nos(seen: &[Value]) -> Vec<Value> {
    let short = |object: &Value| match object["op"].as_str() {
        Some("missed") => json!([object["from"], object["to"]]),
        _ => object["close_no"].clone(),
    };
    seen.iter().map(short).collect()
}

#[tokio::test]
async fn after_replays_the_log_then_the_ring_then_live() {
    let gateway = start(CloseStart::First, 100_000);
    let mut btc = Stream::new(BTC);
    let open = filled(&gateway, &mut btc, 1_200).await;
    // Of the ring alone, of both, and over several pages; the last is the open bar, which bears the newest number.
    for after in [1_198, 1_200, 1_100, 3] {
        let mut client = resumed(&gateway, BTC, after).await;
        let seen = client.read_to(&open).await;
        let expect: Vec<Value> = (after + 1..=1_200)
            .chain([1_200])
            .map(|no| json!(no))
            .collect();
        assert_eq!(close_nos(&seen), expect);
        client.expect_silence().await;
    }
    // Under the name that was asked for.
    let mut client = resumed(&gateway, LONG, 1_190).await;
    for close_no in 1_191..=1_200 {
        let close = client.next().await;
        assert_eq!(
            (&close["topic"], &close["close_no"]),
            (&json!(LONG), &json!(close_no))
        );
    }
    client.next().await;
    let close = btc.close();
    gateway.commit([close.clone()]).await;
    let live = client.next().await;
    assert_eq!(live["close_no"], 1_201);
    gateway.stop().await;
}

#[tokio::test]
async fn what_the_log_has_not_got_either_is_missed() {
    let gateway = start(CloseStart::First, 7);
    let mut btc = Stream::new(BTC);
    let open = filled(&gateway, &mut btc, 12).await;
    let seen = resumed(&gateway, BTC, 2).await.read_to(&open).await;
    let expect = json!([[3, 5], 6, 7, 8, 9, 10, 11, 12, 12]);
    assert_eq!(json!(close_nos(&seen)), expect);
    gateway.stop().await;
}

#[tokio::test]
async fn a_gateway_that_has_just_started_has_the_log_judge_what_clients_claim() {
    let broker = Arc::new(MemoryBroker::default());
    let mut btc = Stream::new(BTC);
    let closes: Vec<Bar> = (0..6).map(|_| btc.close()).collect();
    commit(&broker, closes.clone()).await;
    // It is held back, since its close does not come here; but the topic is known by it.
    let open = BarMessage::new(&scope(), btc.open());
    broker.publish_open(&[open]).await.unwrap();
    let options = gateway::Options {
        closes_from: CloseStart::Next,
        // Whoever is let in finds the topic, and closes that come are heard.
        first_word_max: PATIENCE,
        ..options()
    };
    let gateway = Running::start_with(options, broker);
    let mut behind = resumed(&gateway, BTC, 2).await;
    for close in &closes[2..] {
        behind.expect(close).await;
    }
    let mut level = resumed(&gateway, BTC, 6).await;
    // Of another history: the next close comes whatever was claimed.
    let mut beyond = resumed(&gateway, BTC, 99).await;
    let close = btc.close();
    for client in [&mut behind, &mut level, &mut beyond] {
        client.expect_silence().await;
    }
    gateway.commit([close.clone()]).await;
    for client in [&mut behind, &mut level] {
        client.expect(&close).await;
        client.expect_silence().await;
    }
    beyond.read_to(&close).await;
    gateway.stop().await;
}

#[tokio::test]
async fn closes_that_come_during_a_replay_come_behind_it() {
    let gateway = start(CloseStart::First, 100_000);
    let mut btc = Stream::new(BTC);
    filled(&gateway, &mut btc, 3_000).await;
    let mut client = resumed(&gateway, BTC, 0).await;
    let mut last = btc.close();
    for _ in 0..50 {
        gateway.commit([last]).await;
        gateway.publish([btc.open()]).await;
        last = btc.close();
    }
    gateway.commit([last.clone()]).await;
    let seen = client.read_to(&last).await;
    let mut due = 1;
    for object in &seen {
        assert_eq!(object["op"], "bar");
        let close_no = object["close_no"].as_u64().unwrap();
        if object["closed"] == true {
            assert_eq!(close_no, due);
            due += 1;
        } else {
            assert!(
                close_no < due,
                "an open bar before a close that it knows of"
            );
        }
    }
    assert_eq!(due, 3_052);
    gateway.stop().await;
}
