//! What is counted, under the names that dashboards and runbooks use.

use std::sync::atomic::AtomicU64;
use std::time::Duration;

use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::exemplar::HistogramWithExemplars;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::registry::Registry;
use runtime::telemetry::TraceContext;
use tokio::time::Instant;
use wire::ShardId;

use crate::owner::Status;

mod ownership;

use ownership::Ownership;

/// A counter; OpenMetrics adds `_total` to its name.
pub(crate) type Count = Counter<u64, AtomicU64>;

/// What became of a trade.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Outcome {
    /// It is in its bars.
    Added,
    /// It was there before.
    Duplicate,
    /// Its bar was closed already.
    Late,
    /// It is older than the first bar.
    Reference,
    /// It cannot be: its time or its amounts are out of range.
    Rejected,
    /// The shard's inbox was full.
    Dropped,
}

impl Outcome {
    /// Its word.
    const fn as_str(self) -> &'static str {
        match self {
            Self::Added => "added",
            Self::Duplicate => "duplicate",
            Self::Late => "late",
            Self::Reference => "reference",
            Self::Rejected => "rejected",
            Self::Dropped => "dropped",
        }
    }
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct OutcomeLabel {
    outcome: &'static str,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct RejectedLabel {
    reason: &'static str,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct KindLabel {
    kind: &'static str,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct VenueLabel {
    venue: &'static str,
}

/// An exemplar's label.
#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct TraceLabel {
    trace_id: String,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct ReasonLabel {
    venue: &'static str,
    reason: &'static str,
}

/// Everything that is counted. Clones count together.
#[derive(Debug, Clone)]
pub struct Metrics {
    messages: Family<VenueLabel, Count>,
    decode_errors: Family<ReasonLabel, Count>,
    /// The sum of the above, which a family does not give; not registered.
    pub(crate) decode_errors_sum: Count,
    connections_ended: Family<ReasonLabel, Count>,
    trades: Family<OutcomeLabel, Count>,
    /// Of the rejected ones, why.
    trades_rejected: Family<RejectedLabel, Count>,
    /// Venue times that an instrument did not believe, apart from trades' own.
    pub(crate) clock_rejected: Count,
    /// Holes in trade ids that are no longer told apart.
    pub(crate) holes_given_up: Count,
    /// Times at which trade ids that had been seen were no longer believed.
    pub(crate) ids_cut: Count,
    /// Things to tell for which there was no room; what they stand for is counted all the same.
    pub(crate) events_lost: Count,
    /// Holes in trade ids.
    pub(crate) trade_gap: Count,
    /// Trades that a venue spoke of and never sent.
    pub(crate) trade_lost: Count,
    /// Messages that a venue's numbering shows to be missing.
    pub(crate) messages_lost: Count,
    /// Bars whose sums left their range.
    pub(crate) bar_overflow: Count,
    /// Instruments that a venue does not carry.
    pub(crate) instruments_refused: Count,
    /// Connections that carry all they can.
    pub(crate) connections_live: Gauge,
    /// Connections that ever did.
    pub(crate) connections_established: Count,
    published: Family<KindLabel, Count>,
    /// Of the published, open bars sent.
    pub(crate) open_published: Count,
    /// Of the published, closes committed.
    pub(crate) closes_committed: Count,
    /// Attempts to send that failed.
    pub(crate) publish_failed: Count,
    /// Closes that wait for the bus.
    pub(crate) closes_waiting: Gauge,
    /// See [`Metrics::observe_close`].
    bar_close_delay: HistogramWithExemplars<TraceLabel>,
    ownership: Ownership,
}

/// Seconds: from the network's delay over the reorder window to an outage.
const DELAY_BUCKETS: [f64; 12] = [
    0.05, 0.1, 0.25, 0.5, 1.0, 2.0, 2.5, 3.0, 5.0, 10.0, 30.0, 60.0,
];

impl Metrics {
    /// Registers everything.
    pub fn new(registry: &mut Registry) -> Self {
        let metrics = Self::default();
        metrics.register_inputs(registry);
        metrics.register_outputs(registry);
        metrics
    }

