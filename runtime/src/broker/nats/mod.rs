//! The bus between processes: NATS 2.12 or later with JetStream.
//!
//! Open bars go by core NATS, at most once; a stream in memory keeps the last of each subject. Closes and checkpoints
//! are committed in atomic batches to one replicated stream, whose consumers resume by sequence. Leases are a
//! key-value bucket. How these are called is in `names`, what they are like in `streams`, who may do what in
//! `governance`.
//!
//! A connection that breaks is given up with everything that was queued on it; the next one begins clean.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use tokio::sync::watch;
use tokio::time::timeout;
use wire::subject::Kind;
use wire::{Scope, ShardId, Subject, SubjectFilter};

use self::metrics::Counts;
use self::shared::Shared;
use super::{
    Broker, CheckpointSubject, CloseStart, CloseSubscription, Commit, CommitError, Committed,
    LeaseEntry, LeaseError, Leases, OpenSubscription, PublishError, ReadError, Replay,
    StoredCheckpoint, SubscribeError, WrongKind,
};
use crate::admin::Ready;
use crate::broker::BarMessage;
use crate::tasks::{OnExit, Tasks};
use crate::telemetry::Metrics;

mod api;

mod closes;

mod commit;

mod direct;

mod error;

/// Who may do what, and the document of it.
pub mod governance;

mod headers;

mod identity;

mod link;

mod metrics;

mod names;

mod open;

mod options;

mod pull;

mod purge;

mod replay;

mod session;

mod shared;

mod stored;

mod streams;

pub use error::NatsError;
pub use names::Party;
pub use options::{NatsArgs, NatsOptions, NatsOptionsError, NatsUrl, NatsUrlError};
pub use purge::{PurgeError, Purged, purge};

/// What the NATS client logs under. It is silent unless a log filter names it.
pub const CLIENT_LOG: &str = "async_nats";

/// How long a drain waits for the link's end: longer than that takes.
const END_MAX: Duration = Duration::from_secs(4);

/// How it stands with the bus.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum NatsState {
    /// Trying to connect, or waiting for the streams.
    Connecting {
        /// What went wrong last; nothing has yet if `None`.
        error: Option<String>,
    },
    /// Connected, and the streams are there.
    Ready,
    /// It cannot be used, and nothing is tried any more.
    Failed(NatsError),
    /// It was told to end.
    Stopped,
}

/// A [`Broker`] and [`Leases`] by NATS, for one feed. Dropping it ends its subscriptions.
#[derive(Debug)]
pub struct NatsBroker {
    shared: Arc<Shared>,
    /// The link and the subscriptions; dropping the group cuts them.
    tasks: Tasks,
}

impl NatsBroker {
    /// Begins to connect and returns at once. Until there is a connection, calls wait for it for some seconds and then
    /// say that the bus is unavailable.
    #[must_use]
    pub fn connect(scope: Scope, options: NatsOptions, metrics: &Metrics) -> Self {
        // Nobody else's stop is its own: what drains may need the bus to its end. See `drain`.
        let (tasks, stop) = Tasks::new("nats");
        let shared = Arc::new(Shared::new(scope, options, Counts::register(metrics)));
        // Whether it failed is in the state.
        tasks.spawn("link", OnExit::Log, link::run(Arc::clone(&shared), stop));
        Self { shared, tasks }
    }

    /// How it stands, and every change of that.
    #[must_use]
    pub fn state(&self) -> watch::Receiver<NatsState> {
        self.shared.state.subscribe()
    }

    /// Whether it can be used now.
    #[must_use]
    pub fn is_ready(&self) -> bool {
        *self.shared.state.borrow() == NatsState::Ready
    }

    /// Waits until it can be used for the first time. False if it was told to end before, or cannot be used at all.
    pub async fn reached(&self) -> bool {
        let mut states = self.state();
        let decided = |state: &NatsState| !matches!(state, NatsState::Connecting { .. });
        let state = states.wait_for(decided).await;
        state.is_ok_and(|state| *state == NatsState::Ready)
    }

    /// Sets the condition when it can be used for the first time, and holds it for good: after that its outage is no
    /// reason to replace a process. For a task that runs to the end of all others.
    pub async fn hold_ready(self: Arc<Self>, ready: Ready) {
        ready.set(self.reached().await);
        std::future::pending::<()>().await;
    }

    /// Waits for a trouble that no retry mends; for ever if there is none. A process ends with it.
    pub async fn failed(&self) -> NatsError {
        self.shared.failure().await
    }

