//! Hub and outboxes under any schedule of bars, writes and subscriptions.
//!
//! Open bars and closes travel on two paths that run at their own speed, as they do on the bus; clients can
//! be written to whenever the schedule says so, in frames of a few objects. The log answers when the schedule says
//! so, in short pages; it may be away, and it may forget. Whatever the schedule, each client must see closes in
//! order without a loss that it is not told of, no open bar before a close that it knows of, nothing that goes
//! backwards, nothing twice unless the log could not be asked, and at the end the newest value.

use std::collections::{BTreeMap, VecDeque};
use std::num::NonZeroU64;

use proptest::prelude::*;
use serde_json::Value;
use wire::Bar;

use super::{Log, Stream, drain_with, frame_and_asks, give, spread};
use crate::hub::{Hub, TopicId};
use crate::outbox::Outbox;
use crate::outbox::replay::Ask;

const CLIENTS: usize = 3;
const TOPICS: [&str; 3] = ["kline:1m:A-USDT", "kline:1m:B-USDT", "kline:1m:C-USDT"];

#[derive(Debug, Clone)]
enum Step {
    /// The owner publishes the next value of a topic's open bar.
    Open(usize),
    /// It ends, and the next begins.
    End(usize),
    /// The owner commits the close of the oldest bar that has ended.
    Commit(usize),
    /// So many open bars arrive; the newest of each topic, as the bus conflates.
    ArriveOpens,
    /// So many closes arrive.
    ArriveCloses(usize),
    /// So many of those under way are dropped, oldest first, as by a full inbox or as what has aged out of the log
    /// before it was taken: not a topic's newest, behind which what is lacking shows.
    Overflow(usize),
    /// The shard spreads what is dirty.
    Spread,
    /// A client can be written a frame of so many bytes.
    Write(usize, usize),
    /// A client subscribes, or leaves.
    Subscribe(usize, usize),
    Leave(usize, usize),
    /// A client comes back and says what it has.
    Resume(usize, usize),
    /// As `Resume`, from a gateway that was ahead of this one: it has all that is committed.
    ResumeAhead(usize, usize),
    /// The log answers a client's question, with so many closes at most.
    Answer(usize, usize),
    /// The log is away, or back.
    Away(bool),
    /// The log keeps so many of a topic's closes.
    Forget(usize, usize),
    /// The log is made anew, with other owners, and the shard hears of it.
    OtherLog,
}

fn step() -> impl Strategy<Value = Step> {
    let topic = 0..TOPICS.len();
    let client = 0..CLIENTS;
    prop_oneof![
        4 => topic.clone().prop_map(Step::Open),
        3 => topic.clone().prop_map(Step::End),
        3 => topic.clone().prop_map(Step::Commit),
        3 => Just(Step::ArriveOpens),
        3 => (1..6usize).prop_map(Step::ArriveCloses),
        1 => (1..6usize).prop_map(Step::Overflow),
        3 => Just(Step::Spread),
        4 => (client.clone(), 1..3_000usize).prop_map(|(client, len)| Step::Write(client, len)),
        2 => (client.clone(), topic.clone()).prop_map(|(client, topic)| Step::Subscribe(client, topic)),
        1 => (client.clone(), topic.clone()).prop_map(|(client, topic)| Step::Leave(client, topic)),
        2 => (client.clone(), topic.clone()).prop_map(|(client, topic)| Step::Resume(client, topic)),
        1 => (client.clone(), topic.clone()).prop_map(|(client, topic)| Step::ResumeAhead(client, topic)),
        4 => (client, 1..4usize).prop_map(|(client, len)| Step::Answer(client, len)),
        1 => any::<bool>().prop_map(Step::Away),
        1 => (topic, 0..6usize).prop_map(|(topic, count)| Step::Forget(topic, count)),
        1 => Just(Step::OtherLog),
    ]
}

/// What a client must have been told of one topic, so far.
#[derive(Debug, Default)]
struct Seen {
    /// The next close_no due; `None` until the first.
    next: Option<u64>,
    /// The first close_no that may come: the one after the last that the hub had when it subscribed.
    from: u64,
    /// The hub had none then, and nothing was claimed: the first that comes to the hub is due.
    any_first: bool,
    open: Option<(i64, u64)>,
    closed_start: i64,
    missed: u64,
    /// It claimed more than the hub had, and the log was away at some time: closes up to this one may come twice.
    twice_to: u64,
}

