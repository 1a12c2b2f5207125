use proptest::prelude::*;
use wire::{Price, Side, Size, Symbol, Trade};

use super::*;
use crate::venue::{adapter, binance_spot::BinanceSpot};

/// A venue at the other end of a wire: it answers after `delay_ms`, loses every `lose_nth` message of ours, and
/// refuses what holds a name in `refused`. Its clock ticks every second until `silent_from_ms`.
struct Pair {
    session: Session,
    now_ms: u64,
    delay_ms: u64,
    lose_nth: Option<usize>,
    refused: Vec<&'static str>,
    silent_from_ms: u64,
    sent: Vec<(u64, String)>,
    changes: Vec<(u64, Change)>,
    /// What the venue will say, by when.
    arriving: VecDeque<(u64, Event)>,
}

const EPOCH_MS: i64 = 1_723_161_255_000;

fn symbols(count: usize) -> Vec<Symbol> {
    (0..count)
        .map(|n| format!("S{n}-USDT").parse().unwrap())
        .collect()
}

impl Pair {
    fn new(instruments: usize) -> Self {
        let venue: Arc<dyn Venue> = Arc::new(BinanceSpot::new(&symbols(instruments)).unwrap());
        let all: Vec<_> = venue.symbols().indices().collect();
        Self {
            session: Session::new(venue, &all, Options::default(), 0, 0),
            now_ms: 0,
            delay_ms: 30,
            lose_nth: None,
            refused: Vec::new(),
            silent_from_ms: u64::MAX,
            sent: Vec::new(),
            changes: Vec::new(),
            arriving: VecDeque::new(),
        }
    }

    fn open(mut self) -> Self {
        self.session.handle_opened(self.now_ms);
        self
    }

    fn venue_handles(&mut self, text: &str) {
        let value: serde_json::Value = serde_json::from_str(text).unwrap();
        let request = value["id"].as_u64().unwrap();
        let refused = self.refused.iter().any(|name| text.contains(name));
        let event = if refused {
            Event::Refused {
                request: Some(request),
                instrument: None,
                message: "unknown stream".to_owned(),
            }
        } else {
            Event::Acknowledged { request }
        };
        self.arriving
            .push_back((self.now_ms + self.delay_ms, event));
    }

    /// Runs until `until_ms` or the end, a millisecond at a time.
    fn run(&mut self, until_ms: u64) {
        while self.now_ms < until_ms && self.session.end().is_none() {
            while let Some(text) = self.session.poll_send(self.now_ms) {
                self.sent.push((self.now_ms, text.clone()));
                if self
                    .lose_nth
                    .is_none_or(|nth| !self.sent.len().is_multiple_of(nth))
                {
                    self.venue_handles(&text);
                }
            }
            while let Some(change) = self.session.poll_change() {
                self.changes.push((self.now_ms, change));
            }
            self.now_ms += 1;
            while self
                .arriving
                .front()
                .is_some_and(|(at, _)| *at <= self.now_ms)
                && let Some((_, event)) = self.arriving.pop_front()
            {
                self.session.handle_event(self.now_ms, &event);
            }
            if self.now_ms.is_multiple_of(1_000) && self.now_ms < self.silent_from_ms {
                let venue_ms = EPOCH_MS + i64::try_from(self.now_ms).unwrap();
                self.session
                    .handle_event(self.now_ms, &Event::Clock { venue_ms });
            }
            if self
                .session
                .poll_timeout()
                .is_some_and(|at| at <= self.now_ms)
            {
                self.session.handle_timeout(self.now_ms);
            }
        }
        while let Some(change) = self.session.poll_change() {
            self.changes.push((self.now_ms, change));
        }
    }

    fn live_at(&self) -> Option<u64> {
        self.changes
            .iter()
            .find_map(|(at, change)| (*change == Change::Live).then_some(*at))
    }

    fn refusals(&self) -> Vec<u32> {
        let refused = |change: &Change| match change {
            Change::Refused { instrument, .. } => Some(instrument.0),
            _ => None,
        };
        let mut refusals: Vec<u32> = self
            .changes
            .iter()
            .filter_map(|(_, change)| refused(change))
            .collect();
        refusals.sort_unstable();
        refusals
    }
}

#[test]
fn a_connection_opens_subscribes_and_is_live() {
    let mut pair = Pair::new(200).open();
    pair.run(5_000);
    assert!(pair.live_at().is_some());
    assert_eq!(pair.session.subscribed().count(), 200);
    // One for the clock, four of fifty.
    assert_eq!(pair.sent.len(), 5);
    assert!(pair.sent[0].1.contains("s0usdt@kline_1s"));
    pair.run(60_000);
    assert_eq!(pair.session.end(), None);
}

