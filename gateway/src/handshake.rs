//! The upgrade request, and the socket taken over from HTTP. The one file of this crate that opens a
//! WebSocket.

use std::convert::Infallible;
use std::future::poll_fn;
use std::io::{self, Write};
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::extract::{ConnectInfo, Extension};
use axum::http::{
    HeaderMap, HeaderName, HeaderValue, Method, Request, StatusCode, Version, header,
};
use axum::response::{IntoResponse, Json, Response};
use axum::routing::any;
use bytes::Bytes;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::net::TcpStream;
use tokio_tungstenite::tungstenite::handshake::derive_accept_key;
use tower::ServiceExt;
use wire::api::ErrorBody;

use crate::close::CloseReason;
use crate::frame;
use crate::inbox::{Arrival, Inbox};
use crate::metrics::Metrics;
use crate::seats::{Seat, Seats};

/// How long a client may take to send a request's head, and how long it may idle between two.
const HEAD_WAIT_MAX: Duration = Duration::from_secs(10);

/// A client whose time for HTTP is over may take this part of it more for the rest of its response.
const HTTP_LAST_PART: u32 = 10;

/// Bytes that the kernel holds of a connection before it reports backlog: what is beyond stays with us,
/// where a newer bar can still overtake it. Two of the usual frames.
const NOTSENT_LOWAT: u32 = 16 * 1024;

/// Where an upgraded connection goes, and what its socket is set to. Clones lead to the same shards.
#[derive(Debug, Clone)]
pub(crate) struct Door {
    pub(crate) seats: Arc<Seats>,
    pub(crate) inboxes: Arc<[Inbox]>,
    pub(crate) metrics: Metrics,
    /// How long a connection may speak HTTP before it is told to end.
    pub(crate) http_life_max: Duration,
    /// How long unacknowledged data may stay so before the kernel gives the connection up.
    pub(crate) user_timeout: Duration,
}

/// The request's place for the seat of the connection that it became.
#[derive(Debug, Clone, Default)]
struct Slot(Arc<Mutex<Option<Seat>>>);

impl Slot {
    fn put(&self, seat: Seat) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Some(seat);
    }

    fn take(&self) -> Option<Seat> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).take()
    }
}

impl Door {
    /// The routes of the WebSocket dialects.
    pub(crate) fn routes(&self) -> Router {
        let door = self.clone();
        Router::new().route(
            "/ws",
            any(async move |slot: Extension<Slot>, request: Request<Body>| {
                door.handle_upgrade(&slot, &request)
            }),
        )
    }

    /// Serves HTTP on a connection until it ends, or becomes a WebSocket and goes to its shard.
    pub(crate) async fn serve(self, socket: TcpStream, peer: SocketAddr, router: Router) {
        // Now already: a client that does not read its response is given up by the kernel too.
        let set = socket2::SockRef::from(&socket).set_tcp_user_timeout(Some(self.user_timeout));
        if let Err(error) = set {
            return tracing::debug!(%error, %peer, "a connection broke at once");
        }
        let slot = Slot::default();
        let Some((io, leftover)) = self.serve_http(socket, peer, router, &slot).await else {
            return;
        };
        let Some(seat) = slot.take() else {
            return;
        };
        let shard = seat.shard();
        match self.settle(io.into_inner()) {
            Ok(socket) => {
                let arrival = Arrival {
                    socket,
                    leftover,
                    seat,
                    peer,
                };
                if let Err(arrival) = self.inboxes[shard].put_arrival(arrival) {
                    self.send_away(&arrival);
                }
            }
            Err(error) => tracing::debug!(%error, %peer, "a socket could not be taken over"),
        }
    }

    /// Speaks HTTP until the client ends it, until it becomes something else, or until its time is over. Then it is
    /// told to end, and has a little longer to take the rest of its response.
    async fn serve_http(
        &self,
        socket: TcpStream,
        peer: SocketAddr,
        router: Router,
        slot: &Slot,
    ) -> Option<(TokioIo<TcpStream>, Bytes)> {
        let service = service_fn(|mut request: Request<Incoming>| {
            request.extensions_mut().insert(slot.clone());
            request.extensions_mut().insert(ConnectInfo(peer));
            let router = router.clone();
            // hyper wants it on the heap to be asked when the connection is to end.
            Box::pin(
                async move { Ok::<_, Infallible>(router.oneshot(request).await.into_response()) },
            )
        });
        let mut connection = http1::Builder::new()
            .timer(TokioTimer::new())
            .header_read_timeout(HEAD_WAIT_MAX)
            .serve_connection(TokioIo::new(socket), service);
        let mut served = Err(());
        for wait in [self.http_life_max, self.http_life_max / HTTP_LAST_PART] {
            let end = poll_fn(|cx| connection.poll_without_shutdown(cx));
            if let Ok(end) = tokio::time::timeout(wait, end).await {
                served = Ok(end);
                break;
            }
            Pin::new(&mut connection).graceful_shutdown();
        }
        match served {
            Ok(Ok(())) => {
                let http1::Parts { io, read_buf, .. } = connection.into_parts();
                return Some((io, read_buf));
            }
            Ok(Err(error)) => tracing::debug!(%error, %peer, "http connection ended"),
            Err(()) => tracing::debug!(%peer, "http connection cut: its time was over"),
        }
        None
    }

