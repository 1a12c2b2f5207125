// Pure: the trades that one instrument has made.
#![deny(clippy::disallowed_methods)]

use std::collections::VecDeque;

use wire::{Interval, Price, Trade};

use super::row::Row;

/// One trade as the venue keeps it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Execution {
    /// The trade.
    pub trade: Trade,
    /// Its time in microseconds, as Coinbase writes it; `trade.time_ms` is its floor.
    pub time_us: i64,
    /// When the venue announced it, Unix milliseconds (Binance's `E`).
    pub event_ms: i64,
    /// Which aggregate trade it is part of (Binance's `a`): fills of one order at one price.
    pub aggregate_id: u64,
    /// Where in the market's order of events it stands.
    pub position: u64,
}

/// The newest trades of an instrument, oldest first, ids rising.
#[derive(Debug)]
pub struct Tape {
    /// The venue's own spelling of the symbol.
    pub native: String,
    /// How prices and sizes step.
    pub listing: Listing,
    /// The price before the first trade.
    reference: Option<Price>,
    executions: VecDeque<Execution>,
    /// How many are kept.
    keep_max: usize,
    /// The highest trade id that was let go to keep the bound.
    forgotten_id: Option<u64>,
    next_aggregate_id: u64,
}

/// What an exchange says about an instrument before it trades.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Listing {
    /// Decimals of the smallest price step.
    pub tick_decimals: u32,
    /// Decimals of the smallest size step.
    pub lot_decimals: u32,
}

impl Tape {
    pub(super) fn new(
        native: String,
        listing: Listing,
        reference: Option<Price>,
        keep_max: usize,
    ) -> Self {
        Self {
            native,
            listing,
            reference,
            executions: VecDeque::new(),
            keep_max: keep_max.max(1),
            forgotten_id: None,
            next_aggregate_id: 1,
        }
    }

    /// Takes the fills of one step. Neighbours at one price, time and side are one aggregate trade.
    ///
    /// A trade id that the tape has already (a recording that overlaps the one before it) is passed over.
    pub(super) fn push(
        &mut self,
        fills: &[(Trade, i64)],
        event_ms: i64,
        position: u64,
    ) -> Vec<Execution> {
        let mut made: Vec<Execution> = Vec::with_capacity(fills.len());
        for &(trade, time_us) in fills {
            if self.last_id().is_some_and(|last| trade.id <= last) {
                continue;
            }
            let same_order = made.last().is_some_and(|last| {
                let last = last.trade;
                (last.price, last.time_ms, last.taker) == (trade.price, trade.time_ms, trade.taker)
            });
            if !same_order {
                self.next_aggregate_id += 1;
            }
            let execution = Execution {
                trade,
                time_us,
                event_ms,
                aggregate_id: self.next_aggregate_id - 1,
                position,
            };
            made.push(execution);
            self.executions.push_back(execution);
        }
        while self.executions.len() > self.keep_max {
            self.forgotten_id = self.executions.pop_front().map(|old| old.trade.id);
        }
        made
    }

    /// The trades that are kept, oldest first.
    pub fn executions(&self) -> impl DoubleEndedIterator<Item = &Execution> + ExactSizeIterator {
        self.executions.iter()
    }

    /// The trades with ids from `id` on, oldest first.
    pub fn from_id(
        &self,
        id: u64,
    ) -> impl DoubleEndedIterator<Item = &Execution> + ExactSizeIterator {
        let start = self.executions.partition_point(|e| e.trade.id < id);
        self.executions.range(start..)
    }

    /// The highest id so far.
    #[must_use]
    pub fn last_id(&self) -> Option<u64> {
        self.executions
            .back()
            .map(|last| last.trade.id)
            .or(self.forgotten_id)
    }

    /// The price of the last trade, or the one before the first.
    #[must_use]
    pub fn last_price(&self) -> Option<Price> {
        let last = self.executions.back();
        last.map_or(self.reference, |last| Some(last.trade.price))
    }

    /// The last trade that stands at or before the position.
    #[must_use]
    pub fn last_at(&self, position: u64) -> Option<&Execution> {
        self.until(position).next_back()
    }

    /// The trades at or before the position: what somebody who has read that far can know of.
    pub fn until(
        &self,
        position: u64,
    ) -> impl DoubleEndedIterator<Item = &Execution> + ExactSizeIterator {
        let end = self.executions.partition_point(|e| e.position <= position);
        self.executions.range(..end)
    }

