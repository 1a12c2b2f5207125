//! Pure: what one connection is owed: replies, snapshots, closes, and the newest value of what has moved.
//!
//! Nothing queues per message. A connection that is not written to keeps its dirty set, which its topics
//! bound; what it gets when it can be written to again is the newest open bar of each (LatestOnly), preceded
//! by each close since its cursor, or by `missed` for those that have left the ring.
#![deny(clippy::disallowed_methods)]

use std::collections::VecDeque;
use std::num::NonZeroU64;

use bytes::Bytes;
use wire::frame::Reply;

use crate::hub::{Hub, TopicId};

/// One connection's subscriptions, and what of them it is owed.
#[derive(Debug, Default)]
pub(crate) struct Outbox {
    /// By topic number, so that one is found by halving.
    subs: Vec<Sub>,
    /// Topics that have moved, the one that moved first in front. Each is in it once.
    dirty: Vec<TopicId>,
    /// Boxed, because most connections have none most of the time.
    replies: Option<Box<Replies>>,
}

/// Replies that have not been fetched, oldest first, and their length together.
#[derive(Debug, Default)]
struct Replies {
    texts: VecDeque<Bytes>,
    len: usize,
}

#[derive(Debug)]
struct Sub {
    topic: TopicId,
    /// The open bar last sent, by the hub's count; 0 before the snapshot.
    sent: u32,
    /// The next close's number. Never above what the hub has next, except while the hub knows of no close: then
    /// it is what the client claims to have, and `None` if it claims nothing.
    next: Option<NonZeroU64>,
    /// The hub knew of no close when `next` was set, so that the first that comes decides.
    unproven: bool,
    dirty: bool,
    /// Owes the newest close if there is no open bar: a snapshot for who has not said what they have.
    snapshot: bool,
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
        self.conflated = 0;
    }
}

impl Outbox {
    /// Adds a subscription and owes its snapshot. With `after`, owes each close after that number first.
    /// Subscribing again changes nothing; with `after`, it moves the cursor.
    pub(crate) fn subscribe(&mut self, hub: &Hub, topic: TopicId, after: Option<u64>) {
        let known = hub.next_close_no(topic);
        let claim = after.map(|close_no| NonZeroU64::MIN.saturating_add(close_no));
        match self.place(topic) {
            Ok(at) if claim.is_some() => {
                let sub = &mut self.subs[at];
                (sub.next, sub.unproven) = (cursor(claim, known), known.is_none());
                self.mark(topic);
            }
            Ok(_) => {}
            Err(at) => self.insert(
                at,
                topic,
                cursor(claim, known),
                known.is_none(),
                after.is_none(),
            ),
        }
    }

    /// Adds a topic that has just appeared to a connection whose wildcard was there before it: owes each close
    /// that has come, those of the flush in which it appeared included.
    pub(crate) fn join(&mut self, topic: TopicId) {
        if let Err(at) = self.place(topic) {
            self.insert(at, topic, None, true, true);
        }
    }

    fn insert(
        &mut self,
        at: usize,
        topic: TopicId,
        next: Option<NonZeroU64>,
        unproven: bool,
        snapshot: bool,
    ) {
        let sub = Sub {
            topic,
            sent: 0,
            next,
            unproven,
            dirty: false,
            snapshot,
        };
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
        true
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
    /// than one. Leaves the batch empty when nothing is owed.
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
        for topic in &self.dirty {
            let at = self.subs.binary_search_by_key(topic, |sub| sub.topic);
            // What is dirty is subscribed to; if it were not, there is nothing to send.
            if let Ok(at) = at {
                if !self.subs[at].poll(hub, len_max, batch) {
                    break;
                }
                self.subs[at].dirty = false;
            }
            done += 1;
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

/// Where a subscription begins: behind what the client claims to have, but never behind what there is. A claim
/// above that is of another history (one in memory begins anew with its process).
fn cursor(claim: Option<NonZeroU64>, known: Option<NonZeroU64>) -> Option<NonZeroU64> {
    match (claim, known) {
        (Some(claim), Some(known)) => Some(claim.min(known)),
        (claim, known) => claim.or(known),
    }
}

/// A larger dirty set gives its memory back when it has been sent.
const IDLE_CAPACITY_MAX: usize = 64;

impl Sub {
    /// Adds what the topic owes; false if the batch is full before that is all.
    fn poll(&mut self, hub: &mut Hub, len_max: usize, batch: &mut Batch) -> bool {
        let replayed = match self.poll_closes(hub, len_max, batch) {
            Some(count) => count,
            None => return false,
        };
        let version = hub.version(self.topic);
        match hub.open_text(self.topic) {
            Some(text) if version != self.sent => {
                if !batch.push(text, len_max) {
                    return false;
                }
                if self.sent != 0 {
                    batch.conflated += u64::from(version.wrapping_sub(self.sent) - 1);
                }
            }
            // Between two bars the newest value is the close.
            None if self.snapshot && replayed == 0 => {
                if let Some(text) = hub.closed_text(self.topic)
                    && !batch.push(text, len_max)
                {
                    return false;
                }
            }
            _ => {}
        }
        self.sent = version;
        self.snapshot = false;
        true
    }

    /// Sets the cursor by the first close, if that has come since. One at or below the claim says that the claim
    /// is of another history: better some closes twice than one not at all.
    fn prove(&mut self, hub: &Hub) {
        if self.unproven
            && let Some(first) = hub.first_close_no(self.topic)
        {
            self.next = Some(self.next.map_or(first, |claim| claim.min(first)));
            self.unproven = false;
        }
    }

    /// Adds the closes from the cursor on and says how many; `None` if the batch is full before that is all.
    fn poll_closes(&mut self, hub: &mut Hub, len_max: usize, batch: &mut Batch) -> Option<usize> {
        let mut count = 0;
        self.prove(hub);
        while let Some((close_no, text)) =
            hub.close_from(self.topic, self.next.map_or(0, NonZeroU64::get))
        {
            if let Some(next) = self.next
                && next.get() < close_no
            {
                // A broker that can still replay them would be asked here first (`Broker::closes_after`).
                let missed = Reply::Missed {
                    topic: hub.topic(self.topic).clone(),
                    from: next.get(),
                    to: close_no - 1,
                };
                if !batch.push(Bytes::from(missed.encode()), len_max) {
                    return None;
                }
                self.next = NonZeroU64::new(close_no);
            }
            if !batch.push(text, len_max) {
                return None;
            }
            self.next = NonZeroU64::MIN.checked_add(close_no);
            count += 1;
        }
        Some(count)
    }
}

#[cfg(test)]
mod tests;
