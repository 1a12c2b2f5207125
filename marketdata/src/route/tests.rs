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

/// A trade whose message is of another time.
fn sent_at(id: u64, time_ms: i64, event_time_ms: i64) -> Event {
    Event::Trade {
        instrument: A,
        trade: trade(id, time_ms),
        event_time_ms,
    }
}

/// A clock that two messages have started, and nothing told yet but that.
fn started(instruments: &[InstrumentIndex]) -> Router {
    let mut router = router();
    for &instrument in instruments {
        router.handle_subscribed(instrument);
    }
    router.handle_event(&clock(999));
    router.handle_event(&clock(1_000));
    drain(&mut router);
    router
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
            Input::Sampled {
                series, trade_id, ..
            } => format!("{shard}/{series} sampled {trade_id}"),
            Input::Repaired { series, .. }
            | Input::Void { series, .. }
            | Input::RepairEnd { series, .. } => format!("{shard}/{series} repair"),
        }
    };
    std::iter::from_fn(|| router.poll_routed())
        .map(show)
        .collect()
}

fn check(events: &[Event], expect: &[&str]) {
    let mut router = started(&[A]);
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
    assert!(drain(&mut router).is_empty());
    router.handle_event(&clock(201));
    let ticks = |at: i64| [format!("0 clock 9 {at}"), format!("1 clock 9 {at}")];
    // It is not up, so that its trades wait; an old trade's time is not the venue's.
    assert_eq!(drain(&mut router), ticks(201));
    router.handle_subscribed(A);
    router.handle_subscribed(A);
    assert!(drain(&mut router).is_empty());
    // A time from before the subscription says nothing of what came since.
    router.handle_event(&clock(201));
    assert!(drain(&mut router).is_empty());
    router.handle_event(&live(A, 9, 2_000));
    let expect = [
        "1/4 up 2000",
        "1/4 trade 8",
        "1/4 reference 7",
        "0 clock 9 2000",
        "1 clock 9 2000",
        "1/4 trade 9",
    ];
    assert_eq!(drain(&mut router), expect);
    router.handle_subscribed(B);
    router.handle_event(&clock(2_001));
    assert_eq!(drain(&mut router), ["0/2 up 2001"]);
}

