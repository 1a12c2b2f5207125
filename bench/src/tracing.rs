//! What tracing costs who publishes: the same bars through a bus with the tracer off, at 1 % and at 100 %.

use std::net::TcpListener;
use std::sync::Arc;

use anyhow::{Context, Result};
use clap::Parser;
use runtime::args::TraceArgs;
use runtime::broker::{BarMessage, Broker};
use runtime::telemetry::otlp::{Identity, Traces};
use runtime::telemetry::{ALL, BusCall, Metrics, Sampler, Tracer, new_trace};
use wire::{Bar, Candle, Completeness, Instrument, Interval, Scope, Topic};

use crate::cpu::{self, Spread};

/// Bars of one call of the bus: what a shard of a thousand symbols sends at a time.
const BATCH_LEN: usize = 1_000;

/// One share of sampled bars.
pub(crate) struct Share {
    /// As a person says it.
    pub(crate) name: &'static str,
    per_million: Option<u32>,
}

/// No tracer, one bar in a hundred, each bar.
pub(crate) const SHARES: [Share; 3] = [
    Share {
        name: "off",
        per_million: None,
    },
    Share {
        name: "1 %",
        per_million: Some(ALL / 100),
    },
    Share {
        name: "100 %",
        per_million: Some(ALL),
    },
];

/// Publishes so many open bars through the bus at one share, `runs` times; gives the CPU seconds of the publishing
/// thread, exporting included, since one thread does both.
pub(crate) fn publish(
    broker: &Arc<dyn Broker>,
    share: &Share,
    bars: usize,
    runs: usize,
) -> Result<Spread> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    let mut spent = Vec::with_capacity(runs);
    for _ in 0..runs {
        let (done, cpu_s) = cpu::timed(|| runtime.block_on(run(broker.as_ref(), share, bars)));
        done?;
        spent.push(cpu_s);
    }
    Spread::of(spent).context("no runs")
}

async fn run(broker: &dyn Broker, share: &Share, bars: usize) -> Result<()> {
    let Some(per_million) = share.per_million else {
        let mut never = Sampler::new(0, fastrand::Rng::with_seed(1));
        return send(broker, &Tracer::off(), &mut never, bars).await;
    };
    // A collector that takes connections and answers nothing would cost this thread less than one that is real;
    // what publishing pays, making spans and queueing them, is the same.
    let collector = TcpListener::bind("127.0.0.1:0")?;
    let url = format!("http://{}", collector.local_addr()?);
    let traces = start(&url, per_million)?;
    let tracer = traces.tracer();
    let mut sampler = tracer.sampler(fastrand::Rng::with_seed(1));
    send(broker, &tracer, &mut sampler, bars).await?;
    // Not sent to the end: the bench is not of the collector.
    drop(traces);
    Ok(())
}

fn start(url: &str, per_million: u32) -> Result<Traces> {
    #[derive(Parser)]
    struct Args {
        #[command(flatten)]
        trace: TraceArgs,
    }
    let args = Args::try_parse_from(["bench", "--otlp-endpoint", url])?;
    let identity = Identity {
        service: "bench".to_owned(),
        instance: "bench".to_owned(),
        version: String::new(),
    };
    Ok(Traces::start(
        &args.trace,
        per_million,
        &identity,
        &Metrics::new(),
    )?)
}

/// What a shard does with the bars of a turn.
async fn send(
    broker: &dyn Broker,
    tracer: &Tracer,
    sampler: &mut Sampler,
    bars: usize,
) -> Result<()> {
    let scope = Scope::new("bench", "local")?;
    let topics = topics()?;
    let interval = "1m".parse()?;
    let mut batch: Vec<BarMessage> = Vec::with_capacity(BATCH_LEN);
    for seq in 0..bars.div_ceil(BATCH_LEN) {
        for (topic, instrument) in &topics {
            let trace = sampler.handle_frame().then(new_trace);
            let bar = bar(topic, instrument, interval, seq as u64);
            batch.push(BarMessage::new(&scope, bar).with_trace(trace));
        }
        let call = BusCall::publish(tracer, &mut batch);
        let sent = broker.publish_open(&batch).await;
        call.end(tracer, broker, &batch, None);
        sent?;
        batch.clear();
        tokio::task::yield_now().await;
    }
    Ok(())
}

fn topics() -> Result<Vec<(Topic, Instrument)>> {
    (0..BATCH_LEN)
        .map(|at| {
            let symbol = format!("S{at}-USDT");
            let topic = format!("kline:1m:{symbol}").parse()?;
            let instrument = Instrument::new("binance-spot".parse()?, symbol.parse()?);
            Ok((topic, instrument))
        })
        .collect()
}

fn bar(topic: &Topic, instrument: &Instrument, interval: Interval, seq: u64) -> Bar {
    Bar {
        topic: topic.clone(),
        instrument: instrument.clone(),
        interval,
        start_ms: 0,
        candle: Candle::flat(wire::Price::ZERO),
        closed: false,
        rev: 0,
        completeness: Completeness::Complete,
        close_no: 0,
        epoch: 1,
        seq: seq + 1,
        event_time_ms: 0,
        publish_time_ms: 0,
    }
}