    fn register_inputs(&self, registry: &mut Registry) {
        registry.register("messages", "Frames received", self.messages.clone());
        registry.register(
            "decode_errors",
            "Frames dropped, in whole or in part, because they could not be read exactly",
            self.decode_errors.clone(),
        );
        registry.register(
            "connections_ended",
            "Connections to venues that ended",
            self.connections_ended.clone(),
        );
        registry.register(
            "connections_live",
            "Connections that carry all they can",
            self.connections_live.clone(),
        );
        registry.register(
            "connections_established",
            "Connections that came to carry all they can",
            self.connections_established.clone(),
        );
        registry.register(
            "instruments_refused",
            "Instruments that a venue does not carry",
            self.instruments_refused.clone(),
        );
        registry.register(
            "messages_lost",
            "Messages that a venue's numbering shows to be missing",
            self.messages_lost.clone(),
        );
        registry.register(
            "trade_lost",
            "Trades that a venue spoke of and never sent",
            self.trade_lost.clone(),
        );
    }

    fn register_trades(&self, registry: &mut Registry) {
        registry.register(
            "trades",
            "Trades by what became of them",
            self.trades.clone(),
        );
        registry.register(
            "trades_rejected",
            "Trades that were not believed or could not be held, by reason",
            self.trades_rejected.clone(),
        );
        registry.register(
            "clock_rejected",
            "Venue times that an instrument did not believe",
            self.clock_rejected.clone(),
        );
        registry.register("trade_gap", "Holes in trade ids", self.trade_gap.clone());
        registry.register(
            "holes_given_up",
            "Holes in trade ids that are no longer told apart",
            self.holes_given_up.clone(),
        );
        registry.register(
            "ids_cut",
            "Times at which trade ids were no longer believed",
            self.ids_cut.clone(),
        );
        registry.register(
            "events_lost",
            "Events of the aggregation for which there was no room",
            self.events_lost.clone(),
        );
    }

    fn register_outputs(&self, registry: &mut Registry) {
        self.register_trades(registry);
        self.ownership.register(registry);
        registry.register(
            "bar_overflow",
            "Trades left out because a sum would have left its range",
            self.bar_overflow.clone(),
        );
        registry.register(
            "broker_published",
            "Bars that the bus took: open ones sent, closes committed",
            self.published.clone(),
        );
        registry.register(
            "publish_failed",
            "Attempts to send bars that failed",
            self.publish_failed.clone(),
        );
        registry.register(
            "closes_waiting",
            "Closes that wait for the bus",
            self.closes_waiting.clone(),
        );
        registry.register(
            "bar_close_delay_seconds",
            "From a bar's end by the venue's clock to its commit by ours",
            self.bar_close_delay.clone(),
        );
    }

    /// A close was committed so long after its bar's end by the venue's clock: meaningful only live. The trace that it
    /// is part of, if it is sampled, is shown beside the figure.
    pub(crate) fn observe_close(&self, delay: Duration, trace: Option<TraceContext>) {
        let trace = trace.map(|context| TraceLabel {
            trace_id: context.trace_id.to_string(),
        });
        self.bar_close_delay
            .observe(delay.as_secs_f64(), trace, None);
    }

    /// What this process is to the shard now.
    pub(crate) fn set_shard(&self, shard: ShardId, status: &Status) {
        self.ownership.set(shard, status);
    }

    /// Frames of a venue. Look it up once: it takes a lock.
    pub(crate) fn messages(&self, venue: &'static str) -> Count {
        self.messages.get_or_create_owned(&VenueLabel { venue })
    }

    /// Trades of an outcome. Look it up once: it takes a lock.
    pub(crate) fn trades(&self, outcome: Outcome) -> Count {
        let outcome = outcome.as_str();
        self.trades.get_or_create_owned(&OutcomeLabel { outcome })
    }

    pub(crate) fn count_rejected(&self, reason: &'static str, count: u64) {
        if count > 0 {
            let label = RejectedLabel { reason };
            self.trades_rejected.get_or_create(&label).inc_by(count);
        }
    }

    pub(crate) fn count_decode_error(&self, venue: &'static str, reason: &'static str) {
        let label = ReasonLabel { venue, reason };
        self.decode_errors.get_or_create(&label).inc();
        self.decode_errors_sum.inc();
    }

    pub(crate) fn count_connection_ended(&self, venue: &'static str, reason: &'static str) {
        let label = ReasonLabel { venue, reason };
        self.connections_ended.get_or_create(&label).inc();
    }
}

