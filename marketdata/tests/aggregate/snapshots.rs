//! A series is handed over as plain data: what follows is what would have followed.

use std::sync::Arc;

use marketdata::aggregate::{Closed, Config, Event, Series, SeriesSnapshot};
use proptest::collection::vec;
use proptest::prelude::*;
use wire::{Completeness, Trade};

use crate::properties::{
    self, END_MS, INTERVALS, arrivals, cases, collect, expected, made, roll_up_differs, step,
};
use crate::support::{DAY_MS, Op, drain, interval, run, show, trade};

/// Through the text that is kept, so that nothing is carried over beside it.
fn hand_over(config: &Config, series: &Series) -> Series {
    let text = serde_json::to_string(&series.snapshot()).unwrap();
    let snapshot: SeriesSnapshot = serde_json::from_str(&text).unwrap();
    let restored = Series::restore(&Arc::new(config.clone()), &snapshot);
    assert_eq!(restored.snapshot(), snapshot);
    restored
}

fn play(series: &mut Series, ops: &[Op]) -> (Vec<Closed>, Vec<Event>) {
    let (mut closed, mut events) = (Vec::new(), Vec::new());
    for op in ops {
        op.apply(series);
        events.extend(std::iter::from_fn(|| series.poll_event()));
        closed.extend(drain(series));
    }
    (closed, events)
}

/// Anything that can be told to a series.
fn op() -> impl Strategy<Value = Op> {
    let id = prop_oneof![20 => 100..160u64, 1 => 0..400_000u64, 1 => any::<u64>()];
    prop_oneof![
        12 => (id.clone(), 0..90_000i64, 0..3_000i64)
            .prop_map(|(id, at, late)| Op::Trade { id, at, event: at + late }),
        2 => (id, 0..90_000i64).prop_map(|(id, at)| Op::Reference { id, at }),
        3 => (0..120_000i64).prop_map(Op::Clock),
        1 => proptest::option::of(0..90_000i64).prop_map(Op::Up),
        1 => Just(Op::Down),
        1 => Just(Op::Loss),
    ]
}

/// The trades in order, told without delay, and the feed lost and found between two of them.
fn cut_between(trades: &[Trade], cut: usize) -> (Vec<Op>, Vec<Op>) {
    let mut before = vec![Op::Reference { id: 99, at: -50 }, Op::Up(Some(0))];
    before.extend(trades[..cut].iter().map(step));
    let mut after = Vec::new();
    if let Some(next) = trades.get(cut) {
        after.push(Op::Up(Some(next.time_ms - DAY_MS)));
    }
    after.extend(trades[cut..].iter().map(step));
    after.push(Op::Clock(END_MS));
    (before, after)
}

