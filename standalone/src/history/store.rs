// Pure: closed bars in memory, by topic and start.
#![deny(clippy::disallowed_methods)]

use std::collections::BTreeMap;
use std::sync::Arc;

use wire::{Bar, Instrument, Interval};

/// Closed bars, the newest of each topic, each at its highest `rev`.
///
/// There are as many topics as instruments times intervals are carried, so that the whole is bounded.
#[derive(Debug)]
pub struct Store {
    bars_max: usize,
    series: BTreeMap<(Instrument, Interval), BTreeMap<i64, Arc<Bar>>>,
}

/// Which bars of a topic.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Range {
    /// First start, Unix milliseconds; `None` for the newest bars.
    pub start_ms: Option<i64>,
    /// Starts before this, Unix milliseconds.
    pub end_ms: Option<i64>,
    /// At most so many.
    pub limit: usize,
}

/// Bars of one topic, oldest first.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Page {
    /// The bars.
    pub bars: Vec<Arc<Bar>>,
    /// Start of the next bar of the range, where the limit cut it off.
    pub next_ms: Option<i64>,
}

impl Store {
    /// An empty store that keeps `bars_max` bars of each topic.
    #[must_use]
    pub fn new(bars_max: usize) -> Self {
        Self {
            bars_max,
            series: BTreeMap::new(),
        }
    }

    /// Takes a close or an amendment. A lower `rev` never replaces a higher one; the same bar again changes
    /// nothing. Beyond `bars_max` the oldest bar of the topic goes.
    pub fn handle_close(&mut self, bar: Arc<Bar>) {
        let key = (bar.instrument.clone(), bar.interval);
        let series = self.series.entry(key).or_default();
        if series
            .get(&bar.start_ms)
            .is_some_and(|held| held.rev >= bar.rev)
        {
            return;
        }
        series.insert(bar.start_ms, bar);
        if series.len() > self.bars_max {
            series.pop_first();
        }
    }

    /// Bars of a range: from its start on, or the newest where it has none.
    #[must_use]
    pub fn page(&self, instrument: &Instrument, interval: Interval, range: Range) -> Page {
        let Some(series) = self.series.get(&(instrument.clone(), interval)) else {
            return Page::default();
        };
        let end_ms = range.end_ms.unwrap_or(i64::MAX);
        let Some(start_ms) = range.start_ms else {
            let newest = series.range(..end_ms).rev().take(range.limit);
            let mut bars: Vec<_> = newest.map(|(_, bar)| Arc::clone(bar)).collect();
            bars.reverse();
            return Page {
                bars,
                next_ms: None,
            };
        };
        if start_ms >= end_ms {
            return Page::default();
        }
        let mut rest = series.range(start_ms..end_ms);
        let bars = rest
            .by_ref()
            .take(range.limit)
            .map(|(_, bar)| Arc::clone(bar))
            .collect();
        let next_ms = rest.next().map(|(start_ms, _)| *start_ms);
        Page { bars, next_ms }
    }

    /// How many bars are held, over all topics.
    #[must_use]
    pub fn bars(&self) -> usize {
        self.series.values().map(BTreeMap::len).sum()
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use wire::{Candle, Completeness, Price, Topic};

    use super::*;
    use crate::carried::tests::instrument;

    /// A quiet 1s bar of `coinbase/BTC-USD`, `second` seconds after 1970.
    pub(crate) fn bar(second: i64, rev: u32) -> Arc<Bar> {
        let instrument = instrument("coinbase", "BTC-USD");
        Arc::new(Bar {
            topic: Topic::short(Interval::S1, instrument.symbol.clone()),
            instrument,
            interval: Interval::S1,
            start_ms: second * 1_000,
            candle: Candle::flat(Price::parse(b"1.5").unwrap()),
            closed: true,
            rev,
            completeness: Completeness::Quiet,
            close_no: 1,
            epoch: 1,
            seq: 1,
            event_time_ms: 0,
            publish_time_ms: 0,
        })
    }

    fn page(
        store: &Store,
        start: Option<i64>,
        end: Option<i64>,
        limit: usize,
    ) -> (Vec<i64>, Option<i64>) {
        let range = Range {
            start_ms: start.map(|s| s * 1_000),
            end_ms: end.map(|s| s * 1_000),
            limit,
        };
        let page = store.page(&instrument("coinbase", "BTC-USD"), Interval::S1, range);
        let starts = page.bars.iter().map(|bar| bar.start_ms / 1_000).collect();
        (starts, page.next_ms.map(|ms| ms / 1_000))
    }

    #[test]
    fn pages_go_forward_from_a_start_and_back_without_one() {
        let mut store = Store::new(100);
        for second in [14, 10, 11, 13, 12] {
            store.handle_close(bar(second, 0));
        }
        let check = |start, end, limit, bars: &[i64], next: Option<i64>| {
            assert_eq!(page(&store, start, end, limit), (bars.to_vec(), next));
        };
        check(None, None, 9, &[10, 11, 12, 13, 14], None);
        check(None, None, 2, &[13, 14], None);
        check(None, Some(13), 2, &[11, 12], None);
        check(Some(11), None, 9, &[11, 12, 13, 14], None);
        check(Some(11), None, 2, &[11, 12], Some(13));
        check(Some(11), Some(13), 2, &[11, 12], None);
        check(Some(11), Some(14), 2, &[11, 12], Some(13));
        check(Some(15), None, 2, &[], None);
        check(Some(13), Some(13), 2, &[], None);
        check(Some(13), Some(11), 2, &[], None);
        check(Some(i64::MIN / 1_000), Some(11), 1, &[10], None);
        let other = store.page(
            &instrument("coinbase", "ETH-USD"),
            Interval::S1,
            Range {
                start_ms: None,
                end_ms: None,
                limit: 9,
            },
        );
        assert_eq!(other, Page::default());
    }

    #[test]
    fn the_highest_rev_is_kept_whatever_the_order() {
        for order in [[0, 1, 2], [2, 1, 0], [1, 2, 0], [0, 2, 2]] {
            let mut store = Store::new(100);
            for rev in order {
                store.handle_close(bar(10, rev));
            }
            let range = Range {
                start_ms: None,
                end_ms: None,
                limit: 9,
            };
            let page = store.page(&instrument("coinbase", "BTC-USD"), Interval::S1, range);
            assert_eq!(page.bars.len(), 1);
            assert_eq!(page.bars[0].rev, 2, "{order:?}");
        }
    }

    #[test]
    fn the_oldest_go_first() {
        let mut store = Store::new(3);
        for second in 0..10 {
            store.handle_close(bar(second, 0));
        }
        assert_eq!(page(&store, None, None, 9), (vec![7, 8, 9], None));
        // One that is older than all that are held is not kept in a newer one's place.
        store.handle_close(bar(1, 0));
        assert_eq!(page(&store, None, None, 9), (vec![7, 8, 9], None));
        assert_eq!(store.bars(), 3);
    }
}
