//! Subscriptions to open bars: what comes live, merged with the last values that a stream keeps, newest only.

use std::collections::HashMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_nats::Subscriber;
use async_trait::async_trait;
use futures_util::StreamExt;
use serde_json::json;
use tokio::sync::Notify;
use tokio::time::{Instant, sleep, sleep_until, timeout};
use tokio_util::sync::{CancellationToken, DropGuard};
use wire::{Subject, SubjectFilter};

use super::closes::decode;
use super::pull::{Pull, Pulled};
use super::session::{RequestError, Session};
use super::shared::{Shared, lock};
use crate::broker::newest::Newest;
use crate::broker::{BarMessage, Closed, OpenSubscription};

/// How long the stream of last values is listened to beside what comes live: it takes bars in after they have been
/// sent on, so that a bar of just before the subscription may come to it later than we ask.
const MERGE_FOR: Duration = Duration::from_secs(5);

/// How long is waited for the last values.
const SNAPSHOT_MAX: Duration = Duration::from_secs(5);

/// Subjects that one subscription remembers; further ones are dropped and counted. Ten times the largest market that
/// the benchmarks run.
const SUBJECTS_MAX: usize = 100_000;

/// How long the next attempt waits after one that failed.
const PAUSE: Duration = Duration::from_millis(100);

/// What the reader has not taken yet.
#[derive(Debug)]
pub(super) struct Mailbox {
    waiting: Mutex<Waiting>,
    arrived: Notify,
}

#[derive(Debug, Default)]
struct Waiting {
    bars: Newest,
    /// The newest place that was put in for each subject, so that none goes backwards after it was taken.
    places: HashMap<Subject, (i64, u64, u64)>,
    closed: bool,
}

/// The reader's end. Dropping it ends the task.
pub(super) struct NatsOpen {
    mailbox: Arc<Mailbox>,
    _gone: DropGuard,
}

/// The task's end. Dropping it closes the mailbox.
pub(super) struct Filling {
    shared: Arc<Shared>,
    filter: SubjectFilter,
    mailbox: Arc<Mailbox>,
    gone: CancellationToken,
}

/// Both of a subscription's sources, on one connection.
struct Sources {
    live: Subscriber,
    last: Option<(Pull, Instant)>,
}

/// Both ends of a subscription.
pub(super) fn ends(shared: Arc<Shared>, filter: SubjectFilter) -> (NatsOpen, Filling) {
    let mailbox = Arc::new(Mailbox {
        waiting: Mutex::default(),
        arrived: Notify::new(),
    });
    let gone = CancellationToken::new();
    let reader = NatsOpen {
        mailbox: Arc::clone(&mailbox),
        _gone: gone.clone().drop_guard(),
    };
    let filling = Filling {
        shared,
        filter,
        mailbox,
        gone,
    };
    (reader, filling)
}

#[async_trait]
impl OpenSubscription for NatsOpen {
    async fn drain(&mut self, into: &mut Vec<BarMessage>) -> Result<(), Closed> {
        loop {
            {
                let mut waiting = lock(&self.mailbox.waiting);
                if waiting.bars.poll_drain(into) {
                    return Ok(());
                }
                if waiting.closed {
                    return Err(Closed);
                }
            }
            // A wake between the look and this wait is kept by the Notify; one that a dropped call
            // swallowed is made good by looking first.
            self.mailbox.arrived.notified().await;
        }
    }
}

impl Mailbox {
    /// Puts in what is newer than what was put in before.
    fn put(&self, shared: &Shared, bars: &[BarMessage]) {
        let mut waiting = lock(&self.waiting);
        let Waiting {
            bars: kept, places, ..
        } = &mut *waiting;
        let mut any = false;
        let full = places.len() >= SUBJECTS_MAX;
        for message in bars {
            let order = message.bar.open_order();
            match places.get_mut(&message.subject) {
                Some(place) if *place >= order => continue,
                Some(place) => *place = order,
                None if full => {
                    shared.counts.error("open", "too_many_subjects");
                    continue;
                }
                None => {
                    places.insert(message.subject.clone(), order);
                }
            }
            any |= kept.handle_bar(message);
        }
        drop(waiting);
        if any {
            self.arrived.notify_one();
        }
    }
}

impl Drop for Filling {
    fn drop(&mut self) {
        lock(&self.mailbox.waiting).closed = true;
        self.mailbox.arrived.notify_one();
    }
}

