//! One process: the machine, and an engine that does what it says.

use std::collections::BTreeMap;

use marketdata::owner::{
    Assigned, Checkpoint, Command, Event, Identity, LeaseAnswer, LeaseCommand, LeaseValue, Level,
    Options, Owner, Part, Snapshot, Snapshots,
};
use wire::{Instrument, ShardId};

use crate::engine::Series;

/// The shard's entry as its server keeps it.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Default)]
pub(crate) struct LeaseEntry {
    pub(crate) entry: Option<(u64, LeaseValue)>,
    pub(crate) revision: u64,
}

impl LeaseEntry {
    pub(crate) fn carry_out(&mut self, command: &LeaseCommand) -> LeaseAnswer {
        match command {
            LeaseCommand::Read => {
                let entry = self.entry.clone();
                LeaseAnswer::Read(entry.map(|(revision, value)| (revision, Some(value))))
            }
            LeaseCommand::Write { value, expect } => {
                if self.entry.as_ref().map_or(0, |(revision, _)| *revision) != *expect {
                    return LeaseAnswer::Conflict;
                }
                self.revision += 1;
                self.entry = Some((self.revision, value.clone()));
                LeaseAnswer::Written(self.revision)
            }
        }
    }
}

/// The engine.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Default)]
struct Engine(BTreeMap<Instrument, Series>);

impl Snapshots for Engine {
    fn snapshot(&mut self, instrument: &Instrument) -> Snapshot {
        self.0[instrument].snapshot()
    }
}

/// One process.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) struct Node {
    pub(crate) owner: Owner,
    pub(crate) name: String,
    pub(crate) shard: ShardId,
    engine: Engine,
    pub(crate) is_stopping: bool,
    /// What the machine was told of the feed: changes only, as by the shell.
    levels: BTreeMap<Instrument, Level>,
    /// What it was told to be in the log, since that was last compared.
    pub(crate) told: Vec<Told>,
}

/// A checkpoint that a process was told to be in the log.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) struct Told {
    pub(crate) instrument: Instrument,
    pub(crate) owner: String,
    pub(crate) epoch: u64,
    pub(crate) commit_no: u64,
}

impl Told {
    fn new(instrument: &Instrument, checkpoint: &Checkpoint) -> Self {
        Self {
            instrument: instrument.clone(),
            owner: checkpoint.owner.clone(),
            epoch: checkpoint.epoch,
            commit_no: checkpoint.commit_no,
        }
    }
}

impl Node {
    pub(crate) fn new(name: String, shard: ShardId, options: Options) -> Self {
        let me = Identity {
            owner: name.clone(),
            shard,
        };
        Self {
            owner: Owner::new(me, options),
            name,
            shard,
            engine: Engine::default(),
            is_stopping: false,
            levels: BTreeMap::new(),
            told: Vec::new(),
        }
    }

    /// An assignment; older ones are refused.
    pub(crate) fn assign(&mut self, now_ms: u64, assigned: &Assigned) {
        let _ = self.owner.handle_assignment(now_ms, assigned);
        self.act(now_ms);
    }

    /// Does what the machine says.
    pub(crate) fn act(&mut self, now_ms: u64) {
        while let Some(event) = self.owner.poll_event(now_ms) {
            match event {
                Event::Restore {
                    instrument,
                    checkpoint,
                } => {
                    let series = self.engine.0.get_mut(&instrument).unwrap();
                    series.restore(checkpoint.series.as_ref().unwrap());
                }
                Event::Taken {
                    instrument,
                    checkpoint,
                    restores,
                } => {
                    self.told.push(Told::new(&instrument, &checkpoint));
                    let series = self.engine.0.get_mut(&instrument);
                    match (series, &checkpoint.series) {
                        (Some(series), Some(state)) if restores => series.restore(state),
                        (Some(series), Some(state)) => series.reconcile(state),
                        (Some(series), None) if restores => *series = Series::default(),
                        _ => {}
                    }
                }
                Event::Committed(batch) => {
                    let told = |part: &Part| Told::new(&part.instrument, &part.checkpoint);
                    self.told.extend(batch.parts.iter().map(told));
                }
                Event::Gained { instrument } => {
                    self.engine.0.insert(instrument, Series::default());
                }
                Event::Released { instrument } => {
                    self.engine.0.remove(&instrument);
                    self.levels.remove(&instrument);
                }
                _ => {}
            }
        }
        self.close();
    }

    /// How well an instrument is heard now.
    pub(crate) fn level(&mut self, now_ms: u64, instrument: &Instrument, level: Level) {
        if self.engine.0.contains_key(instrument)
            && self.levels.insert(instrument.clone(), level) != Some(level)
        {
            self.owner.handle_level(now_ms, instrument, level);
        }
    }

    /// The feed of an instrument has come up to this tick.
    pub(crate) fn feed(&mut self, instrument: &Instrument, tick: i64) {
        if let Some(series) = self.engine.0.get_mut(instrument) {
            series.feed(tick);
        }
    }

    /// Hands over what is closed.
    pub(crate) fn close(&mut self) {
        let instruments: Vec<Instrument> = self.engine.0.keys().cloned().collect();
        for instrument in instruments {
            while !self.owner.ledger().is_full()
                && let Some(series) = self.engine.0.get_mut(&instrument)
                && let Some(close) = series.poll_close()
            {
                self.owner
                    .handle_close(&instrument, close, &mut self.engine);
            }
        }
    }

    pub(crate) fn poll(&mut self, now_ms: u64, unix_ms: u64, seed: u64) -> Option<Command> {
        let mut rng = fastrand::Rng::with_seed(seed);
        self.owner
            .poll_command(now_ms, unix_ms, &mut rng, &mut self.engine)
    }

    /// The instruments that it publishes open bars of, and under which epoch.
    pub(crate) fn publishes(&self) -> impl Iterator<Item = (&Instrument, u64)> {
        let epoch = |instrument| Some((instrument, self.owner.may_publish(instrument)?));
        self.engine.0.keys().filter_map(epoch)
    }
}
