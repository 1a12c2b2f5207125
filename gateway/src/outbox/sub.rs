//! Pure: one subscription of a connection: what of its topic has been sent, and what comes next.
#![deny(clippy::disallowed_methods)]

use std::num::NonZeroU64;

use bytes::Bytes;
use wire::frame::Reply;

use super::Batch;
use super::replay::{Answer, Page, REPLAY_MAX, Replays, State};
use crate::hub::{Hub, TopicId};

/// One subscription.
#[derive(Debug)]
pub(super) struct Sub {
    pub(super) topic: TopicId,
    /// The open bar last sent, by the hub's count; 0 before the snapshot.
    sent: u32,
    /// The next close's number; `None` while nothing says what it is: then the first that comes decides.
    next: Option<NonZeroU64>,
    /// What would be next if the client had what it says, which is more than had come here. The log can tell.
    claim: Option<NonZeroU64>,
    /// The log could not tell.
    doubted: bool,
    pub(super) dirty: bool,
    /// Its replay waits for its turn.
    pub(super) waits: bool,
    /// Owes the newest close if there is no open bar: a snapshot for who has not said what they have.
    snapshot: bool,
}

/// What became of a look at the closes.
enum Closes {
    /// All that there are, so many, are in the batch.
    All(usize),
    /// The batch is full.
    Full,
    /// Those up to this close_no are not held here.
    Lacking { to: u64 },
}

/// What became of a look at the replay.
enum Replayed {
    /// It is over: go on with what is held here.
    Over,
    /// The log's answer is awaited.
    Waits,
    /// The batch is full, or has to leave before more is asked for.
    Full,
}

impl Sub {
    /// A subscription that owes its snapshot or, with `after`, each close after that number.
    pub(super) fn new(hub: &Hub, topic: TopicId, after: Option<u64>) -> Self {
        let mut sub = Self {
            next: hub.next_close_no(topic),
            snapshot: after.is_none(),
            ..Self::joined(topic)
        };
        if let Some(after) = after {
            sub.claim(hub, after);
        }
        sub
    }

    /// A subscription that owes its snapshot, and each close that has come.
    pub(super) fn joined(topic: TopicId) -> Self {
        Self {
            topic,
            sent: 0,
            next: None,
            claim: None,
            doubted: false,
            dirty: false,
            waits: false,
            snapshot: true,
        }
    }

    /// The client has the closes up to this one, as it says.
    pub(super) fn claim(&mut self, hub: &Hub, after: u64) {
        let claim = NonZeroU64::MIN.saturating_add(after);
        let known = hub.next_close_no(self.topic);
        self.doubted = false;
        (self.next, self.claim) = match known {
            Some(known) if claim <= known => (Some(claim), None),
            known => (known, Some(claim)),
        };
    }

    /// No number says anything any more, and what is claimed is of the old log. All of the new one is owed, which begins
    /// with 1: its first close to come here may be a later one, and what is before that is in the log or missed.
    pub(super) fn handle_other_log(&mut self) {
        (self.next, self.claim) = (Some(NonZeroU64::MIN), None);
        (self.doubted, self.waits) = (false, false);
    }

    fn next(&self) -> u64 {
        self.next.map_or(0, NonZeroU64::get)
    }

    /// Adds what the topic owes; false if the batch is full before that is all. While closes are asked of the log
    /// nothing of the topic is added, so that its bars stay in order.
    pub(super) fn poll(
        &mut self,
        hub: &mut Hub,
        replays: &mut Replays,
        len_max: usize,
        batch: &mut Batch,
    ) -> bool {
        if self.waits {
            return true;
        }
        let replayed = loop {
            match self.poll_replay(hub, replays, len_max, batch) {
                Replayed::Over => {}
                Replayed::Waits => return true,
                Replayed::Full => return false,
            }
            let to = if self.claim.is_some() && !self.doubted {
                None
            } else {
                match self.poll_closes(hub, len_max, batch) {
                    Closes::All(count) => break count,
                    Closes::Full => return false,
                    Closes::Lacking { to } => Some(to),
                }
            };
            if let Some(to) = to
                && !self.skip(hub, to.saturating_sub(REPLAY_MAX), len_max, batch)
            {
                return false;
            }
            self.waits = !replays.begin(self.topic, to);
            if self.waits {
                return true;
            }
        };
        self.poll_open(hub, replayed, len_max, batch)
    }

