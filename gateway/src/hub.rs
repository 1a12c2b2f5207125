//! Pure: topics, their newest bars and closes, and who listens.
//!
//! Call order: `learn` and `handle_*` as things happen, [`Hub::handle_time`] at [`Hub::deadline_ms`]; then
//! [`Hub::poll_joined`] and [`Hub::poll_dirty`] once a flush; then each outbox reads what it needs.
#![deny(clippy::disallowed_methods)]

use std::collections::{BTreeSet, HashMap, HashSet};
use std::num::NonZeroU64;
use std::sync::Arc;

use bytes::Bytes;
use indexmap::{IndexMap, IndexSet};
use wire::{Bar, Instrument, Interval, Topic, TopicFilter};

/// One stream's state.
mod stream;

use stream::Stream;
pub(crate) use stream::Taken;

/// A connection's place in its shard.
pub(crate) type ConnId = u32;

/// A topic's number: twice its stream's, plus one for the short name. Valid in the hub that gave it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct TopicId(u32);

impl TopicId {
    fn stream(self) -> usize {
        (self.0 / 2) as usize
    }

    fn is_short(self) -> bool {
        self.0 % 2 == 1
    }
}

/// Topics, their newest bars, and who listens.
#[derive(Debug)]
pub(crate) struct Hub {
    /// Closes kept a stream.
    ring_len: usize,
    /// How long an open bar waits for the close before it, in milliseconds.
    hold_max_ms: u64,
    entries: Vec<Entry>,
    names: HashMap<Topic, TopicId>,
    /// Highest epoch seen in open bars, by instrument.
    epochs: HashMap<Instrument, u64>,
    /// Instruments whose epoch is of before the log was made anew, and that have had no close since.
    unproven: HashSet<Instrument>,
    /// Streams that have moved since the last flush, in the order in which they did.
    dirty: Vec<u32>,
    /// Streams with a held open bar, by the time since when.
    held: BTreeSet<(u64, u32)>,
    /// Wildcard subscriptions: they also take in topics that appear later.
    wildcards: IndexMap<ConnId, Vec<TopicFilter>>,
    /// Topics that appeared and that somebody's wildcard matches.
    joined: Vec<(ConnId, TopicId)>,
}

/// A stream with its names and listeners.
#[derive(Debug)]
struct Entry {
    long: Topic,
    /// Kept once learned: the name goes to the first stream that bears it.
    short: Option<Topic>,
    stream: Stream,
    dirty: bool,
    long_listeners: IndexSet<ConnId>,
    short_listeners: IndexSet<ConnId>,
}

impl Hub {
    /// A hub without topics. `ring_len` closes are kept a stream; an open bar waits `hold_max_ms` for the
    /// close before it.
    pub(crate) fn new(ring_len: usize, hold_max_ms: u64) -> Self {
        Self {
            ring_len,
            hold_max_ms,
            entries: Vec::new(),
            names: HashMap::new(),
            epochs: HashMap::new(),
            unproven: HashSet::new(),
            dirty: Vec::new(),
            held: BTreeSet::new(),
            wildcards: IndexMap::new(),
            joined: Vec::new(),
        }
    }

    /// Makes a stream known by the name that its bars bear, and by its long one; gives its number.
    pub(crate) fn learn(
        &mut self,
        name: &Topic,
        instrument: &Instrument,
        interval: Interval,
    ) -> u32 {
        if let Some(id) = self.names.get(name)
            && self.entries[id.stream()].is_of(instrument)
        {
            return id.0 / 2;
        }
        let long = Topic::long(instrument, interval);
        let stream = match self.names.get(&long) {
            Some(id) => id.0 / 2,
            None => {
                // A topic's text is longer than its number; memory ends long before the numbers do.
                let stream = u32::try_from(self.entries.len()).unwrap_or(u32::MAX / 2);
                self.entries.push(Entry::new(long.clone()));
                self.name(long, TopicId(stream * 2));
                stream
            }
        };
        // A short name that another stream bears stays there: the first venue to list the symbol has it.
        if !self.names.contains_key(name) {
            self.entries[stream as usize].short = Some(name.clone());
            self.name(name.clone(), TopicId(stream * 2 + 1));
        }
        stream
    }

