//! What an exchange should never send: never a panic, never a bar that passes as whole and is not.

use std::sync::Arc;

use marketdata::aggregate::{Closed, Config, Engine, Event, Rejection, Series, TradeOutcome};
use proptest::collection::vec;
use proptest::prelude::*;
use wire::{CandleError, Completeness, Instrument, Price, Size, Symbol, Trade, Venue};

use crate::support::{DAY_MS, check, check_with, config, drain, interval, read_back, show, trade};

#[test]
fn times_out_of_any_range_are_refused() {
    check(
        "1s",
        "ref:1@-50 up:0 2@100 3@-1723161600000 3@4102444800000 => Reference Rejected(TimeOutOfRange) \
         Rejected(TimeOutOfRange); 4@200 clock:9999999999999 => ; \
         clock:3000 => gap(3-3 in 100..200) 1s:0=gap[2-4]",
    );
}

#[test]
fn a_leap_of_the_clock_takes_two() {
    const LEAP: &str = "ref:1@-50 up:0 2@100 3@200000000 => Reference Rejected(TimeJump)";
    // The one that leapt is missing then.
    check(
        "1h",
        &format!("{LEAP}; 4@300 clock:2400 => gap(3-3 in 100..300)"),
    );
    // A second one, after one that did not, stands alone again.
    check(
        "1h",
        &format!("{LEAP}; 4@300 5@200000001 => Rejected(TimeJump)"),
    );
    check(
        "1d",
        &format!("{LEAP}; 4@200000001 => 1d:0=quiet").replace("=> 1d:0=quiet", "=> "),
    );
    check("1h", "ref:1@-50 up:0 clock:200000000 clock:10 => Reference");
    // A time that is wrong in the envelope alone costs no trade.
    check(
        "1s",
        "ref:1@-50 up:0 2@100/200000000 3@1000 => Reference 1s:0=complete[2]",
    );
}

#[test]
fn a_leap_that_two_agree_on_is_lazily_worked_off() {
    let mut series = Series::new(&Arc::new(config("1s")));
    series.handle_reference(&trade(1, -50));
    series.handle_feed_up(Some(DAY_MS));
    let year_ms = 365 * 86_400_000;
    series.handle_clock(DAY_MS + year_ms);
    assert_eq!(series.poll_close(), None);
    series.handle_clock(DAY_MS + year_ms + 1);
    for at in 0..1_000 {
        let closed = series.poll_close().unwrap();
        assert_eq!(closed.start_ms, DAY_MS + at * 1_000);
    }
    assert!(series.size_in_memory() < 4_096);
}

#[test]
fn a_time_against_its_ids_leaves_a_gap_where_they_are() {
    check(
        "1s",
        "ref:1@-50 up:0 2@100 3@1100 => Reference 1s:0=complete[2]; 4@-90000000 5@1300 => \
         Rejected(TimeAgainstIds); clock:4000 => gap(4-4 in 1100..1300) 1s:1000=gap[3-5]",
    );
}

#[test]
fn too_many_holes_give_up_the_oldest() {
    let mut config = config("1s 5s");
    config.ranges_max = 3;
    check_with(
        config,
        "ref:1@-50 up:0 2@100 4@200 6@300 => Reference; 8@400 => gap(3-3 in 100..200); \
         3@150 => Duplicate; 7@390 => ; clock:3000 => gap(5-5 in 200..300) 1s:0=gap[2-8]",
    );
}

#[test]
fn a_sum_out_of_range_is_in_no_bar_and_marks_them() {
    let mut series = Series::new(&Arc::new(config("1s 1m")));
    series.handle_feed_up(Some(DAY_MS));
    let huge = |id| Trade {
        price: Price::from_units(1).unwrap(),
        size: Size::from_units(i128::MAX / 2 + 1).unwrap(),
        ..trade(id, 100)
    };
    let overflow = |error| TradeOutcome::Rejected(Rejection::Overflow(error));
    assert_eq!(series.handle_trade(&huge(1), DAY_MS), TradeOutcome::Added);
    assert_eq!(
        series.handle_trade(&huge(2), DAY_MS),
        overflow(CandleError::Sum)
    );
    let value = Trade {
        price: Price::from_units(i128::MAX).unwrap(),
        ..huge(3)
    };
    assert_eq!(
        series.handle_trade(&value, DAY_MS),
        overflow(CandleError::Value)
    );
    assert_eq!(series.poll_event(), Some(Event::Overflow(huge(2))));
    assert_eq!(series.poll_event(), Some(Event::Overflow(value)));
    assert_eq!(series.counters().overflow, 2);
    series.handle_clock(DAY_MS + 9_000);
    series.handle_clock(DAY_MS + 62_000);
    let closed = drain(&mut series);
    for bar in [closed[0], closed[60]] {
        assert_eq!(bar.completeness, Completeness::Gap);
        assert_eq!(bar.candle.count, 1);
        assert_eq!(bar.candle.volume, huge(1).size);
    }
}

#[test]
fn events_that_nobody_fetches_are_bounded_and_counted() {
    let mut series = Series::new(&Arc::new(config("1s")));
    series.handle_feed_up(Some(DAY_MS));
    series.handle_trade(&trade(50_000, 100), DAY_MS + 100);
    series.handle_clock(DAY_MS + 9_000);
    drain(&mut series);
    let no_value = Price::from_units(i128::MAX).unwrap();
    for id in 0..1_000 {
        let trade = Trade {
            price: no_value,
            ..trade(id, 50)
        };
        series.handle_trade(&trade, DAY_MS);
    }
    let events = std::iter::from_fn(|| series.poll_event()).count() as u64;
    let counters = series.counters();
    assert_eq!((counters.overflow, counters.gaps), (1_000, 1));
    assert_eq!(events + counters.events_lost, 1_001);
    assert_eq!(events, 256);
}

