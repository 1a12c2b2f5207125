//! The shell around one feed: opens, replaces and retries its connections.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use runtime::shutdown::Shutdown;
use runtime::tasks::{OnExit, Spawner};
use tokio::sync::mpsc;

use crate::budget::Budget;
use crate::connection::{Connection, FeedContext, Report};
use crate::feed::{Command, ConnectionId, Feed};
use crate::route::Input;

/// A connection tells three things in its life and a feed has two at most: beyond that the connection waits.
const REPORTS_LEN: usize = 8;

/// The venue's limit on attempts, shared by all its feeds.
pub(crate) type Attempts = Arc<Mutex<Budget>>;

/// One feed.
pub(crate) struct Feeder {
    pub(crate) context: Arc<FeedContext>,
    pub(crate) feed: Feed,
    pub(crate) attempts: Attempts,
    pub(crate) inboxes: Arc<[mpsc::Sender<Input>]>,
    pub(crate) spawner: Spawner,
    /// Ends this feed, and with it its connections.
    pub(crate) shutdown: Shutdown,
}

impl Feeder {
    /// Runs until its end is asked for; its connections end by the same request.
    pub(crate) async fn run(mut self) {
        let shutdown = self.shutdown.clone();
        let (reports_in, mut reports) = mpsc::channel(REPORTS_LEN);
        let mut closers: BTreeMap<ConnectionId, Shutdown> = BTreeMap::new();
        loop {
            while let Some(command) = self.feed.poll_command() {
                match command {
                    Command::Open(id) => {
                        let close = shutdown.child();
                        closers.insert(id, close.clone());
                        self.open(id, close, reports_in.clone());
                    }
                    Command::Close(id) => {
                        if let Some(close) = closers.get(&id) {
                            close.trigger();
                        }
                    }
                }
            }
            let deadline = self.feed.poll_timeout().map(|at| self.context.instant(at));
            let timer = async {
                match deadline {
                    Some(deadline) => tokio::time::sleep_until(deadline).await,
                    None => std::future::pending().await,
                }
            };
            tokio::select! {
                biased;
                () = shutdown.requested() => return,
                report = reports.recv() => self.handle_report(report, &mut closers),
                () = timer => self.feed.handle_timeout(self.context.now_ms()),
            }
        }
    }

    fn handle_report(
        &mut self,
        report: Option<Report>,
        closers: &mut BTreeMap<ConnectionId, Shutdown>,
    ) {
        let now_ms = self.context.now_ms();
        match report {
            Some(Report::Live(id)) => self.feed.handle_live(now_ms, id),
            Some(Report::Retire(id)) => self.feed.handle_retire(now_ms, id),
            Some(Report::Ended(id, end)) => {
                closers.remove(&id);
                tracing::info!(
                    venue = self.context.venue.name(),
                    feed = self.context.feed,
                    connection = id.0,
                    reason = end.as_str(),
                    "connection ended"
                );
                self.feed.handle_ended(now_ms, id);
            }
            // We hold a sender ourselves.
            None => {}
        }
    }

    fn open(&self, id: ConnectionId, close: Shutdown, reports: mpsc::Sender<Report>) {
        let context = Arc::clone(&self.context);
        let inboxes = Arc::clone(&self.inboxes);
        let attempts = Arc::clone(&self.attempts);
        let name = format!("{}-{}-{}", context.venue.name(), context.feed, id.0);
        // A connection's loss is its feed's business; a panic in one is a bug that must not go unseen.
        self.spawner.spawn(name, OnExit::StopOnFailure, async move {
            tokio::select! {
                () = close.requested() => {}
                () = permit(&attempts, &context) => {}
            }
            Connection::new(context, id, inboxes, reports)
                .run(close)
                .await;
        });
    }
}

/// Waits until the venue allows another attempt.
async fn permit(attempts: &Mutex<Budget>, context: &FeedContext) {
    loop {
        // The budget is changed in one step: a poisoned lock holds a sound one.
        let taken = attempts
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .take(context.now_ms(), 1);
        match taken {
            Ok(()) => return,
            Err(wait_ms) => tokio::time::sleep(Duration::from_millis(wait_ms)).await,
        }
    }
}