impl Seen {
    fn handle(&mut self, object: &Value) {
        let number = |name: &str| object[name].as_u64().unwrap();
        if object["op"] == "missed" {
            assert!(number("from") <= number("to"));
            self.rewind(number("from"));
            assert_eq!(number("from"), self.due(), "a miss that is not next");
            self.missed += number("to") - number("from") + 1;
            self.next = Some(number("to") + 1);
            return;
        }
        let start = object["start"].as_i64().unwrap();
        let close_no = number("close_no");
        if object["closed"] == true {
            if self.any_first && self.next.is_none() {
                self.from = close_no;
            }
            let snapshot = self.next.is_none() && self.open.is_none() && self.closed_start == 0;
            // Between two bars, the snapshot is the close before those that will come.
            if !(snapshot && self.from == close_no + 1) {
                self.rewind(close_no);
                assert_eq!(close_no, self.due(), "a close out of turn");
            }
            self.next = Some(close_no + 1);
            self.closed_start = start;
        } else {
            let order = (start, number("seq"));
            assert!(self.open < Some(order), "an open bar went backwards");
            assert!(start > self.closed_start, "an open bar of what has closed");
            // It bears the number committed when it was published: more closes may have come since, not fewer.
            assert!(
                self.due() > close_no,
                "an open bar before a close that it knows of"
            );
            self.open = Some(order);
        }
    }

    /// Goes back to what comes twice, once.
    fn rewind(&mut self, close_no: u64) {
        if close_no <= self.twice_to && close_no < self.due() {
            self.next = Some(close_no);
            (self.twice_to, self.closed_start) = (0, 0);
        }
    }

    fn due(&self) -> u64 {
        self.next.unwrap_or(self.from)
    }
}

struct World {
    hub: Hub,
    outboxes: Vec<Outbox>,
    streams: Vec<Stream>,
    ids: Vec<TopicId>,
    opens: BTreeMap<usize, Bar>,
    closes: VecDeque<Bar>,
    log: Log,
    /// What the log was asked and has not answered.
    asks: [Option<Ask>; CLIENTS],
    /// By client and topic, of those subscribed to.
    seen: BTreeMap<(usize, usize), Seen>,
}

impl World {
    fn new(ring_len: usize) -> Self {
        let mut hub = Hub::new(ring_len, u64::MAX);
        let streams: Vec<Stream> = TOPICS.iter().map(|topic| Stream::new(topic)).collect();
        let mut ids = Vec::new();
        for stream in &streams {
            let instrument = stream.clone().open().instrument;
            hub.learn(&stream.topic, &instrument, stream.topic.interval);
            ids.push(hub.find(&stream.topic).unwrap());
        }
        Self {
            hub,
            outboxes: (0..CLIENTS).map(|_| Outbox::default()).collect(),
            streams,
            ids,
            opens: BTreeMap::new(),
            closes: VecDeque::new(),
            log: Log::default(),
            asks: [None; CLIENTS],
            seen: BTreeMap::new(),
        }
    }

    fn step(&mut self, step: &Step) {
        match *step {
            Step::Open(topic) => {
                self.opens.insert(topic, self.streams[topic].open());
            }
            Step::End(topic) => self.streams[topic].end(),
            Step::Commit(topic) => {
                if let Some(close) = self.streams[topic].commit() {
                    self.log.commit(self.ids[topic], &close);
                    self.closes.push_back(close);
                }
            }
            Step::ArriveOpens => {
                for (_, bar) in std::mem::take(&mut self.opens) {
                    give(&mut self.hub, 0, bar);
                }
            }
            Step::ArriveCloses(count) => {
                for bar in self.closes.drain(..count.min(self.closes.len())) {
                    give(&mut self.hub, 0, bar);
                }
            }
            Step::Overflow(count) => self.overflow(count),
            Step::Spread => spread(&mut self.hub, &mut self.outboxes),
            Step::Write(client, len_max) => {
                let (objects, asks) =
                    frame_and_asks(&mut self.outboxes[client], &mut self.hub, len_max);
                for ask in asks {
                    let before = self.asks[client].replace(ask);
                    assert_eq!(before, None, "two questions at one time");
                }
                self.handle(client, &objects);
            }
            Step::Subscribe(client, topic) => self.subscribe(client, topic),
            Step::Leave(client, topic) => {
                self.leave(client, topic);
                self.seen.remove(&(client, topic));
            }
            Step::Resume(client, topic) => self.resume(client, topic, 0),
            Step::ResumeAhead(client, topic) => {
                self.resume(client, topic, self.log.newest(self.ids[topic]));
            }
            Step::Answer(client, len) => self.answer(client, len),
            Step::Away(away) => self.log.away = away,
            Step::Forget(topic, count) => self.log.keep(self.ids[topic], count),
            Step::OtherLog => self.make_log_anew(),
        }
    }

    fn make_log_anew(&mut self) {
        self.step(&Step::ArriveCloses(usize::MAX));
        let away = self.log.away;
        self.log = Log {
            away,
            ..Log::default()
        };
        for stream in &mut self.streams {
            (stream.close_no, stream.epoch) = (0, stream.epoch + 1);
        }
        self.hub.handle_other_log();
        for outbox in &mut self.outboxes {
            outbox.handle_other_log();
        }
        for seen in self.seen.values_mut() {
            // Whoever listens is owed all of the new log, whatever of it comes to the hub.
            (seen.next, seen.from, seen.any_first) = (None, 1, false);
            (seen.missed, seen.twice_to) = (0, 0);
        }
    }

