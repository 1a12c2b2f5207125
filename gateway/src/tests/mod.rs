//! Bars for the tests of this crate, and the simulation of hub and outboxes.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;

use bytes::Bytes;
use serde_json::Value;
use wire::{Bar, Candle, Completeness, Instrument, Price, Topic, Venue};

use crate::hub::{Hub, Taken, TopicId};
use crate::outbox::replay::{Answer, Ask, Page};
use crate::outbox::{Batch, Outbox};

mod simulation;

/// A stream's bars, made one after the other.
#[derive(Debug, Clone)]
pub(crate) struct Stream {
    pub(crate) topic: Topic,
    pub(crate) venue: Venue,
    pub(crate) start_no: i64,
    pub(crate) close_no: u64,
    pub(crate) epoch: u64,
    pub(crate) seq: u64,
    /// Start numbers of the bars that have ended and are not committed yet, oldest first.
    ended: VecDeque<i64>,
}

impl Stream {
    /// At `binance-spot`, unless the topic names another venue.
    pub(crate) fn new(topic: &str) -> Self {
        let topic: Topic = topic.parse().unwrap();
        let venue = topic.venue.clone();
        Self {
            topic,
            venue: venue.unwrap_or_else(|| Venue::new("binance-spot").unwrap()),
            start_no: 1,
            close_no: 0,
            epoch: 1,
            seq: 0,
            ended: VecDeque::new(),
        }
    }

    pub(crate) fn at(mut self, venue: &str) -> Self {
        self.venue = Venue::new(venue).unwrap();
        self
    }

    /// The next value of the open bar.
    pub(crate) fn open(&mut self) -> Bar {
        self.seq += 1;
        self.bar(self.start_no, false)
    }

    /// The close of the open bar; the next begins.
    pub(crate) fn close(&mut self) -> Bar {
        self.end();
        self.close_no += 1;
        self.ended.pop_back();
        self.bar(self.start_no - 1, true)
    }

    /// The open bar ends and the next begins, but it waits out its reorder window before it is committed: open bars
    /// go on with the number committed so far.
    pub(crate) fn end(&mut self) {
        self.ended.push_back(self.start_no);
        self.start_no += 1;
    }

    /// The close of the oldest bar that has ended.
    pub(crate) fn commit(&mut self) -> Option<Bar> {
        let start_no = self.ended.pop_front()?;
        self.close_no += 1;
        Some(self.bar(start_no, true))
    }

    fn bar(&self, start_no: i64, closed: bool) -> Bar {
        let price = Price::parse(self.seq.to_string().as_bytes()).unwrap();
        let symbol = self.topic.symbol.clone();
        Bar {
            topic: self.topic.clone(),
            instrument: Instrument::new(self.venue.clone(), symbol),
            interval: self.topic.interval,
            start_ms: start_no * self.topic.interval.ms(),
            candle: Candle::flat(price),
            closed,
            rev: 0,
            completeness: Completeness::Quiet,
            close_no: self.close_no,
            epoch: self.epoch,
            seq: self.seq,
            event_time_ms: 0,
            publish_time_ms: 0,
        }
    }
}

/// Hands a bar to the hub as the intake would.
pub(crate) fn give(hub: &mut Hub, now_ms: u64, bar: Bar) -> Taken {
    let json = Bytes::from(bar.encode());
    let bar = Arc::new(bar);
    if bar.closed {
        hub.handle_close(&bar, &json)
    } else {
        hub.handle_open(now_ms, &bar, &json)
    }
}

/// Tells the outboxes what has moved, as the shard would; connection numbers are places in the slice.
pub(crate) fn spread(hub: &mut Hub, outboxes: &mut [Outbox]) {
    hub.poll_dirty(|conn, topic| outboxes[conn as usize].mark(topic));
}

/// The closes of a log that forgets, by topic.
#[derive(Debug, Default)]
pub(crate) struct Log {
    topics: BTreeMap<TopicId, LogOfTopic>,
    /// The bus cannot be reached.
    pub(crate) away: bool,
}

