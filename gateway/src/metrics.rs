//! What is counted. Shards count into shared atomics, once a pass.

use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::registry::Registry;

use crate::close::CloseReason;
use crate::hub::Taken;

/// The gateway's metrics; clones count into the same.
#[derive(Debug, Clone)]
pub(crate) struct Metrics {
    /// Open WebSockets, those that are being handed over included.
    pub(crate) connections: Gauge,
    closes: Family<CloseLabels, Counter>,
    /// Handshakes refused because all places are taken.
    pub(crate) refused: Counter,
    /// WebSocket frames composed for their connections.
    pub(crate) frames_sent: Counter,
    /// Bytes handed to the kernel.
    pub(crate) bytes_sent: Counter,
    /// Bars and replies in the frames composed.
    pub(crate) messages_sent: Counter,
    /// Open bars that a connection did not get because a newer one overtook them.
    pub(crate) conflated: Counter,
    /// Open bars that were overtaken before their shard looked: no connection of it got them.
    pub(crate) inbox_conflated: Counter,
    /// Closes that a shard's inbox could not hold.
    pub(crate) inbox_dropped: Counter,
    /// Closes sent that had left the ring and were read from the log.
    pub(crate) replayed: Counter,
    /// Closes that connections were told they missed.
    pub(crate) missed: Counter,
    replays: Family<ReplayLabels, Counter>,
    /// Breaks in a topic's close_no.
    pub(crate) breaks: Counter,
    /// How long frames were stuck that left at last.
    pub(crate) write_lag: Histogram,
    /// From a ping to its pong.
    pub(crate) pong_age: Histogram,
    received: Family<KindLabels, Counter>,
    refused_bars: Family<RefusedLabels, Counter>,
}

/// What became of a question for the log.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum ReplayEnd {
    /// It was answered.
    Page,
    /// The bus is away, or refused.
    Unavailable,
    /// It took too long.
    Late,
    /// Too many wait.
    Full,
}

impl ReplayEnd {
    const ALL: [Self; 4] = [Self::Page, Self::Unavailable, Self::Late, Self::Full];

    const fn label(self) -> &'static str {
        match self {
            Self::Page => "page",
            Self::Unavailable => "unavailable",
            Self::Late => "late",
            Self::Full => "full",
        }
    }
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct ReplayLabels {
    end: &'static str,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct CloseLabels {
    code: u16,
    reason: &'static str,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct KindLabels {
    kind: &'static str,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct RefusedLabels {
    why: &'static str,
}

impl Metrics {
    /// Registers everything, each close reason at zero.
    pub(crate) fn register(registry: &mut Registry) -> Self {
        let metrics = Self::default();
        let Self {
            connections,
            closes,
            refused,
            frames_sent,
            bytes_sent,
            messages_sent,
            conflated,
            inbox_conflated,
            inbox_dropped,
            replayed,
            missed,
            replays,
            breaks,
            write_lag,
            pong_age,
            received,
            refused_bars,
        } = metrics.clone();
        for end in ReplayEnd::ALL {
            let end = end.label();
            let _ = replays.get_or_create(&ReplayLabels { end });
        }
        for reason in CloseReason::ALL {
            let _ = closes.get_or_create(&close_labels(reason));
        }
        registry.register("ws_connections", "Open WebSockets", connections);
        registry.register("ws_close", "WebSockets ended, by reason", closes);
        registry.register("ws_refused", "Handshakes refused: no place", refused);
        registry.register("ws_frames_sent", "Frames composed for sending", frames_sent);
        registry.register("ws_bytes_sent", "Bytes handed to the kernel", bytes_sent);
        registry.register(
            "ws_messages_sent",
            "Bars and replies in the frames composed for sending",
            messages_sent,
        );
        registry.register(
            "ws_dropped",
            "Open bars overtaken before a connection could take them",
            conflated,
        );
        registry.register(
            "ws_inbox_conflated",
            "Open bars overtaken before a shard looked, counted a shard",
            inbox_conflated,
        );
        registry.register(
            "ws_inbox_dropped",
            "Closes that a shard's inbox could not hold",
            inbox_dropped,
        );
        registry.register(
            "ws_replayed",
            "Closes sent that were read from the log",
            replayed,
        );
        registry.register(
            "ws_missed",
            "Closes that connections were told they missed",
            missed,
        );
        registry.register(
            "broker_replays",
            "Questions for the log, by what became of them",
            replays,
        );
        registry.register(
            "broker_close_breaks",
            "Breaks in a topic's close_no",
            breaks,
        );
        registry.register(
            "ws_write_lag_seconds",
            "How long frames waited for their client that left at last",
            write_lag,
        );
        registry.register("ws_pong_age_seconds", "From a ping to its pong", pong_age);
        registry.register("broker_received", "Bars received from the bus", received);
        registry.register(
            "broker_refused",
            "Bars from the bus not passed on: fenced, stale, duplicate, lagged",
            refused_bars,
        );
        metrics
    }

