//! Pure: what one connection is owed: replies, snapshots, closes, and the newest value of what has moved.
//!
//! Nothing queues per message. A connection that is not written to keeps its dirty set, which its topics
//! bound; what it gets when it can be written to again is the newest open bar of each (LatestOnly), preceded
//! by each close since its cursor: those that have left the ring are asked of the log first, and are `missed` only
//! if that has not got them either.
#![deny(clippy::disallowed_methods)]

use std::collections::VecDeque;

use bytes::Bytes;
use wire::frame::Reply;

use crate::hub::{Hub, TopicId};

/// Closes from the log.
pub(crate) mod replay;

/// One subscription.
mod sub;

use replay::{Answer, Ask, Replays};
use sub::Sub;

/// One connection's subscriptions, and what of them it is owed.
#[derive(Debug, Default)]
pub(crate) struct Outbox {
    /// By topic number, so that one is found by halving.
    subs: Vec<Sub>,
    /// Topics that have moved, the one that moved first in front. Each is in it once.
    dirty: Vec<TopicId>,
    /// Boxed, because most connections have none most of the time.
    replies: Option<Box<Replies>>,
    replays: Replays,
}

/// Replies that have not been fetched, oldest first, and their length together.
#[derive(Debug, Default)]
struct Replies {
    texts: VecDeque<Bytes>,
    len: usize,
}

/// Texts for one frame, and what they came to.
#[derive(Debug, Default)]
pub(crate) struct Batch {
    /// One JSON object each, to be joined by `\n`.
    pub(crate) texts: Vec<Bytes>,
    /// Length of the joined text.
    pub(crate) len: usize,
    /// Open bars that were overtaken before they could be sent.
    pub(crate) conflated: u64,
    /// Closes in it that came from the log.
    pub(crate) replayed: u64,
    /// Closes that it says were missed.
    pub(crate) missed: u64,
    /// Questions for the log: one at most that has no answer yet. They stay until they are taken.
    pub(crate) asks: Vec<Ask>,
}

impl Batch {
    /// Adds a text unless that would exceed the limit; the first is always taken.
    fn push(&mut self, text: Bytes, len_max: usize) -> bool {
        let joined = self.len + usize::from(!self.texts.is_empty()) + text.len();
        if joined > len_max && !self.texts.is_empty() {
            return false;
        }
        self.len = joined;
        self.texts.push(text);
        true
    }

    /// Makes ready for the next frame.
    pub(crate) fn clear(&mut self) {
        self.texts.clear();
        self.len = 0;
        (self.conflated, self.replayed, self.missed) = (0, 0, 0);
    }
}

impl Outbox {
    /// Adds a subscription and owes its snapshot. With `after`, owes each close after that number first.
    /// Subscribing again changes nothing; with `after`, it moves the cursor.
    pub(crate) fn subscribe(&mut self, hub: &Hub, topic: TopicId, after: Option<u64>) {
        match (self.place(topic), after) {
            (Ok(at), Some(after)) => {
                self.replays.cancel(topic);
                let sub = &mut self.subs[at];
                sub.waits = false;
                sub.claim(hub, after);
                self.mark(topic);
                self.wake_next();
            }
            (Ok(_), None) => {}
            (Err(at), after) => self.insert(at, Sub::new(hub, topic, after)),
        }
    }

    /// Adds a topic that has just appeared to a connection whose wildcard was there before it: owes each close
    /// that has come, those of the flush in which it appeared included.
    pub(crate) fn join(&mut self, topic: TopicId) {
        if let Err(at) = self.place(topic) {
            self.insert(at, Sub::joined(topic));
        }
    }

    fn insert(&mut self, at: usize, sub: Sub) {
        let topic = sub.topic;
        self.subs.insert(at, sub);
        self.mark(topic);
    }

    /// Takes a subscription away, with what it is owed; false if there was none.
    pub(crate) fn unsubscribe(&mut self, topic: TopicId) -> bool {
        let Ok(at) = self.place(topic) else {
            return false;
        };
        if self.subs.remove(at).dirty {
            self.dirty.retain(|dirty| *dirty != topic);
        }
        self.replays.cancel(topic);
        self.wake_next();
        true
    }

