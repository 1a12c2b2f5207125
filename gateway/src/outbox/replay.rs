//! Pure: closes that a connection lacks and the hub no longer has. They are asked of the log page by page, for
//! one topic after the other: the next page is asked for when the last one has been written, so that what a
//! connection holds of the log is one page at most, however slow it is and however much it lacks.
#![deny(clippy::disallowed_methods)]

use std::collections::VecDeque;

use bytes::Bytes;

use crate::hub::TopicId;
use crate::replayer::Place;

/// Closes asked for at once: some 450 KB, seven of the largest frames. Few questions, little held.
pub(crate) const PAGE_LEN: usize = 500;

/// The most closes of one topic that are replayed in a row, nearly three hours of 1s: what is older is `missed`,
/// and better fetched by HTTP, which pages at the client's own pace.
pub(crate) const REPLAY_MAX: u64 = 10_000;

/// A question for the log: the closes of a topic from a number on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Ask {
    pub(crate) topic: TopicId,
    /// The first close_no that is lacking.
    pub(crate) from: u64,
    /// How many at most.
    pub(crate) max: usize,
}

/// The log's answer to an [`Ask`].
#[derive(Debug)]
pub(crate) enum Answer {
    /// What it holds.
    Page(Page),
    /// It could not be asked, or not soon enough.
    Unavailable,
}

/// A stretch of a topic's closes, `close_no` rising from what was asked for on; what is not in it is gone.
#[derive(Debug, Default)]
pub(crate) struct Page {
    /// Numbers and texts, under the name that the connection subscribed to.
    pub(super) closes: VecDeque<(u64, Bytes)>,
    /// The topic's highest close_no in the log; `None` if it never had one.
    pub(super) newest: Option<u64>,
    /// Kept as long as the page, since it bounds the pages that are held at one time.
    #[expect(dead_code, reason = "held, not read")]
    place: Option<Place>,
    /// Something of it was owed.
    pub(super) helped: bool,
}

impl Page {
    /// Closes by their numbers, the highest number of all, and the page's place.
    pub(crate) fn new(
        closes: VecDeque<(u64, Bytes)>,
        newest: Option<u64>,
        place: Option<Place>,
    ) -> Self {
        Self {
            closes,
            newest,
            place,
            helped: false,
        }
    }

    /// Its numbers and texts.
    #[cfg(test)]
    pub(crate) fn texts(&self) -> impl Iterator<Item = (u64, &[u8])> {
        self.closes
            .iter()
            .map(|(close_no, text)| (*close_no, text.as_ref()))
    }
}

/// The replays of one connection. Most have none: then it is one empty pointer.
#[derive(Debug, Default)]
pub(super) struct Replays(Option<Box<Queue>>);

#[derive(Debug, Default)]
struct Queue {
    current: Option<Replay>,
    /// Topics whose turn has not come, each once: as many as there are subscriptions at most.
    waiting: VecDeque<TopicId>,
}

/// The replay of one topic.
#[derive(Debug)]
pub(super) struct Replay {
    topic: TopicId,
    /// The last close_no wanted; `None` until the log has said where it ends.
    pub(super) to: Option<u64>,
    /// It goes on to the log's end, which moves.
    pub(super) to_the_end: bool,
    pub(super) state: State,
}

/// How far a replay has come.
#[derive(Debug)]
pub(super) enum State {
    /// A page is to be asked for, once what was written before has left.
    Due,
    /// The log has been asked.
    Asked,
    /// As `Asked`, but nobody wants the answer any more. It is waited for all the same, so that a connection has
    /// one question in flight at most, whatever it does.
    Unwanted,
    /// The answer is here and not looked at yet.
    Answered(Answer),
    /// What is left of the page.
    Page(Page),
}

impl Replays {
    /// Begins the topic's replay; false if another has its turn, behind which this one is put.
    pub(super) fn begin(&mut self, topic: TopicId, to: Option<u64>) -> bool {
        let queue = self.0.get_or_insert_default();
        if queue.current.is_some() {
            queue.waiting.push_back(topic);
            return false;
        }
        queue.current = Some(Replay {
            topic,
            to,
            to_the_end: to.is_none(),
            state: State::Due,
        });
        true
    }

    /// The topic's replay, if it is its turn.
    pub(super) fn of(&mut self, topic: TopicId) -> Option<&mut Replay> {
        let replay = self.0.as_mut()?.current.as_mut()?;
        (replay.topic == topic && !matches!(replay.state, State::Unwanted)).then_some(replay)
    }

    /// The topic's replay is over.
    pub(super) fn end(&mut self, topic: TopicId) {
        if self.of(topic).is_some()
            && let Some(queue) = &mut self.0
        {
            queue.current = None;
        }
    }

    /// The topic is left, or its cursor moved.
    pub(super) fn cancel(&mut self, topic: TopicId) {
        if let Some(replay) = self.of(topic) {
            if matches!(replay.state, State::Asked) {
                replay.state = State::Unwanted;
            } else {
                self.end(topic);
            }
        } else if let Some(queue) = &mut self.0 {
            queue.waiting.retain(|waiting| *waiting != topic);
        }
    }

    /// No replay is wanted any more.
    pub(super) fn cancel_all(&mut self) {
        if let Some(queue) = &mut self.0 {
            queue.waiting.clear();
            if let Some(topic) = queue.current.as_ref().map(|replay| replay.topic) {
                self.cancel(topic);
            }
        }
    }

    /// Takes the answer to the question in flight; gives the topic that has moved by it.
    pub(super) fn handle_answer(&mut self, answer: Answer) -> Option<TopicId> {
        let queue = self.0.as_mut()?;
        let replay = queue.current.as_mut()?;
        match replay.state {
            State::Asked => {
                replay.state = State::Answered(answer);
                Some(replay.topic)
            }
            State::Unwanted => {
                queue.current = None;
                None
            }
            _ => None,
        }
    }

    /// The topic whose turn has come, if nobody has his.
    pub(super) fn poll_next(&mut self) -> Option<TopicId> {
        let queue = self.0.as_mut()?;
        if queue.current.is_some() {
            return None;
        }
        let next = queue.waiting.pop_front();
        if next.is_none() {
            self.0 = None;
        }
        next
    }
}

impl Replay {
    /// The question for what is lacking from this close_no on.
    pub(super) fn ask(&self, from: u64) -> Ask {
        let left = self.to.map_or(u64::MAX, |to| (to + 1).saturating_sub(from));
        Ask {
            topic: self.topic,
            from,
            max: usize::try_from(left).map_or(PAGE_LEN, |left| left.clamp(1, PAGE_LEN)),
        }
    }
}

#[cfg(test)]
mod tests;
