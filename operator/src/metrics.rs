//! What is counted, under the names that dashboards and runbooks use.

use std::sync::atomic::AtomicU64;
use std::time::Duration;

use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::registry::Registry;

use crate::status::State;

/// A counter; OpenMetrics adds `_total` to its name.
type Count = Counter<u64, AtomicU64>;

/// Bounds of how long a look takes, in seconds: one that writes nothing and asks one gateway, one that writes some thirty
/// objects, one that waits for an API server.
const LOOK_BUCKETS: [f64; 8] = [0.005, 0.02, 0.1, 0.5, 1.0, 3.0, 10.0, 30.0];

/// What became of a look at a feed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    /// All was done that could be.
    Done,
    /// The feed cannot run as it is written, or cannot be read.
    Refused,
    /// Something went wrong; it is looked at again after a pause.
    Failed,
}

impl Outcome {
    const ALL: [Self; 3] = [Self::Done, Self::Refused, Self::Failed];

    const fn as_str(self) -> &'static str {
        match self {
            Self::Done => "done",
            Self::Refused => "refused",
            Self::Failed => "failed",
        }
    }
}

/// The operator's own metrics. Cheap to clone; clones count together.
#[derive(Debug, Clone)]
pub struct Metrics {
    looks: Family<OutcomeLabel, Count>,
    look_seconds: Histogram,
    writes: Family<WriteLabels, Count>,
    feeds: Family<ReadyLabel, Gauge>,
    leads: Gauge,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct OutcomeLabel {
    outcome: &'static str,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct WriteLabels {
    kind: String,
    verb: &'static str,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct ReadyLabel {
    ready: &'static str,
}

impl Default for Metrics {
    fn default() -> Self {
        Self {
            looks: Family::default(),
            look_seconds: Histogram::new(LOOK_BUCKETS),
            writes: Family::default(),
            feeds: Family::default(),
            leads: Gauge::default(),
        }
    }
}

impl Metrics {
    /// Registers everything, each outcome and each state at zero.
    #[must_use]
    pub fn register(registry: &mut Registry) -> Self {
        let metrics = Self::default();
        let Self {
            looks,
            look_seconds,
            writes,
            feeds,
            leads,
        } = metrics.clone();
        for outcome in Outcome::ALL {
            let outcome = outcome.as_str();
            let _ = looks.get_or_create(&OutcomeLabel { outcome });
        }
        for state in [State::Good, State::Bad, State::Unknown] {
            let _ = feeds.get_or_create(&ready(state));
        }
        registry.register(
            "reconciles",
            "Looks at feeds, by what became of them",
            looks,
        );
        registry.register("reconcile_seconds", "How long a look takes", look_seconds);
        registry.register(
            "object_writes",
            "Writes that were sent to the API server, by the object's kind and the verb",
            writes,
        );
        registry.register(
            "feeds",
            "Feeds that are looked after, by whether they are ready",
            feeds,
        );
        registry.register(
            "operator_leads",
            "1 while this operator holds the Lease and writes",
            leads,
        );
        metrics
    }

    /// A feed was looked at.
    pub fn handle_look(&self, outcome: Outcome, took: Duration) {
        let outcome = outcome.as_str();
        self.looks.get_or_create(&OutcomeLabel { outcome }).inc();
        self.look_seconds.observe(took.as_secs_f64());
    }

    /// Something was written, or was to be.
    pub fn handle_write(&self, kind: &str, verb: &'static str) {
        let kind = kind.to_owned();
        self.writes.get_or_create(&WriteLabels { kind, verb }).inc();
    }

    /// A feed is otherwise ready than before; `None` where nothing is said of it.
    pub fn handle_ready(&self, before: Option<State>, now: Option<State>) {
        if before == now {
            return;
        }
        if let Some(before) = before {
            self.feeds.get_or_create(&ready(before)).dec();
        }
        if let Some(now) = now {
            self.feeds.get_or_create(&ready(now)).inc();
        }
    }

    /// Whether this operator writes.
    pub fn handle_leads(&self, leads: bool) {
        self.leads.set(i64::from(leads));
    }
}

fn ready(state: State) -> ReadyLabel {
    let ready = match state {
        State::Good => "true",
        State::Bad => "false",
        State::Unknown => "unknown",
    };
    ReadyLabel { ready }
}
