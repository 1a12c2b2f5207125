//! Bars, a running gateway, and clients.

use std::future::Future;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use futures_util::{SinkExt, StreamExt};
use gateway::{Handle, Options, Service};
use prometheus_client::registry::Registry;
use runtime::broker::memory::{self, MemoryBroker};
use runtime::broker::{BarMessage, Broker, commit_alone};
use runtime::shutdown::Shutdown;
use runtime::tasks::{OnExit, Tasks};
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::{MaybeTlsStream, WebSocketStream, client_async, connect_async};
use wire::{Bar, Candle, Completeness, Instrument, Price, Scope, Symbol, Topic, Venue};

/// Longer than anything here takes; a test that gets this far has failed.
pub(crate) const PATIENCE: Duration = Duration::from_secs(20);

/// One stream of bars and its numbers.
pub(crate) struct Stream {
    topic: Topic,
    instrument: Instrument,
    start_no: i64,
    close_no: u64,
    epoch: u64,
    seq: u64,
    price: u64,
}

impl Stream {
    /// The short topic of a symbol at `binance-spot`.
    pub(crate) fn new(topic: &str) -> Self {
        let topic: Topic = topic.parse().unwrap();
        let venue = Venue::new("binance-spot").unwrap();
        Self {
            instrument: Instrument::new(venue, topic.symbol.clone()),
            topic,
            start_no: 1,
            close_no: 0,
            epoch: 1,
            seq: 0,
            price: 100,
        }
    }

    /// The next value of the bar that is open.
    pub(crate) fn open(&mut self) -> Bar {
        self.seq += 1;
        self.price += 1;
        self.bar(false)
    }

    /// Closes the bar and begins the next.
    pub(crate) fn close(&mut self) -> Bar {
        self.close_no += 1;
        let bar = self.bar(true);
        self.start_no += 1;
        bar
    }

    /// Another owner begins the numbers anew, some bars later.
    pub(crate) fn begin_anew(&mut self) {
        self.epoch += 1;
        self.close_no = 0;
        self.start_no += 5;
    }

    fn bar(&self, closed: bool) -> Bar {
        let price = Price::parse(self.price.to_string().as_bytes()).unwrap();
        Bar {
            topic: self.topic.clone(),
            instrument: self.instrument.clone(),
            interval: self.topic.interval,
            start_ms: self.start_no * self.topic.interval.ms(),
            candle: Candle::flat(price),
            closed,
            rev: 0,
            completeness: Completeness::Quiet,
            close_no: self.close_no,
            epoch: self.epoch,
            seq: self.seq,
            event_time_ms: 0,
            publish_time_ms: 0,
        }
    }
}

/// A gateway that runs.
pub(crate) struct Running {
    pub(crate) address: SocketAddr,
    pub(crate) handle: Handle,
    pub(crate) shutdown: Shutdown,
    pub(crate) broker: Arc<MemoryBroker>,
    pub(crate) registry: Registry,
    scope: Scope,
    tasks: Option<Tasks>,
}

pub(crate) fn scope() -> Scope {
    Scope::new("test", "eu").unwrap()
}

/// Options with times that suit tests.
pub(crate) fn options() -> Options {
    Options {
        shards: 2,
        linger: Duration::ZERO,
        drain: Duration::from_millis(100),
        hold_max: Duration::from_secs(3_600),
        // The first ping comes at a random time; only the tests of pings want one.
        ping_period: Duration::from_secs(3_600),
        // The bus is here from the beginning, and often empty.
        first_word_max: Duration::ZERO,
        // Clients here often stay open and unread when the gateway stops.
        close_wait: Duration::from_millis(100),
        ..Options::new(scope())
    }
}

impl Running {
    pub(crate) fn start(options: Options) -> Self {
        Self::start_on(options, memory::Options::default())
    }

    /// On a bus that keeps so much.
    pub(crate) fn start_on(options: Options, bus: memory::Options) -> Self {
        Self::start_with(options, Arc::new(MemoryBroker::new(bus)))
    }

    /// On a bus that is there already.
    pub(crate) fn start_with(options: Options, broker: Arc<MemoryBroker>) -> Self {
        Self::start_as(options, broker, |service| service)
    }

    /// As the process is: with its API.
    pub(crate) fn start_whole(options: Options) -> Self {
        let broker = Arc::new(MemoryBroker::new(memory::Options::default()));
        Self::start_as(options, broker, Service::with_api)
    }

