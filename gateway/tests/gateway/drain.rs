//! Stopping.

use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use gateway::Service;
use prometheus_client::registry::Registry;
use runtime::broker::memory::MemoryBroker;
use runtime::shutdown::Shutdown;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::harness::{HANDSHAKE, PATIENCE, Running, Stream, options, until, within};

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
    let mut btc = Stream::new(BTC);
    gateway.publish([btc.open()]).await;
    gateway.knows(1).await;
    let mut client = gateway.subscribed(&[BTC]).await;
    client.next().await;
    gateway.shutdown.trigger();
    // A new client is still taken in, and bars still flow.
    let mut late = gateway.subscribed(&[BTC]).await;
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
async fn a_handshake_during_the_drain_is_sent_elsewhere() {
    let gateway = Running::start(gateway::Options {
        close_wait: Duration::from_secs(5),
        ..options()
    });
    // It does not answer its close, so that the drain goes on.
    let mut held = gateway.raw().await;
    let mut socket = TcpStream::connect(gateway.address).await.unwrap();
    let hello = "GET /hello HTTP/1.1\r\nhost: x\r\n\r\n";
    socket.write_all(hello.as_bytes()).await.unwrap();
    assert!(answer(&mut socket).await.starts_with("HTTP/1.1 200"));
    gateway.shutdown.trigger();
    assert_eq!(within(held.read_u8()).await.unwrap(), 0x88);
    socket.write_all(HANDSHAKE.as_bytes()).await.unwrap();
    let answer = answer(&mut socket).await;
    assert!(
        answer.starts_with("HTTP/1.1 503") && answer.contains("retry-after: 1"),
        "{answer}"
    );
    drop(held);
    gateway.stop().await;
}

#[tokio::test]
async fn a_run_that_is_dropped_leaves_nobody_served() {
    let broker = Arc::new(MemoryBroker::default());
    let mut registry = Registry::default();
    let service = Service::bind(options(), broker as _, Router::new(), &mut registry).unwrap();
    let (address, handle) = (service.local_addr(), service.handle());
    let run = tokio::spawn(service.run(Shutdown::new()));
    let mut socket = TcpStream::connect(address).await.unwrap();
    socket.write_all(HANDSHAKE.as_bytes()).await.unwrap();
    assert!(answer(&mut socket).await.starts_with("HTTP/1.1 101"));
    run.abort();
    let mut rest = Vec::new();
    within(socket.read_to_end(&mut rest)).await.unwrap();
    assert_eq!(rest.get(2..4), Some(&1012_u16.to_be_bytes()[..]));
    drop(socket);
    until(|| handle.connections() == 0).await;
}

/// What comes in one read: these answers are short.
async fn answer(socket: &mut TcpStream) -> String {
    let mut bytes = vec![0; 2_048];
    let len = within(socket.read(&mut bytes)).await.unwrap();
    String::from_utf8_lossy(&bytes[..len]).into_owned()
}