    /// Says goodbye on a connection whose shard ended during its handshake.
    fn send_away(&self, arrival: &Arrival) {
        let mut bytes = Vec::new();
        frame::write_close(&mut bytes, CloseReason::Drain);
        // A socket that has sent only its handshake has room for it; if not, it ends without.
        let _ = (&arrival.socket).write(&bytes);
        self.metrics.closed(CloseReason::Drain);
    }

    /// Takes the socket off this runtime and sets it up for its life as a WebSocket.
    fn settle(&self, socket: TcpStream) -> io::Result<std::net::TcpStream> {
        let socket = socket.into_std()?;
        let options = socket2::SockRef::from(&socket);
        options.set_tcp_nodelay(true)?;
        options.set_tcp_notsent_lowat(NOTSENT_LOWAT)?;
        Ok(socket)
    }

    fn handle_upgrade(&self, slot: &Slot, request: &Request<Body>) -> Response {
        let key = match check_upgrade(request.method(), request.version(), request.headers()) {
            Ok(key) => key,
            Err(refusal) => return refusal.into_response(),
        };
        let accept = derive_accept_key(key.as_bytes());
        let Ok(accept) = HeaderValue::from_maybe_shared(Bytes::from(accept)) else {
            // Base64 is always a valid header value; this arm answers in its place.
            return StatusCode::INTERNAL_SERVER_ERROR.into_response();
        };
        let Some(seat) = self.seats.take() else {
            self.metrics.refused.inc();
            let refusal = if self.seats.is_closed() {
                Refusal::Stopping
            } else {
                Refusal::Full
            };
            return refusal.into_response();
        };
        slot.put(seat);
        let headers = [
            (header::CONNECTION, HeaderValue::from_static("upgrade")),
            (header::UPGRADE, HeaderValue::from_static("websocket")),
            (header::SEC_WEBSOCKET_ACCEPT, accept),
        ];
        (StatusCode::SWITCHING_PROTOCOLS, headers).into_response()
    }
}

/// Why a request does not become a WebSocket.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
enum Refusal {
    #[error("a WebSocket begins with GET")]
    Method,
    #[error("a WebSocket begins with HTTP/1.1")]
    Http,
    #[error("this address speaks WebSocket: send Connection: Upgrade and Upgrade: websocket")]
    NoUpgrade,
    #[error("Sec-WebSocket-Version must be 13")]
    Version,
    #[error("Sec-WebSocket-Key must be 16 bytes in base64")]
    Key,
    #[error("all places are taken, try again later")]
    Full,
    #[error("the gateway is stopping, connect again")]
    Stopping,
}

impl Refusal {
    fn status(self) -> (StatusCode, &'static str) {
        match self {
            Self::Method => (StatusCode::METHOD_NOT_ALLOWED, "bad_method"),
            Self::Http => (StatusCode::HTTP_VERSION_NOT_SUPPORTED, "bad_http_version"),
            Self::NoUpgrade => (StatusCode::UPGRADE_REQUIRED, "upgrade_required"),
            Self::Version => (StatusCode::UPGRADE_REQUIRED, "bad_websocket_version"),
            Self::Key => (StatusCode::BAD_REQUEST, "bad_websocket_key"),
            Self::Full => (StatusCode::SERVICE_UNAVAILABLE, "no_place"),
            Self::Stopping => (StatusCode::SERVICE_UNAVAILABLE, "stopping"),
        }
    }
}

