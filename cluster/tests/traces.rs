//! A bar's trace over real processes: from the exchange's frame, over NATS, to the gateway's write. What the collector
//! is sent is held against what went over the wire.
#![allow(
    clippy::unwrap_used,
    clippy::print_stdout,
    reason = "a helper that fails fails the test that called it"
)]

use std::collections::BTreeSet;
use std::time::Duration;

use cluster::nats::RawMessage;
use cluster::topology::{Options, TraceOptions};
use cluster::wait::PATIENCE;
use cluster::{Checker, Persistence, Tap, Topology};
use runtime::telemetry::receiver::{Received, Receiver};
use runtime::telemetry::{ALL, TRACEPARENT, TraceContext, names};
use tokio::sync::Mutex;
use tokio::time::Instant;
use wire::Bar;

const TOPIC: &str = "kline:1s:BTC-USDT";
/// What both kinds of a bar's messages are published to.
const OPEN: &str = "kline.local.here.binance-spot.1s.BTC-USDT.open";
const COMMITTED: &str = "bar.local.here.binance-spot.1s.BTC-USDT";
/// The server's copy of what is committed.
const COPY: &str = "kline.local.here.binance-spot.1s.BTC-USDT.closed";

const MAKER: &str = "marketfeed-marketdata";
const SERVER: &str = "marketfeed-gateway";

/// More than a gateway's drain.
const END_MAX: Duration = Duration::from_secs(45);

/// A cluster at a time is enough for one machine.
static ONE_AT_A_TIME: Mutex<()> = Mutex::const_new(());

/// One shard, one gateway, one client, and who looks on.
struct Traced {
    collector: Receiver,
    topology: Topology,
    client: Checker,
    tap: Tap,
    /// All that the tap has heard.
    heard: Vec<RawMessage>,
}

impl Traced {
    /// Runs, with a client that is subscribed, and so many frames of a million sampled. None where the binaries have
    /// not been built; they are when the whole workspace is tested.
    async fn start(samples_per_million: u32) -> Option<Self> {
        if let Some(absent) = Topology::absent() {
            println!("skipped: {absent} has not been built");
            return None;
        }
        let collector = Receiver::start().await.unwrap();
        let options = Options {
            sources: vec![("binance-spot".to_owned(), vec!["BTC-USDT".to_owned()])],
            rate: 50,
            intervals: vec!["1s".to_owned()],
            shards: 1,
            instances: 1,
            gateways: 1,
            nginx: false,
            traces: Some(TraceOptions {
                collector: collector.endpoint(),
                samples_per_million,
            }),
            ..Options::default()
        };
        let mut topology = Topology::start(options).await.unwrap();
        let topics = vec![TOPIC.to_owned()];
        let client = Checker::start("it", topology.front(), topics, Persistence::Returns);
        let server = topology.nats().addresses()[0];
        let subjects = ["kline.local.here.>", "bar.local.here.>"];
        let traced = Self {
            collector,
            client,
            tap: Tap::open(server, &subjects).await.unwrap(),
            topology,
            heard: Vec::new(),
        };
        traced.closes_reach_the_client().await;
        Some(traced)
    }

    /// Two more of them.
    async fn closes_reach_the_client(&self) {
        let topics = [TOPIC.parse().unwrap()];
        let since = self.client.now();
        let wait = self.client.wait_for_closes(&topics, since, 2, PATIENCE);
        wait.await.unwrap();
    }

    /// Listens until so many messages of each kind have come of which `counts` holds.
    async fn hear(&mut self, count: usize, counts: impl Fn(&RawMessage) -> bool) {
        let mut lacking = [(OPEN, count), (COMMITTED, count), (COPY, count)];
        let until = Instant::now() + PATIENCE;
        while lacking.iter().any(|(_, lacking)| *lacking > 0) {
            // Messages of one kind go on while another is missing.
            let left = until.saturating_duration_since(Instant::now());
            let next = self.tap.next(left).await;
            let message = next.unwrap_or_else(|error| panic!("{lacking:?} lacking: {error:#}"));
            for (subject, lacking) in &mut lacking {
                if *subject == message.subject && counts(&message) {
                    *lacking = lacking.saturating_sub(1);
                }
            }
            self.heard.push(message);
        }
    }

