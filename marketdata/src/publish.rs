// Pure: the numbers that bars are published under, and the closes that are not committed yet.
#![deny(clippy::disallowed_methods)]

use std::collections::VecDeque;

use runtime::telemetry::TraceContext;
use wire::{Bar, Candle, Completeness, Instrument, Interval, Topic};

use crate::listing::Listed;

/// Gives bars their topic, `close_no`, `seq` and `epoch`.
///
/// `close_no` rises by one with each close of a topic; an open bar bears the number of the last one that is
/// committed, so that a client never waits for a close that is still on its way. `seq` rises by one with each open
/// bar.
#[derive(Debug)]
pub struct Numberer {
    epoch: u64,
    intervals: usize,
    topics: Vec<Numbers>,
}

#[derive(Debug)]
struct Numbers {
    topic: Topic,
    instrument: Instrument,
    interval: Interval,
    closed: u64,
    committed: u64,
    seq: u64,
}

/// What a bar is of, besides its number.
#[derive(Debug, Clone, Copy)]
pub struct Content {
    /// Which of the shard's instruments.
    pub series: usize,
    /// Which of the intervals, shortest first.
    pub interval: usize,
    /// Unix milliseconds.
    pub start_ms: i64,
    /// Prices, volumes, ids.
    pub candle: Candle,
    /// What is known of its trades.
    pub completeness: Completeness,
    /// The newest venue time that it rests on, in Unix milliseconds.
    pub event_time_ms: i64,
}

impl Numberer {
    /// Numbers for these instruments, in the shard's order, of which none has closed a bar before. `epoch` is
    /// higher than any before it: the process's start in Unix milliseconds.
    pub fn new<'a>(
        epoch: u64,
        instruments: impl IntoIterator<Item = &'a Listed>,
        intervals: &[Interval],
    ) -> Self {
        let numbers = |listed: &Listed, interval: Interval| Numbers {
            topic: listed.topic(interval),
            instrument: listed.instrument.clone(),
            interval,
            closed: 0,
            committed: 0,
            seq: 0,
        };
        Self {
            epoch,
            intervals: intervals.len(),
            topics: instruments
                .into_iter()
                .flat_map(|listed| {
                    intervals
                        .iter()
                        .map(move |&interval| numbers(listed, interval))
                })
                .collect(),
        }
    }

    /// A close: it takes the topic's next number.
    pub fn close(&mut self, content: &Content, publish_time_ms: i64) -> Bar {
        let epoch = self.epoch;
        let numbers = self.numbers(content);
        numbers.closed += 1;
        let close_no = numbers.closed;
        bar(numbers, content, epoch, close_no, publish_time_ms, true)
    }

    /// An open bar as it stands now.
    pub fn open(&mut self, content: &Content, publish_time_ms: i64) -> Bar {
        let epoch = self.epoch;
        let numbers = self.numbers(content);
        numbers.seq += 1;
        let close_no = numbers.committed;
        bar(numbers, content, epoch, close_no, publish_time_ms, false)
    }

    /// A close has been committed.
    pub fn handle_committed(&mut self, series: usize, interval: usize, close_no: u64) {
        let numbers = &mut self.topics[series * self.intervals + interval];
        numbers.committed = numbers.committed.max(close_no);
    }

    fn numbers(&mut self, content: &Content) -> &mut Numbers {
        &mut self.topics[content.series * self.intervals + content.interval]
    }
}

fn bar(
    numbers: &Numbers,
    content: &Content,
    epoch: u64,
    close_no: u64,
    publish_time_ms: i64,
    closed: bool,
) -> Bar {
    Bar {
        topic: numbers.topic.clone(),
        instrument: numbers.instrument.clone(),
        interval: numbers.interval,
        start_ms: content.start_ms,
        candle: content.candle,
        closed,
        rev: 0,
        completeness: content.completeness,
        close_no,
        epoch,
        seq: numbers.seq,
        event_time_ms: content.event_time_ms,
        publish_time_ms,
    }
}

/// Closes on their way to the bus, oldest first. They leave it only when they are committed.
#[derive(Debug, Default)]
pub struct Spool {
    closes: VecDeque<Spooled>,
}

/// A close with its place.
#[derive(Debug, Clone)]
pub struct Spooled {
    /// Which of the shard's instruments.
    pub series: usize,
    /// Which of the intervals.
    pub interval: usize,
    /// The bar.
    pub bar: Bar,
    /// The trace that it is part of, if it is sampled.
    pub trace: Option<TraceContext>,
}