impl IntoResponse for Refusal {
    fn into_response(self) -> Response {
        let (status, code) = self.status();
        let mut response = (status, Json(ErrorBody::new(code, self.to_string()))).into_response();
        let hints: &[(HeaderName, &'static str)] = match self {
            Self::Method => &[(header::ALLOW, "GET")],
            // RFC 9110, 15.5.22 and RFC 6455, 4.4.
            Self::NoUpgrade | Self::Version => &[
                (header::UPGRADE, "websocket"),
                (header::CONNECTION, "upgrade"),
                (header::SEC_WEBSOCKET_VERSION, "13"),
            ],
            Self::Full => &[(header::RETRY_AFTER, "5")],
            // Behind a load balancer another gateway answers the next try.
            Self::Stopping => &[(header::RETRY_AFTER, "1"), (header::CONNECTION, "close")],
            Self::Http | Self::Key => &[],
        };
        for (name, value) in hints {
            response
                .headers_mut()
                .insert(name, HeaderValue::from_static(value));
        }
        response
    }
}

/// Checks an opening handshake (RFC 6455, 4.2.1) and gives its key. Extensions and subprotocols are offers,
/// which are not taken up.
fn check_upgrade<'a>(
    method: &Method,
    version: Version,
    headers: &'a HeaderMap,
) -> Result<&'a HeaderValue, Refusal> {
    if method != Method::GET {
        return Err(Refusal::Method);
    }
    if version != Version::HTTP_11 {
        return Err(Refusal::Http);
    }
    if !has_token(headers, &header::CONNECTION, "upgrade")
        || !has_token(headers, &header::UPGRADE, "websocket")
    {
        return Err(Refusal::NoUpgrade);
    }
    let is_13 = |value: &HeaderValue| value.as_bytes() == b"13";
    if !headers
        .get(header::SEC_WEBSOCKET_VERSION)
        .is_some_and(is_13)
    {
        return Err(Refusal::Version);
    }
    let mut keys = headers.get_all(header::SEC_WEBSOCKET_KEY).iter();
    match (keys.next(), keys.next()) {
        (Some(key), None) if is_key(key.as_bytes()) => Ok(key),
        _ => Err(Refusal::Key),
    }
}

/// Whether one of the header's comma-separated words is this one.
fn has_token(headers: &HeaderMap, name: &HeaderName, token: &str) -> bool {
    headers
        .get_all(name)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(','))
        .any(|word| word.trim().eq_ignore_ascii_case(token))
}

/// Sixteen bytes in base64: 22 characters and two of padding.
fn is_key(key: &[u8]) -> bool {
    let Some((text, b"==")) = key.split_at_checked(22) else {
        return false;
    };
    text.iter()
        .all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'+' | b'/'))
}

#[cfg(test)]
mod tests {
    use super::*;

    const GOOD: &[(&str, &str)] = &[
        ("connection", "keep-alive, Upgrade"),
        ("upgrade", "websocket"),
        ("sec-websocket-version", "13"),
        ("sec-websocket-key", "dGhlIHNhbXBsZSBub25jZQ=="),
    ];

    fn check(
        method: &Method,
        version: Version,
        change: Option<(&'static str, &str)>,
        expect: Result<(), Refusal>,
    ) {
        let mut headers = HeaderMap::new();
        for (name, value) in GOOD {
            headers.append(*name, value.parse().unwrap());
        }
        match change {
            Some((name, "")) => drop(headers.remove(name)),
            Some((name, value)) => drop(headers.insert(name, value.parse().unwrap())),
            None => {}
        }
        let got = check_upgrade(method, version, &headers).map(|_| ());
        assert_eq!(got, expect, "{method} {version:?} {change:?}");
    }

    #[test]
    fn only_a_whole_handshake_is_accepted() {
        let get = |change, expect| check(&Method::GET, Version::HTTP_11, change, expect);
        get(None, Ok(()));
        get(Some(("upgrade", "h2c, WebSocket")), Ok(()));
        get(Some(("connection", "")), Err(Refusal::NoUpgrade));
        get(Some(("connection", "close")), Err(Refusal::NoUpgrade));
        get(Some(("upgrade", "h2c")), Err(Refusal::NoUpgrade));
        get(Some(("sec-websocket-version", "")), Err(Refusal::Version));
        get(Some(("sec-websocket-version", "8")), Err(Refusal::Version));
        get(Some(("sec-websocket-key", "")), Err(Refusal::Key));
        get(Some(("sec-websocket-key", "short")), Err(Refusal::Key));
        get(
            Some(("sec-websocket-key", "dGhlIHNhbXBsZSBub25jZQ=a")),
            Err(Refusal::Key),
        );
        check(&Method::POST, Version::HTTP_11, None, Err(Refusal::Method));
        check(&Method::GET, Version::HTTP_10, None, Err(Refusal::Http));
    }

    #[test]
    fn the_accept_key_is_that_of_rfc_6455() {
        // The example of section 1.3.
        assert_eq!(
            derive_accept_key(b"dGhlIHNhbXBsZSBub25jZQ=="),
            "s3pPLMBiTxaQ9kYGzzhZRbK+xOo="
        );
    }
}