#[test]
fn without_intervals_there_are_no_bars() {
    check(
        "",
        "up:0 1@100 2@200 => Reference Reference; clock:99999 => ",
    );
}

/// Any call with any value.
#[derive(Debug, Clone)]
enum Call {
    Trade(Trade, i64),
    Reference(Trade),
    Clock(i64),
    Up(Option<i64>),
    Down,
    Loss,
    Fetched(Trade),
    Void(u64, u64),
    End,
    Restore,
    Poll,
}

fn time() -> impl Strategy<Value = i64> {
    prop_oneof![
        8 => (0..20_000i64).prop_map(|at| DAY_MS + at),
        2 => (0..200_000_000i64).prop_map(|at| DAY_MS + at),
        1 => any::<i64>(),
        1 => prop_oneof![Just(i64::MIN), Just(i64::MAX), Just(0)],
    ]
}

fn any_trade() -> impl Strategy<Value = Trade> {
    let id = prop_oneof![8 => 0..60u64, 1 => any::<u64>(), 1 => Just(u64::MAX)];
    let units = || prop_oneof![4 => 0..1_000_000i128, 1 => 0..=i128::MAX];
    (id, time(), units(), units()).prop_map(|(id, time_ms, price, size)| Trade {
        time_ms,
        price: Price::from_units(price).unwrap(),
        size: Size::from_units(size).unwrap(),
        ..trade(id, 0)
    })
}

fn call() -> impl Strategy<Value = Call> {
    prop_oneof![
        12 => (any_trade(), time()).prop_map(|(trade, time)| Call::Trade(trade, time)),
        2 => any_trade().prop_map(Call::Reference),
        4 => time().prop_map(Call::Clock),
        2 => proptest::option::of(time()).prop_map(Call::Up),
        1 => Just(Call::Down),
        1 => Just(Call::Loss),
        2 => any_trade().prop_map(Call::Fetched),
        1 => (any_trade(), 0..50u64).prop_map(|(trade, n)| Call::Void(trade.id, trade.id.saturating_add(n))),
        1 => Just(Call::End),
        1 => Just(Call::Restore),
        6 => Just(Call::Poll),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn no_calls_panic_and_no_bar_contradicts_itself(
        calls in vec(call(), 0..120),
        window_ms in prop_oneof![Just(2_000), Just(0), any::<i64>()],
        ranges_max in 0..8usize,
        close_on_ids in any::<bool>(),
    ) {
        let config = Config {
            reorder_window_ms: window_ms,
            ranges_max,
            close_on_ids,
            ..config("1s 8m 1d 1m").clone()
        };
        let mut engine = Engine::new(config);
        let feed = engine.add_feed();
        let instrument = Instrument::new(Venue::new("coinbase").unwrap(), Symbol::new("A-B").unwrap());
        let index = engine.add(instrument, feed);
        let mut trades = 0;
        let mut next = std::collections::BTreeMap::new();
        let mut revs = std::collections::BTreeMap::new();
        for call in calls {
            match call {
                Call::Trade(trade, time) => { trades += 1; engine.handle_trade(index, &trade, time); }
                Call::Reference(trade) => { trades += 1; engine.handle_reference(index, &trade); }
                Call::Clock(time) => engine.handle_clock(feed, time),
                Call::Up(time) => engine.handle_feed_up(feed, time),
                Call::Down => engine.handle_feed_down(feed),
                Call::Loss => engine.handle_loss(index),
                Call::Fetched(trade) => { trades += 1; engine.handle_repaired(index, &trade); }
                Call::Void(from_id, to_id) => engine.handle_void(index, from_id, to_id),
                Call::End => engine.handle_batch_end(index),
                Call::Restore => {
                    let snapshot = serde_json::to_string(&engine.snapshot(index)).unwrap();
                    engine.restore(index, &serde_json::from_str(&snapshot).unwrap());
                }
                Call::Poll => {
                    for _ in 0..1_000 {
                        let Some((_, bar)) = engine.poll_close() else { break };
                        let start = next.entry(bar.interval).or_insert(bar.start_ms);
                        if bar.rev == 0 {
                            prop_assert_eq!(*start, bar.start_ms);
                            *start += bar.interval.ms();
                        }
                        let rev = revs.insert((bar.interval, bar.start_ms), bar.rev);
                        prop_assert_eq!(rev.map_or(0, |rev| rev + 1), bar.rev);
                        prop_assert_eq!(bar.candle.count == 0, bar.candle.ids.is_none());
                        prop_assert!(bar.candle.low <= bar.candle.high);
                        prop_assert!(bar.candle.count > 0 || bar.completeness != Completeness::Complete);
                        let read = read_back(&bar, true);
                        prop_assert!(read.is_ok(), "{}: {read:?}", show(&bar));
                    }
                    while let Some((_, open)) = engine.poll_open() {
                        prop_assert!(next.get(&open.interval).is_none_or(|&start| open.start_ms >= start));
                        let bar = Closed {
                            interval: open.interval,
                            start_ms: open.start_ms,
                            candle: open.candle,
                            completeness: open.completeness,
                            rev: 0,
                            event_time_ms: open.event_time_ms,
                        };
                        let read = read_back(&bar, false);
                        prop_assert!(read.is_ok(), "{open:?}: {read:?}");
                    }
                    while engine.poll_event().is_some() {}
                }
            }
        }
        let counters = engine.counters();
        let counted = counters.added + counters.duplicate + counters.late + counters.reference + counters.rejected;
        // One may still be held, or be gone with what was replaced.
        prop_assert!(counted <= trades && trades - counted <= counters.held);
        prop_assert!(engine.series(index).open(interval("2s")).is_none());
    }
}
