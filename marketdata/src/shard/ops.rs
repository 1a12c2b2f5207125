//! What is asked of the bus and not answered yet: one question to the leases and one to the log at a time.

use std::fmt::Display;
use std::future::{Future, poll_fn};
use std::pin::Pin;
use std::sync::Arc;
use std::task::Poll;
use std::time::Duration;

use bytes::Bytes;
use runtime::broker::{
    Bus, CheckpointSubject, CheckpointWrite, Commit, CommitError, LeaseError, StoredCheckpoint,
};
use runtime::telemetry::{BusCall, Tracer};
use wire::{Instrument, Scope, ShardId};

use crate::owner::{Checkpoint, CommitOutcome, LeaseAnswer, LeaseCommand, LeaseValue, StoredAt};

/// How long the log may take for an answer. A bus has a shorter bound of its own, which knows more of what went wrong.
const LOG_WAIT_MAX: Duration = Duration::from_secs(10);

type Asked = Pin<Box<dyn Future<Output = Answer> + Send>>;

/// What has been answered.
#[derive(Debug)]
pub(crate) enum Answer {
    /// Of the lease.
    Lease(LeaseAnswer),
    /// The checkpoints that were asked for; `None` if they could not be read.
    Checkpoints(u64, Option<Vec<Option<StoredAt>>>),
    /// What became of a commit, and why not what was asked for.
    Commit(u64, Result<CommitOutcome, CommitError>, Option<String>),
}

/// The questions that are under way.
pub(crate) struct Ops {
    bus: Arc<dyn Bus>,
    scope: Scope,
    shard: ShardId,
    /// Well below the lease's time to live.
    lease_wait_max: Duration,
    lease: Option<Asked>,
    log: Option<Asked>,
}

impl Ops {
    pub(crate) fn new(
        bus: Arc<dyn Bus>,
        scope: Scope,
        shard: ShardId,
        lease_ttl: Duration,
    ) -> Self {
        Self {
            bus,
            scope,
            shard,
            lease_wait_max: lease_ttl / 4,
            lease: None,
            log: None,
        }
    }

    /// Asks the leases.
    pub(crate) fn ask_lease(&mut self, command: LeaseCommand) {
        let (bus, scope, shard) = (Arc::clone(&self.bus), self.scope.clone(), self.shard);
        let wait_max = self.lease_wait_max;
        self.lease = Some(Box::pin(async move {
            let asked = lease(bus.as_ref(), &scope, shard, command);
            let answer = tokio::time::timeout(wait_max, asked).await;
            Answer::Lease(answer.unwrap_or(LeaseAnswer::Unavailable))
        }));
    }

    /// Reads checkpoints.
    pub(crate) fn ask_checkpoints(&mut self, ticket: u64, instruments: &[Instrument]) {
        let bus = Arc::clone(&self.bus);
        let scope = &self.scope;
        let subject = |instrument: &Instrument| CheckpointSubject::new(scope, instrument);
        let subjects: Vec<CheckpointSubject> = instruments.iter().map(subject).collect();
        self.log = Some(Box::pin(async move {
            let read = tokio::time::timeout(LOG_WAIT_MAX, bus.checkpoints(&subjects)).await;
            let read = match read {
                Ok(Ok(stored)) => Some(decode(&stored).await),
                Ok(Err(error)) => {
                    tracing::debug!(%error, "checkpoints not read");
                    None
                }
                Err(_) => None,
            };
            Answer::Checkpoints(ticket, read)
        }));
    }

    /// Commits.
    pub(crate) fn ask_commit(&mut self, ticket: u64, mut commit: Commit, tracer: Tracer) {
        let bus = Arc::clone(&self.bus);
        self.log = Some(Box::pin(async move {
            let call = BusCall::publish(&tracer, &mut commit.closes);
            let committed = tokio::time::timeout(LOG_WAIT_MAX, bus.commit(&commit)).await;
            let committed = committed.unwrap_or_else(|_| {
                Err(CommitError::Unknown(format!(
                    "none within {LOG_WAIT_MAX:?}"
                )))
            });
            let error = committed.as_ref().err().map(|error| error as &dyn Display);
            call.end(&tracer, bus.as_ref(), &commit.closes, error);
            let why = committed.as_ref().err().map(ToString::to_string);
            Answer::Commit(ticket, outcome(committed), why)
        }));
    }