    /// The first whole trace of a bar that the tap has heard too, with what it heard.
    async fn whole(&self, subject: &str) -> (Vec<Received>, RawMessage) {
        let of_subject = self.heard.iter().filter(|heard| heard.subject == subject);
        let of_subject: Vec<_> = of_subject.filter(|heard| is_sampled(heard)).collect();
        let find = |spans: &[Received]| {
            let writes = spans.iter().filter(|span| span.name == names::BAR_WRITE);
            let mut paths = writes.map(|write| upwards(spans, write));
            paths.find_map(|path| {
                let publish = path.get(2)?;
                let heard = of_subject.iter().find(|heard| names_span(heard, publish))?;
                let whole = path.len() == 5;
                whole.then(|| (path.into_iter().cloned().collect(), (*heard).clone()))
            })
        };
        let found = self.collector.find(PATIENCE, find).await;
        found.unwrap_or_else(|spans| {
            let named = |name| spans.iter().filter(|span| span.name == name).count();
            let came = names::SPANS.map(|name| (name, named(name)));
            panic!("no whole trace of {subject} in {came:?}")
        })
    }

    /// Stops every process as an operator would, so that each sends its last spans; all that came of them.
    async fn stop(self) -> Vec<Received> {
        drop(self.client);
        assert_eq!(self.topology.stop(END_MAX).await, [""; 0]);
        self.collector.spans()
    }
}

fn is_sampled(message: &RawMessage) -> bool {
    message.header(TRACEPARENT).is_some()
}

/// Whether a message's receiver was told that it is below this span.
fn names_span(message: &RawMessage, span: &Received) -> bool {
    let expect = format!("00-{}-{}-01", span.trace_id, span.span_id);
    message.header(TRACEPARENT) == Some(&expect)
}

/// The span and those above it, its trace's first at the end.
fn upwards<'a>(spans: &'a [Received], span: &'a Received) -> Vec<&'a Received> {
    let above = |span: &&'a Received| {
        let of_trace = |other: &&Received| other.trace_id == span.trace_id;
        let of_trace = spans.iter().filter(of_trace);
        of_trace
            .into_iter()
            .find(|other| other.span_id == span.parent_span_id)
    };
    std::iter::successors(Some(span), above).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_trace_goes_over_nats_from_one_process_to_the_other() {
    let _turn = ONE_AT_A_TIME.lock().await;
    let Some(mut traced) = Traced::start(ALL).await else {
        return;
    };
    traced.hear(3, is_sampled).await;
    for subject in [OPEN, COMMITTED] {
        let (path, heard) = traced.whole(subject).await;
        check(&path, &heard);
    }
    let copies = traced.heard.iter().filter(|heard| heard.subject == COPY);
    let contexts = copies.filter_map(|copy| copy.header(TRACEPARENT));
    for context in contexts {
        assert!(TraceContext::from_header(context).is_some(), "{context}");
    }

    let spans = traced.stop().await;
    // Every span but a head hangs under one that came too, over both processes: nothing refers to what never comes.
    for span in &spans {
        let top = *upwards(&spans, span).last().unwrap();
        assert_eq!(top.name, names::EXCHANGE_RECEIVE, "{span:?} of {top:?}");
        assert_eq!(top.parent_span_id, "", "{top:?}");
        assert_eq!(span.error, None, "{span:?}");
    }
    let ids: BTreeSet<_> = spans.iter().map(|span| &span.span_id).collect();
    assert_eq!(ids.len(), spans.len(), "no number twice");
    check_who(&spans);
}

