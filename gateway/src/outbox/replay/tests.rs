use super::*;
use crate::hub::Hub;
use crate::outbox::Outbox;
use crate::tests::{Log, Stream, drain_with, frame_and_asks, give, short, spread};

const BTC: &str = "kline:1m:BTC-USDT";
const ETH: &str = "kline:1m:ETH-USDT";

/// A hub with a short ring, a log, and one connection.
struct Fixture {
    hub: Hub,
    log: Log,
    outboxes: [Outbox; 1],
    page_len: usize,
}

impl Fixture {
    fn new(ring_len: usize) -> Self {
        let mut hub = Hub::new(ring_len, 500);
        for name in [BTC, ETH] {
            let bar = Stream::new(name).open();
            hub.learn(&bar.topic, &bar.instrument, bar.interval);
        }
        Self {
            hub,
            log: Log::default(),
            outboxes: [Outbox::default()],
            page_len: 3,
        }
    }

    fn id(&self, name: &str) -> TopicId {
        self.hub.find(&name.parse().unwrap()).unwrap()
    }

    /// So many closes that the log has; the last `late` of them have not come to the hub.
    fn commit(&mut self, stream: &mut Stream, count: usize, late: usize) -> Vec<wire::Bar> {
        let id = self.hub.find(&stream.topic).unwrap();
        let mut closes: Vec<wire::Bar> = (0..count).map(|_| stream.close()).collect();
        for close in &closes {
            self.log.commit(id, close);
        }
        let on_the_way = closes.split_off(count - late);
        for close in closes {
            give(&mut self.hub, 0, close);
        }
        on_the_way
    }

    /// The log is made anew, and the hub hears of it.
    fn make_log_anew(&mut self, stream: &mut Stream) {
        self.log = Log::default();
        stream.close_no = 0;
        stream.epoch += 1;
        self.hub.handle_other_log();
        self.outboxes[0].handle_other_log();
    }

    fn listen(&mut self, name: &str, after: Option<u64>) {
        let id = self.id(name);
        self.outboxes[0].subscribe(&self.hub, id, after);
        self.hub.listen(0, id);
    }

    fn got(&mut self) -> Vec<String> {
        spread(&mut self.hub, &mut self.outboxes);
        let [outbox] = &mut self.outboxes;
        short(&drain_with(outbox, &mut self.hub, &self.log, self.page_len))
    }

    /// One frame, whose question is left unanswered.
    fn frame(&mut self) -> (Vec<String>, Vec<Ask>) {
        let (objects, asks) = frame_and_asks(&mut self.outboxes[0], &mut self.hub, 64 * 1024);
        (short(&objects), asks)
    }

    fn answer(&mut self, ask: &Ask) {
        let answer = self.log.answer(ask, self.page_len);
        self.outboxes[0].handle_answer(answer);
    }
}

fn closes(range: std::ops::RangeInclusive<u64>) -> Vec<String> {
    range.map(|close_no| format!("close {close_no}")).collect()
}

#[test]
fn what_left_the_ring_comes_from_the_log_page_by_page_then_the_ring_then_live() {
    let mut fixture = Fixture::new(2);
    let mut btc = Stream::new(BTC);
    fixture.commit(&mut btc, 10, 0);
    give(&mut fixture.hub, 0, btc.open());
    fixture.listen(BTC, Some(0));
    let mut expect = closes(1..=10);
    expect.push("open 11.1".to_owned());
    assert_eq!(fixture.got(), expect);
    fixture.commit(&mut btc, 1, 0);
    assert_eq!(fixture.got(), ["close 11"]);
}