impl Default for Metrics {
    /// Counts without being registered.
    fn default() -> Self {
        let published = Family::<KindLabel, Count>::default();
        let of_kind = |kind| published.get_or_create_owned(&KindLabel { kind });
        Self {
            messages: Family::default(),
            decode_errors: Family::default(),
            decode_errors_sum: Count::default(),
            connections_ended: Family::default(),
            trades: Family::default(),
            trades_rejected: Family::default(),
            clock_rejected: Count::default(),
            holes_given_up: Count::default(),
            ids_cut: Count::default(),
            events_lost: Count::default(),
            trade_gap: Count::default(),
            trade_lost: Count::default(),
            messages_lost: Count::default(),
            bar_overflow: Count::default(),
            instruments_refused: Count::default(),
            connections_live: Gauge::default(),
            connections_established: Count::default(),
            open_published: of_kind("open"),
            closes_committed: of_kind("close"),
            published,
            publish_failed: Count::default(),
            closes_waiting: Gauge::default(),
            bar_close_delay: HistogramWithExemplars::new(DELAY_BUCKETS.into_iter()),
            ownership: Ownership::default(),
        }
    }
}

/// Lets the first of a kind through, then the second, the fourth, the eighth: a flood of garbage must not be a
/// flood of log lines.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Sparse {
    count: u64,
}

impl Sparse {
    /// The count so far, if this one is to be told.
    pub(crate) fn tell(&mut self) -> Option<u64> {
        self.count += 1;
        self.count.is_power_of_two().then_some(self.count)
    }
}

/// Something that fails for a while: its failures are told as [`Sparse`] tells them, and then that it is over.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Outage {
    failures: Sparse,
    since: Option<Instant>,
}

impl Outage {
    /// It has failed; the count in this outage, if this one is to be told.
    pub(crate) fn tell_failed(&mut self, now: Instant) -> Option<u64> {
        self.since.get_or_insert(now);
        self.failures.tell()
    }

    /// It works; how long it did not, if it did not.
    pub(crate) fn tell_works(&mut self, now: Instant) -> Option<Duration> {
        self.failures = Sparse::default();
        let since = self.since.take()?;
        Some(now - since)
    }
}

#[cfg(test)]
mod tests {
    use runtime::telemetry::new_trace;

    use super::*;

    #[test]
    fn an_outage_is_told_sparsely_and_its_end_once() {
        let (mut outage, begin) = (Outage::default(), Instant::now());
        let at = |seconds| begin + Duration::from_secs(seconds);
        for _ in 0..2 {
            assert_eq!(outage.tell_works(at(0)), None);
            let told: Vec<_> = (1..6)
                .map(|second| outage.tell_failed(at(second)))
                .collect();
            assert_eq!(told, [Some(1), Some(2), None, Some(4), None]);
            assert_eq!(outage.tell_works(at(9)), Some(Duration::from_secs(8)));
        }
    }

    #[test]
    fn names_are_those_of_the_design() {
        let mut registry = Registry::default();
        let metrics = Metrics::new(&mut registry);
        metrics.trades(Outcome::Added).inc();
        metrics.count_decode_error("coinbase", "price");
        metrics.observe_close(Duration::from_millis(200), None);
        let trace = new_trace();
        metrics.observe_close(Duration::from_millis(300), Some(trace));
        metrics.open_published.inc_by(4);
        let exemplar = format!("le=\"0.5\"}} 2 # {{trace_id=\"{}\"}} 0.3", trace.trace_id);
        let mut text = String::new();
        prometheus_client::encoding::text::encode(&mut text, &registry).unwrap();
        for line in [
            "trade_gap_total 0",
            "trades_total{outcome=\"added\"} 1",
            "decode_errors_total{venue=\"coinbase\",reason=\"price\"} 1",
            "bar_close_delay_seconds_count 2",
            &exemplar,
            "broker_published_total{kind=\"open\"} 4",
            "broker_published_total{kind=\"close\"} 0",
        ] {
            assert!(text.contains(line), "{line} is not in {text}");
        }
    }

    #[test]
    fn a_flood_is_told_sparsely() {
        let mut sparse = Sparse::default();
        let told: Vec<u64> = (0..100).filter_map(|_| sparse.tell()).collect();
        assert_eq!(told, [1, 2, 4, 8, 16, 32, 64]);
    }
}