    fn name(&mut self, topic: Topic, id: TopicId) {
        for (conn, filters) in &self.wildcards {
            if filters.iter().any(|filter| filter.matches(&topic)) {
                self.joined.push((*conn, id));
            }
        }
        self.names.insert(topic, id);
    }

    /// Takes an open bar from the bus. Lower epochs of its instrument are fenced off.
    pub(crate) fn handle_open(&mut self, now_ms: u64, bar: &Arc<Bar>, json: &Bytes) -> Taken {
        match self.epochs.get_mut(&bar.instrument) {
            Some(epoch) if *epoch > bar.epoch => return Taken::Fenced,
            Some(epoch) => *epoch = bar.epoch,
            None => {
                self.epochs.insert(bar.instrument.clone(), bar.epoch);
            }
        }
        let id = self.learn(&bar.topic, &bar.instrument, bar.interval);
        let entry = &mut self.entries[id as usize];
        let held = entry.stream.held_since_ms();
        let taken = entry.stream.handle_open(now_ms, bar, json);
        self.settle(id, held, taken);
        taken
    }

    /// Takes a committed close or amendment. It is never fenced: it is committed.
    pub(crate) fn handle_close(&mut self, bar: &Arc<Bar>, json: &Bytes) -> Taken {
        if self.unproven.remove(&bar.instrument) {
            self.epochs.insert(bar.instrument.clone(), bar.epoch);
        }
        let id = self.learn(&bar.topic, &bar.instrument, bar.interval);
        let entry = &mut self.entries[id as usize];
        let held = entry.stream.held_since_ms();
        let taken = entry.stream.handle_close(bar, json, self.ring_len);
        self.settle(id, held, taken);
        taken
    }

    /// The closes that come from now on are of another log, whose topics are numbered anew. An instrument's epochs hold
    /// until its first close: they rise with the time, but the clock of the host that has it now may be behind.
    pub(crate) fn handle_other_log(&mut self) {
        self.unproven = self.epochs.keys().cloned().collect();
        for entry in &mut self.entries {
            entry.stream.handle_other_log();
        }
        let entries = &self.entries;
        let is_held =
            |&(since, id): &(u64, u32)| entries[id as usize].stream.held_since_ms() == Some(since);
        self.held.retain(is_held);
    }

    /// Shows open bars that have waited long enough for their close.
    pub(crate) fn handle_time(&mut self, now_ms: u64) {
        while let Some(&(since_ms, id)) = self.held.first()
            && now_ms >= since_ms.saturating_add(self.hold_max_ms)
        {
            self.held.pop_first();
            let shown = self.entries[id as usize]
                .stream
                .handle_time(now_ms, self.hold_max_ms);
            if shown {
                self.mark(id);
            }
        }
    }

    /// When [`Hub::handle_time`] has something to do, in milliseconds.
    pub(crate) fn deadline_ms(&self) -> Option<u64> {
        self.held
            .first()
            .map(|(since_ms, _)| since_ms.saturating_add(self.hold_max_ms))
    }

    /// Keeps `held` and `dirty` in step with a stream that took a bar.
    fn settle(&mut self, id: u32, before: Option<u64>, taken: Taken) {
        let after = self.entries[id as usize].stream.held_since_ms();
        if before != after {
            if let Some(since_ms) = before {
                self.held.remove(&(since_ms, id));
            }
            if let Some(since_ms) = after {
                self.held.insert((since_ms, id));
            }
        }
        if taken == Taken::Shown {
            self.mark(id);
        }
    }

    fn mark(&mut self, id: u32) {
        let entry = &mut self.entries[id as usize];
        if !entry.dirty {
            entry.dirty = true;
            self.dirty.push(id);
        }
    }

