use super::*;
use crate::outbox::Outbox;
use crate::tests::{Stream, drain, give, short, spread};

const BTC: &str = "kline:1m:BTC-USDT";

fn topic(text: &str) -> Topic {
    text.parse().unwrap()
}

/// A hub and one connection that listens to the topic.
struct Fixture {
    hub: Hub,
    outboxes: [Outbox; 1],
}

impl Fixture {
    fn new(ring_len: usize) -> Self {
        Self {
            hub: Hub::new(ring_len, 500),
            outboxes: [Outbox::default()],
        }
    }

    fn listen(&mut self, name: &str, after: Option<u64>) {
        let id = self.hub.find(&topic(name)).unwrap();
        self.outboxes[0].subscribe(&self.hub, id, after);
        self.hub.listen(0, id);
    }

    fn give(&mut self, now_ms: u64, bar: Bar) -> Taken {
        give(&mut self.hub, now_ms, bar)
    }

    /// What the connection gets when all is spread and written.
    fn got(&mut self) -> Vec<String> {
        spread(&mut self.hub, &mut self.outboxes);
        short(&drain(&mut self.outboxes[0], &mut self.hub))
    }
}

#[test]
fn open_bars_never_go_backwards() {
    let mut hub = Hub::new(4, 500);
    let mut btc = Stream::new(BTC);
    let mut check = |start_no: i64, epoch: u64, seq: u64, expect| {
        btc.start_no = start_no;
        btc.epoch = epoch;
        btc.seq = seq - 1;
        assert_eq!(
            give(&mut hub, 0, btc.open()),
            expect,
            "{start_no} {epoch} {seq}"
        );
    };
    check(5, 10, 7, Taken::Shown);
    check(5, 10, 7, Taken::Stale);
    check(5, 10, 6, Taken::Stale);
    check(4, 10, 8, Taken::Stale);
    check(5, 9, 9, Taken::Fenced);
    check(6, 9, 9, Taken::Fenced);
    check(5, 11, 1, Taken::Shown);
    check(6, 10, 20, Taken::Fenced);
    check(4, 12, 1, Taken::Stale);
    // The owner of epoch 12 has been heard: the one of 11 is fenced from now on.
    check(6, 11, 9, Taken::Fenced);
    check(6, 12, 2, Taken::Shown);
}

#[test]
fn an_epoch_fences_all_intervals_of_its_instrument_and_no_other() {
    let mut hub = Hub::new(4, 500);
    let mut new = Stream::new(BTC);
    new.epoch = 2;
    assert_eq!(give(&mut hub, 0, new.open()), Taken::Shown);
    let hour = Stream::new("kline:1h:BTC-USDT").open();
    assert_eq!(give(&mut hub, 0, hour), Taken::Fenced);
    let other_symbol = Stream::new("kline:1m:ETH-USDT").open();
    assert_eq!(give(&mut hub, 0, other_symbol), Taken::Shown);
    let other_venue = Stream::new("kline:coinbase:1m:BTC-USDT").open();
    assert_eq!(give(&mut hub, 0, other_venue), Taken::Shown);
}

#[test]
fn committed_closes_are_never_fenced_but_come_once() {
    let mut hub = Hub::new(4, 500);
    let mut btc = Stream::new(BTC);
    btc.epoch = 5;
    assert_eq!(give(&mut hub, 0, btc.open()), Taken::Shown);
    btc.epoch = 4;
    let close = btc.close();
    assert_eq!(give(&mut hub, 0, close.clone()), Taken::Shown);
    assert_eq!(give(&mut hub, 0, close), Taken::Stale);
    // An open bar of what has closed is over, however new it is.
    btc.epoch = 6;
    btc.start_no -= 1;
    assert_eq!(give(&mut hub, 0, btc.open()), Taken::Stale);
}

#[test]
fn an_open_bar_is_held_until_its_close_or_for_a_while() {
    let mut fixture = Fixture::new(4);
    let mut btc = Stream::new(BTC);
    fixture.give(0, btc.open());
    fixture.listen(BTC, None);
    assert_eq!(fixture.got(), ["open 1.1"]);
    let close = btc.close();
    assert_eq!(fixture.give(1_000, btc.open()), Taken::Held);
    assert_eq!(fixture.give(1_200, btc.open()), Taken::Held);
    assert_eq!(fixture.hub.deadline_ms(), Some(1_500));
    fixture.hub.handle_time(1_499);
    assert!(fixture.got().is_empty());
    fixture.give(1_499, close);
    assert_eq!(fixture.got(), ["close 1", "open 2.3"]);
    assert_eq!(fixture.hub.deadline_ms(), None);
    // The next close does not come: the bar is shown when its time is up, and so are those behind it.
    let late = btc.close();
    assert_eq!(fixture.give(2_000, btc.open()), Taken::Held);
    fixture.hub.handle_time(2_500);
    assert_eq!(fixture.got(), ["open 3.4"]);
    assert_eq!(fixture.give(2_501, btc.open()), Taken::Shown);
    assert_eq!(fixture.got(), ["open 3.5"]);
    fixture.give(9_000, late);
    assert_eq!(fixture.got(), ["close 2"]);
}

