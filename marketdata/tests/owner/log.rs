//! The log as its server keeps it, and what must hold of it after every commit.

use std::collections::{BTreeMap, BTreeSet};

use marketdata::owner::{Batch, Checkpoint, CommitOutcome, Part, StoredAt};
use wire::Instrument;

use crate::engine::{self, BarId, LENS, Said};
use crate::node::Told;

/// The log.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Default)]
pub(crate) struct Log {
    sequence: u64,
    pub(crate) instruments: BTreeMap<Instrument, Committed>,
}

/// What is committed of one instrument.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Default)]
pub(crate) struct Committed {
    stored: Option<StoredAt>,
    /// The newest of each bar.
    pub(crate) bars: BTreeMap<BarId, Said>,
    close_nos: [u64; 2],
    /// Who wrote under which epoch.
    owners: BTreeMap<u64, String>,
    /// Its commits: the epoch, and its writer's count.
    commits: BTreeSet<(u64, u64)>,
}

impl Log {
    /// Commits if the conditions hold; says what is broken by it.
    pub(crate) fn commit(&mut self, batch: &Batch) -> Result<CommitOutcome, String> {
        let sequence = |stored: &StoredAt| stored.sequence;
        let stands = |part: &Part| {
            let stored = self.instruments.get(&part.instrument);
            let stored = stored.and_then(|committed| committed.stored.as_ref());
            stored.map_or(0, sequence) == part.expect
        };
        if !batch.parts.iter().all(stands) {
            return Ok(CommitOutcome::Fenced);
        }
        let mut sequences = Vec::new();
        for part in &batch.parts {
            self.sequence += 1;
            sequences.push(self.sequence);
            let committed = self.instruments.entry(part.instrument.clone()).or_default();
            committed
                .append(part, self.sequence)
                .map_err(|broken| format!("{}: {broken}, by {part:?}", part.instrument))?;
        }
        Ok(CommitOutcome::Committed(sequences))
    }

    /// What a process was told is true.
    pub(crate) fn check_told(&self, told: &Told) -> Result<(), String> {
        let committed = self.instruments.get(&told.instrument);
        let is_there = committed.is_some_and(|committed| {
            committed.owners.get(&told.epoch) == Some(&told.owner)
                && committed.commits.contains(&(told.epoch, told.commit_no))
        });
        if is_there {
            return Ok(());
        }
        Err(format!("was told of {told:?}, which is not in the log"))
    }

    pub(crate) fn read(&self, instruments: &[Instrument]) -> Vec<Option<StoredAt>> {
        let read = |instrument| self.instruments.get(instrument)?.stored.clone();
        instruments.iter().map(read).collect()
    }
}

impl Committed {
    fn append(&mut self, part: &Part, sequence: u64) -> Result<(), String> {
        for numbered in &part.closes {
            let bar = &numbered.close;
            let topic = LENS
                .iter()
                .position(|&len| len * 1_000 == bar.interval.ms())
                .ok_or("no such topic")?;
            let id = (topic, bar.start_ms / bar.interval.ms());
            self.append_close(id, bar.rev, bar.candle.count)?;
            self.close_nos[topic] += 1;
            if numbered.close_no != self.close_nos[topic] {
                return Err(format!("close_no is not {}", self.close_nos[topic]));
            }
        }
        let checkpoint = &part.checkpoint;
        if let Some(before) = self.stored.as_ref().and_then(|at| at.checkpoint.as_ref()) {
            follows(before, checkpoint)?;
        }
        self.commits
            .insert((checkpoint.epoch, checkpoint.commit_no));
        let owner = self.owners.entry(checkpoint.epoch).or_default();
        if owner.is_empty() {
            owner.clone_from(&checkpoint.owner);
        }
        if *owner != checkpoint.owner {
            return Err(format!("{owner} had this epoch"));
        }
        self.check_state(checkpoint)?;
        let text = checkpoint.encode();
        let read = Checkpoint::decode(&text).map_err(|error| error.to_string())?;
        self.stored = Some(StoredAt {
            sequence,
            checkpoint: Some(read),
        });
        Ok(())
    }

    fn append_close(&mut self, id: BarId, rev: u32, count: u64) -> Result<(), String> {
        let (topic, number) = id;
        let newest = self.bars.range((topic, i64::MIN)..=(topic, i64::MAX));
        let newest = newest.last().map(|(&(_, number), _)| number);
        match (rev, self.bars.get(&id)) {
            (0, None) if newest.is_none_or(|newest| number == newest + 1) => {}
            (0, None) => return Err(format!("{number} does not follow {newest:?}")),
            (0, Some(_)) => return Err(format!("{number} is closed twice")),
            (_, None) => return Err(format!("{number} is amended before it is closed")),
            (_, Some(&(before, had))) => {
                if rev != before + 1 {
                    return Err(format!("{number} has rev {before}"));
                }
                if count <= had {
                    return Err(format!("{number} is amended without a further trade"));
                }
            }
        }
        self.bars.insert(id, (rev, count));
        Ok(())
    }

    /// The state beside the closes is that of these closes, to the bar.
    fn check_state(&self, checkpoint: &Checkpoint) -> Result<(), String> {
        for (topic, &close_no) in self.close_nos.iter().enumerate() {
            let place = checkpoint.topics.place(engine::interval(topic));
            if place.map_or(0, |place| place.close_no) != close_no {
                return Err(format!("the frontier is not at {close_no}"));
            }
        }
        let Some(series) = &checkpoint.series else {
            let fresh = self.bars.is_empty();
            return if fresh {
                Ok(())
            } else {
                Err("the state is gone".to_owned())
            };
        };
        let (lanes, said) = engine::read(series);
        if said != self.bars {
            return Err(format!("the state says {said:?}, the log {:?}", self.bars));
        }
        for (topic, lane) in lanes.into_iter().flatten().enumerate() {
            let place = checkpoint.topics.place(engine::interval(topic));
            if place.is_some_and(|at| at.next_start_ms != lane * LENS[topic] * 1_000) {
                return Err(format!("the state is at {lane}, the frontier at {place:?}"));
            }
        }
        Ok(())
    }
}

/// Whether the one checkpoint may come after the other.
fn follows(before: &Checkpoint, after: &Checkpoint) -> Result<(), String> {
    if after.epoch < before.epoch {
        return Err(format!("the epoch falls from {}", before.epoch));
    }
    // Of one shard, the later claim has it: one that woke up late must not fence the owner after it.
    let is_later = after.claim > before.claim;
    let is_own = after.claim == before.claim && after.owner == before.owner;
    if after.shard == before.shard && !is_later && !is_own {
        return Err(format!("the claim falls from {}", before.claim));
    }
    // Between shards it is the newer assignment.
    if after.shard != before.shard && after.generation <= before.generation {
        return Err(format!("the generation is not above {}", before.generation));
    }
    Ok(())
}