#[test]
fn the_next_page_is_asked_for_when_the_last_has_left_and_nothing_else_of_the_topic_comes_between() {
    let mut fixture = Fixture::new(2);
    let mut btc = Stream::new(BTC);
    fixture.commit(&mut btc, 9, 0);
    fixture.listen(BTC, Some(0));
    let (got, asks) = fixture.frame();
    assert!(got.is_empty());
    let first = Ask {
        topic: fixture.id(BTC),
        from: 1,
        max: 7,
    };
    assert_eq!(asks, [first]);
    // Bars come while the log is asked.
    give(&mut fixture.hub, 0, btc.open());
    spread(&mut fixture.hub, &mut fixture.outboxes);
    assert_eq!(fixture.frame(), (Vec::new(), Vec::new()));
    fixture.answer(&first);
    // The page fills a frame; the question for the next one comes with the frame after it.
    assert_eq!(fixture.frame(), (closes(1..=3), Vec::new()));
    let (got, asks) = fixture.frame();
    assert_eq!((got.len(), asks[0].from, asks[0].max), (0, 4, 4));
    fixture.answer(&asks[0]);
    assert_eq!(fixture.frame().0, closes(4..=6));
    let asks = fixture.frame().1;
    fixture.answer(&asks[0]);
    let mut rest = closes(7..=9);
    rest.push("open 10.1".to_owned());
    assert_eq!(fixture.got(), rest);
}

#[test]
fn what_the_log_has_not_got_is_missed_and_the_rest_is_not() {
    let check = |kept: usize, away: bool, after: u64, expect: &[&str]| {
        let mut fixture = Fixture::new(2);
        let mut btc = Stream::new(BTC);
        fixture.commit(&mut btc, 6, 0);
        let id = fixture.id(BTC);
        fixture.log.keep(id, kept);
        fixture.log.away = away;
        fixture.listen(BTC, Some(after));
        assert_eq!(fixture.got(), expect, "{kept} {away} {after}");
        assert!(fixture.outboxes[0].replays.0.is_none(), "nothing is kept");
    };
    let all = ["close 3", "close 4", "close 5", "close 6"];
    check(6, false, 2, &all);
    check(
        3,
        false,
        2,
        &["missed 3-3", "close 4", "close 5", "close 6"],
    );
    check(2, false, 2, &["missed 3-4", "close 5", "close 6"]);
    check(0, false, 2, &["missed 3-4", "close 5", "close 6"]);
    check(6, true, 2, &["missed 3-4", "close 5", "close 6"]);
    check(0, true, 4, &["close 5", "close 6"]);
}

#[test]
fn a_hole_that_came_to_be_while_live_is_asked_of_the_log_too() {
    let mut fixture = Fixture::new(2);
    let mut btc = Stream::new(BTC);
    fixture.commit(&mut btc, 2, 0);
    fixture.listen(BTC, Some(2));
    assert!(fixture.got().is_empty());
    // It was not written to for long; and two closes were lost on their way.
    let lost = fixture.commit(&mut btc, 4, 2);
    assert_eq!(lost.len(), 2);
    fixture.commit(&mut btc, 1, 0);
    assert_eq!(fixture.got(), closes(3..=7));
    for lost in lost {
        give(&mut fixture.hub, 0, lost);
    }
    assert!(fixture.got().is_empty());
}

#[test]
fn a_claim_above_what_has_come_is_the_logs_to_judge() {
    let check = |in_log: usize, late: usize, after: u64, away: bool, expect: &[&str]| {
        let mut fixture = Fixture::new(10);
        let mut btc = Stream::new(BTC);
        let late = fixture.commit(&mut btc, in_log, late);
        // The hub's open bar is of what it knows.
        let known = fixture.hub.next_close_no(fixture.id(BTC));
        let known = known.map_or(0, |next| next.get() - 1);
        let mut stream = Stream::new(BTC);
        (stream.close_no, stream.start_no) = (known, known.cast_signed() + 1);
        give(&mut fixture.hub, 0, stream.open());
        fixture.log.away = away;
        fixture.listen(BTC, Some(after));
        let mut got = fixture.got();
        for close in late {
            give(&mut fixture.hub, 0, close);
        }
        fixture.commit(&mut btc, 1, 0);
        got.extend(fixture.got());
        assert_eq!(got, expect, "{in_log} {after} {away}");
    };
    // The client heard elsewhere what has not come here: nothing comes twice, and no bar that it has as closed.
    check(5, 2, 5, false, &["close 6"]);
    check(5, 2, 4, false, &["close 5", "close 6"]);
    // Another history: the next close comes whatever was claimed.
    check(5, 0, 99, false, &["open 6.1", "close 6"]);
    check(
        5,
        2,
        99,
        false,
        &["open 4.1", "close 4", "close 5", "close 6"],
    );
    check(0, 0, 99, false, &["open 1.1", "close 1"]);
    // The gateway has just started and has had no close.
    check(5, 5, 5, false, &["close 6"]);
    check(5, 5, 3, false, &["close 4", "close 5", "close 6"]);
    // Better twice than not at all.
    check(
        5,
        2,
        5,
        true,
        &["open 4.1", "close 4", "close 5", "close 6"],
    );
}