#[test]
fn a_snapshot_is_the_newest_open_bar_or_else_the_newest_close() {
    let mut fixture = Fixture::new(4);
    let mut btc = Stream::new(BTC);
    fixture.give(0, btc.open());
    fixture.give(0, btc.close());
    fixture.give(0, btc.close());
    fixture.listen(BTC, None);
    assert_eq!(fixture.got(), ["close 2"]);
    fixture.give(0, btc.open());
    assert_eq!(fixture.got(), ["open 3.2"]);
    // Who has said what they have is owed nothing.
    let mut second = Outbox::default();
    let id = fixture.hub.find(&topic(BTC)).unwrap();
    fixture.give(0, btc.close());
    second.subscribe(&fixture.hub, id, Some(3));
    assert!(drain(&mut second, &mut fixture.hub).is_empty());
}

#[test]
fn a_snapshot_of_an_amended_bar_is_its_last_amendment() {
    let mut fixture = Fixture::new(4);
    let mut btc = Stream::new(BTC);
    let first = btc.close();
    let second = btc.close();
    fixture.give(0, first.clone());
    fixture.give(0, second);
    let mut amended = first;
    amended.rev = 1;
    amended.close_no = 3;
    fixture.give(0, amended);
    fixture.listen(BTC, None);
    // The newest bar is still the second, though an amendment of the first came after it.
    assert_eq!(fixture.got(), ["close 2"]);
}

#[test]
fn closes_precede_the_open_bar_that_follows_and_are_each_sent() {
    let mut fixture = Fixture::new(4);
    let mut btc = Stream::new(BTC);
    fixture.give(0, btc.open());
    fixture.listen(BTC, None);
    fixture.got();
    for _ in 0..3 {
        fixture.give(0, btc.close());
        fixture.give(0, btc.open());
        fixture.give(0, btc.open());
    }
    assert_eq!(fixture.got(), ["close 1", "close 2", "close 3", "open 4.7"]);
}

#[test]
fn what_has_left_the_ring_and_what_never_came_is_missed() {
    let check = |ring_len, lost: &[u64], after, expect: &[&str]| {
        let mut fixture = Fixture::new(ring_len);
        let mut btc = Stream::new(BTC);
        for _ in 0..6 {
            let close = btc.close();
            if !lost.contains(&close.close_no) {
                fixture.give(0, close);
            }
        }
        fixture.listen(BTC, after);
        assert_eq!(fixture.got(), expect, "{ring_len} {lost:?} {after:?}");
    };
    check(6, &[], Some(4), &["close 5", "close 6"]);
    check(6, &[], Some(6), &[]);
    // Above what there is: a claim of another history, from now on.
    check(6, &[], Some(99), &[]);
    check(6, &[], None, &["close 6"]);
    check(2, &[], Some(4), &["close 5", "close 6"]);
    check(2, &[], Some(1), &["missed 2-4", "close 5", "close 6"]);
    check(2, &[], Some(0), &["missed 1-4", "close 5", "close 6"]);
    check(
        6,
        &[2, 4, 5],
        Some(0),
        &["close 1", "missed 2-2", "close 3", "missed 4-5", "close 6"],
    );
    check(6, &[], Some(u64::MAX), &[]);
}

#[test]
fn who_subscribed_before_the_first_close_misses_none() {
    let mut fixture = Fixture::new(2);
    let mut btc = Stream::new(BTC);
    btc.close_no = 40;
    btc.start_no = 41;
    let bar = btc.open();
    fixture.hub.learn(&bar.topic, &bar.instrument, bar.interval);
    fixture.listen(BTC, None);
    assert!(fixture.got().is_empty());
    for _ in 0..5 {
        fixture.give(0, btc.close());
    }
    assert_eq!(fixture.got(), ["missed 41-43", "close 44", "close 45"]);
}

