//! A client of a running feed: WebSocket, HTTP, and where the recordings are.

use std::collections::{BTreeMap, VecDeque};
use std::future::Future;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use exchange_sim::Kind;
use futures_util::{SinkExt, StreamExt};
use runtime::shutdown::Shutdown;
use runtime::tasks::{TaskError, Tasks};
use standalone::up::{DRAIN_MAX, Handle, Options, Service};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::Message;
use wire::frame::Reply;
use wire::{Bar, Topic};

/// How long anything may take before the test says what it was waiting for. Generous: CI shares its cores.
const PATIENCE: Duration = Duration::from_secs(60);

/// Waits for something that must come.
pub(crate) async fn soon<T>(what: &str, future: impl Future<Output = T>) -> T {
    tokio::time::timeout(PATIENCE, future)
        .await
        .unwrap_or_else(|_| panic!("not within {PATIENCE:?}: {what}"))
}

/// One object of the native dialect.
#[derive(Debug)]
pub(crate) enum Object {
    /// A bar.
    Bar(Box<Bar>),
    /// Anything else.
    Reply(Reply),
}

/// A WebSocket client that reads frames into objects.
pub(crate) struct Client {
    socket: WebSocketStream<TcpStream>,
    objects: VecDeque<Object>,
}

impl Client {
    /// Connects to `/ws`.
    pub(crate) async fn connect(address: SocketAddr) -> Self {
        let stream = TcpStream::connect(address).await.unwrap();
        let url = format!("ws://{address}/ws");
        let (socket, _) = tokio_tungstenite::client_async(url, stream).await.unwrap();
        Self {
            socket,
            objects: VecDeque::new(),
        }
    }

    /// Sends one frame.
    pub(crate) async fn send(&mut self, message: Message) {
        self.socket.send(message).await.unwrap();
    }

    /// Subscribes, with all closes from the beginning where `from_first`.
    pub(crate) async fn subscribe(&mut self, topics: &[&str], from_first: bool) {
        let mut request = serde_json::json!({"op": "subscribe", "topics": topics, "id": 1});
        if from_first {
            let after: BTreeMap<_, _> = topics.iter().map(|topic| (*topic, 0)).collect();
            request["after"] = serde_json::json!(after);
        }
        self.send(Message::text(request.to_string())).await;
        match self.reply().await {
            Reply::Ok { id: Some(1), .. } => {}
            other => panic!("not subscribed: {other:?}"),
        }
    }

    /// The next object; `None` once the server has closed. Pings are no answer to wait for.
    pub(crate) async fn next(&mut self) -> Option<Object> {
        soon("an object from the server", self.next_at_last()).await
    }

    async fn next_at_last(&mut self) -> Option<Object> {
        loop {
            if let Some(object) = self.objects.pop_front() {
                return Some(object);
            }
            let frame = self.socket.next().await?;
            let Ok(frame) = frame else { return None };
            if let Message::Text(text) = frame {
                self.objects.extend(text.split('\n').map(object));
            }
        }
    }

    /// The code with which the server closes; other frames before it are passed over.
    pub(crate) async fn close_code(&mut self) -> Option<u16> {
        loop {
            match soon("a close frame", self.socket.next()).await {
                Some(Ok(Message::Close(frame))) => return frame.map(|frame| frame.code.into()),
                Some(Ok(_)) => {}
                _ => return None,
            }
        }
    }

    /// The next object that is no bar.
    pub(crate) async fn reply(&mut self) -> Reply {
        loop {
            match self.next().await.expect("the connection goes on") {
                Object::Reply(reply) => return reply,
                Object::Bar(_) => {}
            }
        }
    }

    /// The next close.
    pub(crate) async fn close(&mut self) -> Bar {
        soon("a close", self.close_at_last()).await
    }

    async fn close_at_last(&mut self) -> Bar {
        loop {
            match self.next_at_last().await.expect("the connection goes on") {
                Object::Bar(bar) if bar.closed => return *bar,
                Object::Bar(_) => {}
                Object::Reply(reply) => panic!("not a bar: {reply:?}"),
            }
        }
    }
}

fn object(text: &str) -> Object {
    match Bar::decode(text.as_bytes()) {
        Ok(bar) => Object::Bar(Box::new(bar)),
        Err(_) => {
            Object::Reply(serde_json::from_str(text).unwrap_or_else(|e| panic!("{e}: {text}")))
        }
    }
}

