//! Pure: one stream of bars: its newest open bar, and the ring of its last closes.
#![deny(clippy::disallowed_methods)]

use std::collections::VecDeque;
use std::num::NonZeroU64;
use std::sync::Arc;

use bytes::Bytes;
use wire::{Bar, Topic};

/// A bar with its text under the topic that it bears and, once somebody wants it, under its other name.
/// A stream has two names at most, so that one more text is enough.
#[derive(Debug)]
struct Encoded {
    bar: Arc<Bar>,
    json: Bytes,
    other: Option<Bytes>,
}

impl Encoded {
    fn text(&mut self, name: &Topic) -> Bytes {
        if self.bar.topic == *name {
            return self.json.clone();
        }
        let encode = || {
            let mut out = Vec::with_capacity(self.json.len() + 32);
            self.bar.encode_as(name, &mut out);
            Bytes::from(out)
        };
        self.other.get_or_insert_with(encode).clone()
    }
}

/// An open bar that came before the close that it follows: open bars and closes take different paths.
#[derive(Debug)]
struct Held {
    bar: Encoded,
    /// Since when the stream has been waiting, in milliseconds.
    since_ms: u64,
}

/// What became of a bar.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Taken {
    /// Subscribers are to be told.
    Shown,
    /// Kept back until the close before it comes, or for a while.
    Held,
    /// Older than what is known.
    Stale,
    /// From an owner that has been replaced.
    Fenced,
}

/// One stream's state.
#[derive(Debug, Default)]
pub(super) struct Stream {
    open: Option<Encoded>,
    /// Counts open bars shown, so that a connection knows whether it has the newest. Begins at 1.
    version: u32,
    held: Option<Held>,
    /// Up to this `close_no` open bars are shown though the close has not come: it was waited for in vain.
    waived: u64,
    /// The last closes, `close_no` rising; a break in it is one of the log.
    ring: VecDeque<Encoded>,
    /// close_no of the first close that came here, which may have left the ring.
    first_close_no: Option<NonZeroU64>,
    /// Start of the newest bar that has closed, in milliseconds.
    closed_start_ms: Option<i64>,
    /// The epoch and the start of the newest close of the log before this one: an open bar of that owner that comes
    /// late may be of a bar that its readers have seen closed.
    closed_before: Option<(u64, i64)>,
}

impl Stream {
    /// Takes an open bar.
    pub(super) fn handle_open(&mut self, now_ms: u64, bar: &Arc<Bar>, json: &Bytes) -> Taken {
        let newest = self
            .held
            .as_ref()
            .map(|held| &held.bar)
            .or(self.open.as_ref());
        let overtaken = newest.is_some_and(|known| known.bar.open_order() >= bar.open_order())
            || self
                .closed_start_ms
                .is_some_and(|closed| bar.start_ms <= closed)
            || self
                .closed_before
                .is_some_and(|(epoch, start_ms)| bar.epoch <= epoch && bar.start_ms <= start_ms);
        if overtaken {
            return Taken::Stale;
        }
        let encoded = Encoded {
            bar: Arc::clone(bar),
            json: json.clone(),
            other: None,
        };
        if bar.close_no > self.last_close_no().max(self.waived) {
            let since_ms = self.held.as_ref().map_or(now_ms, |held| held.since_ms);
            self.held = Some(Held {
                bar: encoded,
                since_ms,
            });
            return Taken::Held;
        }
        self.held = None;
        self.show(encoded);
        Taken::Shown
    }

    /// Takes a close or an amendment.
    pub(super) fn handle_close(&mut self, bar: &Arc<Bar>, json: &Bytes, ring_len: usize) -> Taken {
        if bar.close_no <= self.last_close_no() {
            return Taken::Stale;
        }
        self.first_close_no = self.first_close_no.or(NonZeroU64::new(bar.close_no));
        self.closed_start_ms = self.closed_start_ms.max(Some(bar.start_ms));
        self.ring.push_back(Encoded {
            bar: Arc::clone(bar),
            json: json.clone(),
            other: None,
        });
        while self.ring.len() > ring_len {
            self.ring.pop_front();
        }
        let over = |open: &Encoded| Some(open.bar.start_ms) <= self.closed_start_ms;
        if self.open.as_ref().is_some_and(over) {
            self.open = None;
        }
        if self.held.as_ref().is_some_and(|held| over(&held.bar)) {
            self.held = None;
        }
        if let Some(held) = self
            .held
            .take_if(|held| held.bar.bar.close_no <= bar.close_no)
        {
            self.show(held.bar);
        }
        Taken::Shown
    }

