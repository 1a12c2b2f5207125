//! What a shard counts, and what it says of it in the log.

use wire::Instrument;

use crate::aggregate::{Counters, Event, Rejection, TradeOutcome};
use crate::metrics::{Count, Metrics, Outcome, Sparse};

/// Counts what became of trades, and tells what went wrong: the first of a kind, the second, the fourth, and so on.
pub(crate) struct Tally {
    metrics: Metrics,
    added: Count,
    duplicate: Count,
    late: Count,
    reference: Count,
    rejected: Count,
    /// What the metrics hold of the engine's own counts.
    counted: Counters,
    told: Told,
}

#[derive(Default)]
struct Told {
    gaps: Sparse,
    late: Sparse,
    overflow: Sparse,
    rejected: Sparse,
    cut: Sparse,
}

impl Tally {
    /// Looks the counters up, once.
    pub(crate) fn new(metrics: Metrics) -> Self {
        Self {
            added: metrics.trades(Outcome::Added),
            duplicate: metrics.trades(Outcome::Duplicate),
            late: metrics.trades(Outcome::Late),
            reference: metrics.trades(Outcome::Reference),
            rejected: metrics.trades(Outcome::Rejected),
            metrics,
            counted: Counters::default(),
            told: Told::default(),
        }
    }

    /// This became of a trade. One that is held counts by what becomes of it later, see
    /// [`Tally::handle_counters`].
    #[inline]
    pub(crate) fn handle_outcome(&mut self, outcome: TradeOutcome, instrument: &Instrument) {
        let (count, counted) = match outcome {
            TradeOutcome::Added | TradeOutcome::Amended => (&self.added, &mut self.counted.added),
            TradeOutcome::Duplicate => (&self.duplicate, &mut self.counted.duplicate),
            TradeOutcome::Late => (&self.late, &mut self.counted.late),
            TradeOutcome::Reference => (&self.reference, &mut self.counted.reference),
            TradeOutcome::Held => return,
            TradeOutcome::Rejected(rejection) => {
                return self.handle_rejected(rejection, instrument);
            }
        };
        count.inc();
        *counted += 1;
    }

    fn handle_rejected(&mut self, rejection: Rejection, instrument: &Instrument) {
        self.rejected.inc();
        self.counted.rejected += 1;
        let reason = reason(rejection);
        self.metrics.count_rejected(reason, 1);
        if let Some(count) = self.told.rejected.tell() {
            tracing::warn!(%instrument, reason, count, "trade refused");
        }
    }

    /// The engine has counted this since it was made. What came of held trades, and of times and holes, shows
    /// nowhere else.
    pub(crate) fn handle_counters(&mut self, now: &Counters) {
        let before = std::mem::replace(&mut self.counted, *now);
        let metrics = &self.metrics;
        let rejected = now.rejected.saturating_sub(before.rejected);
        for (count, now, before) in [
            (&self.added, now.added, before.added),
            (&self.duplicate, now.duplicate, before.duplicate),
            (&self.late, now.late, before.late),
            (&self.reference, now.reference, before.reference),
            (&self.rejected, now.rejected, before.rejected),
            (
                &metrics.clock_rejected,
                now.clock_rejected,
                before.clock_rejected,
            ),
            (
                &metrics.holes_given_up,
                now.holes_given_up,
                before.holes_given_up,
            ),
            (&metrics.ids_cut, now.ids_cut, before.ids_cut),
            (&metrics.events_lost, now.events_lost, before.events_lost),
        ] {
            count.inc_by(now.saturating_sub(before));
        }
        // A trade is held for its id's sake.
        metrics.count_rejected(reason(Rejection::IdJump), rejected);
    }

    /// The engine tells this.
    pub(crate) fn handle_event(&mut self, instrument: &Instrument, event: Event) {
        let told = &mut self.told;
        match event {
            Event::Gap { from_id, to_id, .. } => {
                self.metrics.trade_gap.inc();
                if let Some(count) = told.gaps.tell() {
                    tracing::warn!(%instrument, from_id, to_id, count, "trades missing");
                }
            }
            Event::Outage { from_ms, to_ms } => {
                tracing::info!(%instrument, from_ms, to_ms, "trades may be missing");
            }
            Event::Late(trade) => {
                if let Some(count) = told.late.tell() {
                    tracing::warn!(%instrument, trade_id = trade.id, count, "trade came after its bar");
                }
            }
            Event::Overflow(trade) => {
                self.metrics.bar_overflow.inc();
                if let Some(count) = told.overflow.tell() {
                    tracing::warn!(%instrument, trade_id = trade.id, count, "a sum is out of range");
                }
            }
            Event::IdsCut(from_id) => {
                if let Some(count) = told.cut.tell() {
                    tracing::warn!(%instrument, from_id, count, "ids not believed any more");
                }
            }
            Event::TimesRunAgainstIds => {
                tracing::warn!(%instrument, "times run against ids: bars close by the clock only");
            }
        }
    }
}

/// The metric's label.
const fn reason(rejection: Rejection) -> &'static str {
    match rejection {
        Rejection::TimeOutOfRange => "time_out_of_range",
        Rejection::TimeJump => "time_jump",
        Rejection::TimeAgainstIds => "time_against_ids",
        Rejection::TimeAhead => "time_ahead",
        Rejection::TimeBehind => "time_behind",
        Rejection::IdJump => "id_jump",
        Rejection::Overflow(_) => "overflow",
        Rejection::Backlog => "backlog",
    }
}

#[cfg(test)]
mod tests {
    use prometheus_client::registry::Registry;

    use super::*;

    #[test]
    fn whatever_is_lost_is_counted_where_it_can_be_seen() {
        let mut registry = Registry::default();
        let mut tally = Tally::new(Metrics::new(&mut registry));
        let instrument = Instrument::new("coinbase".parse().unwrap(), "BTC-USD".parse().unwrap());
        for outcome in [
            TradeOutcome::Added,
            TradeOutcome::Held,
            TradeOutcome::Held,
            TradeOutcome::Rejected(Rejection::TimeAhead),
            TradeOutcome::Rejected(Rejection::Backlog),
        ] {
            tally.handle_outcome(outcome, &instrument);
        }
        // Of the two that were held, one was added and the other was not.
        let counters = Counters {
            added: 2,
            held: 2,
            rejected: 3,
            clock_rejected: 4,
            holes_given_up: 5,
            events_lost: 6,
            ids_cut: 7,
            ..Counters::default()
        };
        tally.handle_counters(&counters);
        tally.handle_counters(&counters);
        tally.handle_outcome(TradeOutcome::Added, &instrument);
        let mut text = String::new();
        prometheus_client::encoding::text::encode(&mut text, &registry).unwrap();
        for line in [
            "trades_total{outcome=\"added\"} 3",
            "trades_total{outcome=\"rejected\"} 3",
            "trades_rejected_total{reason=\"time_ahead\"} 1",
            "trades_rejected_total{reason=\"backlog\"} 1",
            "trades_rejected_total{reason=\"id_jump\"} 1",
            "clock_rejected_total 4",
            "holes_given_up_total 5",
            "events_lost_total 6",
            "ids_cut_total 7",
        ] {
            assert!(text.contains(line), "{line} is not in {text}");
        }
    }
}
