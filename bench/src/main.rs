//! Measurements, printed beside a peer's where there is one. CPU time of one thread, not wall time: the machines
//! that run this are shared. It asserts that both sides did the same work, and nothing about their speed.
#![allow(clippy::print_stdout, reason = "the table is what it is for")]

mod aggregate;
mod bus;
mod cpu;
mod decode;
mod peer;
mod tape;
mod tracing;

use anyhow::{Context, Result, bail, ensure};

use crate::cpu::Spread;
use crate::tape::Shape;

const RUNS: usize = 5;
/// The peer takes some seconds to start.
const PEER_RUNS: usize = 3;
const USAGE: &str = "usage: bench [aggregate] [decode] [memory] [peer] [bus] [tracing]; without a name, all of them";
const NAMES: [&str; 6] = ["aggregate", "decode", "memory", "peer", "bus", "tracing"];

fn main() -> Result<()> {
    let names: Vec<String> = std::env::args().skip(1).collect();
    for name in &names {
        if !NAMES.contains(&name.as_str()) {
            bail!("{name:?} is no benchmark; {USAGE}");
        }
    }
    let wanted = |name: &str| names.is_empty() || names.iter().any(|given| given == name);
    println!("CPU time of one thread, median of {RUNS} runs (lowest to highest)\n");
    // First, while the heap is fresh: freed memory would be used again and not show.
    if wanted("memory") {
        memory()?;
    }
    if wanted("aggregate") {
        aggregation()?;
    }
    if wanted("decode") {
        decoding()?;
    }
    if wanted("peer") {
        beside_peer()?;
    }
    if wanted("bus") {
        bus::run()?;
    }
    if wanted("tracing") {
        tracing::run()?;
    }
    Ok(())
}

fn aggregation() -> Result<()> {
    println!("aggregation: 1s 1m 1h 1d over 1,000 symbols, one shard on one core");
    // Six and thirty seconds of the market's time.
    for rate in [1_000_000, 200_000] {
        let shape = Shape {
            symbols: 1_000,
            trades: 6_000_000,
            rate,
        };
        let done = aggregate::run(shape, RUNS)?;
        let what = format!(
            "market of {} trades/s, {} closes",
            grouped(rate),
            grouped(done.closes)
        );
        println!(
            "  {what:<48} {}",
            per_second("trades", done.trades, &done.cpu_s)
        );
    }
    println!();
    Ok(())
}

fn decoding() -> Result<()> {
    let done = decode::run(500_000, RUNS)?;
    println!(
        "decode: Binance combined stream, trades of {} bytes, 200 symbols",
        done.bytes_mean
    );
    println!(
        "  {:<48} {}\n",
        "frame to exact trade",
        per_second("messages", done.messages, &done.cpu_s)
    );
    Ok(())
}

fn memory() -> Result<()> {
    let (resident, own) = aggregate::memory(20_000)?;
    println!("memory: a symbol with 4 intervals, of 20,000 that trade");
    println!("  {resident} bytes resident, {own} by the engine's own count\n");
    Ok(())
}

/// The same trades in both, on one thread each. What is timed is aggregation alone: ticks and trades are made
/// before. The peer is called as its users call it, from Python; its aggregation is compiled.
fn beside_peer() -> Result<()> {
    let shape = Shape {
        symbols: 1_000,
        trades: 400_000,
        rate: 100_000,
    };
    println!(
        "beside nautilus_trader: the same {} trades of 1,000 symbols to 1s 1m 1h 1d",
        grouped(shape.trades)
    );
    let ours = aggregate::run(shape, RUNS)?;
    let entries = tape::make(shape);
    let (mut spent, mut version) = (Vec::new(), String::new());
    for _ in 0..PEER_RUNS {
        let Some(theirs) = peer::run(&entries)? else {
            println!(
                "  skipped: the peer is not on this machine (cargo xtask bench installs it)\n"
            );
            return Ok(());
        };
        let sums = theirs.sums()?;
        ensure!(
            ours.sums == sums,
            "the peer made other bars: ours {:?}, theirs {sums:?}",
            ours.sums
        );
        spent.push(theirs.cpu_s);
        version = theirs.version;
    }
    println!(
        "  {:<48} {}",
        "marketfeed",
        per_second("trades", ours.trades, &ours.cpu_s)
    );
    let (name, spread) = (
        format!("nautilus_trader {version}"),
        Spread::of(spent).context("no runs")?,
    );
    println!(
        "  {name:<48} {}",
        per_second("trades", entries.len(), &spread)
    );
    println!(
        "  both closed the same {} one-second bars, with equal sums of volumes and closes\n",
        grouped(ours.sums.bars)
    );
    Ok(())
}

fn per_second(what: &str, count: usize, cpu_s: &Spread) -> String {
    let rate = |cpu_s: f64| grouped_digits(&format!("{:.0}", count as f64 / cpu_s));
    let (median, low, high) = (rate(cpu_s.median), rate(cpu_s.high), rate(cpu_s.low));
    let each = cpu_s.median * 1e9 / count as f64;
    format!("{median:>12} {what}/s  ({low} to {high}), {each:.0} ns each")
}

/// Groups of three, so that a person can read it.
fn grouped(number: usize) -> String {
    grouped_digits(&number.to_string())
}

fn grouped_digits(digits: &str) -> String {
    let mut text = String::new();
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}
