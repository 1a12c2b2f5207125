//! The socket of a checking client: it subscribes, keeps what comes in a [`Ledger`], and comes back where it may.

use std::collections::VecDeque;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, UNIX_EPOCH};

use anyhow::{Context, Result, bail};
use futures_util::{SinkExt, StreamExt};
use serde_json::json;
use tokio::net::TcpStream;
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep, timeout};
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::Message;
use wire::frame::{ErrorCode, Reply};
use wire::{Bar, Topic};

use super::ledger::{Ledger, Violation};
use crate::wait;

/// How long a handshake and the answer to a subscription may take.
const ANSWER_MAX: Duration = Duration::from_secs(10);
/// Before a connection is tried again.
const AGAIN_AFTER: Duration = Duration::from_millis(100);

/// So many ends of connections are kept.
const ENDS_MAX: usize = 16;

/// What a client does when its connection ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Persistence {
    /// It must not end once it is subscribed: that it did is a violation.
    Stays,
    /// It connects again and subscribes with `after`.
    Returns,
}

/// A client that runs until it is dropped.
#[derive(Debug)]
pub struct Checker {
    shared: Arc<Shared>,
    dropped: watch::Sender<u64>,
    _task: JoinSet<()>,
}

#[derive(Debug)]
struct Shared {
    name: String,
    server: SocketAddr,
    topics: Vec<String>,
    persistence: Persistence,
    begun: Instant,
    /// Since the Unix epoch, at `begun`.
    begun_at: Duration,
    ledger: Mutex<Ledger>,
    /// How often it was subscribed.
    subscribed: watch::Sender<u64>,
    /// How its connections ended, the newest last.
    ends: Mutex<VecDeque<String>>,
}

impl Checker {
    /// A client of `/ws` at `server` by a name for people. It keeps trying until it is subscribed to every topic.
    #[must_use]
    pub fn start(
        name: impl Into<String>,
        server: SocketAddr,
        topics: Vec<String>,
        persistence: Persistence,
    ) -> Self {
        let shared = Arc::new(Shared {
            name: name.into(),
            server,
            topics,
            persistence,
            begun: Instant::now(),
            begun_at: UNIX_EPOCH.elapsed().unwrap_or_default(),
            ledger: Mutex::default(),
            subscribed: watch::channel(0).0,
            ends: Mutex::default(),
        });
        let (dropped, drops) = watch::channel(0);
        let mut task = JoinSet::new();
        task.spawn(run(Arc::clone(&shared), drops));
        Self {
            shared,
            dropped,
            _task: task,
        }
    }

    /// Its name.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.shared.name
    }

    /// Time on the ledger's clock: since the Unix epoch, but not set while the client runs.
    #[must_use]
    pub fn now(&self) -> Duration {
        self.shared.now()
    }

    /// Looks at what has come so far.
    pub fn look<T>(&self, at: impl FnOnce(&Ledger) -> T) -> T {
        at(&self.shared.ledger())
    }

    /// Everything that was wrong so far.
    #[must_use]
    pub fn violations(&self) -> Vec<Violation> {
        self.look(|ledger| ledger.violations().to_vec())
    }

    /// How often it was subscribed: 1 after the first connection.
    #[must_use]
    pub fn subscriptions(&self) -> u64 {
        *self.shared.subscribed.borrow()
    }

    /// How its last connections ended, the newest last: the server's close code in parentheses after its reason, or why the
    /// socket failed.
    #[must_use]
    pub fn ends(&self) -> Vec<String> {
        self.shared.ends().iter().cloned().collect()
    }

    /// Cuts the connection without a word, as a network does. One that returns is back soon.
    pub fn drop_connection(&self) {
        self.dropped.send_modify(|count| *count += 1);
    }

    /// Waits until every topic of `topics` has had `count` closes that came after `since` on the ledger's clock.
    ///
    /// # Errors
    /// When one has not within `bound`; the text names it.
    pub async fn wait_for_closes(
        &self,
        topics: &[Topic],
        since: Duration,
        count: usize,
        bound: Duration,
    ) -> Result<()> {
        let lacking = || {
            let enough = |ledger: &Ledger, topic: &Topic| {
                let later = ledger.of(topic).iter().filter(|entry| entry.at > since);
                later.count() >= count
            };
            self.look(|ledger| topics.iter().find(|topic| !enough(ledger, topic)).cloned())
        };
        let wait = wait::until("closes", bound, async || {
            Ok(lacking().is_none().then_some(()))
        });
        let done = wait.await;
        done.with_context(|| match lacking() {
            Some(topic) => format!("{}: not {count} closes of {topic}", self.name()),
            None => format!("{}: closes came late", self.name()),
        })
    }
}

