//! OTLP over gRPC: how spans reach a collector, and what starts and ends it in a process.

use opentelemetry::trace::{
    SpanContext, SpanId, SpanKind as OtelKind, Status, TraceFlags, TraceId as OtelTraceId,
    TraceState,
};
use opentelemetry::{InstrumentationScope, KeyValue};
use opentelemetry_otlp::{
    ExporterBuildError, RetryPolicy, SpanExporter, WithExportConfig, WithTonicConfig,
};
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::trace::{SpanData, SpanEvents, SpanExporter as _, SpanLinks};
use tokio::sync::mpsc;

use super::Metrics;
use super::export::{Counts, Exporter, QUEUE_LEN, SEND_MAX, STOP_MAX, Sink};
use super::span::{Span, SpanKind, Value};
use super::tracer::Tracer;
use crate::args::{OtlpEndpoint, TraceArgs};
use crate::tasks::{OnExit, Tasks};

/// Who sends the spans: a collector shows them by it.
#[derive(Debug, Clone)]
pub struct Identity {
    /// `service.name`: the binary's name.
    pub service: String,
    /// `service.instance.id`: which of several.
    pub instance: String,
    /// `service.version`.
    pub version: String,
}

/// Why traces cannot be sent, found before anything runs.
#[derive(Debug, thiserror::Error)]
#[error("traces cannot go to {endpoint}: {source}")]
pub struct TraceError {
    endpoint: OtlpEndpoint,
    source: ExporterBuildError,
}

/// A process's traces. Ends with [`Traces::stop`], after everything that is traced.
#[derive(Debug)]
pub struct Traces {
    tracer: Tracer,
    tasks: Option<Tasks>,
}

impl Traces {
    /// Starts sending to the endpoint of the arguments; without one the tracer is off. Nothing is connected yet, and a
    /// collector that is away is no error: it is tried again, and readiness does not depend on it. To be called within
    /// a tokio runtime.
    ///
    /// # Errors
    /// When the variables that OpenTelemetry reads (`OTEL_EXPORTER_OTLP_HEADERS` and its like) say what cannot be.
    pub fn start(
        args: &TraceArgs,
        samples_per_million: u32,
        identity: &Identity,
        metrics: &Metrics,
    ) -> Result<Self, TraceError> {
        let counts = metrics.register(Counts::register);
        let Some(endpoint) = &args.otlp_endpoint else {
            return Ok(Self {
                tracer: Tracer::off(),
                tasks: None,
            });
        };
        let sink = OtlpSink::new(endpoint, identity).map_err(|source| TraceError {
            endpoint: endpoint.clone(),
            source,
        })?;
        let (queue_in, queue) = mpsc::channel(QUEUE_LEN);
        let tracer = Tracer::new(samples_per_million, queue_in, counts.queue_full());
        let (tasks, shutdown) = Tasks::new("traces");
        let exporter = Exporter::new(queue, sink, counts, fastrand::Rng::new());
        tasks.spawn("export", OnExit::Log, exporter.run(shutdown));
        tracing::info!(%endpoint, samples_per_million, "exporting traces");
        Ok(Self {
            tracer,
            tasks: Some(tasks),
        })
    }

    /// The handle for the components.
    #[must_use]
    pub fn tracer(&self) -> Tracer {
        self.tracer.clone()
    }

    /// Sends what is queued, for five seconds at most, and ends.
    pub async fn stop(self) {
        let Some(tasks) = self.tasks else {
            return;
        };
        tasks.shutdown().trigger();
        if let Err(error) = tasks.run_until_stopped(STOP_MAX).await {
            tracing::warn!(%error, "the last traces are lost");
        }
    }
}

/// OpenTelemetry's exporter, of which only sending is used: it has the connection and the encoding.
struct OtlpSink {
    exporter: SpanExporter,
    scope: InstrumentationScope,
}

impl OtlpSink {
    fn new(endpoint: &OtlpEndpoint, identity: &Identity) -> Result<Self, ExporterBuildError> {
        let mut exporter = SpanExporter::builder()
            .with_tonic()
            .with_endpoint(endpoint.to_string())
            .with_timeout(SEND_MAX)
            // One attempt a call: when to try again is decided, and said, in one place.
            .with_retry_policy(RetryPolicy::disabled())
            .build()?;
        let Identity {
            service,
            instance,
            version,
        } = identity;
        let resource = Resource::builder_empty()
            .with_service_name(service.clone())
            .with_attributes([
                KeyValue::new("service.instance.id", instance.clone()),
                KeyValue::new("service.version", version.clone()),
            ])
            .build();
        exporter.set_resource(&resource);
        Ok(Self {
            exporter,
            scope: InstrumentationScope::builder("marketfeed").build(),
        })
    }
}

impl Sink for OtlpSink {
    async fn send(&mut self, batch: &[Span]) -> Result<(), String> {
        let batch = batch.iter().map(|span| span_data(span, &self.scope));
        let sent = self.exporter.export(batch.collect()).await;
        sent.map_err(|error| error.to_string())
    }
}

fn span_data(span: &Span, scope: &InstrumentationScope) -> SpanData {
    let number = |id: std::num::NonZeroU64| SpanId::from(id.get());
    let attribute = |(key, value): &(&'static str, Value)| match value {
        Value::Text(text) => KeyValue::new(*key, text.clone()),
        Value::Int(number) => KeyValue::new(*key, *number),
        Value::Bool(yes) => KeyValue::new(*key, *yes),
    };
    SpanData {
        span_context: SpanContext::new(
            OtelTraceId::from(span.context.trace_id.0.get()),
            number(span.context.span_id),
            TraceFlags::SAMPLED,
            false,
            TraceState::NONE,
        ),
        parent_span_id: span.parent.map_or(SpanId::INVALID, number),
        parent_span_is_remote: span.kind == SpanKind::Consumer,
        span_kind: match span.kind {
            SpanKind::Internal => OtelKind::Internal,
            SpanKind::Producer => OtelKind::Producer,
            SpanKind::Consumer => OtelKind::Consumer,
        },
        name: span.name.into(),
        start_time: span.start,
        end_time: span.end,
        attributes: span.attributes.iter().map(attribute).collect(),
        dropped_attributes_count: 0,
        events: SpanEvents::default(),
        links: SpanLinks::default(),
        status: span.error.clone().map_or(Status::Unset, Status::error),
        instrumentation_scope: scope.clone(),
    }
}
