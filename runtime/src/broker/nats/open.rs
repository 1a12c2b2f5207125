//! Subscriptions to open bars: what comes live, merged with the last values that a stream keeps, newest only.

use std::collections::HashMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_nats::Subscriber;
use async_trait::async_trait;
use futures_util::StreamExt;
use serde_json::json;
use tokio::time::{Instant, timeout, timeout_at};
use tokio_util::sync::{CancellationToken, DropGuard};
use wire::{Subject, SubjectFilter};

use super::closes::decode;
use super::pull::{Pull, Pulled};
use super::session::{RequestError, Session};
use super::shared::Shared;
use crate::broker::mailbox::Mailbox;
use crate::broker::newest::Newest;
use crate::broker::{BarMessage, Closed, OpenSubscription};
use crate::lock::lock;

/// How long the stream of last values is listened to beside what comes live: it takes bars in after they have been
/// sent on, so that a bar of just before the subscription may come to it later than we ask.
const MERGE_FOR: Duration = Duration::from_secs(5);

/// How long is waited for the last values.
const SNAPSHOT_MAX: Duration = Duration::from_secs(3);

/// Subjects that one subscription remembers; further ones are dropped and counted. Ten times the largest market that
/// the benchmarks run.
const SUBJECTS_MAX: usize = 100_000;

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
    /// The newest place that was put in for each subject, so that none goes backwards after it was taken.
    places: Mutex<HashMap<Subject, (i64, u64, u64)>>,
    gone: CancellationToken,
}

/// Both of a subscription's sources, on one connection.
pub(super) struct Sources {
    live: Subscriber,
    last: Option<(Pull, Instant)>,
}

/// Both ends of a subscription.
pub(super) fn ends(shared: Arc<Shared>, filter: SubjectFilter) -> (NatsOpen, Filling) {
    let mailbox = Arc::new(Mailbox::new(Newest::default()));
    let gone = CancellationToken::new();
    let reader = NatsOpen {
        mailbox: Arc::clone(&mailbox),
        _gone: gone.clone().drop_guard(),
    };
    let filling = Filling {
        shared,
        filter,
        mailbox,
        places: Mutex::default(),
        gone,
    };
    (reader, filling)
}

#[async_trait]
impl OpenSubscription for NatsOpen {
    async fn drain(&mut self, into: &mut Vec<BarMessage>) -> Result<(), Closed> {
        self.mailbox.drain(into).await
    }
}

impl Drop for Filling {
    fn drop(&mut self) {
        self.mailbox.close();
    }
}

impl Filling {
    /// Subscribes on the session, and puts the last values into the mailbox before anything that comes live.
    pub(super) async fn attach(&self, session: &Arc<Session>) -> Result<Sources, RequestError> {
        let filter = self.filter.to_string();
        // On one connection the server handles this before what follows, so that nothing falls between the two.
        let live = session.subscribe(filter).await?;
        let last = self.last_values(session).await;
        Ok(Sources { live, last })
    }

    /// Fills the mailbox, over this and later sessions, until nobody reads it.
    pub(super) async fn run(self, session: Arc<Session>, sources: Sources) {
        let mut sessions = self.shared.session.subscribe();
        let Sources { live, last } = sources;
        let mut ended = self.fill(live, std::future::ready(last)).await;
        // Kept so long that the next one is another.
        let mut session = session;
        while ended == Ended::Connection {
            session = tokio::select! {
                next = sessions.wait_for(|next| differs(next.as_ref(), &session)) => match next {
                    Ok(next) => next.clone().unwrap_or(session),
                    Err(_) => return,
                },
                () = self.gone.cancelled() => return,
            };
            // What comes live does not wait for the last values: the mailbox keeps the order.
            ended = match session.subscribe(self.filter.to_string()).await {
                Ok(live) => self.fill(live, self.last_values(&session)).await,
                Err(_) => Ended::Connection,
            };
        }
    }

    /// Puts the last values into the mailbox; gives what may yet come of them, and until when to listen.
    async fn last_values(&self, session: &Arc<Session>) -> Option<(Pull, Instant)> {
        let until = Instant::now() + MERGE_FOR;
        let snapshot = timeout(SNAPSHOT_MAX, self.snapshot(session)).await;
        match snapshot.unwrap_or_else(|_| Err("no answer in time".to_owned())) {
            Ok((pull, bars)) => {
                self.put_newer(&bars);
                Some((pull, until))
            }
            Err(why) => {
                self.shared.counts.error("open", "no_last_values");
                tracing::warn!(error = why, "last open bars cannot be read: live ones only");
                None
            }
        }
    }

    async fn snapshot(&self, session: &Arc<Session>) -> Result<(Pull, Vec<BarMessage>), String> {
        let shared = &self.shared;
        let stream = &shared.names.open;
        let filter = self.filter.to_string();
        let start = json!({ "deliver_policy": "last_per_subject" });
        let begun = Pull::begin(session, shared, stream, &filter, &start).await;
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

    /// Fills the mailbox from one connection.
    async fn fill(
        &self,
        mut live: Subscriber,
        last: impl Future<Output = Option<(Pull, Instant)>>,
    ) -> Ended {
        let merge = async {
            let Some((mut pull, until)) = last.await else {
                return;
            };
            while let Ok(Pulled::Message(_, message)) = timeout_at(until, pull.next()).await {
                self.put(&message);
            }
            pull.forget().await;
        };
        let merge = async {
            merge.await;
            std::future::pending::<()>().await;
        };
        let live = async {
            while let Some(message) = live.next().await {
                self.put(&message);
            }
        };
        tokio::select! {
            () = live => Ended::Connection,
            () = merge => Ended::Connection,
            () = self.gone.cancelled() => Ended::Unread,
        }
    }

    /// Puts in what is newer than what was put in before.
    fn put_newer(&self, bars: &[BarMessage]) {
        let mut places = lock(&self.places);
        let full = places.len() >= SUBJECTS_MAX;
        let newer = bars.iter().filter(|message| {
            let order = message.bar.open_order();
            match places.get_mut(&message.subject) {
                Some(place) if *place >= order => return false,
                Some(place) => *place = order,
                None if full => {
                    self.shared.counts.error("open", "too_many_subjects");
                    return false;
                }
                None => {
                    places.insert(message.subject.clone(), order);
                }
            }
            true
        });
        self.mailbox.put(newer);
    }

    fn put(&self, message: &async_nats::Message) {
        if let Some(bar) = decode(&self.shared, "open", message) {
            self.put_newer(std::slice::from_ref(&bar));
        }
    }
}

/// Why the mailbox is not filled any more.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Ended {
    Connection,
    Unread,
}

/// Whether the next session is another one than the one before.
fn differs(next: Option<&Arc<Session>>, before: &Arc<Session>) -> bool {
    next.is_some_and(|next| !Arc::ptr_eq(next, before))
}

/// The last open bar of each subject, as far as the stream has them.
pub(super) async fn last_values(
    shared: &Arc<Shared>,
    session: &Arc<Session>,
    filter: &SubjectFilter,
) -> Result<Vec<BarMessage>, String> {
    let (_, filling) = ends(Arc::clone(shared), filter.clone());
    let snapshot = timeout(SNAPSHOT_MAX, filling.snapshot(session)).await;
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