impl Shared {
    fn now(&self) -> Duration {
        self.begun_at + self.begun.elapsed()
    }

    fn ends(&self) -> MutexGuard<'_, VecDeque<String>> {
        self.ends.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A panic elsewhere does not make the entries wrong.
    fn ledger(&self) -> MutexGuard<'_, Ledger> {
        self.ledger.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

async fn run(shared: Arc<Shared>, mut drops: watch::Receiver<u64>) {
    loop {
        drops.mark_unchanged();
        let Ok(mut socket) = subscribe(&shared).await else {
            sleep(AGAIN_AFTER).await;
            continue;
        };
        shared.subscribed.send_modify(|count| *count += 1);
        let end = tokio::select! {
            end = listen(&shared, &mut socket) => end,
            changed = drops.changed() => match changed {
                Ok(()) => "it was cut on purpose".to_owned(),
                // Nobody holds the checker any more.
                Err(_) => return,
            },
        };
        {
            let mut ends = shared.ends();
            ends.push_back(end.clone());
            if ends.len() > ENDS_MAX {
                ends.pop_front();
            }
        }
        if shared.persistence == Persistence::Stays {
            let what = format!("{}: the connection ended: {end}", shared.name);
            shared.ledger().handle_connection(what);
        }
    }
}

/// Connects, asks, and reads on until the answer.
async fn subscribe(shared: &Shared) -> Result<WebSocketStream<TcpStream>> {
    let asked = timeout(ANSWER_MAX, async {
        let stream = TcpStream::connect(shared.server).await?;
        let url = format!("ws://{}/ws", shared.server);
        let (mut socket, _) = tokio_tungstenite::client_async(url, stream).await?;
        let after = shared.ledger().after();
        let request = json!({"op": "subscribe", "topics": shared.topics, "after": after, "id": 1});
        socket.send(Message::text(request.to_string())).await?;
        anyhow::Ok(socket)
    });
    let mut socket = asked.await.context("no handshake")??;
    let answered = timeout(ANSWER_MAX, async {
        loop {
            let Some(frame) = socket.next().await else {
                bail!("closed before the answer");
            };
            if let Message::Text(text) = frame?
                && take_frame(shared, text.as_str())?
            {
                return Ok(());
            }
        }
    });
    answered.await.context("no answer")??;
    Ok(socket)
}

/// Keeps what comes until the connection ends; why it did.
async fn listen(shared: &Shared, socket: &mut WebSocketStream<TcpStream>) -> String {
    loop {
        match socket.next().await {
            None => return "without a word".to_owned(),
            Some(Err(error)) => return error.to_string(),
            Some(Ok(Message::Close(frame))) => {
                return frame.map_or_else(|| "closed".to_owned(), |frame| frame.to_string());
            }
            Some(Ok(Message::Text(text))) => {
                if let Err(error) = take_frame(shared, text.as_str()) {
                    return format!("{error:#}");
                }
            }
            Some(Ok(_)) => {}
        }
    }
}

/// Takes the objects of a frame; true where one says that all topics are subscribed to.
///
/// # Errors
/// When a topic is not carried (yet): the connection is of no use, and another may be.
fn take_frame(shared: &Shared, text: &str) -> Result<bool> {
    let mut subscribed = false;
    for object in text.split('\n') {
        let at = shared.now();
        if let Ok(bar) = Bar::decode(object.as_bytes()) {
            shared.ledger().handle_bar(&bar, at);
            continue;
        }
        match serde_json::from_str(object) {
            Ok(Reply::Ok { topics, .. }) => {
                let topics = topics.unwrap_or_default();
                if topics.len() < shared.topics.len() {
                    bail!("subscribed to {} topics only", topics.len());
                }
                subscribed = true;
            }
            Ok(Reply::Missed { topic, from, to }) => {
                shared.ledger().handle_missed(topic, from, to);
            }
            Ok(Reply::Pong { .. }) => {}
            Ok(Reply::Error { code, message, .. }) => {
                let not_yet = matches!(code, ErrorCode::UnknownTopic | ErrorCode::BadAfter);
                if !not_yet {
                    let what = format!("{}: refused: {message}", shared.name);
                    shared.ledger().handle_connection(what);
                }
                bail!("{message}");
            }
            Err(error) => {
                let what = format!("{}: not of the contract: {error}: {object}", shared.name);
                shared.ledger().handle_connection(what);
            }
        }
    }
    Ok(subscribed)
}