    /// Sends what is on its way and ends the connection, within some seconds. Subscriptions end too.
    pub async fn drain(&self) {
        if let Some(session) = self.shared.now() {
            let within = self.shared.options.timings.publish;
            let _ = timeout(within, session.flush()).await;
        }
        self.tasks.shutdown().trigger();
        let mut states = self.state();
        let ended =
            states.wait_for(|state| matches!(state, NatsState::Stopped | NatsState::Failed(_)));
        // The link bounds its own end; this is for one that does not come to it.
        let _ = timeout(END_MAX, ended).await;
    }
}

#[async_trait]
impl Broker for NatsBroker {
    fn system(&self) -> &'static str {
        "nats"
    }

    async fn publish_open(&self, bars: &[BarMessage]) -> Result<(), PublishError> {
        for message in bars {
            WrongKind::check(Kind::Open, message.subject.kind)?;
        }
        let count = |outcome| self.shared.counts.sent("open", outcome, bars.len());
        let Some(session) = self.shared.now() else {
            count("unavailable");
            return Err(PublishError::Unavailable("not connected".to_owned()));
        };
        let send = async {
            for message in self.shared.newest_sent(bars) {
                let headers = headers::of_bar(message);
                let subject = message.subject.to_string();
                session
                    .publish(subject, headers, message.json.clone())
                    .await
                    .map_err(|error| error.to_string())?;
            }
            Ok(())
        };
        // The connection's queue is short; who does not get on to it is late already.
        let sent = timeout(self.shared.options.timings.publish, send).await;
        match sent.unwrap_or_else(|_| Err("the connection is stuck".to_owned())) {
            Ok(()) => {
                count("ok");
                Ok(())
            }
            Err(why) => {
                count("unavailable");
                Err(PublishError::Unavailable(why))
            }
        }
    }

    async fn commit(&self, commit: &Commit) -> Result<Committed, CommitError> {
        commit::commit(&self.shared, commit).await
    }

    async fn checkpoints(
        &self,
        subjects: &[CheckpointSubject],
    ) -> Result<Vec<Option<StoredCheckpoint>>, ReadError> {
        stored::checkpoints(&self.shared, subjects).await
    }

    async fn subscribe_open(
        &self,
        filter: SubjectFilter,
    ) -> Result<Box<dyn OpenSubscription>, SubscribeError> {
        WrongKind::check(Kind::Open, filter.kind)?;
        let session = self.shared.within(self.shared.options.timings.read).await;
        let session = session.map_err(SubscribeError::Unavailable)?;
        let (reader, filling) = open::ends(Arc::clone(&self.shared), filter);
        let sources = filling.attach(&session).await;
        let sources = sources.map_err(|error| SubscribeError::Unavailable(error.to_string()))?;
        let fill = filling.run(session, sources);
        self.tasks.spawn_until_stop("open", OnExit::Log, fill);
        Ok(Box::new(reader))
    }

    async fn subscribe_closes(
        &self,
        filter: SubjectFilter,
        from: CloseStart,
    ) -> Result<Box<dyn CloseSubscription>, SubscribeError> {
        WrongKind::check(Kind::Committed, filter.kind)?;
        let (reader, place, give) = closes::subscribe(&self.shared, filter, from).await?;
        let read = closes::run(Arc::clone(&self.shared), place, give);
        self.tasks.spawn_until_stop("closes", OnExit::Log, read);
        Ok(Box::new(reader))
    }

    async fn last_open(&self, filter: &SubjectFilter) -> Result<Vec<BarMessage>, ReadError> {
        WrongKind::check(Kind::Open, filter.kind)?;
        let session = self.shared.within(self.shared.options.timings.read).await;
        let session = session.map_err(ReadError::Unavailable)?;
        let bars = open::last_values(&self.shared, &session, filter).await;
        bars.map_err(ReadError::Unavailable)
    }

    async fn closes_after(
        &self,
        subject: &Subject,
        close_no: u64,
        max: usize,
    ) -> Result<Replay, ReadError> {
        WrongKind::check(Kind::Committed, subject.kind)?;
        replay::closes_after(&self.shared, subject, close_no, max).await
    }
}

#[async_trait]
impl Leases for NatsBroker {
    async fn lease(&self, scope: &Scope, shard: ShardId) -> Result<Option<LeaseEntry>, LeaseError> {
        self.check_scope(scope)?;
        stored::lease(&self.shared, shard).await
    }

    async fn write_lease(
        &self,
        scope: &Scope,
        shard: ShardId,
        value: Bytes,
        expect: u64,
    ) -> Result<u64, LeaseError> {
        self.check_scope(scope)?;
        stored::write_lease(&self.shared, shard, value, expect).await
    }
}

impl NatsBroker {
    fn check_scope(&self, scope: &Scope) -> Result<(), LeaseError> {
        if *scope == self.shared.scope {
            Ok(())
        } else {
            Err(LeaseError::Denied("a lease of another feed".to_owned()))
        }
    }
}