/// The five spans of one bar, the client's first, and its message between the processes.
fn check(path: &[Received], heard: &RawMessage) {
    let [write, receive, publish, aggregate, head] = path else {
        panic!("{path:?}");
    };
    let shape = path.iter().map(|span| {
        let Received {
            name,
            kind,
            service,
            ..
        } = span;
        (name.as_str(), kind.as_str(), service.as_str())
    });
    let expect = [
        ("bar.write", "Internal", SERVER),
        ("bar.receive", "Consumer", SERVER),
        ("bar.publish", "Producer", MAKER),
        ("bar.aggregate", "Internal", MAKER),
        ("exchange.receive", "Internal", MAKER),
    ];
    assert_eq!(shape.collect::<Vec<_>>(), expect);
    assert_eq!(head.parent_span_id, "");
    for (span, attribute, value) in [
        (head, "venue", "binance-spot"),
        (head, "symbol", "BTC-USDT"),
        (aggregate, "venue", "binance-spot"),
        (aggregate, "symbol", "BTC-USDT"),
        (aggregate, "trade_id", &head.attributes["trade_id"]),
        (write, "topic", TOPIC),
        (write, "blocked", "false"),
    ] {
        assert_eq!(
            span.attributes[attribute], value,
            "{} {attribute}",
            span.name
        );
    }
    for (span, attribute) in [(head, "lag_ms"), (write, "lag_ms"), (write, "conn_id")] {
        let value = &span.attributes[attribute];
        assert!(value.parse::<i64>().is_ok(), "{attribute}: {value}");
    }
    // Both ends say of the bar what its message says.
    let bar = Bar::decode(&heard.payload).unwrap();
    for end in [publish, receive] {
        let said = |key: &str| end.attributes.get(key).cloned();
        assert_eq!(said("messaging.system").unwrap(), "nats");
        assert_eq!(said("messaging.destination.name").unwrap(), heard.subject);
        assert_eq!(said("topic").unwrap(), TOPIC);
        assert_eq!(said("epoch").unwrap(), bar.epoch.to_string());
        assert_eq!(said("close_no").unwrap(), bar.close_no.to_string());
        assert_eq!(said("closed").unwrap(), bar.closed.to_string());
        assert_eq!(said("seq"), (!bar.closed).then(|| bar.seq.to_string()));
    }
    assert_eq!(bar.closed, heard.subject == COMMITTED);
}

/// Each process sends as itself, and its own spans only.
fn check_who(spans: &[Received]) {
    let of_gateway = [names::BAR_RECEIVE, names::BAR_WRITE];
    for span in spans {
        let at_gateway = of_gateway.contains(&span.name.as_str());
        assert_eq!(span.service == SERVER, at_gateway, "{span:?}");
    }
    let who = spans.iter().map(|span| (&span.service, &span.instance));
    let who: Vec<_> = who.collect::<BTreeSet<_>>().into_iter().collect();
    let [(server, gateway), (maker, shard)] = who.as_slice() else {
        panic!("not two processes: {who:?}");
    };
    assert_eq!((server.as_str(), maker.as_str()), (SERVER, MAKER));
    assert!(shard.starts_with("md-0-a-"), "{shard}");
    assert!(!gateway.is_empty() && gateway != shard, "{gateway}");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_not_sampled_has_no_header_and_makes_no_span() {
    let _turn = ONE_AT_A_TIME.lock().await;
    let Some(mut traced) = Traced::start(0).await else {
        return;
    };
    traced.hear(5, |_| true).await;
    for heard in &traced.heard {
        assert!(!is_sampled(heard), "{heard:?}");
        // What is committed has headers for JetStream.
        let plain = heard.headers.is_none();
        assert_eq!(plain, heard.subject == OPEN, "{heard:?}");
    }
    traced.closes_reach_the_client().await;
    assert_eq!(traced.stop().await, []);
}