    /// Tells, once for each topic that has moved since the last call and each of its listeners, of both.
    pub(crate) fn poll_dirty(&mut self, mut tell: impl FnMut(ConnId, TopicId)) {
        for id in self.dirty.drain(..) {
            let entry = &mut self.entries[id as usize];
            entry.dirty = false;
            for conn in &entry.long_listeners {
                tell(*conn, TopicId(id * 2));
            }
            for conn in &entry.short_listeners {
                tell(*conn, TopicId(id * 2 + 1));
            }
        }
    }

    /// The topics that have appeared since the last call and that wildcards take in.
    pub(crate) fn poll_joined(&mut self) -> Vec<(ConnId, TopicId)> {
        std::mem::take(&mut self.joined)
    }

    /// The topic's number, if it is carried.
    pub(crate) fn find(&self, topic: &Topic) -> Option<TopicId> {
        self.names.get(topic).copied()
    }

    /// The topics that a filter stands for, in the order in which they were learned.
    pub(crate) fn matching(&self, filter: &TopicFilter) -> Vec<TopicId> {
        if let Some(topic) = filter.as_topic() {
            return self.find(&topic).into_iter().collect();
        }
        let names = |(index, entry): (usize, &Entry)| {
            let name = if filter.venue.is_none() {
                entry.short.as_ref()
            } else {
                Some(&entry.long)
            };
            let id = u32::try_from(index).ok()? * 2 + u32::from(filter.venue.is_none());
            name.is_some_and(|name| filter.matches(name))
                .then_some(TopicId(id))
        };
        self.entries.iter().enumerate().filter_map(names).collect()
    }

    /// The topic's name.
    pub(crate) fn topic(&self, id: TopicId) -> &Topic {
        self.entries[id.stream()].topic(id)
    }

    /// What the topic is of.
    pub(crate) fn instrument(&self, id: TopicId) -> Option<(Instrument, Interval)> {
        let long = &self.entries[id.stream()].long;
        let venue = long.venue.clone()?;
        Some((Instrument::new(venue, long.symbol.clone()), long.interval))
    }

    /// Adds a listener.
    pub(crate) fn listen(&mut self, conn: ConnId, id: TopicId) {
        self.entries[id.stream()].listeners(id).insert(conn);
    }

    /// Takes a listener away.
    pub(crate) fn leave(&mut self, conn: ConnId, id: TopicId) {
        self.entries[id.stream()].listeners(id).swap_remove(&conn);
    }

    /// A connection's wildcards.
    pub(crate) fn wildcards(&self, conn: ConnId) -> &[TopicFilter] {
        self.wildcards.get(&conn).map_or(&[], Vec::as_slice)
    }

    /// Adds a wildcard; adding it again changes nothing.
    pub(crate) fn add_wildcard(&mut self, conn: ConnId, filter: &TopicFilter) {
        let filters = self.wildcards.entry(conn).or_default();
        if !filters.contains(filter) {
            filters.push(filter.clone());
        }
    }

    /// Takes the wildcards away whose topics are all the filter's, and what they would bring in at the next flush.
    pub(crate) fn remove_wildcards(&mut self, conn: ConnId, filter: &TopicFilter) {
        if let Some(filters) = self.wildcards.get_mut(&conn) {
            filters.retain(|known| !is_within(known, filter));
            if filters.is_empty() {
                self.wildcards.swap_remove(&conn);
            }
        }
        let mut joined = std::mem::take(&mut self.joined);
        joined.retain(|(other, id)| *other != conn || !filter.matches(self.topic(*id)));
        self.joined = joined;
    }

    /// Forgets a connection that listened to these topics.
    pub(crate) fn forget(&mut self, conn: ConnId, topics: impl Iterator<Item = TopicId>) {
        for id in topics {
            self.leave(conn, id);
        }
        self.wildcards.swap_remove(&conn);
        self.joined.retain(|(joined, _)| *joined != conn);
    }

