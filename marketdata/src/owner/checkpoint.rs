// Pure: what the log says of an instrument, as text and as a value.
#![deny(clippy::disallowed_methods)]

use std::hash::{Hash, Hasher};
use std::sync::Arc;

use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use wire::{Instrument, ShardId};

use super::frontier::{Frontier, PlaceText};
use crate::aggregate::SeriesSnapshot;

/// What the log says of an instrument: who owns it, and from where to go on.
///
/// As text it is one JSON object: `{"v":1,"owner":"…","shard":0,"generation":5,"claim":…,"epoch":…,"commit_no":…,
/// "topics":[{"interval":"1m","next_start":…,"close_no":…}],"series":{…}}`. Unknown fields are ignored, so that a newer
/// release may add to it; who takes an instrument does not carry those on.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Checkpoint {
    /// Who wrote it: unique to a start of a process.
    pub owner: String,
    /// For which shard.
    pub shard: ShardId,
    /// The newest assignment that its writer knew to give it the instrument.
    pub generation: u64,
    /// The writer's claim to the shard.
    pub claim: u64,
    /// The instrument's epoch.
    pub epoch: u64,
    /// Which of its writer's commits it was part of.
    pub commit_no: u64,
    /// Where each topic stands.
    pub topics: Frontier,
    /// The series' state after the last of the commits up to here; `None` before the first close.
    pub series: Option<Snapshot>,
}

/// A series' state as JSON text. What is in it is the aggregation's business.
#[derive(Debug, Clone)]
pub struct Snapshot {
    json: Arc<RawValue>,
    /// What it says, where that was read already.
    state: Option<Arc<SeriesSnapshot>>,
}

/// Where the states of series are taken from: the engine.
pub trait Snapshots {
    /// The series' state right after the last close that was handed over of it. Whatever else the engine has decided
    /// of it must be in the state, or follow from it.
    fn snapshot(&mut self, instrument: &Instrument) -> Snapshot;
}

/// Why text is not a checkpoint.
#[derive(Debug, thiserror::Error)]
#[error("not a checkpoint: {0}")]
pub struct CheckpointError(#[from] serde_json::Error);

/// What is written in `v`. It tells people; fields tell programs.
const VERSION: u32 = 1;

#[derive(Serialize)]
struct Text<'a> {
    v: u32,
    owner: &'a str,
    shard: u16,
    generation: u64,
    claim: u64,
    epoch: u64,
    commit_no: u64,
    topics: Vec<PlaceText>,
    series: Option<&'a RawValue>,
}

#[derive(Deserialize)]
struct Parsed {
    owner: String,
    shard: u16,
    generation: u64,
    claim: u64,
    epoch: u64,
    commit_no: u64,
    topics: Vec<PlaceText>,
    series: Option<Box<RawValue>>,
}

impl Checkpoint {
    /// Its text.
    ///
    /// # Panics
    /// Never: it has no map with keys that are not text, and nothing in it fails to be written.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        let text = Text {
            v: VERSION,
            owner: &self.owner,
            shard: self.shard.0,
            generation: self.generation,
            claim: self.claim,
            epoch: self.epoch,
            commit_no: self.commit_no,
            topics: self.topics.texts(),
            series: self.series.as_ref().map(Snapshot::raw),
        };
        #[expect(clippy::expect_used)] // Neither a writer nor a key can fail here.
        serde_json::to_vec(&text).expect("plain fields")
    }

    /// Reads its text, and the series' state in it: who takes the instrument must be able to go on from that. It is
    /// read once, and kept for whoever does.
    ///
    /// # Errors
    /// When either cannot be read.
    pub fn decode_whole(json: &[u8]) -> Result<Self, CheckpointError> {
        let mut checkpoint = Self::decode(json)?;
        if let Some(series) = &mut checkpoint.series {
            series.state = Some(series.state()?);
        }
        Ok(checkpoint)
    }

    /// Reads its text, but not the series' state in it.
    ///
    /// # Errors
    /// When it is not JSON, or lacks a field.
    pub fn decode(json: &[u8]) -> Result<Self, CheckpointError> {
        let parsed: Parsed = serde_json::from_slice(json)?;
        Ok(Self {
            owner: parsed.owner,
            shard: ShardId(parsed.shard),
            generation: parsed.generation,
            claim: parsed.claim,
            epoch: parsed.epoch,
            commit_no: parsed.commit_no,
            topics: Frontier::from_texts(parsed.topics),
            series: parsed.series.map(Snapshot::new),
        })
    }
}

impl Snapshot {
    /// Wraps the text.
    #[must_use]
    pub fn new(json: Box<RawValue>) -> Self {
        Self {
            json: Arc::from(json),
            state: None,
        }
    }

    /// What it says, as it was read before or as it is read now.
    ///
    /// # Errors
    /// When it cannot be read.
    pub fn state(&self) -> Result<Arc<SeriesSnapshot>, CheckpointError> {
        match &self.state {
            Some(state) => Ok(Arc::clone(state)),
            None => Ok(Arc::new(serde_json::from_str(self.get())?)),
        }
    }

    /// The text, for whoever reads it back.
    #[must_use]
    pub fn get(&self) -> &str {
        self.json.get()
    }

    fn raw(&self) -> &RawValue {
        &self.json
    }
}

impl PartialEq for Snapshot {
    fn eq(&self, other: &Self) -> bool {
        self.get() == other.get()
    }
}

impl Eq for Snapshot {}

impl Hash for Snapshot {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.get().hash(state);
    }
}
