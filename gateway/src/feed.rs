//! Pure: what is heard of each instrument, for whoever operates the feed.
#![deny(clippy::disallowed_methods)]

use std::collections::BTreeMap;

use wire::api::{FeedReport, FeedTotals, InstrumentReport, IntervalReport};
use wire::{Bar, Instrument, Interval, Scope};

/// The time, by two clocks.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Now {
    /// Since any fixed instant, never backwards, in milliseconds.
    pub(crate) ms: u64,
    /// Unix milliseconds.
    pub(crate) unix_ms: i64,
}

/// All instruments that were heard of; bounded by what the feed carries.
#[derive(Debug)]
pub(crate) struct Feed {
    /// How long an event time may stand still, in milliseconds.
    fresh_max_ms: u64,
    instruments: BTreeMap<Instrument, Heard>,
}

#[derive(Debug, Default)]
struct Heard {
    epoch: Option<u64>,
    event: Option<EventTime>,
    heard_ms: u64,
    open_bars: u64,
    fenced: u64,
    closes: u64,
    breaks: u64,
    intervals: BTreeMap<Interval, Topic>,
}

/// The newest event time.
#[derive(Debug, Clone, Copy)]
struct EventTime {
    time_ms: i64,
    /// When it came, by our own clock.
    came_ms: u64,
    /// How old it was then: known of the first one only by the wall clock, and none of any that came after another.
    old_ms: u64,
}

#[derive(Debug, Default, Clone, Copy)]
struct Topic {
    close_no: u64,
    start_ms: i64,
}

impl Feed {
    /// Nothing was heard yet.
    pub(crate) fn new(fresh_max_ms: u64) -> Self {
        Self {
            fresh_max_ms,
            instruments: BTreeMap::new(),
        }
    }

    /// An open bar came.
    pub(crate) fn handle_open(&mut self, now: Now, bar: &Bar) {
        let heard = self.heard(bar);
        if heard.epoch > Some(bar.epoch) {
            heard.fenced += 1;
            return;
        }
        heard.epoch = Some(bar.epoch);
        heard.heard_ms = now.ms;
        heard.open_bars += 1;
        heard.handle_event_time(now, bar.event_time_ms);
        heard.handle_bar(bar);
    }

    /// A close or an amendment came, for the first time; `breaks` when some before it did not.
    pub(crate) fn handle_close(&mut self, bar: &Bar, breaks: bool) {
        let heard = self.heard(bar);
        heard.closes += 1;
        heard.breaks += u64::from(breaks);
        heard.handle_bar(bar);
    }

    /// The log was made anew: its topics are numbered from their beginning, by owners that are yet to be heard.
    pub(crate) fn handle_other_log(&mut self) {
        for heard in self.instruments.values_mut() {
            heard.epoch = None;
            heard.intervals.clear();
        }
    }

    fn heard(&mut self, bar: &Bar) -> &mut Heard {
        self.instruments.entry(bar.instrument.clone()).or_default()
    }

    /// All of it, as of now.
    pub(crate) fn report(&self, now: Now, scope: &Scope) -> FeedReport {
        let mut totals = FeedTotals::default();
        let report = |(instrument, heard): (&Instrument, &Heard)| {
            let report = heard.report(now, instrument, self.fresh_max_ms);
            totals.instruments += 1;
            totals.fresh += u64::from(report.fresh);
            totals.open_bars += report.open_bars;
            totals.fenced += report.fenced;
            totals.closes += report.closes;
            totals.breaks += report.breaks;
            report
        };
        let instruments = self.instruments.iter().map(report).collect();
        FeedReport {
            env: scope.env.clone(),
            region: scope.region.clone(),
            now: now.unix_ms,
            totals,
            instruments,
        }
    }
}

impl Heard {
    fn handle_event_time(&mut self, now: Now, time_ms: i64) {
        let old_ms = match self.event {
            Some(event) if time_ms <= event.time_ms => return,
            Some(_) => 0,
            // It may be the last value of an owner that is long gone.
            None => now.unix_ms.saturating_sub(time_ms).max(0).cast_unsigned(),
        };
        self.event = Some(EventTime {
            time_ms,
            came_ms: now.ms,
            old_ms,
        });
    }

    fn handle_bar(&mut self, bar: &Bar) {
        let topic = self.intervals.entry(bar.interval).or_default();
        topic.close_no = topic.close_no.max(bar.close_no);
        topic.start_ms = topic.start_ms.max(bar.start_ms);
    }