impl Spool {
    /// How many closes wait at most before the shard stops reading. At 20 instruments of 4 intervals it is an
    /// hour of the bus being away; at 1,000, a minute. Some 400 bytes each: 32 MB.
    pub const LEN_MAX: usize = 80_000;

    /// Adds the newest.
    pub fn push(&mut self, close: Spooled) {
        self.closes.push_back(close);
    }

    /// Whether the shard must stop reading until some are committed.
    #[must_use]
    pub fn is_full(&self) -> bool {
        self.closes.len() >= Self::LEN_MAX
    }

    /// Whether all are committed.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.closes.is_empty()
    }

    /// How many wait.
    #[must_use]
    pub fn len(&self) -> usize {
        self.closes.len()
    }

    /// The oldest ones, up to `max`.
    pub fn batch(&self, max: usize) -> impl Iterator<Item = &Spooled> {
        self.closes.iter().take(max)
    }

    /// The oldest `count` are committed.
    pub fn handle_committed(&mut self, count: usize) -> impl Iterator<Item = Spooled> + '_ {
        let count = count.min(self.closes.len());
        self.closes.drain(..count)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::listing;

    fn numberer() -> Numberer {
        let venue = "coinbase".parse().unwrap();
        let symbols = ["BTC-USD", "ETH-USD"].map(|symbol| symbol.parse().unwrap());
        let listed = listing::list([(&venue, &symbols[..])]);
        let intervals = ["1s", "1m"].map(|text| text.parse().unwrap());
        Numberer::new(77, &listed, &intervals)
    }

    fn content(series: usize, interval: usize) -> Content {
        Content {
            series,
            interval,
            start_ms: 0,
            candle: Candle::flat("1".parse().unwrap()),
            completeness: Completeness::Quiet,
            event_time_ms: 5,
        }
    }

    #[test]
    fn numbers_are_each_topics_own() {
        let mut numberer = numberer();
        let closed: Vec<_> = [(0, 0), (0, 1), (0, 0), (1, 1), (0, 0)]
            .map(|(series, interval)| {
                let bar = numberer.close(&content(series, interval), 6);
                (bar.topic.to_string(), bar.close_no, bar.closed, bar.epoch)
            })
            .into();
        let close = |topic: &str, close_no| (topic.to_owned(), close_no, true, 77);
        let expect = [
            close("kline:1s:BTC-USD", 1),
            close("kline:1m:BTC-USD", 1),
            close("kline:1s:BTC-USD", 2),
            close("kline:1m:ETH-USD", 1),
            close("kline:1s:BTC-USD", 3),
        ];
        assert_eq!(closed, expect);
    }

    #[test]
    fn an_open_bar_bears_the_last_committed_close() {
        let mut numberer = numberer();
        let open = |numberer: &mut Numberer| {
            let bar = numberer.open(&content(0, 0), 6);
            assert!(!bar.closed);
            (bar.close_no, bar.seq)
        };
        assert_eq!(open(&mut numberer), (0, 1));
        numberer.close(&content(0, 0), 6);
        numberer.close(&content(0, 0), 6);
        assert_eq!(open(&mut numberer), (0, 2));
        numberer.handle_committed(0, 0, 1);
        assert_eq!(open(&mut numberer), (1, 3));
        numberer.handle_committed(0, 0, 2);
        assert_eq!(open(&mut numberer), (2, 4));
        assert_eq!(numberer.open(&content(1, 0), 6).seq, 1);
    }

    #[test]
    fn what_is_not_committed_stays_in_order() {
        let mut numberer = numberer();
        let mut spool = Spool::default();
        for _ in 0..5 {
            spool.push(Spooled {
                series: 0,
                interval: 0,
                bar: numberer.close(&content(0, 0), 6),
                trace: None,
            });
        }
        let numbers = |spool: &Spool, max| -> Vec<u64> {
            spool.batch(max).map(|close| close.bar.close_no).collect()
        };
        assert_eq!(numbers(&spool, 3), [1, 2, 3]);
        assert_eq!(numbers(&spool, 3), [1, 2, 3]);
        assert_eq!(spool.handle_committed(3).count(), 3);
        assert_eq!(numbers(&spool, 3), [4, 5]);
        assert_eq!(spool.handle_committed(9).count(), 2);
        assert!(spool.is_empty());
    }
}
