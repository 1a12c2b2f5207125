//! Traces to a collector over a real connection: what arrives, and what happens when it is away.
#![allow(clippy::unwrap_used, reason = "a test may stop here")]

use std::net::SocketAddr;
use std::time::{Duration, SystemTime};

use clap::Parser;
use runtime::admin::Readiness;
use runtime::args::TraceArgs;
use runtime::shutdown::Shutdown;
use runtime::telemetry::otlp::{Identity, Traces};
use runtime::telemetry::receiver::{Received, Receiver};
use runtime::telemetry::{Metrics, Span, SpanKind, Tracer, new_child, new_trace};

/// For a machine under load; what is waited for takes a fraction of a second.
const WAIT_MAX: Duration = Duration::from_secs(60);

#[derive(Debug, Parser)]
struct Args {
    #[command(flatten)]
    trace: TraceArgs,
}

fn traces(endpoint: &str, metrics: &Metrics) -> Traces {
    let args = Args::try_parse_from(["test", "--otlp-endpoint", endpoint]).unwrap();
    let identity = Identity {
        service: "marketfeed-test".to_owned(),
        instance: "test-0".to_owned(),
        version: "1.2.3".to_owned(),
    };
    Traces::start(&args.trace, 10_000, &identity, metrics).unwrap()
}

/// A trace of two spans: what a publisher and a receiver make.
fn record(tracer: &Tracer) -> (Span, Span) {
    let start = SystemTime::UNIX_EPOCH + Duration::from_millis(1_723_161_240_000);
    let top = new_trace();
    let publish = Span::root("bar.publish", top, start)
        .kind(SpanKind::Producer)
        .with("topic", "kline:1m:BTC-USDT")
        .with("close_no", 8_812_u64)
        .until(start + Duration::from_micros(1_500));
    let receive = Span::child("bar.receive", new_child(top), top, publish.end)
        .kind(SpanKind::Consumer)
        .with("held", true)
        .failed(Some("fenced".to_owned()))
        .until(start);
    tracer.record(publish.clone());
    tracer.record(receive.clone());
    (publish, receive)
}

async fn named(receiver: &Receiver, name: &str) -> Received {
    let find = |spans: &[Received]| spans.iter().find(|span| span.name == name).cloned();
    receiver.find(WAIT_MAX, find).await.unwrap()
}

#[tokio::test]
async fn what_is_recorded_arrives_with_links_names_and_attributes() {
    let receiver = Receiver::start().await.unwrap();
    let metrics = Metrics::new();
    let traces = traces(&receiver.endpoint(), &metrics);
    let (publish, receive) = record(&traces.tracer());
    let top = named(&receiver, "bar.publish").await;
    let below = named(&receiver, "bar.receive").await;
    assert_eq!(
        (top.service.as_str(), top.instance.as_str()),
        ("marketfeed-test", "test-0")
    );
    assert_eq!(top.trace_id, publish.context.trace_id.to_string());
    assert_eq!(top.span_id, format!("{:016x}", publish.context.span_id));
    assert_eq!(
        (top.parent_span_id.as_str(), top.kind.as_str()),
        ("", "Producer")
    );
    assert_eq!(top.start_ns, 1_723_161_240_000_000_000);
    assert_eq!(top.end_ns - top.start_ns, 1_500_000);
    let attributes: Vec<(&str, &str)> = top
        .attributes
        .iter()
        .map(|(k, v)| (k.as_str(), v.as_str()))
        .collect();
    assert_eq!(
        attributes,
        [("close_no", "8812"), ("topic", "kline:1m:BTC-USDT")]
    );
    assert_eq!(top.error, None);
    assert_eq!(below.trace_id, top.trace_id);
    assert_eq!(below.parent_span_id, top.span_id);
    assert_eq!(below.span_id, format!("{:016x}", receive.context.span_id));
    assert_eq!(below.kind, "Consumer");
    assert_eq!(below.attributes["held"], "true");
    assert_eq!(below.error.as_deref(), Some("fenced"));
    // A clock that was set back meanwhile does not make a span end before it began.
    assert_eq!(below.end_ns, below.start_ns);
    traces.stop().await;
    assert!(metrics.encode().unwrap().contains("spans_exported_total 2"));
}

#[tokio::test]
async fn a_stop_sends_what_is_queued() {
    let receiver = Receiver::start().await.unwrap();
    let traces = traces(&receiver.endpoint(), &Metrics::new());
    let tracer = traces.tracer();
    for _ in 0..700 {
        record(&tracer);
    }
    traces.stop().await;
    assert_eq!(receiver.spans().len(), 1_400);
}

#[tokio::test]
async fn a_collector_may_come_later_and_nothing_waits_for_it() {
    // A port on which nobody listens: the listener that had it is gone.
    let gone = Receiver::start().await.unwrap();
    let address: SocketAddr = gone.address();
    gone.stop().await.unwrap();
    let metrics = Metrics::new();
    let readiness = Readiness::new(Shutdown::new());
    let traces = traces(&format!("http://{address}"), &metrics);
    record(&traces.tracer());
    assert!(readiness.unmet().is_empty());
    let receiver = Receiver::start_at(address).await.unwrap();
    named(&receiver, "bar.receive").await;
    traces.stop().await;
}

#[tokio::test]
async fn without_an_endpoint_nothing_is_sent_and_nothing_sampled() {
    let args = Args::try_parse_from(["test"]).unwrap();
    let identity = Identity {
        service: String::new(),
        instance: String::new(),
        version: String::new(),
    };
    let traces = Traces::start(&args.trace, 1_000_000, &identity, &Metrics::new()).unwrap();
    let tracer = traces.tracer();
    assert!(!tracer.is_on());
    assert!(!tracer.sampler(fastrand::Rng::with_seed(1)).is_due());
    record(&tracer);
    traces.stop().await;
}
