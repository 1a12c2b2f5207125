use wire::{Price, Side, Size};

use super::*;

const A: InstrumentIndex = InstrumentIndex(0);
const B: InstrumentIndex = InstrumentIndex(1);
const FEED: u32 = 9;

/// Two instruments in two shards; the third of the source is another feed's.
fn router() -> Router {
    let place = |shard, series| Place { shard, series };
    let places = [place(1, 4), place(0, 2), place(2, 0)];
    Router::new(FEED, places.into(), &[A, B])
}

fn trade(id: u64, time_ms: i64) -> Trade {
    Trade {
        id,
        time_ms,
        price: Price::from_units(1).unwrap(),
        size: Size::from_units(1).unwrap(),
        taker: Side::Buy,
    }
}

fn live(instrument: InstrumentIndex, id: u64, time_ms: i64) -> Event {
    Event::Trade {
        instrument,
        trade: trade(id, time_ms),
        event_time_ms: time_ms,
    }
}

fn clock(venue_ms: i64) -> Event {
    Event::Clock { venue_ms }
}

fn heartbeat(trade_id: u64, venue_ms: i64) -> Event {
    Event::LastTrade {
        instrument: A,
        trade_id,
        venue_ms,
    }
}

/// What goes where, in a form that is easy to read.
fn drain(router: &mut Router) -> Vec<String> {
    let show = |routed: Routed| {
        let shard = routed.shard;
        match routed.input {
            Input::Trade { series, trade, .. } => format!("{shard}/{series} trade {}", trade.id),
            Input::Reference { series, trade } => {
                format!("{shard}/{series} reference {}", trade.id)
            }
            Input::Loss { series } => format!("{shard}/{series} loss"),
            Input::Clock { feed, venue_ms } => format!("{shard} clock {feed} {venue_ms}"),
            Input::Up { series, venue_ms } => format!("{shard}/{series} up {venue_ms}"),
            Input::Down { series } => format!("{shard}/{series} down"),
        }
    };
    std::iter::from_fn(|| router.poll_routed())
        .map(show)
        .collect()
}

fn check(events: &[Event], expect: &[&str]) {
    let mut router = router();
    router.handle_subscribed(A);
    router.handle_event(&clock(1_000));
    drain(&mut router);
    for event in events {
        router.handle_event(event);
    }
    assert_eq!(drain(&mut router), expect);
}

#[test]
fn an_instrument_is_up_from_the_first_venue_time_after_its_subscription() {
    let mut router = router();
    router.handle_event(&Event::Reference {
        instrument: A,
        trade: trade(7, 100),
    });
    router.handle_event(&live(A, 8, 200));
    let ticks = |at: i64| [format!("0 clock 9 {at}"), format!("1 clock 9 {at}")];
    // It is not up, so that its trades wait; an old trade's time is not the venue's.
    assert_eq!(drain(&mut router), ticks(200));
    router.handle_subscribed(A);
    router.handle_subscribed(A);
    assert!(drain(&mut router).is_empty());
    router.handle_event(&live(A, 9, 5_000));
    let expect = [
        "1/4 up 5000",
        "1/4 reference 7",
        "1/4 trade 8",
        "0 clock 9 5000",
        "1 clock 9 5000",
        "1/4 trade 9",
    ];
    assert_eq!(drain(&mut router), expect);
    router.handle_subscribed(B);
    router.handle_event(&clock(5_001));
    assert_eq!(drain(&mut router), ["0/2 up 5001"]);
}

#[test]
fn the_clock_is_passed_on_in_steps_and_never_back() {
    let both = |at: i64| [format!("0 clock 9 {at}"), format!("1 clock 9 {at}")];
    let mut router = router();
    let mut check = |at: i64, expect: &[String]| {
        router.handle_event(&clock(at));
        assert_eq!(drain(&mut router), expect, "{at}");
    };
    check(1_000, &both(1_000));
    check(1_099, &[]);
    check(1_100, &both(1_100));
    check(900, &[]);
    check(i64::MIN, &[]);
    // One message alone is not believed to be of the far future.
    check(i64::MAX - 1, &[]);
    check(i64::MAX - 1, &[]);
    check(i64::MAX, &both(i64::MAX));
}

