//! What waits for a shard's next look: filled by tasks, emptied by the shard's thread.

use std::collections::VecDeque;
use std::net::{SocketAddr, TcpStream};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use indexmap::IndexMap;
use runtime::broker::BarMessage;
use wire::Topic;

use crate::seats::Seat;

/// Closes that wait for one shard: at midnight UTC all intervals of a topic close at once, so this is room
/// for four intervals of 16,000 symbols, or for two thirds of a minute of 1,600 symbols' closes while a
/// shard is busy. When full the oldest is dropped and counted; clients then get `missed` for it.
const CLOSES_MAX: usize = 65_536;

/// A socket that has been taken over from HTTP.
#[derive(Debug)]
pub(crate) struct Arrival {
    /// Non-blocking.
    pub(crate) socket: TcpStream,
    /// What the client sent right behind its handshake.
    pub(crate) leftover: Bytes,
    /// Its place.
    pub(crate) seat: Seat,
    /// Where it comes from.
    pub(crate) peer: SocketAddr,
}

/// What a shard takes at one look.
#[derive(Debug, Default)]
pub(crate) struct Contents {
    /// New connections; as many as there are seats at most.
    pub(crate) arrivals: Vec<Arrival>,
    /// The newest open bar of each topic that has moved; as many as there are topics at most.
    pub(crate) opens: IndexMap<Topic, BarMessage>,
    /// Closes, in the log's order; [`CLOSES_MAX`] at most.
    pub(crate) closes: VecDeque<BarMessage>,
    /// Close all connections over this time, then end.
    pub(crate) drain: Option<Duration>,
}

/// A shard's letter box. Clones put into and take from the same.
#[derive(Debug, Clone)]
pub(crate) struct Inbox {
    state: Arc<Mutex<State>>,
    waker: Arc<mio::Waker>,
}

#[derive(Debug, Default)]
struct State {
    contents: Contents,
    /// The shard sleeps and is to be woken. While it is busy or gathers it will look by itself.
    asleep: bool,
}

impl Inbox {
    /// An empty one, which wakes the shard that sleeps on the waker's poll.
    pub(crate) fn new(waker: mio::Waker) -> Self {
        Self {
            state: Arc::default(),
            waker: Arc::new(waker),
        }
    }

    /// Hands over a connection.
    pub(crate) fn put_arrival(&self, arrival: Arrival) {
        self.put(|contents| contents.arrivals.push(arrival));
    }

    /// Puts open bars; an older one of the same topic is replaced.
    pub(crate) fn put_opens(&self, messages: &[BarMessage]) {
        self.put(|contents| {
            for message in messages {
                contents
                    .opens
                    .insert(message.bar.topic.clone(), message.clone());
            }
        });
    }

    /// Puts closes; says how many old ones were dropped for them.
    pub(crate) fn put_closes(&self, messages: impl Iterator<Item = BarMessage>) -> usize {
        self.put(|contents| {
            contents.closes.extend(messages);
            let excess = contents.closes.len().saturating_sub(CLOSES_MAX);
            contents.closes.drain(..excess);
            excess
        })
    }

    /// Whether closes can be put without nearing the bound.
    pub(crate) fn has_room(&self) -> bool {
        self.lock().contents.closes.len() <= CLOSES_MAX / 2
    }

    /// Tells the shard to close its connections over this time and to end.
    pub(crate) fn put_drain(&self, over: Duration) {
        self.put(|contents| contents.drain = Some(over));
    }

    /// Takes everything.
    pub(crate) fn take(&self) -> Contents {
        let mut state = self.lock();
        state.asleep = false;
        std::mem::take(&mut state.contents)
    }

    /// Asks to be woken at the next put; false if something waits already.
    pub(crate) fn sleep(&self) -> bool {
        let mut state = self.lock();
        state.asleep = state.contents.is_empty();
        state.asleep
    }

    fn put<T>(&self, change: impl FnOnce(&mut Contents) -> T) -> T {
        let mut state = self.lock();
        let result = change(&mut state.contents);
        let wake = std::mem::take(&mut state.asleep);
        drop(state);
        if wake && let Err(error) = self.waker.wake() {
            // An eventfd write fails only when the shard's poll is gone, and then nobody is to be woken.
            tracing::debug!(%error, "a shard could not be woken");
        }
        result
    }

    /// No holder panics with the contents half changed.
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Contents {
    fn is_empty(&self) -> bool {
        self.arrivals.is_empty()
            && self.opens.is_empty()
            && self.closes.is_empty()
            && self.drain.is_none()
    }
}