impl Filling {
    /// Subscribes on the session and then fills the mailbox, over this and later sessions, until nobody reads it.
    pub(super) async fn run(self, session: Arc<Session>, first: Option<Attached>) {
        let mut sources = first;
        let mut session = Some(session);
        let mut sessions = self.shared.session.subscribe();
        loop {
            if let Some(session) = session.take() {
                let attached = match sources.take() {
                    Some(attached) => Ok(attached),
                    None => self.attach(&session).await,
                };
                match attached {
                    Ok(Attached(attached)) => {
                        if !self.fill(attached).await {
                            return;
                        }
                    }
                    Err(error) => {
                        let text = error.to_string();
                        tracing::warn!(error = text, "open bars cannot be subscribed to");
                    }
                }
                tokio::select! {
                    () = sleep(PAUSE) => {}
                    () = self.gone.cancelled() => return,
                }
            }
            session = tokio::select! {
                next = sessions.wait_for(Option::is_some) => match next {
                    Ok(next) => next.clone(),
                    Err(_) => return,
                },
                () = self.gone.cancelled() => return,
            };
        }
    }

    /// Subscribes, and puts the last values into the mailbox.
    pub(super) async fn attach(&self, session: &Arc<Session>) -> Result<Attached, RequestError> {
        let filter = self.filter.to_string();
        // On one connection the server handles this before what follows, so that nothing falls between the two.
        let live = session.subscribe(filter.clone()).await?;
        let begun = Instant::now();
        let snapshot = timeout(SNAPSHOT_MAX, self.snapshot(session, &filter)).await;
        let snapshot = snapshot.unwrap_or_else(|_| Err("no answer in time".to_owned()));
        let last = match snapshot {
            Ok((pull, bars)) => {
                self.mailbox.put(&self.shared, &bars);
                Some((pull, begun + MERGE_FOR))
            }
            Err(why) => {
                self.shared.counts.error("open", "no_last_values");
                tracing::warn!(error = why, "last open bars cannot be read: live ones only");
                None
            }
        };
        Ok(Attached(Sources { live, last }))
    }

    async fn snapshot(
        &self,
        session: &Arc<Session>,
        filter: &str,
    ) -> Result<(Pull, Vec<BarMessage>), String> {
        let shared = &self.shared;
        let stream = &shared.names.open;
        let start = json!({ "deliver_policy": "last_per_subject" });
        let begun = Pull::begin(session, shared, stream, filter, &start).await;
        let (mut pull, pending) = begun.map_err(|failure| failure.to_string())?;
        let mut bars = Vec::new();
        for _ in 0..pending {
            match pull.next().await {
                Pulled::Message(_, message) => bars.extend(decode(shared, "open", &message)),
                Pulled::Over(why) => return Err(why),
            }
        }
        Ok((pull, bars))
    }

    /// Fills the mailbox from one connection; false if nobody reads it any more.
    async fn fill(&self, sources: Sources) -> bool {
        let Sources { mut live, mut last } = sources;
        loop {
            let merge = async {
                match &mut last {
                    Some((pull, until)) => tokio::select! {
                        pulled = pull.next() => Some(pulled),
                        () = sleep_until(*until) => None,
                    },
                    None => std::future::pending().await,
                }
            };
            let message = tokio::select! {
                message = live.next() => match message {
                    Some(message) => message,
                    None => return true,
                },
                pulled = merge => match pulled {
                    Some(Pulled::Message(_, message)) => message,
                    Some(Pulled::Over(_)) | None => {
                        if let Some((pull, _)) = last.take() {
                            pull.forget().await;
                        }
                        continue;
                    }
                },
                () = self.gone.cancelled() => return false,
            };
            if let Some(bar) = decode(&self.shared, "open", &message) {
                self.mailbox.put(&self.shared, std::slice::from_ref(&bar));
            }
        }
    }
}

/// A subscription that has begun.
pub(super) struct Attached(Sources);

/// The last open bar of each subject, as far as the stream has them.
pub(super) async fn last_values(
    shared: &Arc<Shared>,
    session: &Arc<Session>,
    filter: &SubjectFilter,
) -> Result<Vec<BarMessage>, String> {
    let (_, filling) = ends(Arc::clone(shared), filter.clone());
    let text = filter.to_string();
    let snapshot = filling.snapshot(session, &text);
    let snapshot = timeout(SNAPSHOT_MAX, snapshot).await;
    let (pull, mut bars) = snapshot.unwrap_or_else(|_| Err("no answer in time".to_owned()))?;
    pull.forget().await;
    // A subject that moved meanwhile came twice.
    let mut newest = Newest::default();
    for bar in &bars {
        newest.handle_bar(bar);
    }
    bars.clear();
    newest.poll_drain(&mut bars);
    Ok(bars)
}
