//! Stopping.

use std::time::Duration;

use serde_json::json;

use crate::harness::{PATIENCE, Running, Stream, options, until};

const BTC: &str = "kline:1m:BTC-USDT";

#[tokio::test]
async fn a_stop_closes_everyone_with_1012() {
    let gateway = Running::start(options());
    let mut clients = Vec::new();
    for _ in 0..20 {
        clients.push(gateway.client().await);
    }
    until(|| gateway.handle.connections() == 20).await;
    gateway.shutdown.trigger();
    for client in &mut clients {
        assert_eq!(client.close_code().await, 1012);
    }
    let handle = gateway.handle.clone();
    drop(clients);
    gateway.stop().await;
    assert_eq!(handle.connections(), 0);
}

#[tokio::test]
async fn bars_go_on_while_it_lingers() {
    let gateway = Running::start(gateway::Options {
        linger: Duration::from_millis(1_500),
        ..options()
    });
    let mut btc = Stream::new("kline:1m:BTC-USDT");
    gateway.publish([btc.open()]).await;
    gateway.knows(1).await;
    let mut client = gateway.subscribed(&["kline:1m:BTC-USDT"]).await;
    client.next().await;
    gateway.shutdown.trigger();
    // A new client is still taken in, and bars still flow.
    let mut late = gateway.subscribed(&["kline:1m:BTC-USDT"]).await;
    late.next().await;
    let bar = btc.open();
    gateway.publish([bar.clone()]).await;
    client.expect(&bar).await;
    late.expect(&bar).await;
    assert_eq!(client.close_code().await, 1012);
    assert_eq!(late.close_code().await, 1012);
    drop((client, late));
    gateway.stop().await;
}

#[tokio::test]
async fn a_client_that_never_answers_does_not_hold_the_stop() {
    let options = options();
    assert!(options.stop_max() < PATIENCE);
    let gateway = Running::start(options);
    let held = gateway.client().await;
    gateway.stop().await;
    drop(held);
}

#[tokio::test]
async fn whoever_is_sent_away_first_gets_what_it_is_owed() {
    // A hundred closes take some twenty frames, which is more than one turn writes.
    let gateway = Running::start(gateway::Options {
        ring_len: 100,
        frame_len_max: 4 * 1024,
        drain: Duration::ZERO,
        close_wait: Duration::from_secs(10),
        ..options()
    });
    let mut btc = Stream::new(BTC);
    let closes: Vec<_> = (0..100).map(|_| btc.close()).collect();
    gateway.commit(closes).await;
    let open = btc.open();
    gateway.publish([open.clone()]).await;
    gateway.knows(1).await;
    // The open bar is shown only behind the last close: then the ring is filled.
    gateway.subscribed(&[BTC]).await.read_to(&open).await;
    let mut client = gateway.client().await;
    client
        .ask(json!({"op": "subscribe", "topics": [BTC], "after": {BTC: 0}, "id": 1}))
        .await;
    assert_eq!(client.next().await["op"], "ok");
    gateway.shutdown.trigger();
    assert_eq!(client.read_to(&open).await.len(), 101);
    assert_eq!(client.close_code().await, 1012);
    drop(client);
    gateway.stop().await;
}
