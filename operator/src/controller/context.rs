//! What is remembered of feeds, and why they are not as they should be.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use k8s_openapi::api::core::v1::ObjectReference;
use kube::Client;
use kube::runtime::events::{Event, EventType, Recorder, Reporter};
use runtime::backoff::{self, Backoff};
use runtime::lock::lock;
use tokio::sync::{Semaphore, SemaphorePermit};
use wire::{Assignment, AssignmentError};

use super::ask::Ask;
use super::costs::Costs;
use super::deletion::Going;
use super::ending::Ending;
use super::fleet::Fleet;
use super::ledger::{Ledger, Linger};
use super::owners::Owners;
use super::reconcile::Ended;
use super::slow::Slow;
use super::stores::Stores;
use super::writes::Writes;
use crate::build::Release;
use crate::build::names::FIELD_MANAGER;
use crate::metrics::{Metrics, Outcome};
use crate::spec::MarketFeedStatus;
use crate::status::{Patience, State, Transition};

/// Gives Unix seconds.
type Clock = Box<dyn Fn() -> i64 + Send + Sync>;

/// What a look at a feed needs, and what is remembered from one to the next.
pub struct Context {
    pub(super) client: Client,
    pub(super) release: Release,
    pub(super) stores: Stores,
    pub(super) ask: Arc<dyn Ask>,
    linger: (Duration, Duration),
    clock: Clock,
    metrics: Metrics,
    recorder: Recorder,
    /// By the feed's UID. While a feed is looked at, its own is out of it.
    memories: Mutex<BTreeMap<String, Memory>>,
    fleet: Mutex<Fleet>,
    /// Whose turn it is to write.
    writing: Semaphore,
}

/// What is remembered of a feed. Lost with the process, at no loss but that all of it is applied once more.
#[derive(Debug)]
pub(super) struct Memory {
    pub(super) ledger: Ledger,
    pub(super) patience: Patience,
    /// What was applied last: what is watched may be behind it.
    pub(super) assignment: Option<Assignment>,
    /// What was said of an object that cannot be read.
    pub(super) undecodable: Option<String>,
    /// What was said of it last.
    pub(super) word: Option<Word>,
    /// How many gateways were asked for last, and the Deployment's version then: what is watched may be behind it.
    pub(super) scaled: Option<(i32, u64)>,
    /// Whether its user has changed it since its workloads were last as they should be.
    pub(super) is_asked: bool,
    /// Which pods own which shards, as far as it was asked.
    pub(super) owners: Owners,
    /// Which of the pods go first when there are to be fewer.
    pub(super) costs: Costs,
    /// Under which assignment shards that are not wanted any more have nothing left, if under any: of a later one nothing is known.
    pub(super) handed_over: Option<u64>,
    /// How far its deletion is, if it is deleted.
    pub(super) going: Going,
    /// Whether its namespace is being removed.
    pub(super) ending: Ending,
    /// Which gateways did not answer.
    pub(super) slow: Slow,
    /// Looks in a row that have failed.
    pub(super) failed: u32,
    /// What was last said of whether it is ready.
    ready: Option<State>,
    /// Pauses after looks that failed.
    backoff: Backoff,
}

/// A status that was written.
#[derive(Debug, Clone)]
pub(super) struct Word {
    pub(super) status: MarketFeedStatus,
    /// The feed's version then: what is watched may be behind it.
    pub(super) version: u64,
    /// When, in Unix seconds, if the definition has not all fields of it, so that it is not read as it was written.
    pub(super) cut_short_s: Option<i64>,
}

impl Memory {
    fn new() -> Self {
        Self {
            ledger: Ledger::default(),
            patience: Patience::default(),
            assignment: None,
            undecodable: None,
            word: None,
            scaled: None,
            is_asked: false,
            owners: Owners::default(),
            costs: Costs::default(),
            handed_over: None,
            failed: 0,
            going: Going::default(),
            ending: Ending::default(),
            slow: Slow::default(),
            ready: None,
            backoff: Backoff::new(PAUSES, fastrand::Rng::new()),
        }
    }
}