#[test]
fn no_second_sees_more_than_five_messages_with_its_pong() {
    let mut pair = Pair::new(200).open();
    pair.session.handle_ping(0);
    pair.delay_ms = 0;
    pair.run(10_000);
    for (start, _) in &pair.sent {
        let within = pair
            .sent
            .iter()
            .filter(|(at, _)| (*start..start + 1_000).contains(at));
        assert!(within.count() <= 4, "{:?}", pair.sent);
    }
    assert_eq!(pair.session.subscribed().count(), 200);
}

#[test]
fn a_refused_instrument_is_reported_and_the_others_go_on() {
    let check = |refused: &[&'static str], expect: &[u32]| {
        let mut pair = Pair::new(120).open();
        pair.refused = refused.to_vec();
        pair.run(60_000);
        assert_eq!(pair.refusals(), expect);
        assert_eq!(pair.session.subscribed().count(), 120 - expect.len());
        assert!(pair.live_at().is_some());
        assert_eq!(pair.session.end(), None);
    };
    check(&[], &[]);
    check(&["s7usdt@trade"], &[7]);
    check(
        &["s7usdt@trade", "s8usdt@trade", "s119usdt@trade"],
        &[7, 8, 119],
    );
    // The one that was to tick is refused: the next one ticks.
    check(&["s0usdt@kline_1s"], &[]);
    check(&["s0usdt@"], &[0]);
}

#[test]
fn a_venue_that_carries_nothing_ends_the_session() {
    let mut pair = Pair::new(3).open();
    pair.refused = vec!["usdt"];
    pair.run(60_000);
    assert_eq!(pair.refusals(), [0, 1, 2]);
    assert_eq!(pair.session.end(), Some(End::NothingCarried));
}

#[test]
fn silence_is_not_quiet() {
    let mut pair = Pair::new(3).open();
    pair.silent_from_ms = 20_500;
    pair.run(60_000);
    assert_eq!(pair.session.end(), Some(End::Silent));
    assert_eq!(pair.now_ms, 30_000);
}

#[test]
fn messages_that_do_not_move_the_clock_do_not_keep_a_feed_alive() {
    let mut pair = Pair::new(1).open();
    pair.silent_from_ms = 5_500;
    let mut at = 0;
    while pair.session.end().is_none() && at < 60_000 {
        at += 500;
        pair.run(at);
        let stuck = Event::Clock {
            venue_ms: EPOCH_MS + 500,
        };
        pair.session.handle_event(pair.now_ms, &stuck);
        pair.session.handle_event(pair.now_ms, &Event::Ignored);
    }
    assert_eq!(pair.session.end(), Some(End::Silent));
    assert_eq!(pair.now_ms, 15_000);
}

#[test]
fn trades_are_ticks() {
    let mut session = Pair::new(1).open().session;
    for at in 1..100u32 {
        let time_ms = EPOCH_MS + i64::from(at) * 1_500;
        let trade = Trade {
            id: u64::from(at),
            time_ms,
            price: Price::from_units(1).unwrap(),
            size: Size::from_units(1).unwrap(),
            taker: Side::Buy,
        };
        let event = Event::Trade {
            instrument: InstrumentIndex(0),
            trade,
            event_time_ms: time_ms,
        };
        session.handle_event(u64::from(at) * 1_500, &event);
        session.handle_timeout(u64::from(at) * 1_500 + 1_499);
    }
    assert_eq!(session.end(), None);
}

#[test]
fn endless_patience_outlasts_a_clock_that_only_repeats() {
    let run = |silence_max_ms: u64| {
        let mut session = Pair::new(1).open().session;
        session.options.silence_max_ms = silence_max_ms;
        for at in 1..1_000u32 {
            let now_ms = u64::from(at) * 1_000;
            // A recording that is over: its last seconds, then the last one again and again.
            let venue_ms = EPOCH_MS + i64::from(at.min(5)) * 1_000;
            session.handle_event(now_ms, &Event::Clock { venue_ms });
            session.handle_timeout(now_ms + 999);
        }
        session.end()
    };
    assert_eq!(run(Options::default().silence_max_ms), Some(End::Silent));
    assert_eq!(run(u64::MAX), None);
}

#[test]
fn what_is_not_answered_ends_the_session_or_stands_aside() {
    // Nothing is answered: the venue does not work.
    let mut pair = Pair::new(3).open();
    pair.lose_nth = Some(1);
    pair.run(60_000);
    assert_eq!(
        (pair.session.end(), pair.now_ms),
        (Some(End::Unanswered), 10_000)
    );
    // The third message, the second fifty, is lost.
    let mut pair = Pair::new(150).open();
    pair.lose_nth = Some(3);
    pair.run(60_000);
    assert_eq!(pair.refusals(), (50..100).collect::<Vec<_>>());
    assert!(pair.live_at().is_some());
    assert_eq!(pair.session.end(), None);
}

