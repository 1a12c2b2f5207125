//! Logs on stderr, the registry that all metrics are in, and traces.
//!
//! A trace is chosen where a frame comes from an exchange ([`Sampler`](crate::telemetry::Sampler)) and carried on by
//! [`TraceContext`](crate::telemetry::TraceContext); each part of the path makes a [`Span`](crate::telemetry::Span) of
//! what it did and gives it to its [`Tracer`](crate::telemetry::Tracer). What is not sampled carries nothing and makes
//! nothing. See `docs/decisions/0008-telemetry.md`.

use std::fmt;
use std::io::IsTerminal;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use prometheus_client::encoding::text;
use prometheus_client::registry::Registry;
use tracing_subscriber::fmt::MakeWriter;
use tracing_subscriber::util::TryInitError;
use tracing_subscriber::{Layer, Registry as Subscriber, layer::SubscriberExt};

use crate::args::{LogArgs, LogFormat};

/// The targets that a log filter may name. Pure.
mod targets;

/// Where in which trace something is. Pure.
mod trace;

/// Which frames' traces are taken. Pure.
mod sampler;

/// One stretch of a trace. Pure.
mod span;

/// The handle by which components take part in traces.
mod tracer;

/// The names of spans and of what they say. Pure.
pub mod names;

/// Spans of bars on the bus, which both of its ends make.
mod bars;

/// From the tracer's queue to a collector.
#[cfg(any(test, feature = "otlp"))]
mod export;

/// How spans reach a collector, and what starts and ends that in a process.
#[cfg(feature = "otlp")]
pub mod otlp;

/// A collector for tests.
#[cfg(feature = "otlp-receiver")]
pub mod receiver;

pub use bars::BusCall;
pub use sampler::{ALL, Sampler};
pub use span::{Span, SpanKind, Value};
pub use trace::{TRACEPARENT, TraceContext, TraceId};
pub use tracer::{Tracer, new_child, new_trace};

/// Why logging did not begin.
#[derive(Debug, thiserror::Error)]
pub enum TelemetryError {
    /// Something in this process already logs.
    #[error("logging has already begun: {0}")]
    AlreadyInitialised(#[from] TryInitError),
}

/// Begins logging to stderr, once a process. Standard output is left to what a command prints. Targets of the filter that
/// nothing bears are warned of, whatever the filter lets through.
///
/// # Errors
/// If a logger is already there.
pub fn init(args: &LogArgs) -> Result<(), TelemetryError> {
    use tracing_subscriber::util::SubscriberInitExt;
    let colours = std::io::stderr().is_terminal();
    logger(args, std::io::stderr, colours).try_init()?;
    warn_of_targets(args, std::io::stderr, colours);
    Ok(())
}

fn warn_of_targets<W>(args: &LogArgs, writer: W, colours: bool)
where
    W: for<'w> MakeWriter<'w> + Send + Sync + 'static,
{
    let filter = args.log.to_string();
    let targets = targets::unknown(&filter);
    // By a logger of its own: the filter may be why nothing is said.
    if !targets.is_empty()
        && let Ok(log) = "warn".parse()
    {
        let plain = LogArgs {
            log,
            ..args.clone()
        };
        tracing::subscriber::with_default(logger(&plain, writer, colours), || {
            tracing::warn!(?targets, "--log names targets that nothing here bears");
        });
    }
}

/// What [`init`] makes the process's own: lines as the arguments say, to any writer. A JSON line bears an event's fields
/// beside its `timestamp`, `level`, `target` and `message`.
pub fn logger<W>(args: &LogArgs, writer: W, colours: bool) -> impl tracing::Subscriber + use<W>
where
    W: for<'w> MakeWriter<'w> + Send + Sync + 'static,
{
    let LogArgs { log, log_format } = args;
    let lines = tracing_subscriber::fmt::layer().with_writer(writer);
    let lines = match log_format {
        LogFormat::Text => lines.with_ansi(colours).boxed(),
        LogFormat::Json => lines.json().flatten_event(true).boxed(),
    };
    Subscriber::default().with(lines.with_filter(log.to_env_filter()))
}

/// The process's metrics: one registry, handed to each component once so that it may register its
/// own. Metric names use the words that logs and topics use.
#[derive(Debug, Clone, Default)]
pub struct Metrics {
    registry: Arc<Mutex<Registry>>,
}

impl Metrics {
    /// A registry with nothing in it.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Registers a component's metrics; the component keeps clones of them and updates those. Not
    /// for hot paths: it takes the lock that a scrape holds.
    pub fn register<T>(&self, register: impl FnOnce(&mut Registry) -> T) -> T {
        register(&mut self.lock())
    }

    /// Everything in the OpenMetrics 1.0 text format.
    ///
    /// # Errors
    /// If a metric cannot write itself.
    pub fn encode(&self) -> Result<String, fmt::Error> {
        let mut out = String::new();
        text::encode(&mut out, &self.lock())?;
        Ok(out)
    }

    /// Registering is the only writing, and the registry has no half-way state.
    fn lock(&self) -> MutexGuard<'_, Registry> {
        self.registry.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
