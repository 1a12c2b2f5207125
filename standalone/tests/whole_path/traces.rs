//! A bar's trace from the exchange's frame to the client's, over parts that meet only on the bus, each with a tracer of
//! its own. The collector is one for tests; the connection to it is real.

use std::io::Write;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::Router;
use clap::Parser;
use exchange_sim::{Kind, Play, Speed, StartWhen};
use marketdata::service::{Source, WhenFull};
use marketdata::venue::Endpoints;
use runtime::args::{LogArgs, TraceArgs};
use runtime::broker::memory::MemoryBroker;
use runtime::broker::{Broker, CloseStart, SequencedClose};
use runtime::tasks::{OnExit, Tasks};
use runtime::telemetry::otlp::{Identity, Traces};
use runtime::telemetry::receiver::{Received, Receiver};
use runtime::telemetry::{Metrics, logger, names};
use serde_json::Value;
use standalone::up::DRAIN_MAX;
use wire::subject::Kind as SubjectKind;
use wire::{Scope, SubjectFilter};

use crate::client::{Client, soon};

const TOPIC: &str = "kline:1s:BTC-USDT";
const TRADES: usize = 2_000;
/// The market's first second.
const BEGIN_MS: i64 = 1_700_000_000_000;

#[derive(Debug, Parser)]
struct Args {
    #[command(flatten)]
    trace: TraceArgs,
    #[command(flatten)]
    log: LogArgs,
}

/// What this process logs, as JSON; the other tests' lines are among it.
#[derive(Debug, Clone, Default)]
struct Logged(Arc<Mutex<Vec<u8>>>);

impl Logged {
    /// From now on, once a process.
    fn begin() -> Self {
        let logged = Self::default();
        let writer = logged.clone();
        let filter = "off,gateway=debug,marketdata=debug";
        let args = ["test", "--log", filter, "--log-format", "json"];
        let args = Args::try_parse_from(args).unwrap();
        let logger = logger(&args.log, move || writer.clone(), false);
        tracing::subscriber::set_global_default(logger).unwrap();
        logged
    }

    /// The first line with this message of which all the fields hold.
    #[track_caller]
    fn find(&self, message: &str, holds: impl Fn(&Value) -> bool) -> Value {
        let text = String::from_utf8(self.0.lock().unwrap().clone()).unwrap();
        let lines = text.lines().map(|line| serde_json::from_str(line).unwrap());
        lines
            .into_iter()
            .find(|line: &Value| line["message"] == message && holds(line))
            .unwrap_or_else(|| panic!("no {message:?} in {text}"))
    }
}

