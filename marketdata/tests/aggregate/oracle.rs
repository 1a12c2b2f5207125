//! The naive answer: all trades at hand, grouped by bucket.

use std::collections::BTreeMap;

use wire::{Candle, Completeness, Interval, Trade};

use crate::support::DAY_MS;

/// What a bar should be, by interval and start.
pub(crate) type Bars = BTreeMap<(Interval, i64), (Candle, Completeness)>;

/// Bars of the interval from the first with a trade until `end_ms`, where everything was seen.
pub(crate) fn bars(interval: Interval, trades: &[Trade], end_ms: i64) -> Bars {
    let mut sorted: Vec<&Trade> = trades.iter().collect();
    sorted.sort_by_key(|trade| trade.id);
    let Some(first_ms) = trades.iter().map(|trade| trade.time_ms).min() else {
        return Bars::new();
    };
    let mut bars = Bars::new();
    let mut start = interval.start_of(first_ms);
    while start + interval.ms() <= DAY_MS + end_ms {
        let end = start + interval.ms();
        let inside = |trade: &&&Trade| (start..end).contains(&trade.time_ms);
        let held: Vec<&Trade> = sorted.iter().filter(inside).copied().collect();
        let bar = if held.is_empty() {
            let before = sorted.iter().rev().find(|trade| trade.time_ms < start);
            (Candle::flat(before.unwrap().price), Completeness::Quiet)
        } else {
            (candle(&held), Completeness::Complete)
        };
        bars.insert((interval, start), bar);
        start = end;
    }
    bars
}

/// Sums by hand, so that nothing of the code under test is used.
fn candle(held: &[&Trade]) -> Candle {
    let (first, last) = (held[0], held[held.len() - 1]);
    let mut candle = Candle::flat(first.price);
    candle.close = last.price;
    candle.high = held.iter().map(|trade| trade.price).max().unwrap();
    candle.low = held.iter().map(|trade| trade.price).min().unwrap();
    candle.count = held.len() as u64;
    candle.ids = Some((first.id, last.id));
    for trade in held {
        let value = trade.price.checked_mul(trade.size).unwrap();
        candle.volume = candle.volume.checked_add(trade.size).unwrap();
        candle.quote_volume = candle.quote_volume.checked_add(value).unwrap();
        if trade.taker == wire::Side::Buy {
            candle.taker_buy_volume = candle.taker_buy_volume.checked_add(trade.size).unwrap();
            candle.taker_buy_quote_volume =
                candle.taker_buy_quote_volume.checked_add(value).unwrap();
        }
    }
    candle
}