    /// Counts the topic's open bars shown so far.
    pub(crate) fn version(&self, id: TopicId) -> u32 {
        self.entries[id.stream()].stream.version()
    }

    /// The newest open bar's text.
    pub(crate) fn open_text(&mut self, id: TopicId) -> Option<Bytes> {
        let (stream, name) = self.entries[id.stream()].read(id);
        stream.open_text(name)
    }

    /// The close_no that the newest open bar bears.
    pub(crate) fn open_close_no(&self, id: TopicId) -> Option<u64> {
        self.entries[id.stream()].stream.open_close_no()
    }

    /// The text of the newest bar that has closed.
    pub(crate) fn closed_text(&mut self, id: TopicId) -> Option<Bytes> {
        let (stream, name) = self.entries[id.stream()].read(id);
        stream.closed_text(name)
    }

    /// The number that the topic's next close will have; `None` as long as none is known.
    pub(crate) fn next_close_no(&self, id: TopicId) -> Option<NonZeroU64> {
        self.entries[id.stream()].stream.next_close_no()
    }

    /// The close_no of the first close that came here, which may no longer be held.
    pub(crate) fn first_close_no(&self, id: TopicId) -> Option<NonZeroU64> {
        self.entries[id.stream()].stream.first_close_no()
    }

    /// The close_no of the first close held from this one on.
    pub(crate) fn held_from(&self, id: TopicId, close_no: u64) -> Option<u64> {
        self.entries[id.stream()].stream.held_from(close_no)
    }

    /// The texts of a bar that has just been shown, under those of its names that somebody listens to.
    pub(crate) fn texts_of(&mut self, bar: &Bar) -> Vec<Bytes> {
        let Some(long) = self.find(&Topic::long(&bar.instrument, bar.interval)) else {
            return Vec::new();
        };
        let heard = |id: &TopicId| !self.entries[id.stream()].listeners(*id).is_empty();
        let mut names = vec![long, TopicId(long.0 + 1)];
        names.retain(heard);
        let text = |id| match bar.closed {
            false => self.open_text(id),
            true => {
                let close = self.close_from(id, bar.close_no);
                close.and_then(|(close_no, text)| (close_no == bar.close_no).then_some(text))
            }
        };
        names.into_iter().filter_map(text).collect()
    }

    /// The first close held from this close_no on, with its own.
    pub(crate) fn close_from(&mut self, id: TopicId, close_no: u64) -> Option<(u64, Bytes)> {
        let (stream, name) = self.entries[id.stream()].read(id);
        stream.close_from(close_no, name)
    }
}

impl Entry {
    fn new(long: Topic) -> Self {
        Self {
            long,
            short: None,
            stream: Stream::default(),
            dirty: false,
            long_listeners: IndexSet::new(),
            short_listeners: IndexSet::new(),
        }
    }

    fn is_of(&self, instrument: &Instrument) -> bool {
        self.long.venue.as_ref() == Some(&instrument.venue) && self.long.symbol == instrument.symbol
    }

    fn topic(&self, id: TopicId) -> &Topic {
        match &self.short {
            Some(short) if id.is_short() => short,
            _ => &self.long,
        }
    }

    fn listeners(&mut self, id: TopicId) -> &mut IndexSet<ConnId> {
        if id.is_short() {
            &mut self.short_listeners
        } else {
            &mut self.long_listeners
        }
    }

    /// The stream and the name under which it is read, borrowed apart.
    fn read(&mut self, id: TopicId) -> (&mut Stream, &Topic) {
        let name = match &self.short {
            Some(short) if id.is_short() => short,
            _ => &self.long,
        };
        (&mut self.stream, name)
    }
}

/// Whether every topic that the one stands for is one of the other's.
fn is_within(narrow: &TopicFilter, wide: &TopicFilter) -> bool {
    narrow.venue == wide.venue
        && (wide.interval.is_none() || wide.interval == narrow.interval)
        && (wide.symbol.is_none() || wide.symbol == narrow.symbol)
}

#[cfg(test)]
mod tests;
