//! A simulator under test, and a raw WebSocket client.

use std::path::PathBuf;
use std::time::Duration;

use exchange_sim::{Handle, Kind, Options, Play, Progress, Service, Speed};
use futures_util::{SinkExt, StreamExt};
use runtime::shutdown::Shutdown;
use serde_json::Value;
use tokio::net::TcpStream;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::{MaybeTlsStream, WebSocketStream};

/// A simulator that runs until it is dropped.
pub(crate) struct Sim {
    pub(crate) handle: Handle,
    pub(crate) address: std::net::SocketAddr,
    shutdown: Shutdown,
    task: tokio::task::JoinHandle<()>,
}

impl Sim {
    pub(crate) async fn start(play: Play, change: impl FnOnce(&mut Options)) -> Self {
        let mut options = Options::new("127.0.0.1:0".parse().unwrap(), play);
        change(&mut options);
        let service = Service::bind(options).await.unwrap();
        let (handle, address) = (service.handle(), service.local_addr());
        let shutdown = Shutdown::new();
        let stop = shutdown.clone();
        let task = tokio::spawn(async move { service.run(stop).await.unwrap() });
        Self {
            handle,
            address,
            shutdown,
            task,
        }
    }

    pub(crate) async fn connect(&self, path: &str) -> Client {
        let url = format!("ws://{}{path}", self.address);
        let (socket, _) = tokio_tungstenite::connect_async(url).await.unwrap();
        Client { socket }
    }

    pub(crate) async fn ended(&self, kind: Kind) -> Progress {
        let mut progress = self.handle.progress(kind).unwrap();
        within(progress.wait_for(|p| p.ended))
            .await
            .unwrap()
            .clone()
    }

    /// `GET` by hand: status, head and body.
    pub(crate) async fn get(&self, path: &str) -> (u16, String, String) {
        self.request("GET", path, "").await
    }

    pub(crate) async fn request(
        &self,
        method: &str,
        path: &str,
        body: &str,
    ) -> (u16, String, String) {
        use tokio::io::{AsyncReadExt, AsyncWriteExt};
        let mut socket = TcpStream::connect(self.address).await.unwrap();
        let request = format!(
            "{method} {path} HTTP/1.1\r\nhost: sim\r\nconnection: close\r\ncontent-type: application/json\r\ncontent-length: {}\r\n\r\n{body}",
            body.len()
        );
        socket.write_all(request.as_bytes()).await.unwrap();
        let mut bytes = Vec::new();
        within(socket.read_to_end(&mut bytes)).await.unwrap();
        let text = String::from_utf8(bytes).unwrap();
        let (head, body) = text.split_once("\r\n\r\n").unwrap();
        let body = if head.to_lowercase().contains("transfer-encoding: chunked") {
            unchunk(body)
        } else {
            body.to_owned()
        };
        (head[9..12].parse().unwrap(), head.to_lowercase(), body)
    }

    pub(crate) async fn stop(self) {
        self.shutdown.trigger();
        within(self.task).await.unwrap();
    }
}

fn unchunk(mut rest: &str) -> String {
    let mut whole = String::new();
    while let Some((size, after)) = rest.split_once("\r\n") {
        let size = usize::from_str_radix(size.trim(), 16).unwrap();
        if size == 0 {
            break;
        }
        whole.push_str(&after[..size]);
        rest = &after[size + 2..];
    }
    whole
}

/// A WebSocket client that knows nothing of any venue.
pub(crate) struct Client {
    pub(crate) socket: WebSocketStream<MaybeTlsStream<TcpStream>>,
}

impl Client {
    pub(crate) async fn send(&mut self, text: &str) {
        self.socket.send(Message::text(text)).await.unwrap();
    }

    /// The next message that is no ping.
    pub(crate) async fn message(&mut self) -> Option<Message> {
        loop {
            match within(self.socket.next()).await {
                Some(Ok(Message::Ping(_))) => {}
                Some(Ok(message)) => return Some(message),
                Some(Err(_)) | None => return None,
            }
        }
    }

    /// The next text.
    pub(crate) async fn text(&mut self) -> String {
        match self.message().await {
            Some(Message::Text(text)) => text.to_string(),
            other => panic!("not a text: {other:?}"),
        }
    }

    /// Texts up to and with the first that holds `mark`.
    pub(crate) async fn texts_until(&mut self, mark: &str) -> Vec<String> {
        let mut texts = Vec::new();
        loop {
            let text = self.text().await;
            let last = text.contains(mark);
            texts.push(text);
            if last {
                return texts;
            }
        }
    }
}

/// Fails rather than hangs. Nothing depends on how long it is.
pub(crate) async fn within<T>(work: impl Future<Output = T>) -> T {
    tokio::time::timeout(Duration::from_secs(60), work)
        .await
        .expect("nothing came within a minute")
}

/// A shared recording, or `None` (said once) where recordings are not present.
pub(crate) fn recording(name: &str) -> Option<PathBuf> {
    let path = PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/../../shared/data")).join(name);
    if path.exists() {
        return Some(path);
    }
    println!("skipped: recordings not present at {}", path.display());
    None
}

pub(crate) fn replay(kind: Kind, files: &[PathBuf]) -> Play {
    Play::Replay {
        files: files.iter().map(|path| (kind, path.clone())).collect(),
        endless: false,
    }
}

/// A generated market of known length, that waits for its first subscriber.
pub(crate) fn generate(symbols: &[(Kind, &str)], trades: u64) -> Play {
    Play::Generate {
        symbols: symbols
            .iter()
            .map(|(kind, symbol)| (*kind, symbol.parse().unwrap()))
            .collect(),
        rate: 50,
        seed: 3,
        start_ms: Some(1_700_000_000_000),
        trades_max: Some(trades),
    }
}

/// At full speed.
pub(crate) fn max(options: &mut Options) {
    options.speed = Speed::Max;
}

/// A text that has to be JSON.
pub(crate) fn json(text: &str) -> Value {
    serde_json::from_str(text).unwrap_or_else(|error| panic!("{error}: {text}"))
}
