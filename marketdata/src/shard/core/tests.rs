use wire::{Completeness, Side};

use super::*;
use crate::listing;

const T0: i64 = 1_723_161_240_000;

fn core() -> Core {
    let venue = "binance-spot".parse().unwrap();
    let symbols = ["BTC-USDT".parse().unwrap()];
    let members: Vec<Member> = listing::list([(&venue, &symbols[..])])
        .into_iter()
        .map(|listed| Member {
            listed,
            feed: 3,
            at: 0,
        })
        .collect();
    let mut core = Core::new(Config::new([Interval::S1]), vec![Interval::S1]);
    core.handle_gained(members);
    core
}

fn closes(core: &mut Core) -> Vec<Closed> {
    std::iter::from_fn(|| core.poll_close())
        .map(|(_, close)| close)
        .collect()
}

fn numbers(_: &Instrument, _: Interval) -> Option<Numbers> {
    Some(Numbers {
        epoch: 7,
        close_no: 4,
        publish_time_ms: 9,
    })
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
    let bars = closes(&mut core);
    assert_eq!(bars[1].start_ms, T0 + 1_000);
    assert_eq!(bars[1].completeness, expect, "{inputs:?}");
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
fn open_bars_are_given_as_far_as_they_may_be_published() {
    let mut core = core();
    core.handle_input(&UP);
    core.handle_input(&trade(1, T0 + 10));
    assert!(core.poll_open(|_, _| None).is_none());
    core.handle_republish();
    let open = core.poll_open(numbers).unwrap();
    assert_eq!((open.close_no, open.seq, open.epoch), (4, 1, 7));
    assert!(!open.closed && core.poll_open(numbers).is_none());
}

#[test]
fn a_state_is_gone_on_from_and_the_outage_shows() {
    let mut first = core();
    for input in [
        UP,
        trade(1, T0 + 10),
        trade(2, T0 + 1_200),
        clock(T0 + 3_050),
    ] {
        first.handle_input(&input);
    }
    let instrument = first.carried().next().unwrap().0.clone();
    assert_eq!(closes(&mut first).len(), 1);
    let state = first.snapshot(&instrument);
    let mut second = core();
    second.handle_input(&UP);
    second.handle_restore(&instrument, Some(&state)).unwrap();
    for input in [trade(4, T0 + 3_500), clock(T0 + 6_100), clock(T0 + 7_500)] {
        second.handle_input(&input);
    }
    let after = closes(&mut second);
    assert_eq!(after[0].start_ms, T0 + 1_000);
    assert_eq!(after[0].candle.first_id(), Some(2));
    assert_eq!(after[0].completeness, Completeness::Gap);
    // What cannot be read leaves everything as it is.
    let broken = Snapshot::new(RawValue::from_string("7".to_owned()).unwrap());
    assert!(second.handle_restore(&instrument, Some(&broken)).is_err());
    // From nothing it begins anew.
    second.handle_restore(&instrument, None).unwrap();
    second.handle_input(&trade(9, T0 + 20_010));
    second.handle_input(&clock(T0 + 23_500));
    let after = closes(&mut second);
    assert_eq!(after[0].start_ms, T0 + 20_000);
    assert_eq!(after[0].completeness, Completeness::Unknown);
}

#[test]
fn who_takes_over_keeps_its_own_state_unless_that_lacks_something() {
    let told = |ids: &[(u64, i64)]| {
        let mut core = core();
        core.handle_input(&UP);
        for &(id, at) in ids {
            core.handle_input(&trade(id, T0 + at));
        }
        core.handle_input(&clock(T0 + 3_050));
        assert_eq!(closes(&mut core).len(), 1);
        core
    };
    let mut owner = told(&[(1, 10), (2, 1_200), (3, 1_300)]);
    let instrument = owner.carried().next().unwrap().0.clone();
    let state = owner.snapshot(&instrument);
    let mut same = told(&[(1, 10), (2, 1_200), (3, 1_300), (4, 1_400)]);
    assert!(same.handle_taken(&instrument, &state).unwrap());
    same.handle_input(&trade(5, T0 + 3_100));
    assert_eq!(closes(&mut same)[0].candle.count, 3);
    let mut lacks = told(&[(1, 10), (2, 1_200), (4, 1_400)]);
    assert!(!lacks.handle_taken(&instrument, &state).unwrap());
    lacks.handle_input(&trade(5, T0 + 3_100));
    lacks.handle_input(&clock(T0 + 5_200));
    let after = closes(&mut lacks);
    assert_eq!(after[0].candle.count, 2);
    assert_eq!(after[0].completeness, Completeness::Gap);
    let broken = Snapshot::new(RawValue::from_string("7".to_owned()).unwrap());
    assert!(lacks.handle_taken(&instrument, &broken).is_err());
}

#[test]
fn what_was_released_is_passed_over_and_may_come_again() {
    let mut core = core();
    core.handle_input(&UP);
    let instrument = core.carried().next().unwrap().0.clone();
    core.handle_input(&trade(1, T0 + 10));
    assert_eq!(core.handle_released(&instrument), Some((0, 0)));
    assert!(core.handle_input(&trade(2, T0 + 1_010)).is_none());
    // Its feed lives on, with others, and its connection comes anew.
    for input in [clock(T0 + 9_000), DOWN, UP, clock(T0 + 19_000)] {
        core.handle_input(&input);
    }
    core.handle_republish();
    assert_eq!(core.engine.poll_close(), None);
    assert_eq!(core.engine.poll_open(), None);
    assert!(core.carried().next().is_none());
    let listed = Listed {
        instrument: instrument.clone(),
        short: true,
    };
    core.handle_gained(vec![Member {
        listed,
        feed: 4,
        at: 5,
    }]);
    let carried: Vec<_> = core
        .carried()
        .map(|(of, at, series)| (of.clone(), at, series))
        .collect();
    assert_eq!(carried, [(instrument, 5, 1)]);
}

#[test]
fn a_bar_takes_trades_until_it_is_taken_out() {
    let inputs = [
        UP,
        trade(1, T0 + 100),
        clock(T0 + 3_500),
        // Beyond the window of the first second's bar.
        trade(2, T0 + 200),
        trade(3, T0 + 900),
        clock(T0 + 9_000),
    ];
    let by_turns = |every: usize| -> Vec<Closed> {
        let mut core = core();
        let mut taken = Vec::new();
        for (at, input) in inputs.iter().enumerate() {
            core.handle_input(input);
            if at % every == 0 {
                taken.extend(closes(&mut core));
            }
        }
        taken.extend(closes(&mut core));
        taken
    };
    // The shell takes what is closed after each input: only so do later trades find its bar closed.
    assert_eq!(by_turns(1)[0].candle.count, 1);
    assert_eq!(by_turns(100)[0].candle.count, 3);
}
