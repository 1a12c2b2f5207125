//! The committed sessions: what the generator makes of their seed, and the bars that they hold.
//!
//! `MARKETFEED_UPDATE_GOLDEN=1 cargo test -p exchange-sim golden` writes them anew.

use std::path::PathBuf;

use exchange_sim::market::Market;
use exchange_sim::source::Source;
use exchange_sim::source::generate::lines::Lines;
use exchange_sim::source::generate::{Generator, Plan};
use exchange_sim::{Kind, Speed};

use crate::support::{Sim, replay};

fn plan(kind: Kind) -> Plan {
    let quote = if kind == Kind::BinanceSpot {
        "USDT"
    } else {
        "USD"
    };
    let symbols = ["BTC", "SHIB"].map(|base| format!("{base}-{quote}").parse().unwrap());
    // Begins seven seconds before a minute, so that the sessions hold part of one and the whole of others.
    Plan {
        symbols: symbols.into(),
        rate: 1,
        seed: 20,
        start_ms: 1_700_000_033_000,
        trades_max: Some(300),
    }
}

fn path(kind: Kind, end: &str) -> PathBuf {
    PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/testdata"))
        .join(format!("{}.{end}", kind.name()))
}

/// Compares with the committed file, or writes it.
fn check(path: &PathBuf, text: &str) {
    if std::env::var_os("MARKETFEED_UPDATE_GOLDEN").is_some() {
        std::fs::write(path, text).unwrap();
    }
    let golden = std::fs::read_to_string(path).unwrap();
    let differ = golden.lines().zip(text.lines()).position(|(a, b)| a != b);
    assert!(
        golden == text,
        "{} differs from line {differ:?} on (from 0)",
        path.display()
    );
}

/// All closed minutes of a session, one bar a line.
fn bars(market: &Market) -> String {
    let minute = "1m".parse().unwrap();
    let of = |symbol| market.truth(symbol, minute, None, None).unwrap();
    let closed = market.tapes.keys().flat_map(of).filter(|bar| bar.closed);
    closed
        .map(|bar| serde_json::to_string(&bar).unwrap() + "\n")
        .collect()
}

#[test]
fn a_seed_makes_the_committed_sessions() {
    for kind in Kind::ALL {
        let generator = Generator::new(plan(kind));
        let listed = generator.summary().listed.clone();
        let mut market = Market::new(kind, &listed, 0);
        let mut lines = Lines::new(kind, &listed);
        let mut text = String::new();
        for step in generator {
            text += &lines.lines(step.clone());
            market.handle_step(step);
        }
        assert!(text.len() < 100_000, "{}", text.len());
        check(&path(kind, "session"), &text);
        check(&path(kind, "bars"), &bars(&market));
    }
}

#[tokio::test]
async fn the_committed_sessions_replayed_hold_the_committed_bars() {
    for kind in Kind::ALL {
        let sim = Sim::start(replay(kind, &[path(kind, "session")]), |options| {
            options.speed = Speed::Max;
        })
        .await;
        sim.handle.start();
        let progress = sim.ended(kind).await;
        assert_eq!(
            (progress.trades_total, progress.error),
            (Some(progress.trades), None)
        );
        let expect = std::fs::read_to_string(path(kind, "bars")).unwrap();
        for line in expect.lines() {
            let expect: serde_json::Value = serde_json::from_str(line).unwrap();
            let symbol = expect["symbol"].as_str().unwrap().parse().unwrap();
            let start_ms = expect["start"].as_i64();
            let bars = sim
                .handle
                .truth(kind, &symbol, "1m".parse().unwrap(), start_ms, None)
                .unwrap();
            assert_eq!(serde_json::to_value(&bars[0]).unwrap(), expect);
        }
        sim.stop().await;
    }
}
