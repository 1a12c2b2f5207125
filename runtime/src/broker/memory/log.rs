// Pure: the bounded log of closes, its fences and its per-topic numbers.
#![deny(clippy::disallowed_methods)]

use std::collections::{HashMap, HashSet, VecDeque};

use wire::{Subject, SubjectFilter};

use crate::broker::error::CommitError;
use crate::broker::{
    BarMessage, CheckpointSubject, CheckpointWrite, Commit, Committed, LogId, Replay,
    SequencedClose, StoredCheckpoint,
};

/// The newest closes of all topics in the order of their commits, and what the next ones must keep.
#[derive(Debug)]
pub(super) struct CloseLog {
    id: LogId,
    closes_max: usize,
    topics_max: usize,
    /// Sequence of the first in `closes`, or of the next commit if that is empty.
    first_sequence: u64,
    closes: VecDeque<BarMessage>,
    topics: HashMap<Subject, Numbers>,
    checkpoints: HashMap<CheckpointSubject, StoredCheckpoint>,
    /// Checkpoints are numbered apart from closes, which is nobody's business but the committer's.
    checkpoint_sequence: u64,
}

/// One topic's numbers. They outlive its closes in the log.
#[derive(Debug)]
struct Numbers {
    newest_close_no: u64,
    /// Sequences of the topic's closes that the log still holds, oldest first.
    sequences: VecDeque<u64>,
}

/// What a reader finds at its place.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Found {
    /// Something was appended; read on from here.
    Closes { next: u64 },
    /// Nothing of the filter up to the end; wait, then read on from here.
    Nothing { next: u64 },
    /// The place has aged out; read on from here.
    Lagged { next: u64 },
}

impl CloseLog {
    pub(super) fn new(id: LogId, closes_max: usize, topics_max: usize) -> Self {
        Self {
            id,
            closes_max,
            topics_max,
            first_sequence: 1,
            closes: VecDeque::new(),
            topics: HashMap::new(),
            checkpoints: HashMap::new(),
            checkpoint_sequence: 0,
        }
    }

    /// An empty one with the same bounds.
    pub(super) fn made_anew(&self, id: LogId) -> Self {
        Self::new(id, self.closes_max, self.topics_max)
    }

    /// Which one it is.
    pub(super) fn id(&self) -> &LogId {
        &self.id
    }

    /// Sequence of the oldest close held; of the next commit if none is.
    pub(super) fn first_sequence(&self) -> u64 {
        self.first_sequence
    }

    /// Sequence of the newest close; 0 before the first.
    pub(super) fn last_sequence(&self) -> u64 {
        self.first_sequence + self.closes.len() as u64 - 1
    }

    /// Appends all or none.
    pub(super) fn handle_commit(&mut self, commit: &Commit) -> Result<Committed, CommitError> {
        self.check(commit)?;
        for message in &commit.closes {
            self.append(message.clone());
        }
        let mut written = Vec::with_capacity(commit.checkpoints.len());
        for write in &commit.checkpoints {
            self.checkpoint_sequence += 1;
            written.push(self.checkpoint_sequence);
            let stored = StoredCheckpoint {
                sequence: self.checkpoint_sequence,
                json: write.json.clone(),
            };
            self.checkpoints.insert(write.subject.clone(), stored);
        }
        Ok(Committed {
            last_sequence: self.last_sequence(),
            checkpoints: written,
        })
    }

    /// The instrument's newest checkpoint.
    pub(super) fn checkpoint(&self, subject: &CheckpointSubject) -> Option<StoredCheckpoint> {
        self.checkpoints.get(subject).cloned()
    }

    fn check(&self, commit: &Commit) -> Result<(), CommitError> {
        commit.check()?;
        let mut topics_new = HashSet::new();
        for message in &commit.closes {
            if !self.topics.contains_key(&message.subject) {
                topics_new.insert(&message.subject);
            }
        }
        if self.topics.len() + topics_new.len() > self.topics_max {
            return Err(CommitError::TooManySubjects {
                max: self.topics_max,
            });
        }
        let stands = |write: &CheckpointWrite| {
            let stored = self.checkpoints.get(&write.subject);
            stored.map_or(0, |stored| stored.sequence) == write.expect
        };
        if commit.checkpoints.iter().all(stands) {
            Ok(())
        } else {
            Err(CommitError::Fenced)
        }
    }

    fn append(&mut self, message: BarMessage) {
        let sequence = self.first_sequence + self.closes.len() as u64;
        let numbers = self
            .topics
            .entry(message.subject.clone())
            .or_insert_with(|| Numbers {
                newest_close_no: 0,
                sequences: VecDeque::new(),
            });
        numbers.newest_close_no = message.bar.close_no;
        numbers.sequences.push_back(sequence);
        self.closes.push_back(message);
        while self.closes.len() > self.closes_max {
            self.drop_oldest();
        }
    }

    fn drop_oldest(&mut self) {
        let Some(oldest) = self.closes.pop_front() else {
            return;
        };
        self.first_sequence += 1;
        if let Some(numbers) = self.topics.get_mut(&oldest.subject) {
            numbers.sequences.pop_front();
        }
    }

    /// Reads up to `max` closes of the filter from the sequence `next` on.
    pub(super) fn poll_read(
        &self,
        filter: &SubjectFilter,
        next: u64,
        max: usize,
        into: &mut Vec<SequencedClose>,
    ) -> Found {
        if next < self.first_sequence {
            return Found::Lagged {
                next: self.first_sequence,
            };
        }
        let skip = usize::try_from(next - self.first_sequence).unwrap_or(usize::MAX);
        let before = into.len();
        let mut sequence = next;
        for message in self.closes.iter().skip(skip) {
            if into.len() - before == max {
                break;
            }
            if filter.matches(&message.subject) {
                into.push(SequencedClose {
                    sequence,
                    message: message.clone(),
                });
            }
            sequence += 1;
        }
        if into.len() > before {
            Found::Closes { next: sequence }
        } else {
            Found::Nothing { next: sequence }
        }
    }

    /// One topic's closes above `close_no`.
    pub(super) fn poll_after(&self, subject: &Subject, close_no: u64, max: usize) -> Replay {
        let Some(numbers) = self.topics.get(subject) else {
            return Replay::default();
        };
        let newest = numbers.newest_close_no;
        // Its numbers have no holes, so that their count gives the oldest.
        let oldest = newest + 1 - numbers.sequences.len() as u64;
        let wanted = close_no.saturating_add(1);
        let missed = (wanted < oldest).then(|| (wanted, oldest - 1));
        let skip = usize::try_from(wanted.saturating_sub(oldest)).unwrap_or(usize::MAX);
        let held = numbers.sequences.iter().skip(skip).take(max);
        let closes = held.filter_map(|&sequence| self.at(sequence)).collect();
        Replay {
            closes,
            missed,
            newest: Some(newest),
        }
    }

    fn at(&self, sequence: u64) -> Option<SequencedClose> {
        let index = usize::try_from(sequence.checked_sub(self.first_sequence)?).ok()?;
        let message = self.closes.get(index)?.clone();
        Some(SequencedClose { sequence, message })
    }
}