#[test]
fn a_short_name_belongs_to_the_first_stream_that_bears_it() {
    let mut hub = Hub::new(4, 500);
    let mut first = Stream::new(BTC);
    let mut second = Stream::new(BTC).at("coinbase");
    give(&mut hub, 0, first.open());
    give(&mut hub, 0, second.open());
    give(&mut hub, 0, second.open());
    let mut text = |name: &str| {
        let id = hub.find(&topic(name)).unwrap();
        let bar = Bar::decode(&hub.open_text(id).unwrap()).unwrap();
        (bar.topic.to_string(), bar.instrument.venue.to_string())
    };
    let pair = |name: &str, venue: &str| (name.to_owned(), venue.to_owned());
    assert_eq!(text(BTC), pair(BTC, "binance-spot"));
    let long = "kline:binance-spot:1m:BTC-USDT";
    assert_eq!(text(long), pair(long, "binance-spot"));
    let long = "kline:coinbase:1m:BTC-USDT";
    assert_eq!(text(long), pair(long, "coinbase"));
    assert_eq!(hub.matching(&"kline:*:*".parse().unwrap()).len(), 1);
    assert_eq!(
        hub.matching(&"kline:coinbase:*:*".parse().unwrap()).len(),
        1
    );
}

#[test]
fn wildcards_hear_of_topics_that_appear() {
    let mut hub = Hub::new(4, 500);
    give(&mut hub, 0, Stream::new(BTC).open());
    hub.add_wildcard(7, &"kline:*:BTC-USDT".parse().unwrap());
    hub.add_wildcard(8, &"kline:binance-spot:1h:*".parse().unwrap());
    assert!(hub.poll_joined().is_empty());
    give(&mut hub, 0, Stream::new("kline:1h:BTC-USDT").open());
    give(&mut hub, 0, Stream::new("kline:1h:ETH-USDT").open());
    let mut joined: Vec<(u32, String)> = hub
        .poll_joined()
        .into_iter()
        .map(|(conn, id)| (conn, hub.topic(id).to_string()))
        .collect();
    joined.sort();
    assert_eq!(
        joined,
        [
            (7, "kline:1h:BTC-USDT".to_owned()),
            (8, "kline:binance-spot:1h:BTC-USDT".to_owned()),
            (8, "kline:binance-spot:1h:ETH-USDT".to_owned()),
        ]
    );
    hub.forget(7, std::iter::empty());
    give(&mut hub, 0, Stream::new("kline:1d:BTC-USDT").open());
    assert!(hub.poll_joined().is_empty());
}

#[test]
fn a_claim_of_another_history_does_not_silence_the_closes() {
    let check = |before: usize, after: u64, first: u64, expect: &[&str]| {
        let mut fixture = Fixture::new(64);
        let mut btc = Stream::new(BTC);
        btc.close_no = first - 1;
        let bar = btc.open();
        fixture.hub.learn(&bar.topic, &bar.instrument, bar.interval);
        for _ in 0..before {
            fixture.give(0, btc.close());
        }
        fixture.listen(BTC, Some(after));
        let mut got = fixture.got();
        for _ in 0..2 {
            fixture.give(0, btc.close());
            got.extend(fixture.got());
        }
        assert_eq!(got, expect, "{before} {after} {first}");
    };
    // The hub knows closes: the claim is cut to what there is.
    check(3, 8_812, 1, &["close 4", "close 5"]);
    check(3, u64::MAX, 1, &["close 4", "close 5"]);
    check(3, 3, 1, &["close 4", "close 5"]);
    check(3, 1, 1, &["close 2", "close 3", "close 4", "close 5"]);
    // It knows none yet: the first one decides.
    check(0, 8_812, 1, &["close 1", "close 2"]);
    check(0, 8_812, 8_812, &["close 8812", "close 8813"]);
    check(0, 8_812, 8_813, &["close 8813", "close 8814"]);
    check(
        0,
        8_810,
        8_813,
        &["missed 8811-8812", "close 8813", "close 8814"],
    );
    check(0, 0, 1, &["close 1", "close 2"]);
}

#[test]
fn a_claim_that_is_made_again_is_cut_as_well() {
    let mut fixture = Fixture::new(64);
    let mut btc = Stream::new(BTC);
    fixture.give(0, btc.close());
    fixture.listen(BTC, None);
    assert_eq!(fixture.got(), ["close 1"]);
    fixture.listen(BTC, Some(500));
    fixture.give(0, btc.close());
    assert_eq!(fixture.got(), ["close 2"]);
}

