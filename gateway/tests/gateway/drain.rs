//! Stopping.

use std::time::Duration;

use crate::harness::{PATIENCE, Running, Stream, options, until};

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