#[test]
fn the_clock_is_passed_on_in_steps_and_never_back() {
    let both = |at: i64| [format!("0 clock 9 {at}"), format!("1 clock 9 {at}")];
    let mut router = router();
    let mut check = |at: i64, expect: &[String]| {
        router.handle_event(&clock(at));
        assert_eq!(drain(&mut router), expect, "{at}");
    };
    check(999, &[]);
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
            heartbeat(6, 2_061),
            clock(2_061),
        ],
        &[
            "1/4 trade 5",
            "1/4 loss",
            "0 clock 9 2061",
            "1 clock 9 2061",
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
    let mut router = started(&[A]);
    for event in [
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
    let mut router = started(&[A, B]);
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
fn a_trade_ahead_of_its_message_is_a_loss() {
    let doubted = |time_ms: i64| {
        let mut router = started(&[A]);
        router.handle_event(&sent_at(7, time_ms, 1_060));
        let told = drain(&mut router);
        router.handle_event(&clock(1_070));
        (told, drain(&mut router), router.poll_doubted())
    };
    let (told, later, count) = doubted(2_060);
    assert_eq!(
        (told, later.is_empty(), count),
        (vec!["1/4 trade 7".to_owned()], true, 0)
    );
    for time_ms in [2_061, 51_060, i64::MAX] {
        let (told, later, count) = doubted(time_ms);
        assert_eq!((told, count), (vec!["1/4 loss".to_owned()], 1), "{time_ms}");
        // Once more, now that the bar it may belong to has begun.
        assert_eq!(later, ["0 clock 9 1070", "1 clock 9 1070", "1/4 loss"]);
    }
}

#[test]
fn a_trade_whose_message_is_ahead_waits_for_the_next() {
    let lost = [
        "1/4 loss",
        "0 clock 9 1050",
        "1 clock 9 1050",
        "1/4 loss",
        "1/4 trade 6",
    ];
    for ahead_ms in [5_000, 50_000, 43_200_000] {
        let ahead = 1_000 + ahead_ms;
        // The next message contradicts it, also one that is no news.
        check(&[live(A, 5, ahead), live(A, 6, 1_050)], &lost);
        check(&[live(A, 5, ahead), clock(900), live(A, 6, 1_050)], &lost);
        // The next one agrees: nothing is lost, and no tick came in between.
        check(
            &[
                sent_at(5, ahead, ahead),
                sent_at(6, ahead, ahead),
                clock(ahead + 900),
            ],
            &[
                "1/4 down".to_owned(),
                format!("1/4 up {}", ahead + 900),
                "1/4 trade 5".to_owned(),
                "1/4 trade 6".to_owned(),
                format!("0 clock 9 {}", ahead + 900),
                format!("1 clock 9 {}", ahead + 900),
            ]
            .each_ref()
            .map(String::as_str),
        );
    }
}

#[test]
fn the_first_message_alone_is_not_believed() {
    for first_ms in [43_200_000, 1_000 - 43_200_000, i64::MAX, i64::MIN] {
        let mut router = router();
        router.handle_subscribed(A);
        router.handle_event(&live(A, 5, first_ms));
        router.handle_event(&live(A, 6, 1_000));
        assert_eq!(drain(&mut router), ["1/4 loss"], "{first_ms}");
        assert_eq!(router.newest_ms(), None);
        router.handle_event(&clock(1_900));
        let expect = [
            "1/4 up 1900",
            "1/4 trade 6",
            "0 clock 9 1900",
            "1 clock 9 1900",
            "1/4 loss",
        ];
        assert_eq!(drain(&mut router), expect, "{first_ms}");
        assert_eq!(router.poll_doubted(), 1);
    }
}

#[test]
fn beside_another_connection_it_waits_to_agree() {
    let mut router = router();
    router.handle_subscribed(A);
    router.handle_feed_time(Some(1_000));
    for event in [live(A, 5, 43_200_000), live(A, 6, 43_200_001)] {
        router.handle_event(&event);
    }
    assert!(drain(&mut router).is_empty());
    router.handle_event(&live(A, 7, 1_000));
    router.handle_event(&clock(1_001));
    let expect = [
        "1/4 loss",
        "1/4 up 1001",
        "1/4 trade 7",
        "0 clock 9 1001",
        "1 clock 9 1001",
        "1/4 loss",
    ];
    assert_eq!(drain(&mut router), expect);
}

#[test]
fn an_earlier_trade_is_not_of_the_future() {
    let earlier = |id, time_ms| Event::Reference {
        instrument: A,
        trade: trade(id, time_ms),
    };
    check(
        &[earlier(5, 90_000), earlier(6, 900)],
        &["1/4 loss", "1/4 reference 6"],
    );
    let mut router = router();
    for event in [earlier(5, 90_000), earlier(6, 900)] {
        router.handle_event(&event);
    }
    router.handle_subscribed(A);
    router.handle_event(&clock(999));
    router.handle_event(&clock(1_000));
    let expect = [
        "1/4 up 1000",
        "1/4 loss",
        "1/4 reference 6",
        "0 clock 9 1000",
        "1 clock 9 1000",
        "1/4 loss",
    ];
    assert_eq!(drain(&mut router), expect);
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
    router.handle_event(&clock(199));
    router.handle_event(&clock(200));
    let routed = drain(&mut router);
    assert_eq!(routed[1], "1/4 reference 5");
    assert_eq!(routed.len(), 1 + HELD_MAX + 2);
}

#[test]
fn claims_are_bounded() {
    let mut router = started(&[A]);
    for id in 0..CLAIMED_MAX as u64 + 5 {
        router.handle_event(&sent_at(id, 90_000, 90_000));
    }
    assert_eq!(drain(&mut router), ["1/4 loss"]);
    router.handle_event(&clock(90_001));
    let routed = drain(&mut router);
    let trades = routed.iter().filter(|text| text.contains("trade")).count();
    assert_eq!(trades, CLAIMED_MAX);
    assert_eq!(routed.last().unwrap(), "1/4 loss");
}

#[test]
fn a_clock_that_skips_ticks_was_not_alive() {
    check(
        &[clock(3_000), clock(6_000), clock(6_001)],
        &[
            "0 clock 9 3000",
            "1 clock 9 3000",
            "1/4 down",
            "1/4 up 6001",
            "0 clock 9 6001",
            "1 clock 9 6001",
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

#[test]
fn a_sampled_trades_context_goes_before_it_wherever_it_goes() {
    let mut router = router();
    router.handle_subscribed(A);
    let context = runtime::telemetry::new_trace();
    // It waits with its trade until the time is sure and the instrument is up.
    router.handle_sampled(&live(A, 7, 1_000), context);
    assert_eq!(drain(&mut router), [""; 0]);
    router.handle_event(&clock(1_001));
    let routed = drain(&mut router);
    let place = |text: &str| routed.iter().position(|routed| routed.contains(text));
    assert!(place("up") < place("sampled 7"), "{routed:?}");
    assert_eq!(
        place("sampled 7").map(|at| at + 1),
        place("trade 7"),
        "{routed:?}"
    );
    router.handle_sampled(&live(A, 8, 1_001), context);
    let routed = drain(&mut router);
    assert!(routed[0].contains("sampled 8"), "{routed:?}");
    assert!(routed[1].contains("trade 8"), "{routed:?}");
}

#[test]
fn an_input_is_no_larger_for_what_is_seldom() {
    assert_eq!(size_of::<Input>(), 80);
}