    /// Forgets the closes and all that their numbers say: those that come are of another log. Open bars stay where they
    /// are of an owner after the one that closed last, who is of the other log already.
    pub(super) fn handle_other_log(&mut self) {
        let epoch = self.ring.back().map(|close| close.bar.epoch);
        let closed_before = epoch.zip(self.closed_start_ms).or(self.closed_before);
        let is_new = |open: &Encoded| epoch.is_some_and(|epoch| epoch < open.bar.epoch);
        *self = Self {
            open: self.open.take().filter(is_new),
            version: self.version,
            closed_before,
            held: self.held.take().filter(|held| is_new(&held.bar)),
            ..Self::default()
        };
    }

    /// Shows an open bar that has been held for `hold_max_ms`; true if it did.
    pub(super) fn handle_time(&mut self, now_ms: u64, hold_max_ms: u64) -> bool {
        let late = self
            .held
            .take_if(|held| now_ms >= held.since_ms.saturating_add(hold_max_ms));
        let Some(held) = late else {
            return false;
        };
        self.waived = held.bar.bar.close_no;
        self.show(held.bar);
        true
    }

    /// Since when an open bar has been held, in milliseconds.
    pub(super) fn held_since_ms(&self) -> Option<u64> {
        self.held.as_ref().map(|held| held.since_ms)
    }

    fn show(&mut self, bar: Encoded) {
        self.open = Some(bar);
        // Zero means "nothing sent" to a connection.
        self.version = self.version.wrapping_add(1).max(1);
    }

    fn last_close_no(&self) -> u64 {
        self.ring.back().map_or(0, |close| close.bar.close_no)
    }

    /// Counts the open bars shown so far.
    pub(super) fn version(&self) -> u32 {
        self.version
    }

    /// The newest open bar's text; `None` when its bar has closed and the next has not begun.
    pub(super) fn open_text(&mut self, name: &Topic) -> Option<Bytes> {
        self.open.as_mut().map(|open| open.text(name))
    }

    /// The close_no that the newest open bar bears.
    pub(super) fn open_close_no(&self) -> Option<u64> {
        self.open.as_ref().map(|open| open.bar.close_no)
    }

    /// The text of the newest bar that has closed, as last amended.
    pub(super) fn closed_text(&mut self, name: &Topic) -> Option<Bytes> {
        let start_ms = self.closed_start_ms?;
        self.ring
            .iter_mut()
            .rev()
            .find(|close| close.bar.start_ms == start_ms)
            .map(|close| close.text(name))
    }

    /// The close_no that the next close will have; `None` as long as none is known.
    pub(super) fn next_close_no(&self) -> Option<NonZeroU64> {
        self.ring
            .back()
            .and_then(|close| NonZeroU64::new(close.bar.close_no.saturating_add(1)))
    }

    /// The close_no of the first close that came here.
    pub(super) fn first_close_no(&self) -> Option<NonZeroU64> {
        self.first_close_no
    }

    /// The close_no of the first close that is held from this one on.
    pub(super) fn held_from(&self, close_no: u64) -> Option<u64> {
        let close = self.ring.get(self.place_from(close_no))?;
        Some(close.bar.close_no)
    }

    /// The first close that is held from this close_no on, with its own.
    pub(super) fn close_from(&mut self, close_no: u64, name: &Topic) -> Option<(u64, Bytes)> {
        let at = self.place_from(close_no);
        self.ring
            .get_mut(at)
            .map(|close| (close.bar.close_no, close.text(name)))
    }

    fn place_from(&self, close_no: u64) -> usize {
        self.ring
            .partition_point(|close| close.bar.close_no < close_no)
    }
}
