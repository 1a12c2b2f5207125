//! WebSocket connections: the one file that opens them. Each is a task that feeds a session and carries out
//! what it asks for.

use std::sync::Arc;
use std::time::Duration;

use axum::body::Body;
use axum::extract::Request;
use axum::http::header::{CONNECTION, SEC_WEBSOCKET_ACCEPT, SEC_WEBSOCKET_KEY, UPGRADE};
use axum::http::{HeaderValue, StatusCode};
use axum::response::{IntoResponse, Response};
use futures_util::{SinkExt, StreamExt};
use hyper::upgrade::{OnUpgrade, Upgraded};
use hyper_util::rt::TokioIo;
use runtime::tasks::OnExit;
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::handshake::derive_accept_key;
use tokio_tungstenite::tungstenite::protocol::frame::Frame as RawFrame;
use tokio_tungstenite::tungstenite::protocol::frame::coding::{CloseCode, Data, OpCode};
use tokio_tungstenite::tungstenite::protocol::{CloseFrame, Message, Role, WebSocketConfig};
use tokio_tungstenite::tungstenite::{self, Error as WsError};

use super::App;
use crate::exchange::{Exchange, Seat};
use crate::fault::tamper::{Frame, Tamper};
use crate::venue::{Class, Opening, Output, Session};

/// Answers the handshake and starts the connection's task.
pub(super) fn upgrade(
    app: App,
    exchange: Arc<Exchange>,
    mut request: Request,
    path: String,
    query: String,
) -> Response {
    let Some(key) = request.headers().get(SEC_WEBSOCKET_KEY) else {
        return StatusCode::BAD_REQUEST.into_response();
    };
    let accept = derive_accept_key(key.as_bytes());
    let Ok(accept) = HeaderValue::from_str(&accept) else {
        return StatusCode::BAD_REQUEST.into_response();
    };
    let upgraded = hyper::upgrade::on(&mut request);
    let spawner = app.spawner.clone();
    spawner.spawn_until_stop(
        "connection",
        OnExit::Log,
        connection(app, exchange, upgraded, path, query),
    );
    let mut response = Response::new(Body::empty());
    *response.status_mut() = StatusCode::SWITCHING_PROTOCOLS;
    response
        .headers_mut()
        .insert(UPGRADE, HeaderValue::from_static("websocket"));
    response
        .headers_mut()
        .insert(CONNECTION, HeaderValue::from_static("Upgrade"));
    response.headers_mut().insert(SEC_WEBSOCKET_ACCEPT, accept);
    response
}

/// Lives as long as the client does. A client that goes away is no failure.
async fn connection(
    app: App,
    exchange: Arc<Exchange>,
    upgraded: OnUpgrade,
    path: String,
    query: String,
) {
    let upgraded = match upgraded.await {
        Ok(upgraded) => upgraded,
        Err(error) => return tracing::debug!(%error, "the client left during the handshake"),
    };
    let socket =
        WebSocketStream::from_raw_socket(TokioIo::new(upgraded), Role::Server, Some(config()))
            .await;
    let seat = exchange.enter();
    let id = seat.id;
    let opening = Opening {
        path: &path,
        query: &query,
        now_ms: app.now_ms(),
        position: seat.position,
        limits: &exchange.limits,
    };
    let session = exchange.kind.session(&opening);
    let mut connection = Connection {
        app,
        exchange: Arc::clone(&exchange),
        socket,
        session,
        tamper: Tamper::default(),
    };
    let end = connection.run(seat).await;
    exchange.leave(id);
    tracing::debug!(
        venue = exchange.kind.name(),
        conn_id = id,
        ?end,
        "connection ended"
    );
}

struct Connection {
    app: App,
    exchange: Arc<Exchange>,
    socket: WebSocketStream<TokioIo<Upgraded>>,
    session: Box<dyn Session>,
    tamper: Tamper,
}

/// Why a connection ended.
#[derive(Debug)]
enum End {
    /// The client closed it, or was gone.
    Client,
    /// We closed it.
    Closed,
    /// A fault cut it.
    Cut,
    /// The client did not read fast enough.
    TooSlow,
}

impl Connection {
    async fn run(&mut self, mut seat: Seat) -> End {
        loop {
            if let Err(end) = self.carry_out(seat.mailbox.is_empty()).await {
                return end;
            }
            let due = self
                .session
                .poll_timeout()
                .into_iter()
                .chain(self.tamper.poll_timeout())
                .min();
            let due = due.map(|at_ms| self.app.begun + Duration::from_millis(at_ms));
            tokio::select! {
                // What is due and what the client says count before what happens later: at full speed there is
                // always more of that, and a subscription would wait for the end of a recording.
                biased;
                () = at(due) => {
                    let now_ms = self.app.now_ms();
                    self.session.handle_timeout(now_ms);
                    self.tamper.handle_timeout(now_ms);
                }
                message = self.socket.next() => match message {
                    Some(Ok(message)) => {
                        if let Err(end) = self.handle_message(message) {
                            return end;
                        }
                    }
                    Some(Err(error)) => return self.refuse(&error).await,
                    None => return End::Client,
                },
                event = seat.mailbox.recv() => match event {
                    Some(event) => {
                        let (session, now_ms) = (&mut self.session, self.app.now_ms());
                        self.exchange.with_market(|market| session.handle_event(now_ms, &event, market));
                    }
                    None => {
                        self.close(1008, "too slow").await;
                        return End::TooSlow;
                    }
                },
            }
        }
    }

