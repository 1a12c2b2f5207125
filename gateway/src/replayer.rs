//! Closes that have left the shards' rings, read from the bus for the connections that lack them.
//!
//! Shards are threads that wait for nobody, and the bus is asked by futures: a question goes into a bounded queue,
//! a few readers take it from there, and the answer comes back through the shard's inbox. A connection has one
//! question in flight at most (see `outbox/replay.rs`). What is not answered in time counts as not to be had, so
//! that a topic is never held back for long.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use runtime::broker::{Broker, Replay};
use runtime::tasks::{OnExit, Tasks};
use tokio::sync::{Mutex, OwnedSemaphorePermit, Semaphore, mpsc};
use wire::subject::Kind;
use wire::{Instrument, Interval, Scope, Subject, Topic};

use crate::hub::ConnId;
use crate::inbox::Inbox;
use crate::metrics::{Metrics, ReplayEnd};
use crate::outbox::replay::{Answer, Page};

/// Questions that wait: more than the connections that a gateway takes by default, each of which asks one. When
/// full, the next one is answered with [`Answer::Unavailable`].
const QUESTIONS_MAX: usize = 16_384;
/// Questions that are with the bus at one time. At some 3 ms each that is 5,000 a second.
const READERS: usize = 16;
/// Pages held at one time, by readers and by connections that have not written theirs: at 500 closes of 900 bytes
/// 58 MB. Whoever asks while all are held waits, within [`ANSWER_MAX`].
const PAGES_MAX: usize = 128;
/// From the question to its answer. Longer than a change of a log's leader usually takes.
const ANSWER_MAX: Duration = Duration::from_secs(10);

/// One of [`PAGES_MAX`] places.
#[derive(Debug)]
pub(crate) struct Place(#[expect(dead_code, reason = "held, not read")] OwnedSemaphorePermit);

/// A connection's question.
#[derive(Debug)]
pub(crate) struct Question {
    /// Where the answer goes.
    pub(crate) from: Asker,
    /// The name under which the closes are sent.
    pub(crate) topic: Topic,
    pub(crate) instrument: Instrument,
    pub(crate) interval: Interval,
    /// The first close_no wanted.
    pub(crate) close_no: u64,
    /// How many at most.
    pub(crate) max: usize,
}

/// Which connection asks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Asker {
    pub(crate) shard: usize,
    pub(crate) key: ConnId,
    /// The connection's number, because places are taken again.
    pub(crate) id: u64,
}

/// An answer on its way to its shard.
#[derive(Debug)]
pub(crate) struct Reply {
    pub(crate) to: Asker,
    pub(crate) answer: Answer,
}

/// The shards' end: takes questions. Clones fill the same queue.
#[derive(Debug, Clone)]
pub(crate) struct Questions {
    queue: mpsc::Sender<(Instant, Question)>,
    metrics: Metrics,
}

impl Questions {
    /// Puts a question; false if it will not be answered.
    pub(crate) fn put(&self, question: Question) -> bool {
        let put = self.queue.try_send((Instant::now(), question)).is_ok();
        if !put {
            self.metrics.replay(ReplayEnd::Full);
        }
        put
    }
}

/// The readers' end.
pub(crate) struct Replayer {
    queue: Mutex<mpsc::Receiver<(Instant, Question)>>,
    places: Arc<Semaphore>,
    metrics: Metrics,
}

/// A queue and its two ends.
pub(crate) fn replayer(metrics: &Metrics) -> (Questions, Replayer) {
    with_bounds(metrics, QUESTIONS_MAX, PAGES_MAX)
}

fn with_bounds(metrics: &Metrics, questions: usize, pages: usize) -> (Questions, Replayer) {
    let (put, take) = mpsc::channel(questions);
    let questions = Questions {
        queue: put,
        metrics: metrics.clone(),
    };
    let replayer = Replayer {
        queue: Mutex::new(take),
        places: Arc::new(Semaphore::new(pages)),
        metrics: metrics.clone(),
    };
    (questions, replayer)
}

impl Replayer {
    /// Starts the readers.
    pub(crate) fn start(
        self,
        tasks: &Tasks,
        broker: &Arc<dyn Broker>,
        scope: &Scope,
        inboxes: &Arc<[Inbox]>,
    ) {
        let shared = Arc::new(self);
        for index in 0..READERS {
            let reader = Reader {
                shared: Arc::clone(&shared),
                broker: Arc::clone(broker),
                scope: scope.clone(),
                inboxes: Arc::clone(inboxes),
            };
            // When the last shard has ended, nobody can ask any more.
            let name = format!("replay-{index}");
            tasks.spawn_until_stop(name, OnExit::StopOnFailure, reader.run());
        }
    }
}

struct Reader {
    shared: Arc<Replayer>,
    broker: Arc<dyn Broker>,
    scope: Scope,
    inboxes: Arc<[Inbox]>,
}

impl Reader {
    /// Answers questions, until nobody can ask any more.
    async fn run(self) {
        loop {
            let next = self.shared.queue.lock().await.recv().await;
            let Some((asked, question)) = next else {
                return;
            };
            let left = ANSWER_MAX.saturating_sub(asked.elapsed());
            let (answer, end) = match tokio::time::timeout(left, self.read(&question)).await {
                Ok(Ok(page)) => (Answer::Page(page), ReplayEnd::Page),
                Ok(Err(error)) => {
                    tracing::debug!(%error, topic = %question.topic, "closes could not be read from the log");
                    (Answer::Unavailable, ReplayEnd::Unavailable)
                }
                Err(_) => (Answer::Unavailable, ReplayEnd::Late),
            };
            self.shared.metrics.replay(end);
            let to = question.from;
            if let Some(inbox) = self.inboxes.get(to.shard) {
                inbox.put_reply(Reply { to, answer });
            }
        }
    }

    async fn read(&self, question: &Question) -> Result<Page, runtime::broker::ReadError> {
        // Nobody closes the semaphore; without a place the page is not bounded, but it is read.
        let place = Arc::clone(&self.shared.places).acquire_owned().await.ok();
        let Question {
            topic,
            instrument,
            interval,
            close_no,
            max,
            from: _,
        } = question;
        let subject = Subject::new(Kind::Committed, &self.scope, instrument, *interval);
        let after = close_no.saturating_sub(1);
        let Replay { closes, newest, .. } = self.broker.closes_after(&subject, after, *max).await?;
        let text = |message: runtime::broker::BarMessage| {
            if message.bar.topic == *topic {
                return message.json;
            }
            let mut out = Vec::with_capacity(message.json.len() + 32);
            message.bar.encode_as(topic, &mut out);
            Bytes::from(out)
        };
        let closes: VecDeque<(u64, Bytes)> = closes
            .into_iter()
            .map(|close| (close.message.bar.close_no, text(close.message)))
            .collect();
        Ok(Page::new(closes, newest, place.map(Place)))
    }
}

#[cfg(test)]
mod tests;