    /// Whether trades that may belong to a bucket starting then were let go.
    #[must_use]
    pub fn has_forgotten_since(&self, start_ms: i64) -> bool {
        let oldest = self
            .executions
            .front()
            .map_or(i64::MIN, |e| e.trade.time_ms);
        self.forgotten_id.is_some() && oldest.saturating_add(DISORDER_MS) >= start_ms
    }

    /// The bucket's row as of the position, flat where there was no trade; `None` before the first known price.
    #[must_use]
    pub fn row(&self, interval: Interval, start_ms: i64, position: u64) -> Option<Row> {
        let end_ms = start_ms.checked_add(interval.ms())?;
        // Times follow ids but for a little disorder, so a cut by time with that much room holds all of the bucket.
        let cut = |time_ms: i64| {
            self.executions
                .partition_point(|e| e.trade.time_ms < time_ms)
        };
        let known = self.executions.partition_point(|e| e.position <= position);
        let (from, to) = (
            cut(start_ms.saturating_sub(DISORDER_MS)),
            cut(end_ms.saturating_add(DISORDER_MS)).min(known),
        );
        let around = self.executions.range(from.min(to)..to);
        if let Some(row) = Row::of(around.map(|e| &e.trade), start_ms, end_ms) {
            return Some(row);
        }
        let previous = self
            .executions
            .range(..to)
            .rev()
            .find(|e| e.trade.time_ms < start_ms);
        let close = previous.map(|e| e.trade.price).or(self.reference)?;
        Some(Row::flat(start_ms, end_ms, close))
    }
}

/// How far a trade's time may run against its id: the recordings show at most 2 ms.
const DISORDER_MS: i64 = 5_000;

#[cfg(test)]
mod tests {
    use wire::Side;

    use super::*;

    fn fill(id: u64, time_ms: i64, price: &str) -> (Trade, i64) {
        let price = price.parse().unwrap();
        let trade = Trade {
            id,
            time_ms,
            price,
            size: "1".parse().unwrap(),
            taker: Side::Buy,
        };
        (trade, time_ms * 1_000)
    }

    fn tape(keep_max: usize) -> Tape {
        let listing = Listing {
            tick_decimals: 2,
            lot_decimals: 5,
        };
        Tape::new(
            "AB".to_owned(),
            listing,
            Some("7".parse().unwrap()),
            keep_max,
        )
    }

    #[test]
    fn the_bound_is_kept_and_says_what_it_cost() {
        let mut tape = tape(3);
        for id in 10..20 {
            tape.push(&[fill(id, i64::try_from(id).unwrap() * 60_000, "1")], 0, id);
        }
        assert_eq!(
            tape.executions().map(|e| e.trade.id).collect::<Vec<_>>(),
            [17, 18, 19]
        );
        assert!(tape.has_forgotten_since(16 * 60_000) && !tape.has_forgotten_since(18 * 60_000));
        assert_eq!(tape.from_id(18).len(), 2);
    }

    #[test]
    fn ids_that_are_there_already_are_passed_over() {
        let mut tape = tape(10);
        tape.push(&[fill(1, 0, "1"), fill(2, 0, "1")], 0, 1);
        let made = tape.push(&[fill(2, 0, "1"), fill(3, 0, "1")], 0, 2);
        assert_eq!(made.iter().map(|e| e.trade.id).collect::<Vec<_>>(), [3]);
    }

    #[test]
    fn neighbours_at_one_price_are_one_aggregate() {
        let mut tape = tape(10);
        let made = tape.push(
            &[
                fill(1, 0, "1"),
                fill(2, 0, "1"),
                fill(3, 0, "2"),
                fill(4, 0, "1"),
            ],
            0,
            1,
        );
        let next = tape.push(&[fill(5, 0, "1")], 0, 2);
        let ids: Vec<_> = made.iter().chain(&next).map(|e| e.aggregate_id).collect();
        assert_eq!(ids, [1, 1, 2, 3, 4]);
    }

    #[test]
    fn a_row_knows_only_what_stood_at_its_position() {
        let mut tape = tape(10);
        let row = |tape: &Tape, start, position| tape.row(Interval::S1, start, position).unwrap();
        assert_eq!(row(&tape, 0, 0).open.to_string(), "7");
        tape.push(&[fill(1, 100, "8")], 0, 1);
        tape.push(&[fill(2, 200, "9")], 0, 2);
        assert_eq!(row(&tape, 0, 1).close.to_string(), "8");
        assert_eq!(row(&tape, 0, 2).close.to_string(), "9");
        let quiet = row(&tape, 1_000, 2);
        assert_eq!((quiet.open.to_string(), quiet.count), ("9".to_owned(), 0));
    }
}
