//! The bus inside one process: everything bounded, nobody waited for.

use std::collections::HashMap;
use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use bytes::Bytes;
use tokio::sync::watch;
use wire::subject::Kind;
use wire::{Scope, ShardId, Subject, SubjectFilter};

use self::closes::MemoryCloses;
use self::log::CloseLog;
use self::open::OpenBars;
use super::{
    BarMessage, Broker, CheckpointSubject, ClosePlace, CloseStart, CloseSubscription, Commit,
    CommitError, Committed, LeaseEntry, LeaseError, Leases, LogId, OpenSubscription, PublishError,
    ReadError, Replay, StoredCheckpoint, SubscribeError, WrongKind,
};
use crate::lock::lock;

mod closes;

mod log;

mod open;

/// The bounds of a [`MemoryBroker`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Options {
    /// Closes held over all topics; the oldest go first, and a reader that still wanted them is
    /// told. One symbol's whole day at 1s, 1m, 1h and 1d has 87,865; the default holds that, so
    /// that no reader can be outrun by a recorded day at full speed. It is 80 minutes of a
    /// 20-symbol demo. At about 1.2 KB a close that is at most 120 MB.
    pub closes_max: usize,
    /// Subjects whose last open bar is kept, and topics whose `close_no` is. The default is 10,000
    /// instruments at 4 intervals, ten times the largest market that the benchmarks run. Further
    /// ones are refused.
    pub subjects_max: usize,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            closes_max: 100_000,
            subjects_max: 40_000,
        }
    }
}

/// A [`Broker`] in memory. It ends when it is dropped: subscribers then take what is left and get
/// [`super::Closed`].
#[derive(Debug)]
pub struct MemoryBroker {
    open: Arc<OpenBars>,
    log: Arc<Mutex<CloseLog>>,
    /// The log's last sequence, for readers to wait on.
    last: watch::Sender<u64>,
    leases: Mutex<LeaseTable>,
}

/// A log's own name.
fn new_log_id() -> LogId {
    LogId::new(&format!("{:016x}", fastrand::u64(..)))
}

type LeaseTable = HashMap<(Scope, ShardId), LeaseEntry>;

impl MemoryBroker {
    /// An empty bus.
    #[must_use]
    pub fn new(options: Options) -> Self {
        let Options {
            closes_max,
            subjects_max,
        } = options;
        Self {
            open: Arc::new(OpenBars::new(subjects_max)),
            log: Arc::new(Mutex::new(CloseLog::new(
                new_log_id(),
                closes_max,
                subjects_max,
            ))),
            last: watch::Sender::new(0),
            leases: Mutex::default(),
        }
    }

    /// Replaces the log by an empty one, as when a feed's streams are removed and made again: closes, their numbers
    /// and checkpoints are gone, and readers of the old one get [`super::Closed`]. Open bars and leases stay.
    pub fn make_log_anew(&self) {
        let mut log = lock(&self.log);
        *log = log.made_anew(new_log_id());
        drop(log);
        self.last.send_replace(0);
    }

    /// How many subscriptions to open bars are alive.
    #[must_use]
    pub fn open_subscribers(&self) -> usize {
        self.open.subscribers()
    }

    /// How many subscriptions to closes are alive.
    #[must_use]
    pub fn close_subscribers(&self) -> usize {
        self.last.receiver_count()
    }
}

impl Default for MemoryBroker {
    fn default() -> Self {
        Self::new(Options::default())
    }
}

#[async_trait]
impl Broker for MemoryBroker {
    async fn publish_open(&self, bars: &[BarMessage]) -> Result<(), PublishError> {
        for message in bars {
            WrongKind::check(Kind::Open, message.subject.kind)?;
        }
        self.open.publish(bars)
    }

    async fn commit(&self, commit: &Commit) -> Result<Committed, CommitError> {
        let committed = lock(&self.log).handle_commit(commit)?;
        // Two commits may pass each other here; a reader looks at the log itself, so that any
        // wake will do.
        self.last.send_replace(committed.last_sequence);
        Ok(committed)
    }

    async fn checkpoints(
        &self,
        subjects: &[CheckpointSubject],
    ) -> Result<Vec<Option<StoredCheckpoint>>, ReadError> {
        let log = lock(&self.log);
        Ok(subjects
            .iter()
            .map(|subject| log.checkpoint(subject))
            .collect())
    }

    async fn subscribe_open(
        &self,
        filter: SubjectFilter,
    ) -> Result<Box<dyn OpenSubscription>, SubscribeError> {
        WrongKind::check(Kind::Open, filter.kind)?;
        Ok(Box::new(self.open.subscribe(filter)))
    }

    async fn subscribe_closes(
        &self,
        filter: SubjectFilter,
        from: CloseStart,
    ) -> Result<Box<dyn CloseSubscription>, SubscribeError> {
        WrongKind::check(Kind::Committed, filter.kind)?;
        let (id, first, last) = {
            let log = lock(&self.log);
            (log.id().clone(), log.first_sequence(), log.last_sequence())
        };
        let next = match from {
            CloseStart::Next => last + 1,
            CloseStart::First => first,
            CloseStart::After(place) if place.log != id => return Err(SubscribeError::OtherLog),
            CloseStart::After(ClosePlace { sequence, .. }) if sequence > last => {
                let after = sequence;
                return Err(SubscribeError::Ahead { after, last });
            }
            CloseStart::After(ClosePlace { sequence, .. }) => sequence + 1,
        };
        Ok(Box::new(MemoryCloses {
            filter,
            id,
            next,
            log: Arc::clone(&self.log),
            last: self.last.subscribe(),
        }))
    }

    async fn last_open(&self, filter: &SubjectFilter) -> Result<Vec<BarMessage>, ReadError> {
        WrongKind::check(Kind::Open, filter.kind)?;
        Ok(self.open.last(filter))
    }

    async fn closes_after(
        &self,
        subject: &Subject,
        close_no: u64,
        max: usize,
    ) -> Result<Replay, ReadError> {
        WrongKind::check(Kind::Committed, subject.kind)?;
        Ok(lock(&self.log).poll_after(subject, close_no, max))
    }
}

#[async_trait]
impl Leases for MemoryBroker {
    async fn lease(&self, scope: &Scope, shard: ShardId) -> Result<Option<LeaseEntry>, LeaseError> {
        Ok(lock(&self.leases).get(&(scope.clone(), shard)).cloned())
    }

    async fn write_lease(
        &self,
        scope: &Scope,
        shard: ShardId,
        value: Bytes,
        expect: u64,
    ) -> Result<u64, LeaseError> {
        let mut leases = lock(&self.leases);
        let key = (scope.clone(), shard);
        let stands = leases.get(&key).map_or(0, |entry| entry.revision);
        if stands != expect {
            return Err(LeaseError::Conflict { expected: expect });
        }
        let revision = stands + 1;
        leases.insert(key, LeaseEntry { revision, value });
        Ok(revision)
    }
}

impl Drop for MemoryBroker {
    fn drop(&mut self) {
        self.open.close();
    }
}

#[cfg(test)]
mod tests;
