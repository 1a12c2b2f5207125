// Pure: what one commit appends, and the checkpoints that guard it.
#![deny(clippy::disallowed_methods)]

use std::collections::HashMap;

use bytes::Bytes;
use wire::subject::{CheckpointSubject, Kind};
use wire::{Instrument, Scope};

use super::BATCH_MAX;
use super::error::{CommitError, WrongKind};
use super::message::BarMessage;

/// What one commit appends: all of it or nothing.
#[derive(Debug, Clone, Default)]
pub struct Commit {
    /// Closes and amendments, in order. A topic's `close_no` goes on by one from that of its last close: the
    /// checkpoint that the commit replaces says which that is, so that the condition on it upholds the numbers.
    pub closes: Vec<BarMessage>,
    /// Each instrument once: those with a close here, and those that are taken over.
    pub checkpoints: Vec<CheckpointWrite>,
}

impl Commit {
    /// Messages in it, [`super::BATCH_MAX`] at most.
    #[must_use]
    pub fn len(&self) -> usize {
        self.closes.len() + self.checkpoints.len()
    }

    /// Whether there is nothing to append.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Checks what a bus can check before it asks its log.
    ///
    /// # Errors
    /// When it is too long, holds an open bar, or not one checkpoint of each instrument with a close.
    pub fn check(&self) -> Result<(), CommitError> {
        if self.len() > BATCH_MAX {
            return Err(CommitError::BatchTooLong {
                len: self.len(),
                max: BATCH_MAX,
            });
        }
        let mut guards: HashMap<(&Scope, &Instrument), usize> = HashMap::new();
        for CheckpointWrite { subject, .. } in &self.checkpoints {
            *guards
                .entry((&subject.scope, &subject.instrument))
                .or_default() += 1;
        }
        let written = self.checkpoints.iter().map(|write| &write.subject);
        let written = written.map(|subject| (&subject.scope, &subject.instrument));
        let mut closed = Vec::with_capacity(self.closes.len());
        for BarMessage { subject, .. } in &self.closes {
            WrongKind::check(Kind::Committed, subject.kind)?;
            closed.push((&subject.scope, &subject.instrument));
        }
        for key in written.chain(closed) {
            let count = guards.get(&key).copied().unwrap_or(0);
            if count != 1 {
                return Err(CommitError::Checkpoints {
                    instrument: key.1.clone(),
                    count,
                });
            }
        }
        Ok(())
    }
}

/// A checkpoint on its way.
#[derive(Debug, Clone)]
pub struct CheckpointWrite {
    /// Of which instrument.
    pub subject: CheckpointSubject,
    /// The sequence of the checkpoint that it replaces; 0 where there must be none.
    pub expect: u64,
    /// What it says. The bus does not read it.
    pub json: Bytes,
}

/// A checkpoint as the log has it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoredCheckpoint {
    /// Its place in the log.
    pub sequence: u64,
    /// What it says.
    pub json: Bytes,
}

/// What a commit became.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Committed {
    /// The sequence of its last message; of the log's last one, if it was empty.
    pub last_sequence: u64,
    /// The sequences of its checkpoints, in their order.
    pub checkpoints: Vec<u64>,
}

/// Commits closes over whatever checkpoints stand, as somebody who is alone on the bus may: a test or a tool that
/// writes made-up bars. Where there is another owner, the condition holds all the same, and the later one is refused.
///
/// # Errors
/// As [`super::Broker::commit`]; where the checkpoints cannot be read, [`CommitError::Unavailable`].
pub async fn commit_alone(
    broker: &dyn super::Broker,
    closes: &[BarMessage],
) -> Result<Committed, CommitError> {
    let subjects: std::collections::BTreeSet<CheckpointSubject> = closes
        .iter()
        .map(|close| CheckpointSubject::new(&close.subject.scope, &close.subject.instrument))
        .collect();
    let subjects: Vec<CheckpointSubject> = subjects.into_iter().collect();
    let stored = broker.checkpoints(&subjects).await;
    let stored = stored.map_err(|error| CommitError::Unavailable(error.to_string()))?;
    let write =
        |(subject, stored): (CheckpointSubject, Option<StoredCheckpoint>)| CheckpointWrite {
            subject,
            expect: stored.map_or(0, |stored| stored.sequence),
            json: Bytes::from_static(b"{}"),
        };
    broker
        .commit(&Commit {
            closes: closes.to_vec(),
            checkpoints: subjects.into_iter().zip(stored).map(write).collect(),
        })
        .await
}
