//! What an idle connection costs: connects many clients to a gateway in this process, each subscribed to one
//! topic, and divides what the process has grown by their number. The clients are bare sockets, which take no
//! memory of the process; what the kernel holds is not counted.
//!
//! `cargo run --release -p gateway --example idle -- 8000` (twice that many files must be allowed open)
#![allow(
    clippy::print_stdout,
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "a measurement prints, and ends where something fails"
)]

use std::io::{Read, Write};
use std::net::TcpStream;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use gateway::{Options, Service};
use prometheus_client::registry::Registry;
use runtime::broker::BarMessage;
use runtime::broker::Broker;
use runtime::broker::memory::{self, MemoryBroker};
use runtime::tasks::{OnExit, Tasks};
use wire::{Bar, Candle, Completeness, Instrument, Price, Scope, Topic, Venue};

const HANDSHAKE: &[u8] =
    b"GET /ws HTTP/1.1\r\nhost: x\r\nconnection: upgrade\r\nupgrade: websocket\r\n\
    sec-websocket-version: 13\r\nsec-websocket-key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n";
const SUBSCRIBE: &[u8] = br#"{"op":"subscribe","topics":["kline:1m:BTC-USDT"]}"#;

fn main() {
    let count: usize = std::env::args()
        .nth(1)
        .map_or(8_000, |text| text.parse().expect("a number of connections"));
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .unwrap();
    runtime.block_on(measure(count));
}

async fn measure(count: usize) {
    let scope = Scope::new("idle", "eu").unwrap();
    let broker = Arc::new(MemoryBroker::new(memory::Options::default()));
    let options = Options {
        connections_max: 2 * count,
        linger: Duration::ZERO,
        drain: Duration::ZERO,
        ..Options::new(scope.clone())
    };
    let service = Service::bind(
        options,
        Arc::clone(&broker) as _,
        Router::new(),
        &mut Registry::default(),
    )
    .unwrap();
    let (address, handle) = (service.local_addr(), service.handle());
    let (tasks, shutdown) = Tasks::new("idle");
    tasks.spawn("gateway", OnExit::StopAll, service.run(shutdown.clone()));
    broker
        .publish_open(&[BarMessage::new(&scope, bar())])
        .await
        .unwrap();
    while handle.topics().is_empty() {
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    let clients = tokio::task::block_in_place(|| {
        // The first ones pay for what is allocated once.
        let warm: Vec<TcpStream> = (0..200).map(|_| connect(address)).collect();
        drop(warm);
        std::thread::sleep(Duration::from_millis(500));
        let before = resident_bytes();
        let clients: Vec<TcpStream> = (0..count).map(|_| connect(address)).collect();
        std::thread::sleep(Duration::from_secs(1));
        let grown = resident_bytes().saturating_sub(before);
        println!(
            "{count} idle connections: {grown} bytes resident, {} a connection",
            grown / count
        );
        clients
    });
    assert_eq!(handle.connections(), count);
    drop(clients);
    shutdown.trigger();
    tasks
        .run_until_stopped(Duration::from_secs(20))
        .await
        .unwrap();
}

/// Connects, subscribes, and reads to the end of the snapshot.
fn connect(address: std::net::SocketAddr) -> TcpStream {
    let mut socket = TcpStream::connect(address).unwrap();
    let mut bytes = HANDSHAKE.to_vec();
    bytes.extend([0x81, 0x80 | SUBSCRIBE.len() as u8, 0, 0, 0, 0]);
    bytes.extend(SUBSCRIBE);
    socket.write_all(&bytes).unwrap();
    let mut answer = Vec::new();
    let mut buffer = [0; 2_048];
    while !answer.ends_with(b"\"publish_time\":0}") {
        let len = socket.read(&mut buffer).unwrap();
        assert_ne!(len, 0, "{}", String::from_utf8_lossy(&answer));
        answer.extend_from_slice(&buffer[..len]);
    }
    socket
}

fn resident_bytes() -> usize {
    let text = std::fs::read_to_string("/proc/self/statm").unwrap();
    let pages: usize = text.split(' ').nth(1).unwrap().parse().unwrap();
    pages * 4_096
}

fn bar() -> Bar {
    let topic: Topic = "kline:1m:BTC-USDT".parse().unwrap();
    Bar {
        instrument: Instrument::new(Venue::new("binance-spot").unwrap(), topic.symbol.clone()),
        interval: topic.interval,
        topic,
        start_ms: 0,
        candle: Candle::flat(Price::parse(b"100").unwrap()),
        closed: false,
        rev: 0,
        completeness: Completeness::Quiet,
        close_no: 0,
        epoch: 1,
        seq: 1,
        event_time_ms: 0,
        publish_time_ms: 0,
    }
}
