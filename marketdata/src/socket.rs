//! The one place in this crate that opens a WebSocket.

use std::time::Duration;

use futures_util::{SinkExt, StreamExt};
use tokio::net::TcpStream;
use tokio_tungstenite::tungstenite::protocol::WebSocketConfig;
use tokio_tungstenite::tungstenite::{Error, Message, Utf8Bytes};
use tokio_tungstenite::{MaybeTlsStream, WebSocketStream, connect_async_with_config};

use crate::session::End;

/// An open connection.
#[derive(Debug)]
pub(crate) struct Socket {
    stream: WebSocketStream<MaybeTlsStream<TcpStream>>,
}

/// What came over a connection.
#[derive(Debug)]
pub(crate) enum Frame {
    /// Text, valid UTF-8.
    Text(Utf8Bytes),
    /// Binary, which no venue sends us.
    Binary,
    /// A ping; the pong is on its way.
    Ping,
}

/// The largest message that is taken. The largest that a venue sends us is a snapshot of a hundred trades for
/// each of a hundred products in one message: 2 MB.
pub(crate) const MESSAGE_LEN_MAX: usize = 4 << 20;

/// How long a close handshake may take; then the connection is dropped.
const CLOSE_MAX: Duration = Duration::from_secs(1);

impl Socket {
    /// Opens a connection. The caller puts a limit on the time that it takes.
    ///
    /// # Errors
    /// When the address is none, nobody answers, or the answer is no WebSocket's.
    pub(crate) async fn connect(url: &str) -> Result<Self, Error> {
        let config = WebSocketConfig::default()
            .max_message_size(Some(MESSAGE_LEN_MAX))
            .max_frame_size(Some(MESSAGE_LEN_MAX));
        let (stream, _) = connect_async_with_config(url, Some(config), true).await?;
        Ok(Self { stream })
    }

    /// Sends a text.
    ///
    /// # Errors
    /// When the connection is gone.
    pub(crate) async fn send(&mut self, text: String) -> Result<(), End> {
        self.stream
            .send(Message::text(text))
            .await
            .map_err(|error| end(&error))
    }

    /// Waits for what comes next. Cancel-safe.
    ///
    /// # Errors
    /// When the connection is over, and how.
    pub(crate) async fn next(&mut self) -> Result<Frame, End> {
        loop {
            match self.stream.next().await {
                None | Some(Ok(Message::Close(_))) => return Err(End::Closed),
                Some(Err(error)) => return Err(end(&error)),
                Some(Ok(Message::Text(text))) => return Ok(Frame::Text(text)),
                Some(Ok(Message::Binary(_))) => return Ok(Frame::Binary),
                // The library answers a ping itself, with the ping's payload.
                Some(Ok(Message::Ping(_))) => return Ok(Frame::Ping),
                Some(Ok(Message::Pong(_) | Message::Frame(_))) => {}
            }
        }
    }

    /// Says good-bye, for a moment at most.
    pub(crate) async fn close(mut self) {
        let _ = tokio::time::timeout(CLOSE_MAX, self.stream.close(None)).await;
    }
}

fn end(error: &Error) -> End {
    match error {
        Error::ConnectionClosed | Error::AlreadyClosed | Error::Io(_) | Error::Tls(_) => {
            End::Closed
        }
        Error::Protocol(
            tokio_tungstenite::tungstenite::error::ProtocolError::ResetWithoutClosingHandshake,
        ) => End::Closed,
        _ => End::Protocol,
    }
}
