// Pure: the names and numbers that bars are published under.
#![deny(clippy::disallowed_methods)]

use wire::{Bar, Candle, Completeness, Interval};

use crate::listing::Listed;

/// Makes bars of what the engine gives: their topic, and `seq`, which rises by one with each open bar of a topic.
#[derive(Debug)]
pub struct Names {
    intervals: Vec<Interval>,
    series: Vec<Named>,
}

#[derive(Debug)]
struct Named {
    listed: Listed,
    /// Of each interval.
    seq: Vec<u64>,
}

/// What a bar is of, besides its numbers.
#[derive(Debug, Clone, Copy)]
pub struct Content {
    /// Which of the shard's series.
    pub series: usize,
    /// Its length.
    pub interval: Interval,
    /// Unix milliseconds.
    pub start_ms: i64,
    /// Prices, volumes, ids.
    pub candle: Candle,
    /// What is known of its trades.
    pub completeness: Completeness,
    /// The newest venue time that it rests on, in Unix milliseconds.
    pub event_time_ms: i64,
}

/// The numbers of ownership.
#[derive(Debug, Clone, Copy)]
pub struct Numbers {
    /// Under which the bar is published.
    pub epoch: u64,
    /// A close's own number; of an open bar, that of its topic's last committed close.
    pub close_no: u64,
    /// Unix milliseconds, by our clock.
    pub publish_time_ms: i64,
}

impl Names {
    /// Without a series. Intervals are sorted, each once.
    #[must_use]
    pub fn new(intervals: Vec<Interval>) -> Self {
        Self {
            intervals,
            series: Vec::new(),
        }
    }

    /// One more series.
    pub fn handle_listed(&mut self, listed: Listed) {
        self.series.push(Named {
            listed,
            seq: vec![0; self.intervals.len()],
        });
    }

    /// The series' topics have another name.
    pub fn handle_renamed(&mut self, series: usize, listed: Listed) {
        if let Some(named) = self.series.get_mut(series) {
            named.listed = listed;
        }
    }

    /// A close, or with a `rev` above 0 an amendment.
    #[must_use]
    pub fn close(&self, content: &Content, rev: u32, numbers: &Numbers) -> Option<Bar> {
        let named = self.series.get(content.series)?;
        let seq = self.place(content.interval).map(|at| named.seq[at])?;
        Some(bar(&named.listed, content, numbers, Some(rev), seq))
    }

    /// An open bar as it stands now.
    pub fn open(&mut self, content: &Content, numbers: &Numbers) -> Option<Bar> {
        let at = self.place(content.interval)?;
        let named = self.series.get_mut(content.series)?;
        named.seq[at] += 1;
        let seq = named.seq[at];
        Some(bar(&named.listed, content, numbers, None, seq))
    }

    fn place(&self, interval: Interval) -> Option<usize> {
        self.intervals.binary_search(&interval).ok()
    }
}

fn bar(listed: &Listed, content: &Content, numbers: &Numbers, rev: Option<u32>, seq: u64) -> Bar {
    Bar {
        topic: listed.topic(content.interval),
        instrument: listed.instrument.clone(),
        interval: content.interval,
        start_ms: content.start_ms,
        candle: content.candle,
        closed: rev.is_some(),
        rev: rev.unwrap_or(0),
        completeness: content.completeness,
        close_no: numbers.close_no,
        epoch: numbers.epoch,
        seq,
        event_time_ms: content.event_time_ms,
        publish_time_ms: numbers.publish_time_ms,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::listing;

    fn names() -> Names {
        let venue = "coinbase".parse().unwrap();
        let symbols = ["BTC-USD", "ETH-USD"].map(|symbol| symbol.parse().unwrap());
        let intervals = ["1s", "1m"].map(|text| text.parse().unwrap());
        let mut names = Names::new(intervals.into());
        for listed in listing::list([(&venue, &symbols[..])]) {
            names.handle_listed(listed);
        }
        names
    }

    fn content(series: usize, interval: &str) -> Content {
        Content {
            series,
            interval: interval.parse().unwrap(),
            start_ms: 0,
            candle: Candle::flat("1".parse().unwrap()),
            completeness: Completeness::Quiet,
            event_time_ms: 5,
        }
    }

    const NUMBERS: Numbers = Numbers {
        epoch: 77,
        close_no: 3,
        publish_time_ms: 6,
    };

    #[test]
    fn open_bars_are_counted_by_topic() {
        let mut names = names();
        let mut seq = |series, interval| {
            let bar = names.open(&content(series, interval), &NUMBERS).unwrap();
            assert!(!bar.closed && bar.rev == 0 && bar.epoch == 77 && bar.close_no == 3);
            (bar.topic.to_string(), bar.seq)
        };
        let expect = |topic: &str, seq| (topic.to_owned(), seq);
        assert_eq!(seq(0, "1s"), expect("kline:1s:BTC-USD", 1));
        assert_eq!(seq(0, "1s"), expect("kline:1s:BTC-USD", 2));
        assert_eq!(seq(0, "1m"), expect("kline:1m:BTC-USD", 1));
        assert_eq!(seq(1, "1s"), expect("kline:1s:ETH-USD", 1));
    }

    #[test]
    fn a_close_has_its_rev_and_a_new_name_holds_from_then_on() {
        let mut names = names();
        let close = names.close(&content(0, "1m"), 2, &NUMBERS).unwrap();
        assert!(close.closed && close.rev == 2 && close.close_no == 3);
        let listed = Listed {
            short: false,
            instrument: close.instrument,
        };
        names.handle_renamed(0, listed);
        let close = names.close(&content(0, "1m"), 0, &NUMBERS).unwrap();
        assert_eq!(close.topic.to_string(), "kline:coinbase:1m:BTC-USD");
        assert!(names.close(&content(0, "5m"), 0, &NUMBERS).is_none());
        assert!(names.close(&content(9, "1m"), 0, &NUMBERS).is_none());
    }
}