impl Write for Logged {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().unwrap().write(bytes)
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

fn traces(collector: &Receiver, service: &str, samples_per_million: u32) -> Traces {
    let args = ["test", "--otlp-endpoint", &collector.endpoint()];
    let args = Args::try_parse_from(args).unwrap();
    let identity = Identity {
        service: service.to_owned(),
        instance: format!("{service}-0"),
        version: "1".to_owned(),
    };
    let metrics = Metrics::new();
    Traces::start(&args.trace, samples_per_million, &identity, &metrics).unwrap()
}

/// A market's whole path with so many of its frames sampled; gives the spans that came and the closes on the bus.
async fn run(samples_per_million: u32) -> (Vec<Received>, Vec<SequencedClose>) {
    let collector = Receiver::start().await.unwrap();
    let maker = traces(&collector, "marketfeed-marketdata", samples_per_million);
    let server = traces(&collector, "marketfeed-gateway", 0);
    let (tasks, shutdown) = Tasks::new("test");

    let sim = exchange_sim::Service::bind(sim()).await.unwrap();
    let (address, exchange) = (sim.local_addr(), sim.handle());
    let bus = Arc::new(MemoryBroker::default());
    let scope = Scope::new("test", "local").unwrap();
    let source = Source {
        venue: Kind::BinanceSpot.name().parse().unwrap(),
        symbols: vec!["BTC-USDT".parse().unwrap()],
        endpoints: Some(Endpoints {
            ws: format!("ws://{address}/binance-spot"),
            rest: format!("http://{address}/binance-spot"),
        }),
    };
    let mut options =
        marketdata::service::Options::new(vec![source], vec!["1s".parse().unwrap()], scope.clone());
    options.when_full = WhenFull::Wait;
    options.update_interval = Duration::from_millis(5);
    options.tracer = maker.tracer();
    let metrics = Metrics::new();
    let made = metrics.register(|registry| {
        marketdata::service::Service::new(options, bus.clone(), registry).unwrap()
    });
    let mut options = gateway::Options::new(scope.clone());
    options.topics = made.handle().topics().to_vec();
    options.linger = Duration::ZERO;
    options.drain = Duration::ZERO;
    options.tracer = server.tracer();
    let served = metrics.register(|registry| {
        gateway::Service::bind(options, bus.clone(), Router::new(), registry).unwrap()
    });
    let gateway = served.local_addr();
    let carrier = made.handle();

    tasks.spawn("exchange", OnExit::StopOnFailure, sim.run(shutdown.clone()));
    tasks.spawn(
        "marketdata",
        OnExit::StopOnFailure,
        made.run(shutdown.clone()),
    );
    tasks.spawn(
        "gateway",
        OnExit::StopOnFailure,
        served.run(shutdown.clone()),
    );
    let running = tokio::spawn(tasks.run_until_stopped(DRAIN_MAX));
    let mut client = Client::connect(gateway).await;
    client.subscribe(&[TOPIC], false).await;
    soon("the subscription at the exchange", carrier.settled()).await;
    exchange.start();
    // The last close but for the reorder window: a hundred trades a second, of the market's time.
    while client.close().await.close_no + 3 < TRADES as u64 / 100 {}
    let filter = SubjectFilter::all(SubjectKind::Committed, &scope);
    let mut on_bus = bus
        .subscribe_closes(filter, CloseStart::First)
        .await
        .unwrap();
    let mut closes = Vec::new();
    soon("closes", on_bus.drain(TRADES, &mut closes))
        .await
        .unwrap();
    shutdown.trigger();
    soon("the stop", running).await.unwrap().unwrap();
    maker.stop().await;
    server.stop().await;
    (collector.spans(), closes)
}

fn sim() -> exchange_sim::Options {
    let play = Play::Generate {
        symbols: vec![(Kind::BinanceSpot, "BTC-USDT".parse().unwrap())],
        rate: 100,
        seed: 3,
        start_ms: Some(BEGIN_MS),
        trades_max: Some(TRADES as u64),
    };
    let mut options = exchange_sim::Options::new("127.0.0.1:0".parse().unwrap(), play);
    options.speed = Speed::Times(20.0);
    options.start_when = StartWhen::Manually;
    options
}

/// The span and those above it, its trace's first at the end.
fn upwards<'a>(spans: &'a [Received], span: &'a Received) -> Vec<&'a Received> {
    let above = |span: &&'a Received| {
        let of_trace = |other: &&Received| other.trace_id == span.trace_id;
        spans
            .iter()
            .filter(of_trace)
            .find(|other| other.span_id == span.parent_span_id)
    };
    std::iter::successors(Some(span), above).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_trace_goes_from_the_exchange_to_the_client() {
    let logged = Logged::begin();
    let (spans, closes) = run(100_000).await;
    let count = |name: &str| spans.iter().filter(|span| span.name == name).count();
    // Five standard deviations of a binomial distribution to each side of a tenth; the last trades may not have come.
    let heads = count(names::EXCHANGE_RECEIVE);
    assert!((130..=268).contains(&heads), "{heads}");
    for closed in ["false", "true"] {
        let whole = spans
            .iter()
            .filter(|span| span.name == names::BAR_WRITE)
            .map(|span| upwards(&spans, span))
            .find(|path| path.len() == 5 && path[1].attributes["closed"] == closed)
            .unwrap_or_else(|| panic!("no whole trace of closed={closed} in {spans:#?}"));
        check(&whole, closed == "true");
        check_log(&logged, &whole[0].trace_id);
    }
    let line = logged.find("closed", |line| line["close_reason"] == "drain");
    assert_eq!(line["code"], 1012, "{line}");
    assert!(line["conn_id"].is_u64(), "{line}");
    // Every span but a head hangs under one that came too: nothing refers to what was never made.
    for span in &spans {
        let top = upwards(&spans, span);
        assert_eq!(
            top.last().unwrap().name,
            names::EXCHANGE_RECEIVE,
            "{span:?}"
        );
    }
    // A close is sent as part of a trace exactly if a span says so.
    let sampled = closes.iter().filter(|close| close.message.trace.is_some());
    let published =
        |span: &&Received| span.name == names::BAR_PUBLISH && span.attributes["closed"] == "true";
    assert_eq!(sampled.count(), spans.iter().filter(published).count());
}

/// The five spans of one bar, the client's first.
fn check(path: &[&Received], closed: bool) {
    let [write, receive, publish, aggregate, head] = path else {
        panic!("{path:?}");
    };
    let shape = path.iter().map(|span| {
        (
            span.name.as_str(),
            span.kind.as_str(),
            span.service.as_str(),
        )
    });
    let (maker, server) = ("marketfeed-marketdata", "marketfeed-gateway");
    let expect = [
        ("bar.write", "Internal", server),
        ("bar.receive", "Consumer", server),
        ("bar.publish", "Producer", maker),
        ("bar.aggregate", "Internal", maker),
        ("exchange.receive", "Internal", maker),
    ];
    assert_eq!(shape.collect::<Vec<_>>(), expect);
    assert_eq!(head.parent_span_id, "");
    for (span, attribute, value) in [
        (head, "venue", "binance-spot"),
        (head, "symbol", "BTC-USDT"),
        (aggregate, "symbol", "BTC-USDT"),
        (publish, "topic", TOPIC),
        (publish, "messaging.system", "memory"),
        (receive, "topic", TOPIC),
        (write, "topic", TOPIC),
        (write, "conn_id", "0"),
        (write, "blocked", "false"),
    ] {
        assert_eq!(
            span.attributes[attribute], value,
            "{} {attribute}",
            span.name
        );
    }
    let kind = if closed { "bar" } else { "kline" };
    let subject = &publish.attributes["messaging.destination.name"];
    assert!(
        subject.starts_with(&format!("{kind}.test.local.binance-spot.1s.BTC-USDT")),
        "{subject}"
    );
    assert_eq!(subject, &receive.attributes["messaging.destination.name"]);
    assert_eq!(
        head.attributes["trade_id"],
        aggregate.attributes["trade_id"]
    );
    for key in ["close_no", "epoch"] {
        assert_eq!(publish.attributes[key], receive.attributes[key]);
    }
    assert_eq!(publish.attributes.contains_key("seq"), !closed);
    // The market's time is long ago.
    let lag_ms: i64 = head.attributes["lag_ms"].parse().unwrap();
    assert!(lag_ms > 0, "{lag_ms}");
    for pair in path.windows(2) {
        let [below, above] = pair else { continue };
        assert!(below.start_ns >= above.start_ns, "{below:?} {above:?}");
        assert!(below.end_ns >= below.start_ns, "{below:?}");
    }
}

/// The log tells of the trace too, in the words of the spans.
fn check_log(logged: &Logged, trace_id: &str) {
    let of_trace = |line: &Value| line["trace_id"] == trace_id;
    let line = logged.find("trade sampled", of_trace);
    assert_eq!(line["venue"], "binance-spot", "{line}");
    assert_eq!(line["symbol"], "BTC-USDT", "{line}");
    assert!(line["lag_ms"].is_i64(), "{line}");
    let line = logged.find("bar written", of_trace);
    assert_eq!(line["topic"], TOPIC, "{line}");
    assert!(
        line["conn_id"].is_u64() && line["lag_ms"].is_i64(),
        "{line}"
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_not_sampled_carries_nothing_and_makes_nothing() {
    let (spans, closes) = run(0).await;
    assert_eq!(spans, []);
    assert!(closes.len() > 10);
    assert!(closes.iter().all(|close| close.message.trace.is_none()));
}
