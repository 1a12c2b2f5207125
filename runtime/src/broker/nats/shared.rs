//! What the broker, its link and its subscriptions share.

use std::collections::HashMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio::sync::watch;
use tokio::time::timeout;
use wire::{Scope, Subject};

use super::NatsState;
use super::error::NatsError;
use super::metrics::Counts;
use super::names::Names;
use super::options::NatsOptions;
use super::session::Session;
use crate::broker::BarMessage;
use crate::lock::lock;

#[derive(Debug)]
pub(super) struct Shared {
    pub(super) scope: Scope,
    pub(super) names: Names,
    pub(super) options: NatsOptions,
    pub(super) counts: Counts,
    /// The session in use; none while there is no connection.
    pub(super) session: watch::Sender<Option<Arc<Session>>>,
    pub(super) state: watch::Sender<NatsState>,
    /// Places of the open bars that were sent last: see [`Shared::newest_sent`].
    sent: Mutex<HashMap<Subject, (i64, u64, u64)>>,
}

/// Subjects whose last place is remembered: 10,000 instruments at 4 intervals. Of further ones none is held back.
const SENT_MAX: usize = 40_000;

impl Shared {
    pub(super) fn new(scope: Scope, options: NatsOptions, counts: Counts) -> Self {
        Self {
            names: Names::new(&scope),
            scope,
            options,
            counts,
            session: watch::Sender::new(None),
            state: watch::Sender::new(NatsState::Connecting { error: None }),
            sent: Mutex::default(),
        }
    }

    /// The session, if it lives.
    pub(super) fn now(&self) -> Option<Arc<Session>> {
        let session = self.session.borrow().clone();
        session.filter(|session| !session.is_over())
    }

    /// Changes how it stands; false if it has failed, which is for good.
    pub(super) fn set_state(&self, next: NatsState) -> bool {
        self.state.send_if_modified(|state| {
            let lives = !matches!(state, NatsState::Failed(_));
            if lives {
                *state = next;
            }
            lives
        })
    }

    /// Gives it up for good, and the session in use with it: nothing is sent or answered any more. `what` is where it
    /// showed, as metrics have it.
    pub(super) fn fail(&self, what: &'static str, error: NatsError) {
        self.counts.error(what, error.as_str());
        tracing::error!(%error, "NATS cannot be used");
        self.set_state(NatsState::Failed(error));
        if let Some(session) = self.session.send_replace(None) {
            session.give_up();
        }
    }

    /// Waits until it has failed; for ever if it does not.
    pub(super) async fn failure(&self) -> NatsError {
        let mut states = self.state.subscribe();
        loop {
            if let NatsState::Failed(error) = &*states.borrow_and_update() {
                return error.clone();
            }
            if states.changed().await.is_err() {
                std::future::pending::<()>().await;
            }
        }
    }

    /// Waits for a session, and says why there is none.
    pub(super) async fn within(&self, wait: Duration) -> Result<Arc<Session>, String> {
        let mut sessions = self.session.subscribe();
        let alive = |session: &Option<Arc<Session>>| session.as_ref().is_some_and(|s| !s.is_over());
        let session = tokio::select! {
            session = timeout(wait, sessions.wait_for(alive)) => session,
            error = self.failure() => return Err(error.to_string()),
        };
        if let Ok(Ok(session)) = session
            && let Some(session) = session.as_ref()
        {
            return Ok(Arc::clone(session));
        }
        Err(match &*self.state.borrow() {
            NatsState::Connecting { error: Some(error) } => error.clone(),
            NatsState::Failed(error) => error.to_string(),
            NatsState::Connecting { error: None } | NatsState::Ready | NatsState::Stopped => {
                "not connected".to_owned()
            }
        })
    }

    /// The bars that are not older than what was sent before under their subject. The server keeps what comes last,
    /// whatever it is; within one process at least nothing is overtaken. A bar that was sent is sent again: the
    /// servers may have lost it.
    pub(super) fn newest_sent<'b>(&self, bars: &'b [BarMessage]) -> Vec<&'b BarMessage> {
        let mut sent = lock(&self.sent);
        let mut keep = |message: &&BarMessage| {
            let order = message.bar.open_order();
            if let Some(last) = sent.get_mut(&message.subject) {
                let newer = order >= *last;
                *last = order.max(*last);
                newer
            } else {
                if sent.len() < SENT_MAX {
                    sent.insert(message.subject.clone(), order);
                }
                true
            }
        };
        bars.iter().filter(|message| keep(message)).collect()
    }
}
