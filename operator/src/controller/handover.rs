// Pure: whether what was on shards that go has been taken over by those that stay. Their owners publish until others do, so
// that to hear an instrument is not enough: it has to be heard under a later epoch.
#![deny(clippy::disallowed_methods)]

use std::collections::BTreeMap;

use wire::api::FeedReport;
use wire::{Assignment, Instrument};

use crate::status;

/// What moves from shards that go. After a start it is not known what moved: then it is enough that all is heard.
#[derive(Debug, Clone, Default)]
pub struct Handover {
    /// The epochs that were heard last.
    heard: BTreeMap<Instrument, u64>,
    /// What moves, with the epoch under which it was heard before.
    moving: BTreeMap<Instrument, u64>,
    is_over: bool,
}

impl Handover {
    /// Another assignment is in force from now on.
    pub fn handle_assignment(&mut self, before: Option<&Assignment>, next: &Assignment) {
        let leaves = |(instrument, shard): (Instrument, wire::ShardId)| {
            let epoch = self.heard.get(&instrument).copied().unwrap_or(0);
            (shard.0 >= next.shards().get()).then_some((instrument, epoch))
        };
        let leaving = before.into_iter().flat_map(Assignment::instruments);
        let leaving: Vec<_> = leaving.filter_map(leaves).collect();
        for (instrument, epoch) in leaving {
            // One that moves already is where it was.
            self.moving.entry(instrument).or_insert(epoch);
        }
        self.moving
            .retain(|instrument, _| next.shard_of(instrument).is_some());
        self.is_over = false;
    }

    /// What a gateway hears, if one says so, and whether all pods of the shards that stay are as they should be.
    pub fn handle_heard(
        &mut self,
        report: Option<&FeedReport>,
        assignment: &Assignment,
        settled: bool,
    ) {
        let Some(report) = report else {
            self.is_over = false;
            return;
        };
        let epochs = report.instruments.iter().filter_map(|one| {
            let instrument = Instrument::new(one.venue.clone(), one.symbol.clone());
            Some((instrument, one.epoch?))
        });
        self.heard = epochs.collect();
        self.moving.retain(|instrument, epoch| {
            self.heard
                .get(instrument)
                .is_none_or(|heard| heard <= epoch)
        });
        self.is_over =
            settled && self.moving.is_empty() && status::is_all_heard(report, assignment);
    }

    /// Whether shards that are not wanted any more have nothing that is not heard of others.
    #[must_use]
    pub const fn is_over(&self) -> bool {
        self.is_over
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;
    use wire::assignment::{WantedSource, assign};
    use wire::{Interval, ShardCount};

    use super::*;

    fn assignment(shards: u16, before: Option<&Assignment>) -> Assignment {
        let source = WantedSource {
            venue: wire::Venue::new("coinbase").unwrap(),
            endpoints: None,
            symbols: ["A-USD", "B-USD", "C-USD", "D-USD"]
                .map(|symbol| wire::Symbol::new(symbol).unwrap())
                .into(),
        };
        let interval: Interval = "1m".parse().unwrap();
        assign(
            before,
            vec![source],
            [interval],
            ShardCount::new(shards).unwrap(),
        )
        .unwrap()
    }

    /// All are heard, each under an epoch.
    fn report(epoch: impl Fn(&Instrument) -> u64, of: &Assignment) -> FeedReport {
        let instruments = of.instruments().map(|(instrument, _)| {
            let epoch = epoch(&instrument);
            json!({
                "venue": instrument.venue, "symbol": instrument.symbol, "epoch": epoch, "event_time": 1, "age": 5,
                "heard": 5, "fresh": true, "open_bars": 1, "fenced": 0, "closes": 1, "breaks": 0, "intervals": [],
            })
        });
        let totals = json!({ "instruments": 4, "fresh": 4, "open_bars": 1, "fenced": 0, "closes": 1, "breaks": 0 });
        let report = json!({
            "env": "a", "region": "b", "now": 1, "totals": totals, "instruments": instruments.collect::<Vec<_>>(),
        });
        serde_json::from_value(report).unwrap()
    }

    #[test]
    fn it_is_over_when_what_moves_is_heard_under_a_later_epoch() {
        let two = assignment(2, None);
        let one = assignment(1, Some(&two));
        let moved = |instrument: &Instrument| {
            let mut all = two.instruments();
            all.any(|(of, shard)| of == *instrument && shard.0 == 1)
        };
        let mut handover = Handover::default();
        handover.handle_heard(Some(&report(|_| 7, &two)), &two, true);
        assert!(handover.is_over());
        handover.handle_assignment(Some(&two), &one);
        assert!(!handover.is_over());
        // The old owner still publishes.
        handover.handle_heard(Some(&report(|_| 7, &one)), &one, true);
        assert!(!handover.is_over());
        let later = report(|instrument| if moved(instrument) { 9 } else { 7 }, &one);
        handover.handle_heard(Some(&later), &one, false);
        assert!(!handover.is_over(), "pods are on their way");
        handover.handle_heard(Some(&later), &one, true);
        assert!(handover.is_over());
        handover.handle_heard(None, &one, true);
        assert!(!handover.is_over(), "nobody can tell");
    }

    #[test]
    fn after_a_start_all_has_to_be_heard() {
        let one = assignment(1, None);
        let mut handover = Handover::default();
        let mut silent = report(|_| 7, &one);
        silent.instruments.pop();
        handover.handle_heard(Some(&silent), &one, true);
        assert!(!handover.is_over());
        handover.handle_heard(Some(&report(|_| 7, &one)), &one, true);
        assert!(handover.is_over());
    }
}