#[derive(Debug, Default)]
struct LogOfTopic {
    newest: u64,
    /// By close_no.
    closes: BTreeMap<u64, Bytes>,
}

impl Log {
    pub(crate) fn commit(&mut self, topic: TopicId, bar: &Bar) {
        let of = self.topics.entry(topic).or_default();
        of.newest = of.newest.max(bar.close_no);
        of.closes.insert(bar.close_no, Bytes::from(bar.encode()));
    }

    /// Keeps this many of the topic's closes.
    pub(crate) fn keep(&mut self, topic: TopicId, count: usize) {
        let of = self.topics.entry(topic).or_default();
        while of.closes.len() > count {
            of.closes.pop_first();
        }
    }

    pub(crate) fn newest(&self, topic: TopicId) -> u64 {
        self.topics.get(&topic).map_or(0, |of| of.newest)
    }

    /// Its answer, of `len_max` closes at most.
    pub(crate) fn answer(&self, ask: &Ask, len_max: usize) -> Answer {
        if self.away {
            return Answer::Unavailable;
        }
        let Some(of) = self.topics.get(&ask.topic) else {
            return Answer::Page(Page::new(VecDeque::new(), None, None));
        };
        let held = of.closes.range(ask.from..);
        let page = held.take(ask.max.min(len_max));
        let closes = page.map(|(close_no, text)| (*close_no, text.clone()));
        let newest = (of.newest > 0).then_some(of.newest);
        Answer::Page(Page::new(closes.collect(), newest, None))
    }
}

/// One frame's objects, and what it asks of the log.
pub(crate) fn frame_and_asks(
    outbox: &mut Outbox,
    hub: &mut Hub,
    len_max: usize,
) -> (Vec<Value>, Vec<Ask>) {
    let mut batch = Batch::default();
    outbox.poll_batch(hub, len_max, &mut batch);
    let joined: usize =
        batch.texts.iter().map(Bytes::len).sum::<usize>() + batch.texts.len().saturating_sub(1);
    assert_eq!(joined, batch.len);
    assert!(batch.len <= len_max || batch.texts.len() == 1);
    let objects = batch
        .texts
        .iter()
        .map(|text| serde_json::from_slice(text).unwrap())
        .collect();
    (objects, batch.asks)
}

/// One frame's objects, where there is no log.
pub(crate) fn frame(outbox: &mut Outbox, hub: &mut Hub, len_max: usize) -> Vec<Value> {
    let (objects, asks) = frame_and_asks(outbox, hub, len_max);
    for _ in asks {
        outbox.handle_answer(Answer::Unavailable);
    }
    objects
}

/// Everything owed, where there is no log.
pub(crate) fn drain(outbox: &mut Outbox, hub: &mut Hub) -> Vec<Value> {
    let mut all = Vec::new();
    while !outbox.is_empty() {
        all.extend(frame(outbox, hub, 64 * 1024));
    }
    all
}

/// Everything owed, with a log whose pages have this length at most.
pub(crate) fn drain_with(
    outbox: &mut Outbox,
    hub: &mut Hub,
    log: &Log,
    page_len: usize,
) -> Vec<Value> {
    let mut all = Vec::new();
    while !outbox.is_empty() {
        let (objects, asks) = frame_and_asks(outbox, hub, 64 * 1024);
        assert!(asks.len() <= 1, "one question at a time");
        all.extend(objects);
        for ask in asks {
            outbox.handle_answer(log.answer(&ask, page_len));
        }
    }
    all
}

/// Objects in short: `open 3.7` (start, seq), `close 2`, `missed 1-4`, and the op of replies.
pub(crate) fn short(objects: &[Value]) -> Vec<String> {
    objects
        .iter()
        .map(|object| match object["op"].as_str() {
            Some("bar") if object["closed"] == true => format!("close {}", object["close_no"]),
            Some("bar") => {
                let start = object["start"].as_i64().unwrap() / 60_000;
                format!("open {start}.{}", object["seq"])
            }
            Some("missed") => format!("missed {}-{}", object["from"], object["to"]),
            other => other.unwrap_or("nothing").to_owned(),
        })
        .collect()
}