    /// A connection ended.
    pub(crate) fn closed(&self, reason: CloseReason) {
        self.closes.get_or_create(&close_labels(reason)).inc();
    }

    /// Open bars came from the bus.
    pub(crate) fn received_open(&self, count: usize) {
        self.received(count, "open");
    }

    /// Closes came from the bus.
    pub(crate) fn received_closes(&self, count: usize) {
        self.received(count, "close");
    }

    fn received(&self, count: usize, kind: &'static str) {
        self.received
            .get_or_create(&KindLabels { kind })
            .inc_by(count as u64);
    }

    /// What a shard's hub made of a bar.
    pub(crate) fn taken(&self, taken: Taken) {
        let why = match taken {
            Taken::Shown | Taken::Held => return,
            Taken::Stale => "stale",
            Taken::Fenced => "fenced",
        };
        self.not_passed_on(1, why);
    }

    /// Closes that the bus no longer had when this gateway came to them.
    pub(crate) fn lagged(&self, count: u64) {
        self.not_passed_on(count, "lagged");
    }

    /// Closes that had come before.
    pub(crate) fn duplicates(&self, count: u64) {
        self.not_passed_on(count, "duplicate");
    }

    /// A question for the log has its end.
    pub(crate) fn replay(&self, end: ReplayEnd) {
        let end = end.label();
        self.replays.get_or_create(&ReplayLabels { end }).inc();
    }

    #[cfg(test)]
    pub(crate) fn refused_bars(&self, why: &'static str) -> u64 {
        self.refused_bars
            .get_or_create(&RefusedLabels { why })
            .get()
    }

    fn not_passed_on(&self, count: u64, why: &'static str) {
        self.refused_bars
            .get_or_create(&RefusedLabels { why })
            .inc_by(count);
    }
}

/// Seconds: from a busy network to the bounds at which a connection is closed.
const LAG_BUCKETS: [f64; 11] = [
    0.001, 0.005, 0.025, 0.1, 0.25, 0.5, 1.0, 5.0, 15.0, 30.0, 60.0,
];

impl Default for Metrics {
    /// Counts without being registered.
    fn default() -> Self {
        Self {
            connections: Gauge::default(),
            closes: Family::default(),
            refused: Counter::default(),
            frames_sent: Counter::default(),
            bytes_sent: Counter::default(),
            messages_sent: Counter::default(),
            conflated: Counter::default(),
            inbox_conflated: Counter::default(),
            inbox_dropped: Counter::default(),
            replayed: Counter::default(),
            missed: Counter::default(),
            replays: Family::default(),
            breaks: Counter::default(),
            write_lag: Histogram::new(LAG_BUCKETS),
            pong_age: Histogram::new(LAG_BUCKETS),
            received: Family::default(),
            refused_bars: Family::default(),
        }
    }
}

fn close_labels(reason: CloseReason) -> CloseLabels {
    CloseLabels {
        code: reason.code(),
        reason: reason.label(),
    }
}