    fn start_as(
        options: Options,
        broker: Arc<MemoryBroker>,
        more: impl FnOnce(Service) -> Service,
    ) -> Self {
        let mut registry = Registry::default();
        let big = || async { vec![b'x'; 16 * 1024 * 1024] };
        let http = Router::new()
            .route("/hello", axum::routing::get(async || "hello"))
            .route("/big", axum::routing::get(big));
        let service =
            Service::bind(options, Arc::clone(&broker) as _, http, &mut registry).unwrap();
        let service = more(service);
        let (address, handle) = (service.local_addr(), service.handle());
        let (tasks, shutdown) = Tasks::new("test");
        tasks.spawn("gateway", OnExit::StopAll, service.run(shutdown.clone()));
        Self {
            address,
            handle,
            shutdown,
            broker,
            registry,
            scope: scope(),
            tasks: Some(tasks),
        }
    }

    pub(crate) async fn publish(&self, bars: impl IntoIterator<Item = Bar>) {
        let messages: Vec<BarMessage> = bars
            .into_iter()
            .map(|bar| BarMessage::new(&self.scope, bar))
            .collect();
        self.broker.publish_open(&messages).await.unwrap();
    }

    pub(crate) async fn commit(&self, bars: impl IntoIterator<Item = Bar>) {
        commit(&self.broker, bars).await;
    }

    /// A client that has subscribed to these and has its `ok`.
    pub(crate) async fn subscribed(&self, topics: &[&str]) -> Client {
        let mut client = self.client().await;
        client.subscribe(topics).await;
        client
    }

    pub(crate) async fn client(&self) -> Client {
        let (socket, _) = within(connect_async(format!("ws://{}/ws", self.address)))
            .await
            .unwrap();
        Client::new(socket)
    }

    /// A client whose kernel takes in little, so that it is soon behind when it does not read.
    pub(crate) async fn narrow_client(&self) -> Client {
        let url = format!("ws://{}/ws", self.address);
        let socket = MaybeTlsStream::Plain(self.narrow());
        let (socket, _) = within(client_async(url, socket)).await.unwrap();
        Client::new(socket)
    }

    fn narrow(&self) -> TcpStream {
        let socket =
            socket2::Socket::new(socket2::Domain::IPV4, socket2::Type::STREAM, None).unwrap();
        socket.set_recv_buffer_size(4 * 1024).unwrap();
        socket.connect(&self.address.into()).unwrap();
        socket.set_nonblocking(true).unwrap();
        TcpStream::from_std(socket.into()).unwrap()
    }

    /// A bare socket whose handshake is done and answered.
    pub(crate) async fn raw(&self) -> TcpStream {
        shake_hands(TcpStream::connect(self.address).await.unwrap()).await
    }

    /// As [`Running::raw`], with a kernel that takes in little.
    pub(crate) async fn narrow_socket(&self) -> TcpStream {
        shake_hands(self.narrow()).await
    }

    /// Waits until the gateway has heard of so many topics.
    pub(crate) async fn knows(&self, topics: usize) {
        until(|| self.handle.topics().len() >= topics).await;
    }

    /// The value of a metric's line, 0 if there is none.
    pub(crate) fn metric(&self, line: &str) -> u64 {
        let mut text = String::new();
        prometheus_client::encoding::text::encode(&mut text, &self.registry).unwrap();
        text.lines()
            .find_map(|found| found.strip_prefix(line)?.trim().parse().ok())
            .unwrap_or(0)
    }

    /// Asks it to stop and waits until it has.
    pub(crate) async fn stop(mut self) {
        self.shutdown.trigger();
        let tasks = self.tasks.take().unwrap();
        within(tasks.run_until_stopped(PATIENCE)).await.unwrap();
    }
}

pub(crate) async fn commit(broker: &MemoryBroker, bars: impl IntoIterator<Item = Bar>) {
    let messages: Vec<BarMessage> = bars
        .into_iter()
        .map(|bar| BarMessage::new(&scope(), bar))
        .collect();
    for batch in messages.chunks(runtime::broker::BATCH_MAX / 2) {
        commit_alone(broker, batch).await.unwrap();
    }
}

