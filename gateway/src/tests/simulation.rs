//! Hub and outboxes under any schedule of bars, writes and subscriptions.
//!
//! Open bars and closes travel on two paths that run at their own speed, as they do on the bus; clients can
//! be written to whenever the schedule says so, in frames of a few objects. Whatever the schedule, each client
//! must see closes in order without a loss that it is not told of, no open bar before a close that it knows
//! of, nothing that goes backwards, and at the end the newest value.

use std::collections::{BTreeMap, VecDeque};
use std::num::NonZeroU64;

use proptest::prelude::*;
use serde_json::Value;
use wire::Bar;

use super::{Stream, drain, frame, give, spread};
use crate::hub::{Hub, TopicId};
use crate::outbox::Outbox;

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
    /// The shard spreads what is dirty.
    Spread,
    /// A client can be written a frame of so many bytes.
    Write(usize, usize),
    /// A client subscribes, or leaves.
    Subscribe(usize, usize),
    Leave(usize, usize),
    /// A client comes back and says what it has.
    Resume(usize, usize),
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
        3 => Just(Step::Spread),
        4 => (client.clone(), 1..3_000usize).prop_map(|(client, len)| Step::Write(client, len)),
        2 => (client.clone(), topic.clone()).prop_map(|(client, topic)| Step::Subscribe(client, topic)),
        1 => (client.clone(), topic.clone()).prop_map(|(client, topic)| Step::Leave(client, topic)),
        1 => (client, topic).prop_map(|(client, topic)| Step::Resume(client, topic)),
    ]
}

/// What a client must have been told of one topic, so far.
#[derive(Debug, Default)]
struct Seen {
    /// The next close_no due; `None` until the first.
    next: Option<u64>,
    /// The first close_no that may come: the one after the last that the hub had when it subscribed.
    from: u64,
    open: Option<(i64, u64)>,
    closed_start: i64,
    missed: u64,
}

impl Seen {
    fn handle(&mut self, object: &Value) {
        let number = |name: &str| object[name].as_u64().unwrap();
        if object["op"] == "missed" {
            assert_eq!(number("from"), self.due(), "a miss that is not next");
            assert!(number("from") <= number("to"));
            self.missed += number("to") - number("from") + 1;
            self.next = Some(number("to") + 1);
            return;
        }
        let start = object["start"].as_i64().unwrap();
        let close_no = number("close_no");
        if object["closed"] == true {
            let snapshot = self.next.is_none() && self.open.is_none() && self.closed_start == 0;
            // Between two bars, the snapshot is the close before those that will come.
            if !(snapshot && self.from == close_no + 1) {
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
            seen: BTreeMap::new(),
        }
    }

    fn step(&mut self, step: &Step) {
        match *step {
            Step::Open(topic) => {
                self.opens.insert(topic, self.streams[topic].open());
            }
            Step::End(topic) => self.streams[topic].end(),
            Step::Commit(topic) => self.closes.extend(self.streams[topic].commit()),
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
            Step::Spread => spread(&mut self.hub, &mut self.outboxes),
            Step::Write(client, len_max) => {
                let objects = frame(&mut self.outboxes[client], &mut self.hub, len_max);
                self.handle(client, &objects);
            }
            Step::Subscribe(client, topic) => self.subscribe(client, topic),
            Step::Leave(client, topic) => {
                self.leave(client, topic);
                self.seen.remove(&(client, topic));
            }
            Step::Resume(client, topic) => self.resume(client, topic),
        }
    }

    fn leave(&mut self, client: usize, topic: usize) {
        if self.outboxes[client].unsubscribe(self.ids[topic]) {
            self.hub.leave(client as u32, self.ids[topic]);
        }
    }

    fn resume(&mut self, client: usize, topic: usize) {
        let Some(seen) = self.seen.get_mut(&(client, topic)) else {
            return;
        };
        let due = seen.due();
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
        // A topic's first close is number 1, and the hub gets each.
        let from = self.hub.next_close_no(id).map_or(1, NonZeroU64::get);
        self.seen.entry((client, topic)).or_insert_with(|| Seen {
            from,
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
            let objects = drain(&mut self.outboxes[client], &mut self.hub);
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

    /// With a ring that is long enough nothing is ever missed.
    #[test]
    fn within_the_ring_nothing_is_missed(steps in prop::collection::vec(step(), 0..200)) {
        let mut world = World::new(200);
        for step in &steps {
            world.step(step);
        }
        world.settle();
        for seen in world.seen.values() {
            prop_assert_eq!(seen.missed, 0);
        }
    }
}