#[test]
fn a_trade_that_is_spoken_of_and_never_comes_is_a_loss() {
    // A heartbeat may be ahead for a moment, and may trail.
    check(
        &[
            live(A, 5, 1_050),
            heartbeat(6, 1_060),
            live(A, 6, 1_070),
            heartbeat(5, 3_000),
        ],
        &["1/4 trade 5", "1/4 trade 6"],
    );
    // One that stays ahead for a second has told of a loss.
    check(
        &[
            live(A, 5, 1_050),
            heartbeat(6, 1_060),
            heartbeat(6, 2_059),
            heartbeat(6, 2_060),
            heartbeat(6, 3_060),
            clock(3_061),
        ],
        &[
            "1/4 trade 5",
            "1/4 loss",
            "0 clock 9 3061",
            "1 clock 9 3061",
            "1/4 loss",
        ],
    );
    // The first one that was awaited came, the second did not.
    check(
        &[
            live(A, 5, 1_050),
            heartbeat(6, 1_060),
            live(A, 6, 1_061),
            heartbeat(7, 1_062),
            heartbeat(8, 2_061),
            heartbeat(8, 2_062),
            live(A, 7, 2_063),
            live(A, 8, 2_064),
            heartbeat(8, 4_000),
        ],
        &[
            "1/4 trade 5",
            "1/4 trade 6",
            "1/4 loss",
            "0 clock 9 2063",
            "1 clock 9 2063",
            "1/4 loss",
            "1/4 trade 7",
            "1/4 trade 8",
        ],
    );
    // Nothing has come since the subscription, and then something should have.
    check(
        &[
            heartbeat(5, 1_010),
            heartbeat(6, 2_010),
            heartbeat(6, 3_010),
        ],
        &["1/4 loss"],
    );
}

#[test]
fn losses_are_counted_once() {
    let mut router = router();
    router.handle_subscribed(A);
    for event in [
        clock(0),
        heartbeat(5, 0),
        heartbeat(6, 1),
        heartbeat(6, 2_000),
        heartbeat(6, 4_000),
    ] {
        router.handle_event(&event);
    }
    assert_eq!((router.poll_lost(), router.poll_lost()), (1, 0));
}

#[test]
fn harm_is_told_to_those_it_may_have_met() {
    let mut router = router();
    router.handle_subscribed(A);
    router.handle_subscribed(B);
    router.handle_event(&clock(1_000));
    drain(&mut router);
    router.handle_harm(Harm::None);
    assert!(drain(&mut router).is_empty());
    router.handle_harm(Harm::One(B));
    router.handle_harm(Harm::One(B));
    assert_eq!(drain(&mut router), ["0/2 loss"]);
    router.handle_event(&clock(1_001));
    let again = ["0 clock 9 1001", "1 clock 9 1001", "0/2 loss"];
    assert_eq!(drain(&mut router), again);
    router.handle_harm(Harm::Any);
    assert_eq!(drain(&mut router), ["1/4 down", "0/2 down"]);
    router.handle_event(&clock(1_002));
    assert_eq!(drain(&mut router), ["1/4 up 1002", "0/2 up 1002"]);
    router.handle_end();
    assert_eq!(drain(&mut router), ["1/4 down", "0/2 down"]);
    router.handle_event(&clock(1_003));
    assert!(drain(&mut router).is_empty());
}

#[test]
fn trades_of_the_future_are_dropped_and_are_a_loss() {
    check(
        &[
            live(A, 5, 90_000),
            live(A, 6, 1_050),
            Event::Trade {
                instrument: A,
                trade: trade(7, 90_000),
                event_time_ms: 1_060,
            },
            clock(1_070),
        ],
        &[
            "1/4 loss",
            "0 clock 9 1050",
            "1 clock 9 1050",
            "1/4 loss",
            "1/4 trade 6",
            "1/4 loss",
            "0 clock 9 1070",
            "1 clock 9 1070",
            "1/4 loss",
        ],
    );
}

#[test]
fn what_waits_is_bounded() {
    let mut router = router();
    for id in 0..HELD_MAX as u64 + 5 {
        router.handle_event(&Event::Reference {
            instrument: A,
            trade: trade(id, 100),
        });
    }
    assert!(drain(&mut router).is_empty());
    router.handle_subscribed(A);
    router.handle_event(&clock(200));
    let routed = drain(&mut router);
    assert_eq!(routed[1], "1/4 reference 5");
    assert_eq!(routed.len(), 1 + HELD_MAX + 2);
}

#[test]
fn a_clock_that_skips_ticks_was_not_alive() {
    check(
        &[clock(4_000), clock(7_001)],
        &[
            "0 clock 9 4000",
            "1 clock 9 4000",
            "1/4 down",
            "1/4 up 7001",
            "0 clock 9 7001",
            "1 clock 9 7001",
        ],
    );
}

#[test]
fn a_hole_in_the_numbering_is_told_before_the_message_that_shows_it() {
    let number = |number| Event::Sequence { number };
    check(
        &[
            number(7),
            number(8),
            number(8),
            number(9),
            number(12),
            clock(1_500),
        ],
        &[
            "1/4 down",
            "1/4 up 1500",
            "0 clock 9 1500",
            "1 clock 9 1500",
        ],
    );
    let mut router = router();
    for event in [7, 8, 8, 9, 12, 11, 13, u64::MAX, 0].map(number) {
        router.handle_event(&event);
    }
    assert_eq!(router.poll_messages_lost(), 2 + (u64::MAX - 14));
    assert_eq!(router.poll_messages_lost(), 0);
}