/// A WebSocket client that takes frames apart.
pub(crate) struct Client {
    pub(crate) socket: WebSocketStream<MaybeTlsStream<TcpStream>>,
    /// Objects of frames that have come and have not been asked for.
    pending: std::collections::VecDeque<Value>,
    /// Objects in the last text frame.
    pub(crate) last_frame_len: usize,
}

impl Client {
    fn new(socket: WebSocketStream<MaybeTlsStream<TcpStream>>) -> Self {
        Self {
            socket,
            pending: Default::default(),
            last_frame_len: 0,
        }
    }

    pub(crate) async fn send(&mut self, message: Message) {
        within(self.socket.send(message)).await.unwrap();
    }

    pub(crate) async fn ask(&mut self, request: Value) {
        self.send(Message::text(request.to_string())).await;
    }

    /// Subscribes and takes the `ok`.
    pub(crate) async fn subscribe(&mut self, topics: &[&str]) {
        self.ask(json!({"op": "subscribe", "topics": topics, "id": 1}))
            .await;
        assert_eq!(
            self.next().await,
            json!({"op": "ok", "id": 1, "topics": topics})
        );
    }

    /// The next object.
    pub(crate) async fn next(&mut self) -> Value {
        loop {
            if let Some(object) = self.pending.pop_front() {
                return object;
            }
            match self.message().await {
                Message::Text(text) => {
                    self.pending = text
                        .split('\n')
                        .map(|line| serde_json::from_str(line).unwrap())
                        .collect();
                    self.last_frame_len = self.pending.len();
                }
                Message::Ping(_) | Message::Pong(_) => {}
                other => panic!("not a text frame: {other:?}"),
            }
        }
    }

    /// The next message of any kind.
    pub(crate) async fn message(&mut self) -> Message {
        within(self.socket.next()).await.unwrap().unwrap()
    }

    /// The next object, which must be this bar.
    pub(crate) async fn expect(&mut self, bar: &Bar) {
        let expect: Value = serde_json::from_slice(&bar.encode()).unwrap();
        assert_eq!(self.next().await, expect);
    }

    /// Reads until this bar has come; gives all objects up to it.
    pub(crate) async fn read_to(&mut self, bar: &Bar) -> Vec<Value> {
        let expect: Value = serde_json::from_slice(&bar.encode()).unwrap();
        let mut seen = Vec::new();
        loop {
            let object = self.next().await;
            let found = object == expect;
            seen.push(object);
            if found {
                return seen;
            }
        }
    }

    /// Asks for a pong and checks that nothing else comes before it.
    pub(crate) async fn expect_silence(&mut self) {
        self.ask(json!({"op": "ping", "id": 77})).await;
        assert_eq!(self.next().await, json!({"op": "pong", "id": 77}));
    }

    /// Reads to the close frame; gives its code.
    pub(crate) async fn close_code(&mut self) -> u16 {
        loop {
            match self.message().await {
                Message::Close(Some(close)) => return close.code.into(),
                Message::Close(None) => panic!("a close without a code"),
                _ => {}
            }
        }
    }
}

/// An opening handshake in whole.
pub(crate) const HANDSHAKE: &str = "GET /ws HTTP/1.1\r\nhost: x\r\nconnection: upgrade\r\nupgrade: websocket\r\n\
    sec-websocket-version: 13\r\nsec-websocket-key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n";

async fn shake_hands(mut socket: TcpStream) -> TcpStream {
    socket.write_all(HANDSHAKE.as_bytes()).await.unwrap();
    let mut answer = Vec::new();
    while !answer.ends_with(b"\r\n\r\n") {
        answer.push(within(socket.read_u8()).await.unwrap());
    }
    assert!(answer.starts_with(b"HTTP/1.1 101"));
    socket
}

pub(crate) async fn within<T>(work: impl Future<Output = T>) -> T {
    tokio::time::timeout(PATIENCE, work)
        .await
        .expect("not within the time that anything here may take")
}

/// Looks again and again until it is so.
pub(crate) async fn until(mut is_so: impl FnMut() -> bool) {
    within(async {
        while !is_so() {
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
    })
    .await;
}

pub(crate) fn symbol_topics(count: usize) -> Vec<String> {
    (0..count)
        .map(|n| {
            let symbol = Symbol::from_parts(&format!("S{n}"), "USDT").unwrap();
            format!("kline:1m:{symbol}")
        })
        .collect()
}