    fn overflow(&mut self, count: usize) {
        for _ in 0..count {
            let overtaken = |at: &usize| {
                let mut later = self.closes.range(at + 1..);
                later.any(|later| later.topic == self.closes[*at].topic)
            };
            if let Some(at) = (0..self.closes.len()).find(overtaken) {
                self.closes.remove(at);
            }
        }
    }

    fn answer(&mut self, client: usize, len: usize) {
        let Some(ask) = self.asks[client].take() else {
            return;
        };
        let answer = self.log.answer(&ask, len);
        self.doubt(client);
        self.outboxes[client].handle_answer(answer);
    }

    /// What a client claims is not believed while the log is away.
    fn doubt(&mut self, client: usize) {
        if self.log.away {
            for (_, seen) in self.seen.range_mut((client, 0)..(client + 1, 0)) {
                seen.twice_to = seen.due() - 1;
            }
        }
    }

    fn leave(&mut self, client: usize, topic: usize) {
        if self.outboxes[client].unsubscribe(self.ids[topic]) {
            self.hub.leave(client as u32, self.ids[topic]);
        }
    }

    fn resume(&mut self, client: usize, topic: usize, has: u64) {
        let Some(seen) = self.seen.get_mut(&(client, topic)) else {
            return;
        };
        let due = seen.due().max(has + 1);
        seen.next = Some(due);
        seen.open = None;
        self.leave(client, topic);
        let id = self.ids[topic];
        self.outboxes[client].subscribe(&self.hub, id, Some(due - 1));
        self.hub.listen(client as u32, id);
    }

    fn subscribe(&mut self, client: usize, topic: usize) {
        let id = self.ids[topic];
        self.outboxes[client].subscribe(&self.hub, id, None);
        self.hub.listen(client as u32, id);
        let next = self.hub.next_close_no(id);
        self.seen.entry((client, topic)).or_insert_with(|| Seen {
            from: next.map_or(1, NonZeroU64::get),
            any_first: next.is_none(),
            ..Seen::default()
        });
    }

    fn handle(&mut self, client: usize, objects: &[Value]) {
        for object in objects {
            let topic = TOPICS
                .iter()
                .position(|topic| object["topic"] == *topic)
                .unwrap();
            // Whoever has left gets nothing.
            self.seen.get_mut(&(client, topic)).unwrap().handle(object);
        }
    }

    /// All arrives, all is written; then each client must have the newest of what it listens to.
    fn settle(&mut self) {
        self.step(&Step::ArriveCloses(usize::MAX));
        self.step(&Step::ArriveOpens);
        self.step(&Step::Spread);
        for client in 0..CLIENTS {
            self.step(&Step::Answer(client, 1));
            self.doubt(client);
            let outbox = &mut self.outboxes[client];
            let objects = drain_with(outbox, &mut self.hub, &self.log, 2);
            self.handle(client, &objects);
        }
        for ((_, topic), seen) in &self.seen {
            let stream = &self.streams[*topic];
            if let Some(text) = self.hub.open_text(self.ids[*topic]) {
                let newest = Bar::decode(&text).unwrap();
                let order = (newest.start_ms, newest.seq);
                assert_eq!(seen.open, Some(order), "not the newest value");
            }
            assert_eq!(seen.due(), stream.close_no + 1, "a close was lost");
            assert!(seen.missed <= stream.close_no);
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 512, ..ProptestConfig::default() })]

    #[test]
    fn no_schedule_loses_a_close_or_goes_backwards(
        steps in prop::collection::vec(step(), 0..200),
        ring_len in 1..8usize,
    ) {
        let mut world = World::new(ring_len);
        for step in &steps {
            world.step(step);
        }
        world.settle();
    }

    /// With a ring that is long enough, or a log that is there and forgets nothing, nothing is ever missed.
    #[test]
    fn within_the_ring_or_the_log_nothing_is_missed(
        steps in prop::collection::vec(step(), 0..200),
        ring in any::<bool>(),
    ) {
        let mut world = World::new(if ring { 200 } else { 1 });
        for step in &steps {
            match step {
                Step::Away(_) if !ring => {}
                // The log has what is dropped; the ring has not.
                Step::Overflow(_) if ring => {}
                // It might forget what has not come to the ring yet.
                Step::Forget(..) => {}
                step => world.step(step),
            }
        }
        world.settle();
        for seen in world.seen.values() {
            prop_assert_eq!(seen.missed, 0);
            if !ring {
                prop_assert_eq!(seen.twice_to, 0);
            }
        }
    }
}