    fn handle_message(&mut self, message: Message) -> Result<(), End> {
        let now_ms = self.app.now_ms();
        let session = &mut self.session;
        match message {
            Message::Text(text) => self
                .exchange
                .with_market(|market| session.handle_text(now_ms, &text, market)),
            // No venue knows binary messages; each takes them for text that is not JSON.
            Message::Binary(_) => self
                .exchange
                .with_market(|market| session.handle_text(now_ms, "\u{0}", market)),
            Message::Ping(_) => session.handle_ping(now_ms),
            Message::Pong(payload) => session.handle_pong(now_ms, &payload),
            Message::Close(_) => return Err(End::Client),
            Message::Frame(_) => {}
        }
        Ok(())
    }

    /// Sends what the session has to say. Messages are gathered while more events wait.
    async fn carry_out(&mut self, flush: bool) -> Result<(), End> {
        while let Some(output) = self.session.poll_output() {
            match output {
                Output::Wants(symbol) => {
                    // The answer is on its way before the feed that it opens.
                    self.flush().await?;
                    self.exchange.wants(symbol);
                }
                Output::Text(class, text) => self.send(class, text).await?,
                Output::Ping(payload) => self.feed(Message::Ping(payload.into())).await?,
                Output::Close(code, reason) => return Err(self.close(code, reason).await),
            }
        }
        self.send_ready().await?;
        if flush { self.flush().await } else { Ok(()) }
    }

    /// A message goes by the faults, then out. Order is kept but where a fault changes it.
    async fn send(&mut self, class: Class, text: String) -> Result<(), End> {
        let now_ms = self.app.now_ms();
        let strikes = self.exchange.strikes(now_ms, class, &text);
        self.tamper
            .handle_message(now_ms, text, &strikes, self.exchange.kind.refusal());
        self.send_ready().await
    }

    async fn send_ready(&mut self) -> Result<(), End> {
        while let Some(frame) = self.tamper.poll_frame() {
            match frame {
                Frame::Text(text) => self.feed(Message::text(text)).await?,
                Frame::Binary(bytes) => self.feed(Message::binary(bytes)).await?,
                Frame::BrokenText(bytes) => {
                    let frame = RawFrame::message(bytes, OpCode::Data(Data::Text), true);
                    self.feed(Message::Frame(frame)).await?;
                }
                Frame::Close(code) => return Err(self.close(code, "by a fault").await),
                Frame::Cut => {
                    // What was sent before the cut still arrives.
                    self.flush().await?;
                    return Err(End::Cut);
                }
            }
        }
        Ok(())
    }

    async fn feed(&mut self, message: Message) -> Result<(), End> {
        let patient = self.exchange.patient;
        unless_slow(patient, self.socket.feed(message)).await
    }

    async fn flush(&mut self) -> Result<(), End> {
        let patient = self.exchange.patient;
        unless_slow(patient, self.socket.flush()).await
    }

    async fn close(&mut self, code: u16, reason: &'static str) -> End {
        let frame = CloseFrame {
            code: CloseCode::from(code),
            reason: reason.into(),
        };
        // A client that reads nothing does not get its close frame either.
        let _ = tokio::time::timeout(CLOSE_MAX, self.socket.close(Some(frame))).await;
        End::Closed
    }

    /// Ends a connection whose client broke the WebSocket protocol.
    async fn refuse(&mut self, error: &WsError) -> End {
        tracing::debug!(%error, "protocol");
        match error {
            WsError::Capacity(_) => self.close(1009, "message too big").await,
            WsError::Utf8(_) => self.close(1007, "not UTF-8").await,
            WsError::Protocol(_) => self.close(1002, "protocol error").await,
            _ => End::Client,
        }
    }
}

/// Waits for a write: for ever where a replay waits for its readers, else for as long as an exchange would.
async fn unless_slow(
    patient: bool,
    write: impl Future<Output = Result<(), tungstenite::Error>>,
) -> Result<(), End> {
    if patient {
        return write.await.map_err(|_| End::Client);
    }
    match tokio::time::timeout(WRITE_MAX, write).await {
        Ok(written) => written.map_err(|_| End::Client),
        Err(_) => Err(End::TooSlow),
    }
}

/// Sleeps until then; for ever if never.
async fn at(due: Option<tokio::time::Instant>) {
    match due {
        Some(due) => tokio::time::sleep_until(due).await,
        None => std::future::pending().await,
    }
}

/// Subscriptions to a thousand streams take some 30 KB; a client has nothing larger to say.
const MESSAGE_BYTES_MAX: usize = 256 << 10;

/// Replays send frames of some hundred bytes; 64 KB of them go in one write.
const WRITE_BYTES: usize = 64 << 10;

const CLOSE_MAX: Duration = Duration::from_secs(2);

/// An exchange gives a reader who takes nothing some tens of seconds.
const WRITE_MAX: Duration = Duration::from_secs(30);

fn config() -> WebSocketConfig {
    WebSocketConfig::default()
        .max_message_size(Some(MESSAGE_BYTES_MAX))
        .max_frame_size(Some(MESSAGE_BYTES_MAX))
        .read_buffer_size(8 << 10)
        .write_buffer_size(WRITE_BYTES)
}
