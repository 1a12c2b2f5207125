//! The admin endpoints: `/livez`, `/readyz` and `/metrics`.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use axum::Router;
use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use tokio::net::TcpListener;

use crate::lock::lock;
use crate::shutdown::Shutdown;
use crate::telemetry::Metrics;

/// What a process must have before it takes traffic. Conditions are about the process and its
/// snapshots only: an exchange that is away must not take gateways out of service.
#[derive(Debug, Clone)]
pub struct Readiness {
    shutdown: Shutdown,
    conditions: Arc<Mutex<Conditions>>,
}

#[derive(Debug, Default)]
struct Conditions {
    next_id: u64,
    /// By the order of their registration.
    unmet: BTreeMap<u64, String>,
}

/// One condition, in the hands of the component that meets it. It begins unmet, and is unmet again
/// when the component drops it.
#[derive(Debug)]
pub struct Ready {
    id: u64,
    name: String,
    conditions: Arc<Mutex<Conditions>>,
}

impl Readiness {
    /// No conditions; ready until `shutdown` is requested.
    #[must_use]
    pub fn new(shutdown: Shutdown) -> Self {
        Self {
            shutdown,
            conditions: Arc::default(),
        }
    }

    /// Adds a condition, unmet. `/readyz` shows its name while it is.
    #[must_use]
    pub fn condition(&self, name: impl Into<String>) -> Ready {
        let name = name.into();
        let mut conditions = lock(&self.conditions);
        let id = conditions.next_id;
        conditions.next_id += 1;
        conditions.unmet.insert(id, name.clone());
        drop(conditions);
        Ready {
            id,
            name,
            conditions: Arc::clone(&self.conditions),
        }
    }

    /// Names of what is missing, in the order of registration; `stopping` comes first when a stop
    /// has been asked for. Empty means ready.
    #[must_use]
    pub fn unmet(&self) -> Vec<String> {
        let stopping = self.shutdown.is_requested().then(|| "stopping".to_owned());
        let conditions = lock(&self.conditions);
        stopping
            .into_iter()
            .chain(conditions.unmet.values().cloned())
            .collect()
    }
}

impl Ready {
    /// Says whether the condition is met.
    pub fn set(&self, met: bool) {
        let mut conditions = lock(&self.conditions);
        if met {
            conditions.unmet.remove(&self.id);
        } else {
            conditions.unmet.insert(self.id, self.name.clone());
        }
    }
}

impl Drop for Ready {
    fn drop(&mut self) {
        self.set(false);
    }
}

/// The three endpoints. `/livez` answers 200 while the process can answer at all; `/readyz` 200, or
/// 503 with a line for each thing missing; `/metrics` OpenMetrics text.
pub fn router(readiness: Readiness, metrics: Metrics) -> Router {
    Router::new()
        .route("/livez", get(async || "ok\n"))
        .route("/readyz", get(readyz))
        .with_state(readiness)
        .merge(
            Router::new()
                .route("/metrics", get(metrics_text))
                .with_state(metrics),
        )
}

/// Serves the endpoints for good. Start it with [`crate::tasks::Tasks::spawn_to_the_end`], so that
/// `/readyz` still answers (503) while the others drain.
///
/// # Errors
/// When the listener fails.
pub async fn serve(listener: TcpListener, router: Router) -> std::io::Result<()> {
    axum::serve(listener, router).await
}

async fn readyz(State(readiness): State<Readiness>) -> Response {
    let unmet = readiness.unmet();
    if unmet.is_empty() {
        return "ready\n".into_response();
    }
    let lines: String = unmet
        .iter()
        .map(|name| format!("not ready: {name}\n"))
        .collect();
    (StatusCode::SERVICE_UNAVAILABLE, lines).into_response()
}

async fn metrics_text(State(metrics): State<Metrics>) -> Response {
    match metrics.encode() {
        Ok(text) => ([(header::CONTENT_TYPE, OPENMETRICS)], text).into_response(),
        Err(error) => {
            tracing::error!(%error, "cannot write the metrics");
            StatusCode::INTERNAL_SERVER_ERROR.into_response()
        }
    }
}