proptest! {
    #![proptest_config(cases())]

    /// Whatever was told before, a restored series closes what one would whose feed was lost when the snapshot was
    /// taken; late trades alone may find a bar gone that the other one still holds.
    #[test]
    fn a_restored_series_is_one_whose_feed_was_lost(
        before in vec(op(), 0..60),
        after in vec(op(), 0..60),
        close_on_ids in any::<bool>(),
    ) {
        let mut config = properties::config(INTERVALS);
        config.close_on_ids = close_on_ids;
        let mut lost = Series::new(&Arc::new(config.clone()));
        Op::Up(Some(0)).apply(&mut lost);
        play(&mut lost, &before);
        // Beyond the bounds of a snapshot, holes and stretches are taken together.
        let text = serde_json::to_string(&lost.snapshot()).unwrap();
        prop_assume!(text.matches(r#"{"lo""#).count() < 32);
        let mut restored = hand_over(&config, &lost);
        Op::Down.apply(&mut lost);
        let ((closed, _), (expect, _)) = (play(&mut restored, &after), play(&mut lost, &after));
        let amending = |series: &Series| {
            let counters = series.counters();
            counters.amending + counters.late + counters.amended > 0
        };
        let first = |closed: Vec<Closed>| -> Vec<Closed> {
            closed.into_iter().filter(|bar| bar.rev == 0).collect()
        };
        let (closed, expect) = (first(closed), first(expect));
        if amending(&restored) || amending(&lost) {
            let what = |closed: Vec<Closed>| -> Vec<_> {
                closed.into_iter().map(|bar| (bar.interval, bar.start_ms)).collect()
            };
            prop_assert_eq!(what(closed), what(expect));
        } else {
            prop_assert_eq!(closed, expect);
        }
    }

    /// Where no trade was lost in between, the bars are those that one process would have made.
    #[test]
    fn a_cut_that_loses_nothing_leaves_no_trace(made in vec(made(), 2..80), cut in any::<prop::sample::Index>()) {
        let trades = properties::trades(&made, false);
        let config = properties::config(INTERVALS);
        let (before, after) = cut_between(&trades, 1 + cut.index(made.len() - 1));
        let (first, mut closed) = run(config.clone(), before.iter().copied());
        let mut second = hand_over(&config, &first);
        closed.extend(play(&mut second, &after).0);
        let truth = expected(&config, &trades);
        let mut bars = collect(&closed);
        // Quiet ones before the first trade.
        bars.retain(|key, _| truth.contains_key(key));
        prop_assert_eq!(bars, truth);
    }

    /// The same while trades are on their way: those that were told before the cut are not told again.
    #[test]
    fn what_is_on_its_way_at_the_cut_is_not_lost(
        made in vec(made(), 2..80),
        cut in any::<prop::sample::Index>(),
        tick_ms in proptest::option::of(100..3_000i64),
    ) {
        let trades = properties::trades(&made, false);
        let config = properties::config(INTERVALS);
        let mut steps = vec![(0, Op::Up(Some(0)))];
        steps.extend(arrivals(&made, &trades, tick_ms));
        let cut = 1 + cut.index(steps.len() - 1);
        let (first, mut closed) = run(config.clone(), steps[..cut].iter().map(|(_, op)| *op));
        let mut second = hand_over(&config, &first);
        let mut after = vec![Op::Up(Some(steps[cut - 1].0))];
        after.extend(steps[cut..].iter().map(|(_, op)| *op));
        after.push(Op::Clock(END_MS));
        closed.extend(play(&mut second, &after).0);
        let bars = collect(&closed);
        let truth = expected(&config, &trades);
        prop_assert_eq!(roll_up_differs(&config, &bars), None);
        for (key, (candle, completeness)) in &bars {
            let (true_candle, true_completeness) = &truth[key];
            prop_assert_eq!(candle, true_candle, "{:?}", key);
            // Where nothing is traded within the window after it, an outage stays one.
            if *completeness != Completeness::Unknown {
                prop_assert_eq!(completeness, true_completeness, "{:?}", key);
            }
        }
    }

    /// Trades that nobody heard are in no bar that passes as whole, of any interval, and no bucket is left out.
    #[test]
    fn what_is_lost_in_between_is_never_passed_off_as_whole(
        made in vec(made(), 4..80),
        cut in any::<prop::sample::Index>(),
        lost in 1..20usize,
        wait in 0..20_000i64,
    ) {
        let trades = properties::trades(&made, false);
        let config = properties::config(INTERVALS);
        let cut = 1 + cut.index(made.len() - 3);
        let lost = lost.min(made.len() - 1 - cut);
        let heard = |trade: &&Trade| !(cut..cut + lost).contains(&usize::try_from(trade.id - 100).unwrap());
        let (first, mut closed) = run(config.clone(), cut_between(&trades, cut).0);
        let mut second = hand_over(&config, &first);
        let back_ms = trades[cut + lost].time_ms - DAY_MS;
        let mut after = vec![Op::Up(Some(back_ms))];
        after.extend(trades.iter().filter(heard).skip(cut).map(step));
        after.extend([Op::Clock(600_000 + wait), Op::Clock(END_MS)]);
        closed.extend(play(&mut second, &after).0);
        let bars = collect(&closed);
        prop_assert_eq!(roll_up_differs(&config, &bars), None);
        let truth = expected(&config, &trades);
        for (key, (candle, completeness)) in &bars {
            let of_lost = |trade: &Trade| key.0.start_of(trade.time_ms) == key.1;
            if trades[cut..cut + lost].iter().any(of_lost) {
                prop_assert!(*completeness >= Completeness::Unknown, "{:?} {}", key, completeness);
            } else if *completeness <= Completeness::Complete && truth.contains_key(key) {
                prop_assert_eq!(Some(candle), truth.get(key).map(|bar| &bar.0), "{:?}", key);
            }
        }
    }

    /// Any JSON of the format is read without harm, whatever numbers stand in it.
    #[test]
    fn no_numbers_in_a_snapshot_panic(numbers in vec(any::<i64>(), 12), after in vec(op(), 0..30)) {
        let text = format!(
            r#"{{"v":{},"clock":{},"lanes":[{{"i":"1s","origin":{},"next":{},"open":[{{"s":{}}},{{"s":{}}}]}}],
            "ids":{{"runs":[{{"lo":5,"hi":{},"min":{},"max":{},"price":"1"}},{{"lo":{},"hi":18446744073709551615,"min":1,"max":1,"price":"1"}}]}},
            "gaps":[{{"lo":{},"hi":5}}],"outages":[{{"from":{}}}]}}"#,
            numbers[0].unsigned_abs() as u32, numbers[1], numbers[2], numbers[3], numbers[4], numbers[5],
            numbers[6].unsigned_abs(), numbers[7], numbers[8], numbers[9].unsigned_abs(), numbers[10], numbers[11],
        );
        let snapshot: SeriesSnapshot = serde_json::from_str(&text).unwrap();
        let config = properties::config("1s 1m");
        let mut series = Series::restore(&Arc::new(config), &snapshot);
        for op in after {
            op.apply(&mut series);
            // Centuries of seconds may be due.
            while series.poll_event().is_some() {}
            std::iter::from_fn(|| series.poll_close()).take(100).for_each(drop);
        }
    }
}

