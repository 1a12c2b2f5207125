use wire::{Completeness, Side};

use super::*;
use crate::listing;

const T0: i64 = 1_723_161_240_000;

fn core() -> Core {
    let venue = "binance-spot".parse().unwrap();
    let symbols = ["BTC-USDT".parse().unwrap()];
    let members: Vec<Member> = listing::list([(&venue, &symbols[..])])
        .into_iter()
        .map(|listed| Member { listed, feed: 3 })
        .collect();
    Core::new(Config::new([Interval::S1]), 7, &members)
}

fn trade(id: u64, time_ms: i64) -> Input {
    Input::Trade {
        series: 0,
        trade: Trade {
            id,
            time_ms,
            price: "5".parse().unwrap(),
            size: "1".parse().unwrap(),
            taker: Side::Buy,
        },
        event_time_ms: time_ms,
    }
}

fn clock(venue_ms: i64) -> Input {
    Input::Clock { feed: 3, venue_ms }
}

const UP: Input = Input::Up {
    series: 0,
    venue_ms: T0,
};
const DOWN: Input = Input::Down { series: 0 };

/// What the second after the first trade's closes as, given what happened in between.
fn check(inputs: &[Input], expect: Completeness) {
    let mut core = core();
    for input in [UP, trade(1, T0 + 10)].iter().chain(inputs) {
        core.handle_input(input);
    }
    core.handle_input(&trade(2, T0 + 2_500));
    core.handle_input(&clock(T0 + 30_000));
    core.collect(100, 0);
    let bars: Vec<Bar> = core.spool().batch(100).map(|c| c.bar.clone()).collect();
    assert_eq!(bars[1].start_ms, T0 + 1_000);
    assert_eq!(bars[1].completeness, expect, "{inputs:?}");
    assert_eq!(bars[1].close_no, 2);
}

#[test]
fn an_instrument_is_up_while_any_connection_carries_it() {
    check(&[], Completeness::Quiet);
    check(&[UP, DOWN], Completeness::Quiet);
    check(&[UP, DOWN, UP, DOWN], Completeness::Quiet);
}

#[test]
fn a_trade_with_a_damaged_number_marks_what_is_open() {
    // An id that was seen, at a time that was not.
    check(&[trade(1, T0 + 1_500)], Completeness::Gap);
    // A true duplicate is no harm.
    check(&[trade(1, T0 + 10)], Completeness::Quiet);
    // A time of the far past.
    check(&[clock(T0 + 1_500), trade(7, 5)], Completeness::Gap);
}

#[test]
fn open_bars_bear_what_is_committed() {
    let mut core = core();
    core.handle_input(&UP);
    core.handle_input(&trade(1, T0 + 10));
    let (open, _) = core.poll_open(9).unwrap();
    assert_eq!((open.close_no, open.seq, open.closed), (0, 1, false));
    assert!(core.poll_open(9).is_none());
    core.handle_input(&clock(T0 + 3_100));
    assert_eq!(core.collect(100, 9), 1);
    assert_eq!(core.poll_open(9).unwrap().0.close_no, 0);
    assert!(core.poll_open(9).is_none());
    core.handle_committed(1);
    core.handle_republish();
    let (open, _) = core.poll_open(9).unwrap();
    assert_eq!((open.close_no, open.start_ms), (1, T0 + 3_000));
    assert!(core.spool().is_empty());
}

/// A bar that is due closes as it stands, whenever the shell comes to fetch it.
#[test]
fn scheduling_decides_no_bar() {
    let inputs = [
        UP,
        trade(1, T0 + 100),
        clock(T0 + 3_500),
        // Beyond the window of the first second's bar.
        trade(2, T0 + 200),
        trade(3, T0 + 900),
        clock(T0 + 9_000),
    ];
    let closes = |every: usize| -> Vec<Bar> {
        let mut core = core();
        for (at, input) in inputs.iter().enumerate() {
            core.handle_input(input);
            if at % every == 0 {
                core.collect(100, 0);
            }
        }
        core.collect(100, 0);
        core.spool().batch(100).map(|c| c.bar.clone()).collect()
    };
    let at_once = closes(1);
    assert_eq!(at_once[0].candle.count, 1);
    for every in [2, 3, 100] {
        assert_eq!(closes(every), at_once, "{every}");
    }
}

#[test]
fn a_long_outage_is_closed_piece_by_piece() {
    let mut core = core();
    for input in [UP, trade(1, T0 + 10), DOWN] {
        core.handle_input(&input);
    }
    let away_ms = i64::try_from(CLOSED_MAX).unwrap() * 1_000 + 3_600_000;
    core.handle_input(&Input::Up {
        series: 0,
        venue_ms: T0 + away_ms,
    });
    core.handle_input(&clock(T0 + away_ms + 5_000));
    core.handle_input(&clock(T0 + away_ms + 6_000));
    assert!(core.is_backlogged());
    let mut count = 0;
    while core.is_backlogged() {
        count += core.collect(1_000, 0);
    }
    count += core.collect(CLOSED_MAX, 0);
    assert_eq!(i64::try_from(count).unwrap(), away_ms / 1_000 + 4);
    let starts: Vec<i64> = core
        .spool()
        .batch(usize::MAX)
        .map(|close| close.bar.start_ms)
        .collect();
    assert!(starts.windows(2).all(|pair| pair[1] == pair[0] + 1_000));
}

#[test]
fn a_full_spool_takes_no_more() {
    let mut core = core();
    core.handle_input(&UP);
    core.handle_input(&trade(1, T0 + 10));
    let days = i64::try_from(Spool::LEN_MAX).unwrap() + 10_000;
    for second in 1..days {
        core.handle_input(&clock(T0 + second * 1_000));
        core.collect(10, 0);
    }
    assert!(core.spool().is_full());
    assert_eq!(core.collect(1_000, 0), 0);
    core.handle_committed(500);
    assert_eq!(core.collect(1_000, 0), 500);
    let numbers: Vec<u64> = core
        .spool()
        .batch(usize::MAX)
        .map(|c| c.bar.close_no)
        .collect();
    assert!(numbers.windows(2).all(|pair| pair[1] == pair[0] + 1));
}