/// Why a feed is not as it should be.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The API server refuses something, or is away.
    #[error("{doing}: {source}")]
    Api {
        /// What was tried.
        doing: &'static str,
        /// Why not.
        source: kube::Error,
    },
    /// No assignment can be made. Not for what was checked.
    #[error(transparent)]
    Assignment(#[from] AssignmentError),
    /// An object cannot be written. That is a mistake of ours.
    #[error(transparent)]
    Json(#[from] serde_json::Error),
    /// Nothing is watched any more: the process ends.
    #[error("what is there is not watched any more")]
    Unwatched,
}

/// Pauses after looks at a feed that failed.
const PAUSES: backoff::Options = backoff::Options {
    base: Duration::from_secs(2),
    cap: Duration::from_secs(120),
};

/// How long a shard that is not wanted any more goes on at least: until the others have heard of what was its own, connected to
/// its venues, and taken it over.
const LINGER: Duration = Duration::from_secs(30);

/// And at most, where they do not, or nobody can tell.
const LINGER_MAX: Duration = Duration::from_secs(600);

/// Feeds whose parts are written at one time. More are looked at, as most of a look may be waiting for pods; but of a start with a
/// thousand feeds the API server, and who renews our lease there, shall notice little.
const WRITE_AT_A_TIME: usize = 8;

/// The longest note of an event that the API server takes, in bytes.
const EVENT_NOTE_MAX: usize = 1_024;

fn shortened(mut text: String, bytes: usize) -> String {
    if text.len() > bytes {
        text.truncate(text.floor_char_boundary(bytes));
    }
    text
}

impl Context {
    /// Nothing is remembered.
    #[must_use]
    pub fn new(client: Client, release: Release, stores: Stores, ask: Arc<dyn Ask>) -> Self {
        let reporter = Reporter {
            controller: FIELD_MANAGER.to_owned(),
            instance: None,
        };
        Self {
            metrics: Metrics::default(),
            recorder: Recorder::new(client.clone(), reporter),
            client,
            release,
            stores,
            ask,
            linger: (LINGER, LINGER_MAX),
            clock: Box::new(|| k8s_openapi::jiff::Timestamp::now().as_second()),
            memories: Mutex::default(),
            fleet: Mutex::default(),
            writing: Semaphore::new(WRITE_AT_A_TIME),
        }
    }

    /// With other times for which a shard that is not wanted any more goes on, at least and at most.
    #[must_use]
    pub fn with_linger(self, min: Duration, max: Duration) -> Self {
        let linger = (min, max);
        Self { linger, ..self }
    }

    /// With another clock, which gives Unix seconds.
    #[must_use]
    pub fn with_clock(self, clock: impl Fn() -> i64 + Send + Sync + 'static) -> Self {
        let clock = Box::new(clock);
        Self { clock, ..self }
    }

    /// With metrics that somebody shows.
    #[must_use]
    pub fn with_metrics(self, metrics: Metrics) -> Self {
        Self { metrics, ..self }
    }

    /// With the name by which events tell this process from others.
    #[must_use]
    pub fn with_instance(self, instance: &str) -> Self {
        let reporter = Reporter {
            controller: FIELD_MANAGER.to_owned(),
            instance: Some(instance.to_owned()),
        };
        let recorder = Recorder::new(self.client.clone(), reporter);
        Self { recorder, ..self }
    }

    /// Waits for a turn to write, which lasts until the guard is dropped. None is ever refused: it is never closed.
    pub(super) async fn turn(&self) -> Option<SemaphorePermit<'_>> {
        self.writing.acquire().await.ok()
    }

    /// Now, in Unix seconds.
    pub(super) fn now_s(&self) -> i64 {
        (self.clock)()
    }

    pub(super) fn linger(&self, is_over: bool) -> Linger {
        let seconds = |time: Duration| i64::try_from(time.as_secs()).unwrap_or(i64::MAX);
        Linger {
            min_s: seconds(self.linger.0),
            max_s: seconds(self.linger.1),
            is_over,
        }
    }

    pub(super) fn writes<'a>(&'a self, namespace: &'a str) -> Writes<'a> {
        Writes {
            client: &self.client,
            namespace,
            metrics: &self.metrics,
        }
    }

    /// A feed was looked at.
    pub(super) fn handle_look(&self, ended: &Result<Ended, Error>, took: Duration) {
        let outcome = match ended {
            Ok(Ended::Again(_) | Ended::Gone) => Outcome::Done,
            Ok(Ended::Refused) => Outcome::Refused,
            Err(_) => Outcome::Failed,
        };
        self.metrics.handle_look(outcome, took);
    }

    /// What is said of whether a feed is ready.
    pub(super) fn note_ready(&self, memory: &mut Memory, ready: State) {
        self.metrics.handle_ready(memory.ready, Some(ready));
        memory.ready = Some(ready);
    }

    /// Makes an event of a transition. One that the API server does not take is not missed: the condition says the same.
    pub(super) async fn tell(&self, feed: &ObjectReference, transition: Transition) {
        let Transition {
            kind,
            reason,
            message,
            is_warning,
        } = transition;
        let event = Event {
            type_: if is_warning {
                EventType::Warning
            } else {
                EventType::Normal
            },
            reason,
            note: Some(shortened(message, EVENT_NOTE_MAX)),
            action: kind,
            secondary: None,
        };
        self.metrics.handle_write("Event", "create");
        if let Err(error) = self.recorder.publish(&event, feed).await {
            tracing::debug!(%error, "an event was not taken");
        }
    }

    /// A look at it went well.
    pub(super) fn handle_success(&self, uid: &str) {
        if let Some(memory) = lock(&self.memories).get_mut(uid) {
            memory.backoff.reset();
            memory.failed = 0;
        }
    }

    /// A look at the feed of this UID failed: so long is waited, but not past the time when it is to be let go.
    pub fn handle_failure(&self, uid: &str) -> Duration {
        let now_s = self.now_s();
        let mut memories = lock(&self.memories);
        let memory = memories.entry(uid.to_owned()).or_insert_with(Memory::new);
        let pause = memory.backoff.next_delay();
        memory.failed = memory.failed.saturating_add(1);
        let left = memory.going.left(now_s);
        left.map_or(pause, |left| pause.min(left))
    }

    /// Nothing is remembered of it any more: it is gone.
    pub(super) fn forget(&self, uid: &str, memory: &Memory) {
        self.metrics.handle_ready(memory.ready, None);
        self.fleet(|fleet| fleet.handle_progress(uid, None, 0));
    }

    /// Forgets feeds that are not there any more: all but those of these UIDs.
    pub fn forget_others(&self, there: &BTreeSet<String>) {
        lock(&self.memories).retain(|uid, memory| {
            let is_there = there.contains(uid);
            if !is_there {
                self.metrics.handle_ready(memory.ready, None);
            }
            is_there
        });
        lock(&self.fleet).forget_others(there);
    }

    /// How many feeds something is remembered of.
    #[must_use]
    pub fn remembered(&self) -> usize {
        lock(&self.memories).len()
    }

    pub(super) fn fleet<T>(&self, look: impl FnOnce(&mut Fleet) -> T) -> T {
        look(&mut lock(&self.fleet))
    }

    /// What is remembered of a feed, for one look: then it is kept again, or forgotten.
    pub(super) fn take(&self, uid: &str) -> Memory {
        lock(&self.memories).remove(uid).unwrap_or_else(Memory::new)
    }

    pub(super) fn keep(&self, uid: String, memory: Memory) {
        lock(&self.memories).insert(uid, memory);
    }
}