/// OpenMetrics 1.0, "Overall structure".
const OPENMETRICS: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

#[cfg(test)]
mod tests {
    use super::*;
    use axum::body::{Body, to_bytes};
    use axum::http::Request;
    use prometheus_client::metrics::counter::Counter;
    use tower::ServiceExt;

    async fn get_text(router: &Router, path: &str) -> (u16, String, String) {
        let request = Request::get(path).body(Body::empty()).unwrap();
        let response = router.clone().oneshot(request).await.unwrap();
        let content_type = response.headers()[header::CONTENT_TYPE].to_str().unwrap();
        let content_type = content_type.to_owned();
        let status = response.status().as_u16();
        let body = to_bytes(response.into_body(), 10_000).await.unwrap();
        (
            status,
            content_type,
            String::from_utf8(body.into()).unwrap(),
        )
    }

    #[tokio::test]
    async fn readyz_names_what_is_missing() {
        let shutdown = Shutdown::new();
        let readiness = Readiness::new(shutdown.clone());
        let router = router(readiness.clone(), Metrics::new());
        let check = async |status: u16, body: &str| {
            let (got, _, text) = get_text(&router, "/readyz").await;
            assert_eq!((got, text.as_str()), (status, body));
        };
        check(200, "ready\n").await;
        let snapshot = readiness.condition("snapshot");
        let page = readiness.condition("page");
        check(503, "not ready: snapshot\nnot ready: page\n").await;
        page.set(true);
        check(503, "not ready: snapshot\n").await;
        snapshot.set(true);
        check(200, "ready\n").await;
        snapshot.set(false);
        check(503, "not ready: snapshot\n").await;
        snapshot.set(true);
        drop(page);
        check(503, "not ready: page\n").await;
        shutdown.trigger();
        check(503, "not ready: stopping\nnot ready: page\n").await;
        let (status, _, text) = get_text(&router, "/livez").await;
        assert_eq!((status, text.as_str()), (200, "ok\n"));
    }

    #[tokio::test]
    async fn metrics_are_openmetrics() {
        let metrics = Metrics::new();
        let trades = Counter::<u64>::default();
        metrics.register(|registry| registry.register("trades", "Trades seen", trades.clone()));
        trades.inc_by(3);
        let router = router(Readiness::new(Shutdown::new()), metrics);
        let (status, content_type, text) = get_text(&router, "/metrics").await;
        assert_eq!(status, 200);
        assert_eq!(content_type, OPENMETRICS);
        assert_eq!(
            text,
            "# HELP trades Trades seen.\n# TYPE trades counter\ntrades_total 3\n# EOF\n"
        );
    }

    #[tokio::test]
    async fn serves_over_http() {
        use tokio::io::{AsyncReadExt, AsyncWriteExt};
        let (tasks, shutdown) = crate::tasks::Tasks::new("test");
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let router = router(Readiness::new(shutdown.clone()), Metrics::new());
        tasks.spawn_to_the_end(
            "admin",
            crate::tasks::OnExit::StopAll,
            serve(listener, router),
        );
        let ask = async || {
            let mut stream = tokio::net::TcpStream::connect(address).await.unwrap();
            let request = b"GET /readyz HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n";
            stream.write_all(request).await.unwrap();
            let mut text = String::new();
            stream.read_to_string(&mut text).await.unwrap();
            text
        };
        assert!(ask().await.starts_with("HTTP/1.1 200"));
        let (release, released) = tokio::sync::oneshot::channel::<()>();
        tasks.spawn("draining", crate::tasks::OnExit::StopAll, released);
        shutdown.trigger();
        let stop = async {
            assert!(ask().await.starts_with("HTTP/1.1 503"));
            release.send(()).unwrap();
        };
        let (stopped, ()) = tokio::join!(
            tasks.run_until_stopped(std::time::Duration::from_secs(60)),
            stop
        );
        stopped.unwrap();
        assert!(tokio::net::TcpStream::connect(address).await.is_err());
    }
}