    /// Takes the log's answer to this connection's question.
    pub(crate) fn handle_answer(&mut self, answer: Answer) {
        if let Some(topic) = self.replays.handle_answer(answer) {
            self.mark(topic);
        }
        self.wake_next();
    }

    /// The hub's closes are of another log from now on: owes each from its first on, whatever number was next. What had
    /// not been sent of the old one's is owed no more, as nobody has it.
    pub(crate) fn handle_other_log(&mut self) {
        self.replays.cancel_all();
        for sub in &mut self.subs {
            sub.handle_other_log();
        }
        for at in 0..self.subs.len() {
            self.mark(self.subs[at].topic);
        }
    }

    /// Lets the next replay begin, if none has its turn.
    fn wake_next(&mut self) {
        if let Some(topic) = self.replays.poll_next()
            && let Ok(at) = self.place(topic)
        {
            self.subs[at].waits = false;
            self.mark(topic);
        }
    }

    /// The topics subscribed to.
    pub(crate) fn topics(&self) -> impl ExactSizeIterator<Item = TopicId> + '_ {
        self.subs.iter().map(|sub| sub.topic)
    }

    /// Whether the topic is subscribed to.
    pub(crate) fn has(&self, topic: TopicId) -> bool {
        self.place(topic).is_ok()
    }

    /// The topic has moved.
    pub(crate) fn mark(&mut self, topic: TopicId) {
        if let Ok(at) = self.place(topic)
            && !self.subs[at].dirty
        {
            self.subs[at].dirty = true;
            self.dirty.push(topic);
        }
    }

    /// Owes a reply. Replies leave in order and before anything else.
    pub(crate) fn reply(&mut self, reply: &Reply) {
        let text = Bytes::from(reply.encode());
        let replies = self.replies.get_or_insert_default();
        replies.len += text.len();
        replies.texts.push_back(text);
    }

    /// Bytes of replies that have not been fetched. Whoever reads requests stops at a bound, so that a
    /// client that asks and does not listen costs no more than that.
    pub(crate) fn replies_len(&self) -> usize {
        self.replies.as_ref().map_or(0, |replies| replies.len)
    }

    /// Whether nothing is owed.
    pub(crate) fn is_empty(&self) -> bool {
        self.replies.is_none() && self.dirty.is_empty()
    }

    /// Fetches the texts of the next frame into an empty batch, of `len_max` bytes together if there is more
    /// than one; leaves it empty when nothing is owed. A question for the log may come with it, whose answer
    /// [`Outbox::handle_answer`] takes.
    pub(crate) fn poll_batch(&mut self, hub: &mut Hub, len_max: usize, batch: &mut Batch) {
        while let Some(replies) = &mut self.replies {
            let Some(text) = replies.texts.front() else {
                self.replies = None;
                break;
            };
            if !batch.push(text.clone(), len_max) {
                return;
            }
            replies.len -= text.len();
            replies.texts.pop_front();
        }
        let mut done = 0;
        // A topic whose replay may begin because another's is over comes in behind.
        while let Some(topic) = self.dirty.get(done).copied() {
            // What is dirty is subscribed to; if it were not, there is nothing to send.
            if let Ok(at) = self.place(topic) {
                let sub = &mut self.subs[at];
                if !sub.poll(hub, &mut self.replays, len_max, batch) {
                    break;
                }
                sub.dirty = false;
            }
            done += 1;
            self.wake_next();
        }
        self.dirty.drain(..done);
        if self.dirty.is_empty() && self.dirty.capacity() > IDLE_CAPACITY_MAX {
            self.dirty = Vec::new();
        }
    }

    fn place(&self, topic: TopicId) -> Result<usize, usize> {
        self.subs.binary_search_by_key(&topic, |sub| sub.topic)
    }
}

/// A larger dirty set gives its memory back when it has been sent.
const IDLE_CAPACITY_MAX: usize = 64;

#[cfg(test)]
mod tests;
