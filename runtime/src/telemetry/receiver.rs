//! A collector for tests: takes OTLP over gRPC on loopback and keeps what it is sent.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use opentelemetry_proto::tonic::collector::trace::v1::trace_service_server::{
    TraceService, TraceServiceServer,
};
use opentelemetry_proto::tonic::collector::trace::v1::{
    ExportTraceServiceRequest, ExportTraceServiceResponse,
};
use opentelemetry_proto::tonic::common::v1::{AnyValue, KeyValue, any_value};
use opentelemetry_proto::tonic::trace::v1::{Span, status::StatusCode};
use tokio::net::TcpListener;
use tokio::sync::watch;
use tonic::transport::Server;
use tonic::transport::server::TcpIncoming;
use tonic::{Request, Response, Status};

use crate::tasks::{OnExit, TaskError, Tasks};

/// How long it may take to end: it has nothing to finish.
const STOP_MAX: Duration = Duration::from_secs(5);

/// A span as it came, in texts that a test can compare.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Received {
    /// `service.name` of who sent it.
    pub service: String,
    /// `service.instance.id` of who sent it.
    pub instance: String,
    /// What was done.
    pub name: String,
    /// `Internal`, `Producer`, `Consumer`.
    pub kind: String,
    /// 32 hexadecimal digits.
    pub trace_id: String,
    /// 16 hexadecimal digits.
    pub span_id: String,
    /// 16 hexadecimal digits; empty for a trace's first.
    pub parent_span_id: String,
    /// Nanoseconds since the Unix epoch.
    pub start_ns: u64,
    /// Nanoseconds since the Unix epoch.
    pub end_ns: u64,
    /// By key. Numbers are written in decimal digits.
    pub attributes: BTreeMap<String, String>,
    /// Why it came to nothing, if so.
    pub error: Option<String>,
}

/// The collector. It ends when it is dropped.
#[derive(Debug)]
pub struct Receiver {
    address: SocketAddr,
    kept: Kept,
    tasks: Tasks,
}

/// What came so far, with a signal when there is more.
#[derive(Debug, Clone)]
struct Kept {
    spans: Arc<Mutex<Vec<Received>>>,
    count: watch::Sender<usize>,
}

impl Kept {
    /// Spans are only added.
    fn lock(&self) -> MutexGuard<'_, Vec<Received>> {
        self.spans.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Receiver {
    /// Listens on a free port of loopback.
    ///
    /// # Errors
    /// When there is none.
    pub async fn start() -> std::io::Result<Self> {
        Self::start_at(SocketAddr::from(([127, 0, 0, 1], 0))).await
    }

    /// Listens at this address.
    ///
    /// # Errors
    /// When it is taken.
    pub async fn start_at(address: SocketAddr) -> std::io::Result<Self> {
        let listener = TcpListener::bind(address).await?;
        let address = listener.local_addr()?;
        let kept = Kept {
            spans: Arc::default(),
            count: watch::Sender::new(0),
        };
        let (tasks, _) = Tasks::new("collector");
        let serve = Server::builder()
            .add_service(TraceServiceServer::new(kept.clone()))
            .serve_with_incoming(TcpIncoming::from(listener));
        tasks.spawn_until_stop("serve", OnExit::Log, serve);
        Ok(Self {
            address,
            kept,
            tasks,
        })
    }

    /// Ends it, and gives its address free.
    ///
    /// # Errors
    /// When it cannot be ended.
    pub async fn stop(self) -> Result<(), TaskError> {
        self.tasks.shutdown().trigger();
        self.tasks.run_until_stopped(STOP_MAX).await
    }

    /// Where it listens, as `--otlp-endpoint` takes it.
    #[must_use]
    pub fn endpoint(&self) -> String {
        format!("http://{}", self.address)
    }

    /// Where it listens.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// All that came so far.
    #[must_use]
    pub fn spans(&self) -> Vec<Received> {
        self.kept.lock().clone()
    }

    /// Waits until something can be found in what came, and gives it.
    ///
    /// # Errors
    /// After `max`, with all that came.
    pub async fn find<T>(
        &self,
        max: Duration,
        mut find: impl FnMut(&[Received]) -> Option<T>,
    ) -> Result<T, Vec<Received>> {
        let mut count = self.kept.count.subscribe();
        let until = tokio::time::Instant::now() + max;
        loop {
            count.mark_unchanged();
            if let Some(found) = find(&self.kept.lock()) {
                return Ok(found);
            }
            if !matches!(
                tokio::time::timeout_at(until, count.changed()).await,
                Ok(Ok(()))
            ) {
                return Err(self.spans());
            }
        }
    }
}

#[tonic::async_trait]
impl TraceService for Kept {
    async fn export(
        &self,
        request: Request<ExportTraceServiceRequest>,
    ) -> Result<Response<ExportTraceServiceResponse>, Status> {
        for of_resource in request.into_inner().resource_spans {
            let resource = attributes(of_resource.resource.unwrap_or_default().attributes);
            let spans = of_resource.scope_spans.into_iter();
            let spans = spans.flat_map(|of_scope| of_scope.spans);
            self.lock()
                .extend(spans.map(|span| received(&resource, span)));
        }
        let count = self.lock().len();
        self.count.send_replace(count);
        Ok(Response::new(ExportTraceServiceResponse::default()))
    }
}

fn received(resource: &BTreeMap<String, String>, span: Span) -> Received {
    let of_resource = |key: &str| resource.get(key).cloned().unwrap_or_default();
    let kind = format!("{:?}", span.kind());
    let status = span.status.unwrap_or_default();
    Received {
        service: of_resource("service.name"),
        instance: of_resource("service.instance.id"),
        name: span.name,
        kind,
        trace_id: digits(&span.trace_id),
        span_id: digits(&span.span_id),
        parent_span_id: digits(&span.parent_span_id),
        start_ns: span.start_time_unix_nano,
        end_ns: span.end_time_unix_nano,
        attributes: attributes(span.attributes),
        error: (status.code() == StatusCode::Error).then_some(status.message),
    }
}

fn digits(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn attributes(attributes: Vec<KeyValue>) -> BTreeMap<String, String> {
    attributes
        .into_iter()
        .map(|KeyValue { key, value, .. }| (key, text(value)))
        .collect()
}

fn text(value: Option<AnyValue>) -> String {
    match value.and_then(|value| value.value) {
        Some(any_value::Value::StringValue(text)) => text,
        Some(any_value::Value::IntValue(number)) => number.to_string(),
        Some(any_value::Value::BoolValue(yes)) => yes.to_string(),
        other => format!("{other:?}"),
    }
}
