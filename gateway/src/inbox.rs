//! What waits for a shard's next look: filled by tasks, emptied by the shard's thread.

use std::collections::VecDeque;
use std::net::{SocketAddr, TcpStream};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use indexmap::IndexMap;
use runtime::broker::BarMessage;
use wire::Subject;

use crate::replayer::Reply;
use crate::seats::Seat;

/// Closes that wait for one shard: at midnight UTC all intervals of a topic close at once, so this is room
/// for four intervals of 16,000 symbols, or for two thirds of a minute of 1,600 symbols' closes while a
/// shard is busy. When full the oldest is dropped and counted; clients then get `missed` for it.
pub(crate) const CLOSES_MAX: usize = 65_536;

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
    /// The newest open bar of each stream that has moved; as many as there are streams at most. By subject, not by
    /// topic: while a configuration changes two venues may both give a symbol its short topic.
    pub(crate) opens: IndexMap<Subject, BarMessage>,
    /// The log was made anew since the last look: first come these, of the old one; then all numbers are forgotten;
    /// then come `closes`.
    pub(crate) old_closes: Option<VecDeque<BarMessage>>,
    /// Closes, in the log's order; [`CLOSES_MAX`] at most.
    pub(crate) closes: VecDeque<BarMessage>,
    /// What the log has answered; one a connection at most.
    pub(crate) replies: Vec<Reply>,
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
    /// The shard has ended.
    ended: bool,
}

impl Inbox {
    /// An empty one, which wakes the shard that sleeps on the waker's poll.
    pub(crate) fn new(waker: mio::Waker) -> Self {
        Self {
            state: Arc::default(),
            waker: Arc::new(waker),
        }
    }

    /// Hands over a connection; gives it back if the shard has ended.
    pub(crate) fn put_arrival(&self, arrival: Arrival) -> Result<(), Arrival> {
        let mut state = self.lock();
        if state.ended {
            return Err(arrival);
        }
        state.contents.arrivals.push(arrival);
        self.wake(state);
        Ok(())
    }

    /// Ends the shard: no connection is taken any more. False if one has come already.
    pub(crate) fn end(&self) -> bool {
        let mut state = self.lock();
        state.ended = state.contents.arrivals.is_empty();
        state.ended
    }

    /// Puts open bars and says how many were overtaken here. Of one stream the newest stays, and one of a higher
    /// epoch before all: what the hub would fence off must not push out what it would take.
    pub(crate) fn put_opens(&self, messages: &[BarMessage]) -> usize {
        self.put(|contents| {
            let mut overtaken = 0;
            for message in messages {
                match contents.opens.get_mut(&message.subject) {
                    Some(known) => {
                        overtaken += 1;
                        if rank(known) < rank(message) {
                            *known = message.clone();
                        }
                    }
                    None => {
                        contents
                            .opens
                            .insert(message.subject.clone(), message.clone());
                    }
                }
            }
            overtaken
        })
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

    /// The closes that are put from now on are of another log than those before.
    pub(crate) fn put_other_log(&self) {
        self.put(|contents| {
            let closes = std::mem::take(&mut contents.closes);
            // Of a log that came and went since the last look nobody needs to hear.
            contents.old_closes.get_or_insert(closes);
        });
    }

    /// Whether closes can be put without nearing the bound.
    pub(crate) fn has_room(&self) -> bool {
        self.lock().contents.closes.len() <= CLOSES_MAX / 2
    }

    /// Puts the log's answer to a connection's question.
    pub(crate) fn put_reply(&self, reply: Reply) {
        self.put(|contents| contents.replies.push(reply));
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
        self.wake(state);
        result
    }

    fn wake(&self, mut state: MutexGuard<'_, State>) {
        let wake = std::mem::take(&mut state.asleep);
        drop(state);
        if wake && let Err(error) = self.waker.wake() {
            // An eventfd write fails only when the shard's poll is gone, and then nobody is to be woken.
            tracing::debug!(%error, "a shard could not be woken");
        }
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
            && self.old_closes.is_none()
            && self.closes.is_empty()
            && self.replies.is_empty()
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
        let first = [old.clone(), new.clone(), eth.open()].map(message);
        assert_eq!(inbox.put_opens(&first), 1);
        assert_eq!(inbox.put_opens(&[fenced, old].map(message)), 2);
        let opens = inbox.take().opens;
        assert_eq!(opens.len(), 2);
        assert_eq!(*opens[&first[0].subject].bar, new);
        assert!(inbox.take().opens.is_empty());
    }

    #[test]
    fn venues_that_share_a_short_topic_do_not_push_each_other_out() {
        let (_poll, inbox) = inbox();
        let mut one = Stream::new("kline:1m:BTC-USDT");
        let mut other = Stream::new("kline:1m:BTC-USDT").at("coinbase");
        other.epoch = 2;
        inbox.put_opens(&[one.open(), other.open()].map(message));
        let venues: Vec<String> = inbox
            .take()
            .opens
            .into_values()
            .map(|message| message.bar.instrument.venue.to_string())
            .collect();
        assert_eq!(venues, ["binance-spot", "coinbase"]);
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
    fn closes_of_two_logs_are_kept_apart() {
        let (_poll, inbox) = inbox();
        let mut btc = Stream::new("kline:1m:BTC-USDT");
        let mut put = |inbox: &Inbox| inbox.put_closes([message(btc.close())].into_iter());
        put(&inbox);
        for _ in 0..2 {
            inbox.put_other_log();
            put(&inbox);
        }
        let close_nos = |closes: &VecDeque<BarMessage>| -> Vec<u64> {
            closes.iter().map(|close| close.bar.close_no).collect()
        };
        let Contents {
            old_closes, closes, ..
        } = inbox.take();
        assert_eq!(old_closes.as_ref().map(close_nos), Some(vec![1]));
        assert_eq!(close_nos(&closes), [3]);
        // By itself it is something to look at.
        inbox.put_other_log();
        assert!(!inbox.sleep());
        assert_eq!(inbox.take().old_closes.map(|closes| closes.len()), Some(0));
        assert!(inbox.take().old_closes.is_none());
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
