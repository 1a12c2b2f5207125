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

    /// Puts open bars. Of one topic the newest stays, and one of a higher epoch before all: what the hub
    /// would fence off must not push out what it would take.
    pub(crate) fn put_opens(&self, messages: &[BarMessage]) {
        self.put(|contents| {
            for message in messages {
                let known = contents.opens.get(&message.bar.topic);
                if known.is_none_or(|known| rank(known) < rank(message)) {
                    contents
                        .opens
                        .insert(message.bar.topic.clone(), message.clone());
                }
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

fn rank(message: &BarMessage) -> (u64, i64, u64) {
    let (start_ms, epoch, seq) = message.bar.open_order();
    (epoch, start_ms, seq)
}

impl Contents {
    fn is_empty(&self) -> bool {
        self.arrivals.is_empty()
            && self.opens.is_empty()
            && self.closes.is_empty()
            && self.drain.is_none()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tests::Stream;

    fn inbox() -> (mio::Poll, Inbox) {
        let poll = mio::Poll::new().unwrap();
        let inbox = Inbox::new(mio::Waker::new(poll.registry(), mio::Token(0)).unwrap());
        (poll, inbox)
    }

    fn message(bar: wire::Bar) -> BarMessage {
        BarMessage::new(&wire::Scope::new("test", "eu").unwrap(), bar)
    }

    #[test]
    fn the_newest_open_bar_of_the_newest_owner_stays() {
        let (_poll, inbox) = inbox();
        let mut btc = Stream::new("kline:1m:BTC-USDT");
        let mut eth = Stream::new("kline:1m:ETH-USDT");
        let old = btc.open();
        let new = btc.open();
        btc.epoch = 0;
        btc.start_no += 1;
        let fenced = btc.open();
        inbox.put_opens(&[old.clone(), new.clone(), eth.open()].map(message));
        inbox.put_opens(&[fenced, old].map(message));
        let opens = inbox.take().opens;
        assert_eq!(opens.len(), 2);
        assert_eq!(*opens[&new.topic].bar, new);
        assert!(inbox.take().opens.is_empty());
    }

    #[test]
    fn the_oldest_closes_go_when_it_is_full() {
        let (_poll, inbox) = inbox();
        let mut btc = Stream::new("kline:1m:BTC-USDT");
        let mut put = |count: usize| {
            let closes: Vec<BarMessage> = (0..count).map(|_| message(btc.close())).collect();
            inbox.put_closes(closes.into_iter())
        };
        assert_eq!(put(CLOSES_MAX / 2), 0);
        assert!(inbox.has_room());
        assert_eq!(put(CLOSES_MAX / 2), 0);
        assert!(!inbox.has_room());
        assert_eq!(put(3), 3);
        let closes = inbox.take().closes;
        assert_eq!((closes.len(), closes[0].bar.close_no), (CLOSES_MAX, 4));
    }

    #[test]
    fn only_a_shard_that_sleeps_is_woken() {
        let (mut poll, inbox) = inbox();
        let mut events = mio::Events::with_capacity(4);
        let mut woken = || {
            poll.poll(&mut events, Some(Duration::ZERO)).unwrap();
            !events.is_empty()
        };
        inbox.put_drain(Duration::ZERO);
        assert!(!woken());
        assert!(!inbox.sleep(), "something waits: do not sleep");
        inbox.take();
        assert!(inbox.sleep());
        inbox.put_drain(Duration::ZERO);
        assert!(woken());
        inbox.put_drain(Duration::ZERO);
        assert!(!woken());
    }
}
