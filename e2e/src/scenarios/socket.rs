//! A client that reads text as it comes.

use std::net::SocketAddr;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use futures_util::{SinkExt, StreamExt};
use serde_json::json;
use tokio::net::TcpStream;
use tokio_tungstenite::tungstenite::Message;

/// How long a bar may take.
const BAR_MAX: Duration = Duration::from_secs(30);

/// The text of a bar of a topic that is on its way just now.
pub(super) async fn bar(server: SocketAddr, topic: &str) -> Result<String> {
    let read = tokio::time::timeout(BAR_MAX, read(server, topic)).await;
    read.with_context(|| format!("no bar of {topic} within {BAR_MAX:?}"))?
}

async fn read(server: SocketAddr, topic: &str) -> Result<String> {
    let stream = TcpStream::connect(server).await?;
    let url = format!("ws://{server}/ws");
    let (mut socket, _) = tokio_tungstenite::client_async(url, stream).await?;
    let request = json!({ "op": "subscribe", "topics": [topic], "id": 1 });
    socket.send(Message::text(request.to_string())).await?;
    let mut bars = 0;
    while let Some(frame) = socket.next().await {
        let Message::Text(text) = frame? else {
            continue;
        };
        for object in text.as_str().split('\n') {
            // The first one may be from before a release was another.
            bars += u32::from(object.contains("\"op\":\"bar\""));
            if bars > 2 {
                return Ok(object.to_owned());
            }
        }
    }
    bail!("the connection ended before a bar")
}
