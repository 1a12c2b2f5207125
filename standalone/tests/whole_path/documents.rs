//! `docs/telemetry.md` names what there is: every metric, span and attribute, and nothing else.

use std::collections::BTreeSet;
use std::sync::Arc;

use axum::Router;
use clap::Parser;
use marketdata::assignment::AssignmentMetrics;
use runtime::args::TraceArgs;
use runtime::broker::memory::MemoryBroker;
use runtime::broker::nats::{NatsArgs, NatsBroker, Party};
use runtime::telemetry::otlp::{Identity, Traces};
use runtime::telemetry::{Metrics, names};
use wire::Scope;

const DOCUMENT: &str = include_str!("../../../docs/telemetry.md");

#[derive(Debug, Parser)]
struct Args {
    #[command(flatten)]
    nats: NatsArgs,
    #[command(flatten)]
    trace: TraceArgs,
}

/// What is in backquotes in the first column of the tables that begin with this word, of all its rows.
fn named(head: &str) -> BTreeSet<String> {
    let mut names = BTreeSet::new();
    let mut inside = false;
    for line in DOCUMENT.lines() {
        let Some(row) = line.strip_prefix('|') else {
            inside = false;
            continue;
        };
        let first = row.split('|').next().unwrap().trim();
        inside |= first == head;
        if inside {
            let quoted = first.split('`').skip(1).step_by(2);
            names.extend(quoted.map(str::to_owned));
        }
    }
    assert!(!names.is_empty(), "no table of {head}");
    names
}

/// The names under which metrics are registered. A family without a member is not in the text that is scraped, so
/// that the registry itself is looked at. No name is there twice: a scraper would refuse all of it.
fn registered(metrics: &Metrics) -> BTreeSet<String> {
    let registry = metrics.register(|registry| format!("{registry:?}"));
    let mut names = BTreeSet::new();
    for rest in registry.split("Descriptor { name: \"").skip(1) {
        let name = rest.split('"').next().unwrap_or_default();
        assert!(names.insert(name.to_owned()), "{name} is registered twice");
    }
    names
}

/// Registers what makes bars.
fn makes_bars(metrics: &Metrics) {
    let bus = Arc::new(MemoryBroker::default());
    let scope = scope();
    let source = marketdata::service::Source {
        venue: "coinbase".parse().unwrap(),
        symbols: vec!["BTC-USD".parse().unwrap()],
        endpoints: Some(marketdata::venue::Endpoints {
            ws: "ws://127.0.0.1:1".to_owned(),
            rest: "http://127.0.0.1:1".to_owned(),
        }),
    };
    let intervals = vec!["1m".parse().unwrap()];
    let options = marketdata::service::Options::new(vec![source], intervals, scope);
    metrics.register(|registry| {
        marketdata::service::Service::new(options, bus, registry).unwrap();
    });
}

/// Registers what passes them on.
fn passes_on(metrics: &Metrics) {
    let bus = Arc::new(MemoryBroker::default());
    metrics.register(|registry| {
        gateway::Service::bind(gateway::Options::new(scope()), bus, Router::new(), registry)
            .unwrap();
    });
}

/// Registers what a process of its own has beside either.
fn is_a_process(metrics: &Metrics, args: &Args, party: Party) {
    let nats = args.nats.clone().options(party).unwrap();
    // It has registered all before it connects; gone at once, it does not.
    drop(NatsBroker::connect(scope(), nats, metrics));
    let identity = Identity {
        service: String::new(),
        instance: String::new(),
        version: String::new(),
    };
    Traces::start(&args.trace, 0, &identity, metrics).unwrap();
}

fn scope() -> Scope {
    Scope::new("test", "local").unwrap()
}

/// As `marketfeed-marketdata`, `marketfeed-gateway` and `marketfeed` register them.
fn processes() -> [Metrics; 3] {
    let args = Args::try_parse_from(["test"]).unwrap();
    let all = [Metrics::new(), Metrics::new(), Metrics::new()];
    let [marketdata, gateway, alone] = &all;
    makes_bars(marketdata);
    marketdata.register(AssignmentMetrics::new);
    is_a_process(marketdata, &args, Party::Publisher);
    passes_on(gateway);
    is_a_process(gateway, &args, Party::Gateway);
    makes_bars(alone);
    passes_on(alone);
    all
}

#[tokio::test]
async fn every_metric_is_documented_once_and_every_documented_metric_is_there() {
    // As they are registered: the text that is scraped adds labels, and `_total` to counters.
    let bare = |name: &String| {
        let name = name.split('{').next().unwrap();
        name.strip_suffix("_total").unwrap_or(name).to_owned()
    };
    let documented: BTreeSet<String> = named("metric").iter().map(bare).collect();
    let registered: BTreeSet<String> = processes().iter().flat_map(registered).collect();
    let missing: Vec<_> = registered.difference(&documented).collect();
    let absent: Vec<_> = documented.difference(&registered).collect();
    assert!(missing.is_empty(), "not in docs/telemetry.md: {missing:?}");
    assert!(absent.is_empty(), "no such metrics: {absent:?}");
}

#[test]
fn every_span_and_attribute_is_documented() {
    assert_eq!(named("span"), names::SPANS.map(str::to_owned).into());
    assert_eq!(
        named("attribute"),
        names::key::ALL.map(str::to_owned).into()
    );
}