#[test]
fn a_gateway_that_has_had_no_close_shows_an_open_bar_that_is_not_from_before_what_the_client_has() {
    let mut fixture = Fixture::new(10);
    let mut btc = Stream::new(BTC);
    let old = btc.open();
    fixture.commit(&mut btc, 5, 5);
    give(&mut fixture.hub, 0, old);
    fixture.listen(BTC, Some(5));
    assert!(fixture.got().is_empty());
    give(&mut fixture.hub, 0, btc.open());
    // Its close is waited for in vain.
    fixture.hub.handle_time(500);
    assert_eq!(fixture.got(), ["open 6.2"]);
}

#[test]
fn topics_are_replayed_one_after_the_other_and_one_question_is_in_flight_whatever_a_client_does() {
    let mut fixture = Fixture::new(1);
    let (mut btc, mut eth) = (Stream::new(BTC), Stream::new(ETH));
    fixture.commit(&mut btc, 5, 0);
    fixture.commit(&mut eth, 5, 0);
    fixture.listen(BTC, Some(0));
    fixture.listen(ETH, Some(2));
    let (_, asks) = fixture.frame();
    assert_eq!(asks.len(), 1);
    for after in [1, 2] {
        // The cursor moves while the log is asked: its answer is of no use any more.
        fixture.listen(BTC, Some(after));
        assert_eq!(fixture.frame(), (Vec::new(), Vec::new()));
    }
    let (btc_id, eth_id) = (fixture.id(BTC), fixture.id(ETH));
    fixture.answer(&asks[0]);
    let (got, asks) = fixture.frame();
    assert_eq!((got.len(), asks[0].topic, asks[0].from), (0, eth_id, 3));
    assert!(fixture.outboxes[0].unsubscribe(eth_id));
    fixture.answer(&asks[0]);
    let (got, asks) = fixture.frame();
    assert_eq!((got.len(), asks[0].topic, asks[0].from), (0, btc_id, 3));
    fixture.answer(&asks[0]);
    assert_eq!(fixture.got(), closes(3..=5));
}

#[test]
fn a_replay_is_bounded_and_what_is_older_is_missed() {
    let check = |late: usize| {
        let mut fixture = Fixture::new(1);
        fixture.page_len = PAGE_LEN;
        let mut btc = Stream::new(BTC);
        let max = usize::try_from(REPLAY_MAX).unwrap();
        let count = max + 5 + usize::from(late == 0);
        fixture.commit(&mut btc, count, if late == 0 { 0 } else { count });
        fixture.listen(BTC, Some(0));
        let got = fixture.got();
        assert_eq!(got[0], "missed 1-5");
        assert_eq!(got[1..], closes(6..=count as u64));
    };
    check(0);
    // The hub has had no close: the log says how many there are.
    check(1);
}

#[test]
fn whoever_listens_gets_all_closes_of_a_log_that_was_made_anew() {
    // Fewer than the old one had, and more; in the ring, and beyond it.
    for count in [1, 3, 9] {
        let mut fixture = Fixture::new(2);
        let mut btc = Stream::new(BTC);
        fixture.commit(&mut btc, 5, 0);
        fixture.listen(BTC, Some(4));
        assert_eq!(fixture.got(), ["close 5"]);
        fixture.make_log_anew(&mut btc);
        assert!(fixture.got().is_empty());
        fixture.commit(&mut btc, count, 0);
        give(&mut fixture.hub, 0, btc.open());
        let count = count as u64;
        let mut expect = closes(1..=count);
        expect.push(format!("open {}.1", count + 6));
        assert_eq!(fixture.got(), expect);
    }
}

