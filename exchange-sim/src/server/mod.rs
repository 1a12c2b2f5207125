//! The thin shell around the venues: one listen address, told apart by path.

/// WebSocket connections.
mod ws;

/// REST requests.
mod rest;

/// Starting, faults, truth and status.
mod admin;

use std::collections::BTreeMap;
use std::sync::Arc;

use axum::Router;
use axum::extract::{Request, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use axum::serve::ListenerExt;
use runtime::shutdown::Shutdown;
use runtime::tasks::Spawner;
use tokio::net::TcpListener;
use tokio::time::Instant;

use crate::exchange::Exchange;
use crate::venue::Kind;

/// What every request may need.
#[derive(Debug, Clone)]
pub(crate) struct App {
    pub(crate) exchanges: Arc<BTreeMap<Kind, Arc<Exchange>>>,
    pub(crate) spawner: Spawner,
    /// Where the server's clock starts.
    pub(crate) begun: Instant,
}

impl App {
    /// The server's clock, milliseconds since it began.
    pub(crate) fn now_ms(&self) -> u64 {
        u64::try_from(self.begun.elapsed().as_millis()).unwrap_or(u64::MAX)
    }
}

/// Serves until asked to stop.
pub(crate) async fn run(
    listener: TcpListener,
    app: App,
    shutdown: Shutdown,
) -> std::io::Result<()> {
    let router = Router::new()
        .nest("/admin", admin::router())
        .fallback(venue)
        .with_state(app);
    // Small messages follow each other; waiting to merge them would only add delay.
    let listener = listener.tap_io(|tcp| {
        if let Err(error) = tcp.set_nodelay(true) {
            tracing::debug!(%error, "cannot set TCP_NODELAY");
        }
    });
    axum::serve(listener, router)
        .with_graceful_shutdown(shutdown.requested_owned())
        .await
}

/// Everything under `/<venue>`.
async fn venue(State(app): State<App>, request: Request) -> Response {
    let path = request.uri().path().to_owned();
    let (name, rest) = path[1..].split_once('/').unwrap_or((&path[1..], ""));
    let Some(exchange) = Kind::from_name(name)
        .and_then(|kind| app.exchanges.get(&kind))
        .cloned()
    else {
        return (
            StatusCode::NOT_FOUND,
            format!("no venue {name:?} is played here\n"),
        )
            .into_response();
    };
    if exchange.is_refused(app.now_ms()) {
        return StatusCode::SERVICE_UNAVAILABLE.into_response();
    }
    let path = format!("/{rest}");
    let query = request.uri().query().unwrap_or("").to_owned();
    if request.headers().contains_key("sec-websocket-key") {
        ws::upgrade(app, exchange, request, path, query)
    } else {
        rest::answer(&app, &exchange, &path, &query)
    }
}