    /// What a checkpoint of ours is written as.
    pub(crate) fn write(
        &self,
        instrument: &Instrument,
        expect: u64,
        is: &Checkpoint,
    ) -> CheckpointWrite {
        CheckpointWrite {
            subject: CheckpointSubject::new(&self.scope, instrument),
            expect,
            json: Bytes::from(is.encode()),
        }
    }

    /// Waits for the next answer; for ever while nothing is asked. Cancel-safe: what was asked goes on.
    pub(crate) async fn next(&mut self) -> Answer {
        poll_fn(|context| {
            for asked in [&mut self.lease, &mut self.log] {
                if let Some(question) = asked
                    && let Poll::Ready(answer) = question.as_mut().poll(context)
                {
                    *asked = None;
                    return Poll::Ready(answer);
                }
            }
            Poll::Pending
        })
        .await
    }
}

async fn lease(bus: &dyn Bus, scope: &Scope, shard: ShardId, command: LeaseCommand) -> LeaseAnswer {
    let refused = |error: LeaseError| match error {
        LeaseError::Conflict { .. } => LeaseAnswer::Conflict,
        LeaseError::Unavailable(_) | LeaseError::Denied(_) => {
            tracing::debug!(%shard, %error, "no answer of the lease");
            LeaseAnswer::Unavailable
        }
    };
    match command {
        LeaseCommand::Read => match bus.lease(scope, shard).await {
            Ok(entry) => LeaseAnswer::Read(
                entry.map(|entry| (entry.revision, LeaseValue::decode(&entry.value))),
            ),
            Err(error) => refused(error),
        },
        LeaseCommand::Write { value, expect } => {
            let value = Bytes::from(value.encode());
            let written = bus.write_lease(scope, shard, value, expect).await;
            written.map_or_else(refused, LeaseAnswer::Written)
        }
    }
}

/// Checkpoints that are read in one go: some tens of kilobytes each, so that the shard is held up for less than a
/// millisecond or two.
const DECODED_AT_ONCE: usize = 8;

async fn decode(stored: &[Option<StoredCheckpoint>]) -> Vec<Option<StoredAt>> {
    let mut decoded = Vec::with_capacity(stored.len());
    for some in stored.chunks(DECODED_AT_ONCE) {
        if !decoded.is_empty() {
            // A take-over reads hundreds, and what comes meanwhile has its turns.
            tokio::task::yield_now().await;
        }
        decoded.extend(some.iter().map(|it| it.as_ref().map(stored_at)));
    }
    decoded
}

fn stored_at(stored: &StoredCheckpoint) -> StoredAt {
    let decoded = Checkpoint::decode_whole(&stored.json);
    let sequence = stored.sequence;
    StoredAt {
        sequence,
        checkpoint: decoded
            .inspect_err(
                |error| tracing::debug!(sequence, %error, "a checkpoint that cannot be read"),
            )
            .ok(),
    }
}

/// What passes by itself, or tells who has fenced us; everything else is a reason to stop.
fn outcome(
    committed: Result<runtime::broker::Committed, CommitError>,
) -> Result<CommitOutcome, CommitError> {
    match committed {
        Ok(committed) => Ok(CommitOutcome::Committed(committed.checkpoints)),
        Err(CommitError::Fenced) => Ok(CommitOutcome::Fenced),
        // The checkpoints will tell.
        Err(CommitError::Unknown(_)) => Ok(CommitOutcome::Unknown),
        Err(error) if error.is_terminal() => Err(error),
        Err(_) => Ok(CommitOutcome::Unavailable),
    }
}