#[test]
fn of_a_log_that_was_made_anew_each_close_is_owed_whichever_comes_here_first() {
    // Nine closes, of which the first six never come to the hub: an inbox was full, or they aged out before they were
    // taken. The ring has two, and the log so many.
    let check = |after: Option<u64>, kept: usize, away: bool, expect: &[&str]| {
        let mut fixture = Fixture::new(2);
        let mut btc = Stream::new(BTC);
        fixture.commit(&mut btc, 5, 0);
        fixture.listen(BTC, after);
        // The last case's claim is in doubt when the log becomes another.
        fixture.log.away = after == Some(99);
        fixture.got();
        fixture.make_log_anew(&mut btc);
        assert!(
            fixture.got().is_empty(),
            "of what has not come nothing is known"
        );
        let mut late = fixture.commit(&mut btc, 9, 9);
        let id = fixture.id(BTC);
        fixture.log.keep(id, kept);
        fixture.log.away = away;
        for close in late.split_off(6) {
            give(&mut fixture.hub, 0, close);
        }
        assert_eq!(fixture.got(), expect, "{after:?} {kept} {away}");
        assert!(fixture.outboxes[0].replays.0.is_none(), "nothing is kept");
    };
    let all = closes(1..=9);
    let all: Vec<&str> = all.iter().map(String::as_str).collect();
    for after in [None, Some(5), Some(99)] {
        check(after, 9, false, &all);
        let aged = [&["missed 1-3"], &all[3..]].concat();
        check(after, 6, false, &aged);
        let away = [&["missed 1-7"], &all[7..]].concat();
        check(after, 9, true, &away);
    }
}

#[test]
fn of_a_log_that_was_made_anew_and_is_long_the_newest_are_replayed() {
    let mut fixture = Fixture::new(1);
    fixture.page_len = PAGE_LEN;
    let mut btc = Stream::new(BTC);
    fixture.listen(BTC, None);
    fixture.make_log_anew(&mut btc);
    let count = usize::try_from(REPLAY_MAX).unwrap() + 6;
    let mut late = fixture.commit(&mut btc, count, count);
    give(&mut fixture.hub, 0, late.pop().unwrap());
    let got = fixture.got();
    assert_eq!(got[0], "missed 1-5");
    assert_eq!(got[1..], closes(6..=count as u64));
}

#[test]
fn whoever_says_to_have_nothing_of_a_log_that_has_nothing_is_owed_all_that_will_be() {
    let mut fixture = Fixture::new(10);
    let mut btc = Stream::new(BTC);
    fixture.listen(BTC, Some(0));
    assert!(fixture.got().is_empty());
    let mut late = fixture.commit(&mut btc, 3, 3);
    give(&mut fixture.hub, 0, late.pop().unwrap());
    assert_eq!(fixture.got(), closes(1..=3));
}

#[test]
fn a_replay_of_a_log_that_was_made_anew_is_given_up() {
    let mut fixture = Fixture::new(2);
    let (mut btc, mut eth) = (Stream::new(BTC), Stream::new(ETH));
    fixture.commit(&mut btc, 9, 0);
    fixture.commit(&mut eth, 9, 0);
    fixture.listen(BTC, Some(0));
    // Its turn has not come.
    fixture.listen(ETH, Some(0));
    let (_, asks) = fixture.frame();
    let answer = fixture.log.answer(&asks[0], 3);
    fixture.make_log_anew(&mut btc);
    (eth.close_no, eth.epoch) = (0, 2);
    fixture.commit(&mut btc, 4, 0);
    fixture.commit(&mut eth, 1, 0);
    spread(&mut fixture.hub, &mut fixture.outboxes);
    // One question is in flight at most: what it brings is of the old log.
    assert_eq!(fixture.frame(), (closes(1..=1), Vec::new()));
    fixture.outboxes[0].handle_answer(answer);
    assert_eq!(fixture.got(), closes(1..=4));
    assert!(fixture.outboxes[0].replays.0.is_none(), "nothing is kept");
}

#[test]
fn what_has_closed_in_the_log_before_is_not_open_again() {
    let mut fixture = Fixture::new(2);
    let mut btc = Stream::new(BTC);
    let late = btc.open();
    fixture.commit(&mut btc, 1, 0);
    fixture.listen(BTC, Some(0));
    assert_eq!(fixture.got(), closes(1..=1));
    fixture.make_log_anew(&mut btc);
    give(&mut fixture.hub, 0, late);
    assert!(fixture.got().is_empty());
}
