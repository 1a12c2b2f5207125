//! What is counted of the bus between processes.

use std::time::Duration;

use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::{Histogram, exponential_buckets};

use crate::telemetry::Metrics;

/// Clones count into the same.
#[derive(Debug, Clone)]
pub(super) struct Counts {
    sent: Family<Sent, Counter>,
    garbage: Family<Kind, Counter>,
    errors: Family<Errors, Counter>,
    commit_seconds: Histogram,
    /// Sessions that began, the first included.
    pub(super) sessions: Counter,
    /// 1 while the bus can be used.
    pub(super) ready: Gauge,
    /// Messages that the client dropped because we were slow.
    pub(super) slow: Counter,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Sent {
    kind: &'static str,
    outcome: &'static str,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Kind {
    kind: &'static str,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Errors {
    what: &'static str,
    error: &'static str,
}

impl Counts {
    pub(super) fn register(metrics: &Metrics) -> Self {
        let counts = Self {
            sent: Family::default(),
            garbage: Family::default(),
            errors: Family::default(),
            // 1 ms to 8 s: a commit of one server, and one that waits for an election.
            commit_seconds: Histogram::new(exponential_buckets(0.001, 2.0, 14)),
            sessions: Counter::default(),
            ready: Gauge::default(),
            slow: Counter::default(),
        };
        let Self {
            sent,
            garbage,
            errors,
            commit_seconds,
            sessions,
            ready,
            slow,
        } = counts.clone();
        metrics.register(|registry| {
            registry.register(
                "broker_sent",
                "Messages given to the bus by what became of them",
                sent,
            );
            registry.register(
                "broker_garbage",
                "Messages from the bus that are not what their subject says",
                garbage,
            );
            registry.register("broker_errors", "What the bus refused or lost", errors);
            registry.register(
                "broker_commit_seconds",
                "From a commit's first message to its answer",
                commit_seconds,
            );
            registry.register("broker_sessions", "Connections to the bus", sessions);
            registry.register("broker_ready", "1 while the bus can be used", ready);
            registry.register(
                "broker_slow_consumer",
                "Messages from the bus that were dropped because this process was slow",
                slow,
            );
        });
        counts
    }

    pub(super) fn sent(&self, kind: &'static str, outcome: &'static str, count: usize) {
        let of = Sent { kind, outcome };
        self.sent.get_or_create(&of).inc_by(count as u64);
    }

    pub(super) fn garbage(&self, kind: &'static str) {
        self.garbage.get_or_create(&Kind { kind }).inc();
    }

    /// How many messages of the kind were garbage.
    pub(super) fn garbage_count(&self, kind: &'static str) -> u64 {
        self.garbage.get_or_create(&Kind { kind }).get()
    }

    pub(super) fn error(&self, what: &'static str, error: &'static str) {
        self.errors.get_or_create(&Errors { what, error }).inc();
    }

    pub(super) fn committed(&self, took: Duration) {
        self.commit_seconds.observe(took.as_secs_f64());
    }
}