#[test]
fn an_open_bar_does_not_wait_for_a_close_that_is_not_committed() {
    let mut fixture = Fixture::new(4);
    let mut btc = Stream::new(BTC);
    fixture.give(0, btc.open());
    fixture.listen(BTC, None);
    btc.end();
    assert_eq!(fixture.give(10, btc.open()), Taken::Shown);
    assert_eq!(fixture.got(), ["open 2.2"]);
    let close = btc.commit().unwrap();
    fixture.give(20, close);
    // The open bar of the next one stays.
    assert_eq!(fixture.got(), ["close 1"]);
    assert_eq!(fixture.give(30, btc.open()), Taken::Shown);
    assert_eq!(fixture.got(), ["open 2.3"]);
}

#[test]
fn another_log_has_its_own_numbers_and_is_the_open_bars_of_its_owners() {
    let mut fixture = Fixture::new(4);
    let mut btc = Stream::new(BTC);
    let mut eth = Stream::new("kline:1m:ETH-USDT");
    let first = fixture_closes(&mut btc, 9);
    for close in first {
        fixture.give(0, close);
    }
    fixture.give(0, eth.close());
    fixture.give(0, eth.open());
    fixture.give(0, btc.open());
    // Its new owner is heard before the new log is.
    (btc.epoch, btc.close_no) = (2, 0);
    let of_new_owner = btc.open();
    fixture.give(0, of_new_owner);
    fixture.hub.handle_other_log();
    let text = |hub: &mut Hub, name: &str| {
        let id = hub.find(&topic(name)).unwrap();
        let text = hub.open_text(id);
        let bar = text.map(|text| Bar::decode(&text).unwrap());
        (
            bar.map(|bar| bar.epoch),
            hub.closed_text(id).is_some(),
            hub.next_close_no(id),
        )
    };
    assert_eq!(text(&mut fixture.hub, BTC), (Some(2), false, None));
    // That of the old one bears a number of the old log.
    assert_eq!(
        text(&mut fixture.hub, "kline:1m:ETH-USDT"),
        (None, false, None)
    );
    assert_eq!(fixture.give(0, btc.close()), Taken::Shown);
    assert_eq!(text(&mut fixture.hub, BTC).2, NonZeroU64::new(2));
}

fn fixture_closes(stream: &mut Stream, count: usize) -> Vec<Bar> {
    (0..count).map(|_| stream.close()).collect()
}

#[test]
fn an_owner_whose_clock_is_behind_is_heard_after_its_first_close_in_another_log() {
    let mut hub = Hub::new(4, 500);
    let mut btc = Stream::new(BTC);
    btc.epoch = 9;
    give(&mut hub, 0, btc.close());
    give(&mut hub, 0, btc.open());
    hub.handle_other_log();
    (btc.epoch, btc.close_no) = (3, 0);
    // It might be one that was replaced long ago.
    assert_eq!(give(&mut hub, 0, btc.open()), Taken::Fenced);
    assert_eq!(give(&mut hub, 0, btc.close()), Taken::Shown);
    assert_eq!(give(&mut hub, 0, btc.open()), Taken::Shown);
    // From then on it is as ever.
    btc.epoch = 2;
    assert_eq!(give(&mut hub, 0, btc.close()), Taken::Shown);
    assert_eq!(give(&mut hub, 0, btc.open()), Taken::Fenced);
}

#[test]
fn what_is_held_is_let_go_in_time_when_the_log_becomes_another() {
    let mut hub = Hub::new(4, 500);
    let mut btc = Stream::new(BTC);
    let mut eth = Stream::new("kline:1m:ETH-USDT");
    for stream in [&mut btc, &mut eth] {
        give(&mut hub, 0, stream.close());
        stream.epoch = 2;
        stream.close();
    }
    eth.epoch = 1;
    assert_eq!(give(&mut hub, 100, btc.open()), Taken::Held);
    assert_eq!(give(&mut hub, 50, eth.open()), Taken::Held);
    hub.handle_other_log();
    // That of the old owner is gone, and nobody waits for it.
    assert_eq!(hub.deadline_ms(), Some(600));
    hub.handle_time(600);
    assert_eq!(hub.deadline_ms(), None);
    let shown = |hub: &mut Hub, name: &str| {
        let id = hub.find(&topic(name)).unwrap();
        hub.open_text(id).is_some()
    };
    assert!(shown(&mut hub, BTC));
    assert!(!shown(&mut hub, "kline:1m:ETH-USDT"));
}
