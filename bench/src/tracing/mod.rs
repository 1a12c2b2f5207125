//! What tracing costs: the same bars through a bus with the tracer off, at 1 % and at 100 %. What is sampled is
//! exported to a collector in this process, on a thread of its own.

/// The bars, and what a shard does with them.
mod load;

/// A collector, and a side's traces.
mod collector;

/// Publishing and receiving through three servers.
mod through_nats;

use std::thread;

use anyhow::{Context, Result, anyhow};
use runtime::broker::memory::{MemoryBroker, Options};
use runtime::telemetry::ALL;

use self::through_nats::Through;
use crate::bus::block_on;
use crate::bus::market::INTERVALS;
use crate::cpu::{self, Spread};

const RUNS: usize = 3;
/// With four topics each.
const SYMBOLS: usize = 250;
/// Bars of one call of the bus: a bar of each topic.
const BATCH_LEN: usize = SYMBOLS * INTERVALS.len();
/// Bars of one run in memory.
const MEMORY_BARS: usize = 400_000;
/// Bars of one run through the servers. The collector keeps its spans, of which each bar has two at most.
const NATS_BARS: usize = 100_000;

/// One share of sampled bars.
#[derive(Clone, Copy)]
pub(crate) struct Share {
    /// As a person says it.
    name: &'static str,
    /// No tracer at all where there is none.
    per_million: Option<u32>,
}

/// No tracer, one bar in a hundred, each bar.
const SHARES: [Share; 3] = [
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

/// Runs all of it and prints it.
pub(crate) fn run() -> Result<()> {
    println!(
        "tracing: open bars in calls of {}, by the share that is sampled; medians of {RUNS} runs",
        crate::grouped(BATCH_LEN)
    );
    println!("  memory, publisher alone");
    for share in SHARES {
        let spent = in_memory(share)?;
        let each = spent.median * 1e6 / MEMORY_BARS as f64;
        let rate = crate::per_second("bars", MEMORY_BARS, &spent);
        println!("    {:<6} {each:>6.2} CPU us a bar   {rate}", share.name);
    }
    if let Err(error) = cluster::tools::nats_server() {
        println!("  three nats-server: skipped: {error:#}\n");
        return Ok(());
    }
    println!("  three nats-server, as fast as the receiver takes it; CPU us a bar");
    println!("           bars/s   publisher   receiver   servers   spans sent   spans dropped");
    for (share, through) in SHARES.iter().zip(through_nats::run(&SHARES, RUNS)?) {
        print(share, &through)?;
    }
    println!();
    Ok(())
}

fn print(share: &Share, runs: &[Through]) -> Result<()> {
    let median = |of: &dyn Fn(&Through) -> f64| {
        let spread = Spread::of(runs.iter().map(of).collect());
        spread.map(|spread| spread.median).context("no runs")
    };
    let each = |of: &dyn Fn(&Through) -> f64| median(&|run| of(run) * 1e6 / NATS_BARS as f64);
    let whole = |number: f64| crate::grouped_digits(&format!("{number:.0}"));
    println!(
        "    {:<6} {:>7} {:>10.2} {:>10.2} {:>9.2} {:>12} {:>15}",
        share.name,
        whole(median(&|run| NATS_BARS as f64 / run.wall_s)?),
        each(&|run| run.publisher_s)?,
        each(&|run| run.receiver_s)?,
        each(&|run| run.servers_s)?,
        whole(median(&|run| run.spans_sent as f64)?),
        whole(median(&|run| run.spans_dropped as f64)?),
    );
    Ok(())
}

/// CPU seconds of the publishing thread, exporting included, since one thread does both.
fn in_memory(share: Share) -> Result<Spread> {
    let mut spent = Vec::with_capacity(RUNS);
    for _ in 0..RUNS {
        let market = load::market(1)?;
        let one = collector::beside(share, |endpoint| {
            block_on(async {
                let broker = MemoryBroker::new(Options::default());
                let traces = collector::start(endpoint, share)?;
                let before = cpu::thread_s();
                let rounds = MEMORY_BARS / BATCH_LEN;
                load::send(&market, &broker, &traces.tracer(), rounds, async |_| Ok(())).await?;
                Ok(cpu::thread_s() - before)
            })
        });
        spent.push(one?);
    }
    Spread::of(spent).context("no runs")
}

/// The result of a thread.
fn joined<T>(side: thread::ScopedJoinHandle<'_, Result<T>>) -> Result<T> {
    side.join().unwrap_or_else(|_| Err(anyhow!("it panicked")))
}
