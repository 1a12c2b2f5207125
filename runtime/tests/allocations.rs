//! What is not sampled allocates nothing for the sake of traces. A program of its own, since it has an allocator of its
//! own.
#![allow(clippy::unwrap_used, reason = "a test may stop here")]

use clap::Parser;
use runtime::args::TraceArgs;
use runtime::broker::BarMessage;
use runtime::broker::memory::MemoryBroker;
use runtime::telemetry::otlp::{Identity, Traces};
use runtime::telemetry::{BusCall, Metrics, Tracer, new_trace};
use wire::{Bar, Candle, Completeness, Instrument, Scope};

#[derive(Debug, Parser)]
struct Args {
    #[command(flatten)]
    trace: TraceArgs,
}

fn bars() -> Vec<BarMessage> {
    let scope = Scope::new("test", "eu").unwrap();
    let bar = |seq: u64| Bar {
        topic: "kline:1s:BTC-USD".parse().unwrap(),
        instrument: Instrument::new("coinbase".parse().unwrap(), "BTC-USD".parse().unwrap()),
        interval: "1s".parse().unwrap(),
        start_ms: 0,
        candle: Candle::flat("1".parse().unwrap()),
        closed: false,
        rev: 0,
        completeness: Completeness::Complete,
        close_no: 1,
        epoch: 1,
        seq,
        event_time_ms: 0,
        publish_time_ms: 0,
    };
    (0..100)
        .map(|seq| BarMessage::new(&scope, bar(seq)))
        .collect()
}

/// Allocations of the frames' and the bars' way by this tracer, apart from what is done without traces.
fn allocations(tracer: &Tracer, bars: &mut [BarMessage]) -> u64 {
    let bus = MemoryBroker::default();
    let mut sampler = tracer.sampler(fastrand::Rng::with_seed(1));
    let measured = allocation_counter::measure(|| {
        for _ in 0..10_000 {
            // At a millionth none of the first ten thousand is taken, of this seed.
            assert!(!sampler.is_due() && !sampler.handle_frame());
        }
        let call = BusCall::publish(tracer, &mut *bars);
        call.end(tracer, &bus, &*bars, None);
        let call = BusCall::receive(tracer, &mut *bars);
        call.end(tracer, &bus, &*bars, None);
    });
    measured.count_total
}

#[tokio::test]
async fn what_is_not_sampled_allocates_nothing() {
    let args = Args::try_parse_from(["test", "--otlp-endpoint", "http://127.0.0.1:1"]).unwrap();
    let identity = Identity {
        service: "test".to_owned(),
        instance: "test".to_owned(),
        version: String::new(),
    };
    let traces = Traces::start(&args.trace, 1, &identity, &Metrics::new()).unwrap();
    let mut bars = bars();
    assert_eq!(allocations(&traces.tracer(), &mut bars), 0);
    assert_eq!(allocations(&Tracer::off(), &mut bars), 0);
    // What would be seen if it did.
    bars[50].trace = Some(new_trace());
    assert!(allocations(&traces.tracer(), &mut bars) > 0);
}