    fn poll_open(
        &mut self,
        hub: &mut Hub,
        replayed: usize,
        len_max: usize,
        batch: &mut Batch,
    ) -> bool {
        if self.is_ahead(hub) {
            return true;
        }
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

    /// Whether the client has closes that have not come to the hub (it has them from the log, or heard them elsewhere),
    /// and the hub's open bar is from before them: it may be one that they close.
    fn is_ahead(&self, hub: &Hub) -> bool {
        let known = hub.next_close_no(self.topic).map_or(0, NonZeroU64::get);
        known < self.next()
            && hub
                .open_close_no(self.topic)
                .is_some_and(|close_no| close_no.saturating_add(1) < self.next())
    }

    /// Adds the closes that the hub holds from the cursor on, up to the first that it does not.
    fn poll_closes(&mut self, hub: &mut Hub, len_max: usize, batch: &mut Batch) -> Closes {
        let mut count = 0;
        self.prove_by_first(hub);
        while let Some((close_no, text)) = hub.close_from(self.topic, self.next()) {
            if self.next.is_some_and(|next| next.get() < close_no) {
                return Closes::Lacking { to: close_no - 1 };
            }
            if !batch.push(text, len_max) {
                return Closes::Full;
            }
            self.next = NonZeroU64::MIN.checked_add(close_no);
            count += 1;
        }
        Closes::All(count)
    }

    /// Sets the cursor by the first close, if that has come since. One at or below the claim says that the claim
    /// is of another history: better some closes twice than one not at all.
    fn prove_by_first(&mut self, hub: &Hub) {
        if self.next.is_none()
            && let Some(first) = hub.first_close_no(self.topic)
        {
            let claim = self.claim.take();
            self.next = Some(claim.map_or(first, |claim| claim.min(first)));
        }
    }

    /// The log has said what the topic's next close will be: a claim beyond that is of another history, and then
    /// what has come since is new, as is all that comes where the log has nothing.
    fn prove_by_log(&mut self, hub: &Hub, end: Option<NonZeroU64>) {
        let Some(claim) = self.claim.take() else {
            return;
        };
        let Some(end) = end else {
            // Who has nothing is owed all that will be.
            if claim == NonZeroU64::MIN {
                self.next = Some(claim);
            }
            return;
        };
        if claim <= end {
            self.next = Some(claim);
        } else if self.next.is_none() {
            self.next = hub
                .first_close_no(self.topic)
                .map(|first| first.min(end))
                .or(Some(end));
        }
    }

    /// The log could not say: the claim is taken for one of another history, unless nothing has come here either.
    fn doubt(&mut self) {
        self.doubted = self.next.is_none();
        if !self.doubted {
            self.claim = None;
        }
    }

    /// Goes on with the topic's replay, if it is its turn.
    fn poll_replay(
        &mut self,
        hub: &Hub,
        replays: &mut Replays,
        len_max: usize,
        batch: &mut Batch,
    ) -> Replayed {
        while let Some(replay) = replays.of(self.topic) {
            match &mut replay.state {
                State::Due if batch.texts.is_empty() => {
                    let from = self.claim.or(self.next).map_or(1, NonZeroU64::get);
                    batch.asks.push(replay.ask(from));
                    replay.state = State::Asked;
                    return Replayed::Waits;
                }
                State::Due => return Replayed::Full,
                State::Asked | State::Unwanted => return Replayed::Waits,
                State::Answered(answer) => {
                    let answer = std::mem::replace(answer, Answer::Unavailable);
                    match self.settle(hub, replay.to, replay.to_the_end, answer) {
                        Some((to, page)) => {
                            replay.to = Some(to);
                            replay.state = State::Page(page);
                        }
                        None => replays.end(self.topic),
                    }
                }
                State::Page(page) => {
                    // Set by `settle`, with the page. Where the hub's own begin, it ends.
                    let held = hub.held_from(self.topic, self.next());
                    let to = replay.to.unwrap_or(0);
                    let to = held.map_or(to, |held| to.min(held.saturating_sub(1)));
                    let from = self.next();
                    if !self.skip(hub, to.saturating_sub(REPLAY_MAX), len_max, batch) {
                        return Replayed::Full;
                    }
                    // The page was of what is too old.
                    let beyond = self.next() != from;
                    if !beyond && !self.write_page(hub, to, page, len_max, batch) {
                        return Replayed::Full;
                    }
                    if beyond || (page.helped && self.next() <= to) {
                        replay.state = State::Due;
                    } else if self.skip(hub, to, len_max, batch) {
                        replays.end(self.topic);
                    } else {
                        return Replayed::Full;
                    }
                }
            }
        }
        Replayed::Over
    }

    /// What an answer means: the last close_no wanted and the page, or nothing to replay. `to` is the last one wanted
    /// so far, which moves where the replay is one `to_the_end` of the log.
    fn settle(
        &mut self,
        hub: &Hub,
        to: Option<u64>,
        to_the_end: bool,
        answer: Answer,
    ) -> Option<(u64, Page)> {
        match answer {
            Answer::Unavailable if self.claim.is_some() => {
                self.doubt();
                None
            }
            // An empty page: all of it is then skipped as `missed`.
            Answer::Unavailable => to.map(|to| (to, Page::default())),
            Answer::Page(page) if to_the_end => {
                let newest = page.newest.max(to);
                let end = newest.map(|newest| NonZeroU64::MIN.saturating_add(newest));
                let claim = self.claim;
                // Whoever answered may be behind what has come here.
                self.prove_by_log(hub, end.max(hub.next_close_no(self.topic)));
                if claim.is_some() && self.next != claim {
                    return None;
                }
                (self.next.map(NonZeroU64::get) <= newest).then_some((newest?, page))
            }
            Answer::Page(page) => to.map(|to| (to, page)),
        }
    }

    /// Adds the page's closes up to `to`; false if the batch is full before that is all.
    fn write_page(
        &mut self,
        hub: &Hub,
        to: u64,
        page: &mut Page,
        len_max: usize,
        batch: &mut Batch,
    ) -> bool {
        while let Some((close_no, text)) = page.closes.front() {
            let (close_no, text) = (*close_no, text.clone());
            if (self.next()..=to).contains(&close_no) {
                if !self.skip(hub, close_no - 1, len_max, batch) || !batch.push(text, len_max) {
                    return false;
                }
                self.next = NonZeroU64::MIN.checked_add(close_no);
                page.helped = true;
                batch.replayed += 1;
            }
            page.closes.pop_front();
        }
        true
    }

    /// Gives up what is owed up to this close_no, if anything is, and says so; false if the batch has no room for it.
    fn skip(&mut self, hub: &Hub, to: u64, len_max: usize, batch: &mut Batch) -> bool {
        let from = self.next();
        if from > to {
            return true;
        }
        let missed = Reply::Missed {
            topic: hub.topic(self.topic).clone(),
            from,
            to,
        };
        if !batch.push(Bytes::from(missed.encode()), len_max) {
            return false;
        }
        batch.missed += to - from + 1;
        self.next = NonZeroU64::MIN.checked_add(to);
        true
    }
}