    fn report(&self, now: Now, instrument: &Instrument, fresh_max_ms: u64) -> InstrumentReport {
        let age = self.event.map(|event| {
            now.ms
                .saturating_sub(event.came_ms)
                .saturating_add(event.old_ms)
        });
        let interval = |(interval, topic): (&Interval, &Topic)| IntervalReport {
            interval: *interval,
            close_no: topic.close_no,
            start: topic.start_ms,
        };
        InstrumentReport {
            venue: instrument.venue.clone(),
            symbol: instrument.symbol.clone(),
            epoch: self.epoch,
            event_time: self.event.map(|event| event.time_ms),
            age,
            heard: self.epoch.map(|_| now.ms.saturating_sub(self.heard_ms)),
            fresh: age.is_some_and(|age| age <= fresh_max_ms),
            open_bars: self.open_bars,
            fenced: self.fenced,
            closes: self.closes,
            breaks: self.breaks,
            intervals: self.intervals.iter().map(interval).collect(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tests::Stream;

    fn at(ms: u64) -> Now {
        Now {
            ms,
            unix_ms: 1_000_000 + ms.cast_signed(),
        }
    }

    fn open(stream: &mut Stream, event_time_ms: i64) -> Bar {
        let mut bar = stream.open();
        bar.event_time_ms = event_time_ms;
        bar
    }

    /// The only instrument's report.
    fn report(feed: &Feed, ms: u64) -> InstrumentReport {
        let scope = Scope::new("test", "eu").unwrap();
        let mut report = feed.report(at(ms), &scope);
        assert_eq!(report.totals.instruments, 1);
        report.instruments.remove(0)
    }

    #[test]
    fn freshness_is_of_an_event_time_that_moves() {
        let mut feed = Feed::new(30_000);
        let mut btc = Stream::new("kline:1m:BTC-USDT");
        // A last value: an hour old by the wall clock, whenever it was heard.
        feed.handle_open(at(0), &open(&mut btc, 1_000_000 - 3_600_000));
        let old = report(&feed, 5);
        assert_eq!(
            (old.age, old.heard, old.fresh),
            (Some(3_600_005), Some(5), false)
        );
        // Its owner lives, but nothing comes from the exchange.
        feed.handle_open(at(10), &open(&mut btc, 1_000_000 - 3_600_000));
        assert!(!report(&feed, 10).fresh);
        // A recording is fresh while it plays, however old it is.
        feed.handle_open(at(20), &open(&mut btc, 1_000_000 - 3_500_000));
        let moved = report(&feed, 30_020);
        assert_eq!((moved.age, moved.fresh), (Some(30_000), true));
        assert!(!report(&feed, 30_021).fresh);
        // A clock ahead of ours is not below zero.
        let mut feed = Feed::new(30_000);
        feed.handle_open(at(0), &open(&mut btc, i64::MAX));
        assert_eq!(report(&feed, 1).age, Some(1));
    }

    #[test]
    fn a_log_that_was_made_anew_has_its_own_numbers() {
        let mut feed = Feed::new(30_000);
        let mut btc = Stream::new("kline:1m:BTC-USDT");
        (btc.epoch, btc.close_no) = (7, 40);
        feed.handle_open(at(0), &open(&mut btc, 1));
        feed.handle_close(&btc.close(), false);
        feed.handle_other_log();
        (btc.epoch, btc.close_no) = (3, 0);
        feed.handle_close(&btc.close(), false);
        feed.handle_open(at(1), &open(&mut btc, 2));
        let got = report(&feed, 1);
        assert_eq!((got.epoch, got.fenced, got.closes), (Some(3), 0, 2));
        assert_eq!(got.intervals[0].close_no, 1);
    }

    #[test]
    fn owners_numbers_and_counts_are_told() {
        let mut feed = Feed::new(30_000);
        let mut minute = Stream::new("kline:1m:BTC-USDT");
        let mut second = Stream::new("kline:1s:BTC-USDT");
        minute.epoch = 7;
        feed.handle_open(at(0), &open(&mut minute, 1));
        minute.epoch = 6;
        feed.handle_open(at(1), &open(&mut minute, 2));
        feed.handle_close(&minute.close(), false);
        feed.handle_close(&minute.close(), true);
        feed.handle_close(&second.close(), false);
        let got = report(&feed, 100);
        assert_eq!(
            (got.epoch, got.event_time, got.heard),
            (Some(7), Some(1), Some(100))
        );
        assert_eq!(
            (got.open_bars, got.fenced, got.closes, got.breaks),
            (1, 1, 3, 1)
        );
        let intervals: Vec<(String, u64, i64)> = got
            .intervals
            .iter()
            .map(|it| (it.interval.to_string(), it.close_no, it.start))
            .collect();
        let expect = [("1s".to_owned(), 1, 1_000), ("1m".to_owned(), 2, 120_000)];
        assert_eq!(intervals, expect);
    }
}
