//! Closes, instruments, checkpoints, and a log that keeps its conditions.

use std::collections::BTreeMap;

use serde_json::value::RawValue;
use wire::{Candle, Completeness, Instrument, Interval, ShardId, Symbol, Venue};

use crate::aggregate::Closed;
use crate::owner::*;

pub(super) fn instrument(base: &str) -> Instrument {
    Instrument::new(
        Venue::new(Venue::COINBASE).unwrap(),
        Symbol::from_parts(base, "USD").unwrap(),
    )
}

pub(super) fn close(interval: &str, number: i64, rev: u32) -> Closed {
    let interval: Interval = interval.parse().unwrap();
    Closed {
        rev,
        interval,
        start_ms: number * interval.ms(),
        candle: Candle::flat("1".parse().unwrap()),
        completeness: Completeness::Quiet,
        event_time_ms: 0,
    }
}

pub(super) fn me(owner: &str) -> Identity {
    Identity {
        owner: owner.to_owned(),
        shard: ShardId(0),
    }
}

/// An engine whose state is the number of times that it was asked for.
#[derive(Default)]
pub(super) struct States(pub(super) u32);

impl Snapshots for States {
    fn snapshot(&mut self, _: &Instrument) -> Snapshot {
        self.0 += 1;
        Snapshot::new(RawValue::from_string(self.0.to_string()).unwrap())
    }
}

/// A log of checkpoints and the texts of closes.
#[derive(Default)]
pub(super) struct Log {
    pub(super) sequence: u64,
    pub(super) checkpoints: BTreeMap<Instrument, StoredAt>,
    /// `<interval>/<bar>.<rev>#<close_no>` in order.
    pub(super) closes: Vec<String>,
}

impl Log {
    pub(super) fn commit(&mut self, batch: &Batch) -> CommitOutcome {
        let stands = |part: &Part| {
            let stored = self.checkpoints.get(&part.instrument);
            stored.map_or(0, |stored| stored.sequence) == part.expect
        };
        if !batch.parts.iter().all(stands) {
            return CommitOutcome::Fenced;
        }
        let mut sequences = Vec::new();
        for part in &batch.parts {
            for Numbered { close_no, close } in &part.closes {
                let number = close.start_ms / close.interval.ms();
                self.closes.push(format!(
                    "{}/{number}.{}#{close_no}",
                    close.interval, close.rev
                ));
            }
            self.sequence += 1;
            sequences.push(self.sequence);
            let json = part.checkpoint.encode();
            let stored = StoredAt {
                sequence: self.sequence,
                checkpoint: Checkpoint::decode(&json).ok(),
            };
            self.checkpoints.insert(part.instrument.clone(), stored);
        }
        CommitOutcome::Committed(sequences)
    }

    pub(super) fn read(&self, instruments: &[Instrument]) -> Option<Vec<Option<StoredAt>>> {
        let read = |instrument| self.checkpoints.get(instrument).cloned();
        Some(instruments.iter().map(read).collect())
    }
}