#[test]
fn a_hole_over_the_cut_that_is_filled_leaves_no_trace() {
    let config = properties::config("1s 5s");
    let ops = |text: &str| -> Vec<Op> { text.split_whitespace().map(Op::parse).collect() };
    let (first, closed) = run(config.clone(), ops("ref:1@-50 up:0 2@100 3@1000"));
    assert_eq!(
        closed.iter().map(show).collect::<Vec<_>>(),
        ["1s:0=complete[2]"]
    );
    let mut second = hand_over(&config, &first);
    let (closed, _) = play(&mut second, &ops("up:4000 6@4100"));
    assert_eq!(closed, []);
    // The window after the feed is back is for the repair.
    let (closed, events) = play(&mut second, &ops("ref:4@1100 ref:5@3500"));
    let expect = [
        "1s:1000=complete[3-4]",
        "1s:2000=quiet",
        "1s:3000=complete[5]",
    ];
    assert_eq!(closed.iter().map(show).collect::<Vec<_>>(), expect);
    assert_eq!(events, []);
}

#[test]
fn an_interval_that_was_added_begins_as_new() {
    let ops = |text: &str| -> Vec<Op> { text.split_whitespace().map(Op::parse).collect() };
    let (first, _) = run(
        properties::config("1s 10s 1h"),
        ops("ref:1@-50 up:0 2@100 3@1000"),
    );
    let config = properties::config("1s 5s 10s");
    let text = serde_json::to_string(&first.snapshot()).unwrap();
    let snapshot = serde_json::from_str(&text).unwrap();
    let mut second = Series::restore(&Arc::new(config), &snapshot);
    let (closed, _) = play(&mut second, &ops("up:3000 4@3100 5@10000"));
    let expect = [
        "1s:1000=complete[3]",
        "1s:2000=quiet",
        "1s:3000=complete[4]",
        "1s:4000=quiet",
        // What was traded of it before it was added is in the others only.
        "5s:0=gap[4]",
        "1s:5000=quiet",
        "1s:6000=quiet",
        "1s:7000=quiet",
        "1s:8000=quiet",
        "1s:9000=quiet",
        "5s:5000=quiet",
        "10s:0=complete[2-4]",
    ];
    assert_eq!(closed.iter().map(show).collect::<Vec<_>>(), expect);
}

#[test]
fn fields_of_another_release_do_no_harm() {
    let mut series = Series::new(&Arc::new(properties::config("1s 1m")));
    for op in ["up:0", "1@100", "2@1100"] {
        Op::parse(op).apply(&mut series);
    }
    drain(&mut series);
    let text = serde_json::to_string(&series.snapshot()).unwrap();
    let newer = text
        .replacen('{', r#"{"new":{"a":[1]},"#, 1)
        .replace(r#"{"i":"#, r#"{"more":true,"i":"#)
        .replace(r#"{"lo":"#, r#"{"colour":"blue","lo":"#);
    let read: SeriesSnapshot = serde_json::from_str(&newer).unwrap();
    assert_eq!(read, series.snapshot());
    let empty: SeriesSnapshot = serde_json::from_str("{}").unwrap();
    assert_eq!(empty.last_id(), None);
    let series = Series::restore(&Arc::new(properties::config("1s")), &empty);
    assert_eq!(series.clock_ms(), None);
    assert_eq!(read.last_id(), Some(2));
    assert_eq!(read.next_ms(interval("1s")), Some(DAY_MS));
    assert_eq!(read.next_ms(interval("1h")), None);
}

/// What this release writes is what later ones read: the text is kept here as it was.
#[test]
fn the_format_does_not_drift() {
    let ops = "ref:1@-50 up:0 2@100 3@1200 5@1300 6@2400 clock:3300 loss clock:5400";
    let ops = ops.split_whitespace().map(Op::parse);
    let (series, _) = run(properties::config("1s 1m"), ops);
    let text = serde_json::to_string(&series.snapshot()).unwrap();
    assert_eq!(text, include_str!("snapshot.json").trim_end());
    let read: SeriesSnapshot = serde_json::from_str(&text).unwrap();
    assert_eq!(read, series.snapshot());
}

/// Prices and sizes as long as the venues' are.
#[test]
fn a_snapshot_is_small() {
    let mut series = Series::new(&Arc::new(properties::config("1s 1m 1h 1d")));
    series.handle_reference(&long_trade(3_735_683_258, -50));
    series.handle_feed_up(Some(DAY_MS));
    for n in 0..600u32 {
        let trade = long_trade(3_735_683_259 + u64::from(n), i64::from(n) * 150);
        series.handle_trade(&trade, trade.time_ms);
        drain(&mut series);
    }
    let bytes = serde_json::to_string(&series.snapshot()).unwrap().len();
    println!("{bytes} bytes");
    assert!(bytes < 2_500, "{bytes}");
}

fn long_trade(id: u64, at: i64) -> Trade {
    Trade {
        price: "61837.63".parse().unwrap(),
        size: "0.0213457".parse().unwrap(),
        ..trade(id, at)
    }
}