#[test]
fn opening_has_a_deadline() {
    let mut pair = Pair::new(1);
    pair.run(60_000);
    assert_eq!(
        (pair.session.end(), pair.now_ms),
        (Some(End::NotOpened), 10_000)
    );
}

#[test]
fn each_attempt_asks_another_instrument_to_tick() {
    let venue: Arc<dyn Venue> = Arc::new(BinanceSpot::new(&symbols(3)).unwrap());
    let all: Vec<_> = venue.symbols().indices().collect();
    let texts: Vec<String> = (0..4)
        .map(|attempt| {
            let mut session =
                Session::new(Arc::clone(&venue), &all, Options::default(), attempt, 0);
            session.handle_opened(0);
            session.poll_send(0).unwrap()
        })
        .collect();
    for (text, name) in texts.iter().zip(["s0", "s1", "s2", "s0"]) {
        assert!(text.contains(&format!("{name}usdt@kline_1s")), "{text}");
    }
}

#[test]
fn a_venue_that_lists_what_is_subscribed_is_believed() {
    let list: Vec<Symbol> = ["BTC-USD", "ETH-USD"].map(|s| s.parse().unwrap()).into();
    let venue: Arc<dyn Venue> = adapter(&"coinbase".parse().unwrap(), &list).unwrap().into();
    let all: Vec<_> = venue.symbols().indices().collect();
    let mut session = Session::new(venue, &all, Options::default(), 0, 0);
    session.handle_opened(0);
    assert!(session.poll_send(0).unwrap().contains("matches"));
    assert_eq!(session.poll_send(0), None);
    for &instrument in &all {
        session.handle_event(1, &Event::Subscribed { instrument });
        // Listed again with the next one: nothing new.
        session.handle_event(1, &Event::Subscribed { instrument });
    }
    let changes: Vec<Change> = std::iter::from_fn(|| session.poll_change()).collect();
    assert_eq!(
        changes,
        [
            Change::Subscribed(all[0]),
            Change::Subscribed(all[1]),
            Change::Live
        ]
    );
}

#[test]
fn a_named_instrument_is_refused_alone() {
    let mut session = Pair::new(4).open().session;
    while session.poll_send(0).is_some() {}
    session.handle_event(
        1,
        &Event::Refused {
            request: None,
            instrument: Some(InstrumentIndex(2)),
            message: "no".to_owned(),
        },
    );
    let text = session.poll_send(5_000).unwrap();
    assert!(
        text.contains("s3usdt") && !text.contains("s2usdt"),
        "{text}"
    );
}

#[test]
fn complaints_about_nothing_are_told() {
    let mut pair = Pair::new(1).open();
    pair.run(1_000);
    let event = Event::Refused {
        request: None,
        instrument: None,
        message: "slow down".to_owned(),
    };
    pair.session.handle_event(1_000, &event);
    assert_eq!(
        pair.session.poll_change(),
        Some(Change::Complaint("slow down".to_owned()))
    );
    assert_eq!(pair.session.end(), None);
}

fn any_event() -> impl Strategy<Value = Event> {
    prop_oneof![
        (0..9u64).prop_map(|request| Event::Acknowledged { request }),
        (0..7u32).prop_map(|at| Event::Subscribed {
            instrument: InstrumentIndex(at)
        }),
        (
            proptest::option::of(0..9u64),
            proptest::option::of((0..7u32).prop_map(InstrumentIndex))
        )
            .prop_map(|(request, instrument)| Event::Refused {
                request,
                instrument,
                message: String::new(),
            }),
        any::<i64>().prop_map(|venue_ms| Event::Clock { venue_ms }),
        any::<u64>().prop_map(|number| Event::Sequence { number }),
        Just(Event::ShutdownAnnounced),
    ]
}

proptest! {
    /// Whatever comes, whenever: no panic, no endless sending, and the timeout lies ahead once it was handled.
    #[test]
    fn nothing_wedges_a_session(events in proptest::collection::vec((0..4_000u64, any_event()), 0..60)) {
        let mut session = Pair::new(7).open().session;
        let mut now = 0;
        for (step, event) in events {
            now += step;
            session.handle_event(now, &event);
            session.handle_timeout(now);
            let sent = std::iter::from_fn(|| session.poll_send(now)).count();
            prop_assert!(sent <= 4);
            while session.poll_change().is_some() {}
            if let Some(at) = session.poll_timeout() {
                prop_assert!(at > now || session.end().is_some(), "{at} at {now}");
            } else {
                prop_assert!(session.end().is_some());
            }
        }
    }
}