/// Closes by topic, in the order in which they came.
#[derive(Debug, Default)]
pub(crate) struct Closes {
    /// The closes.
    pub(crate) by_topic: BTreeMap<Topic, Vec<Bar>>,
}

impl Closes {
    /// Takes a close, and checks what holds for every topic: `close_no` goes up by one from its first on, and
    /// first closes follow each other without a hole.
    pub(crate) fn take(&mut self, bar: Bar) {
        let bars = self.by_topic.entry(bar.topic.clone()).or_default();
        if let Some(last) = bars.last() {
            assert_eq!(bar.close_no, last.close_no + 1, "{}", bar.topic);
            if bar.rev == 0 {
                let last_first = bars.iter().rev().find(|bar| bar.rev == 0);
                assert_eq!(
                    last_first.map(Bar::end_ms),
                    Some(bar.start_ms),
                    "{}",
                    bar.topic
                );
            }
        }
        bars.push(bar);
    }

    /// The closes of a topic.
    pub(crate) fn of(&self, topic: &str) -> &[Bar] {
        self.by_topic
            .get(&topic.parse().unwrap())
            .map_or(&[], Vec::as_slice)
    }
}

/// Status and body of a GET.
pub(crate) async fn get(address: SocketAddr, path: &str) -> (u16, String) {
    let mut stream = TcpStream::connect(address).await.unwrap();
    let request = format!("GET {path} HTTP/1.1\r\nhost: {address}\r\nconnection: close\r\n\r\n");
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut answer = Vec::new();
    soon(path, stream.read_to_end(&mut answer)).await.unwrap();
    let answer = String::from_utf8(answer).unwrap();
    let (head, body) = answer.split_once("\r\n\r\n").unwrap();
    let status = head.split(' ').nth(1).unwrap().parse().unwrap();
    let body = if head
        .to_ascii_lowercase()
        .contains("transfer-encoding: chunked")
    {
        unchunked(body)
    } else {
        body.to_owned()
    };
    (status, body)
}

/// The JSON body of a GET.
pub(crate) async fn get_json(address: SocketAddr, path: &str) -> (u16, serde_json::Value) {
    let (status, body) = get(address, path).await;
    (
        status,
        serde_json::from_str(&body).unwrap_or_else(|e| panic!("{path}: {e}: {body}")),
    )
}

fn unchunked(mut body: &str) -> String {
    let mut whole = String::new();
    while let Some((size, rest)) = body.split_once("\r\n") {
        let size = usize::from_str_radix(size, 16).unwrap();
        whole.push_str(&rest[..size]);
        body = rest[size..].trim_start_matches("\r\n");
    }
    whole
}

/// A recording, or `None` (said on stdout) where the recordings are not beside the workspace.
pub(crate) fn recording(name: &str) -> Option<PathBuf> {
    let data = Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/../../shared/data"));
    let file = data.join(name);
    if file.is_file() {
        return Some(file);
    }
    println!("skipped: recordings not present at {}", data.display());
    None
}

/// A running feed in this process.
pub(crate) struct Feed {
    /// Where it serves.
    pub(crate) address: SocketAddr,
    /// Its parts, seen from outside.
    pub(crate) handle: Handle,
    shutdown: Shutdown,
    running: tokio::task::JoinHandle<Result<(), TaskError>>,
}

impl Feed {
    /// Starts it.
    pub(crate) async fn start(options: Options) -> Self {
        let (tasks, shutdown) = Tasks::new("test");
        let service = Service::bind(options, &shutdown).await.unwrap();
        let (address, handle) = (service.local_addr(), service.handle());
        service.start(&tasks);
        let running = tokio::spawn(tasks.run_until_stopped(DRAIN_MAX));
        Self {
            address,
            handle,
            shutdown,
            running,
        }
    }

    /// Stops it, and sees that every part ended well and in time.
    pub(crate) async fn stop(self) {
        self.shutdown.trigger();
        soon("the stop", self.running).await.unwrap().unwrap();
    }

    /// Waits until a simulated venue has handed out all that it has.
    pub(crate) async fn ended(&self, venue: Kind) {
        let exchange = self.handle.exchange.as_ref().unwrap();
        let mut progress = exchange.progress(venue).unwrap();
        let ended = soon("the end of the market", progress.wait_for(|it| it.ended)).await;
        assert_eq!(ended.unwrap().error, None);
    }
}
