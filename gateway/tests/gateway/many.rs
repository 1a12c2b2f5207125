//! Many connections at once.

use crate::harness::{Running, Stream, options, until};

const CONNECTIONS: usize = 1_000;

#[tokio::test]
async fn a_thousand_clients_get_every_topic_and_leave_nothing_behind() {
    let gateway = Running::start(options());
    let mut btc = Stream::new("kline:1m:BTC-USDT");
    let first = btc.open();
    gateway.publish([first.clone()]).await;
    gateway.knows(1).await;
    let mut clients = Vec::with_capacity(CONNECTIONS);
    for _ in 0..CONNECTIONS {
        clients.push(gateway.subscribed(&["kline:1m:BTC-USDT"]).await);
    }
    assert_eq!(gateway.handle.connections(), CONNECTIONS);
    assert_eq!(gateway.metric("ws_connections"), CONNECTIONS as u64);
    let (close, open) = (btc.close(), btc.open());
    gateway.commit([close.clone()]).await;
    gateway.publish([open.clone()]).await;
    for client in &mut clients {
        client.expect(&first).await;
        client.expect(&close).await;
        client.expect(&open).await;
    }
    drop(clients);
    until(|| gateway.handle.connections() == 0).await;
    assert_eq!(
        gateway.metric(r#"ws_close_total{code="1006",reason="gone"}"#),
        CONNECTIONS as u64
    );
    gateway.stop().await;
}
