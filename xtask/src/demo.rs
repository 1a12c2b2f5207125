//! `cargo xtask demo`: from a checkout to a page that moves.

use std::os::unix::process::CommandExt;
use std::process::Command;
use std::time::Instant;

use anyhow::{Result, bail};

use crate::args::Demo;
use crate::process::{self, Log, clock};
use crate::web::{self, Built};
use crate::workspace::Workspace;

/// The demo's market: twenty symbols over the three venues, the busiest first. BTC-USD trades on two of them,
/// so that short and long topics differ.
const MARKET: &str = "BTC-USDT,ETH-USDT,SOL-USDT,XRP-USDT,DOGE-USDT,BNB-USDT,ADA-USDT,SHIB-USDT,\
    AVAX-USDT,LINK-USDT,coinbase:BTC-USD,coinbase:ETH-USD,coinbase:SOL-USD,coinbase:LTC-USD,\
    coinbase:ETH-BTC,coinbase-advanced:BTC-USD,coinbase-advanced:XRP-USD,\
    coinbase-advanced:ADA-USD,coinbase-advanced:AVAX-USD,coinbase-advanced:LINK-USD";

/// A recording is minutes long; at this speed it is seen whole and still seen to move.
const REPLAY_SPEED: &str = "20";

/// Builds, then becomes the `marketfeed` process: Ctrl-C reaches it and nothing is left behind.
pub(crate) fn run(workspace: &Workspace, demo: &Demo) -> Result<()> {
    let started = Instant::now();
    let log = |name: &str| Log::fresh(workspace.logs().join(name), false);

    println!("[1/3] page");
    match web::build(workspace, &log("demo-web.log")?)? {
        Built::Now => println!("      built, {}", clock(started.elapsed())),
        Built::Before => println!("      unchanged since the last build"),
    }

    let profile = if demo.debug { "dev" } else { "demo" };
    println!("[2/3] marketfeed ({profile} profile; the first build takes about two minutes)");
    let building = Instant::now();
    let mut cargo = workspace.cargo();
    cargo.args(["build", "--profile", profile, "--package", "standalone"]);
    if !demo.live {
        // Encryption is for the exchanges; a market of our own need not wait for it to be built.
        cargo.arg("--no-default-features");
    }
    let built = process::run(&mut cargo, &log("demo-build.log")?)?;
    if !built.ok {
        bail!("cargo build failed; its output:\n{}", built.output);
    }
    println!("      built, {}", clock(building.elapsed()));

    let listen = demo.listen.as_deref().unwrap_or("127.0.0.1:8080");
    println!(
        "[3/3] market  (ready after {}; Ctrl-C stops)",
        clock(started.elapsed())
    );
    println!();
    let mut marketfeed = Command::new(workspace.marketfeed(profile_dir(demo)));
    // The first seconds of twenty symbols have a line each to tell; what matters here is what goes wrong.
    marketfeed
        .args(["up", "--listen", listen])
        .args(["--log", "warn,standalone=info"])
        .args(market(demo));
    for name in unmeant(demo) {
        marketfeed.env_remove(name);
    }
    let error = marketfeed.exec();
    bail!(
        "cannot start {}: {error}",
        marketfeed.get_program().display()
    );
}

fn profile_dir(demo: &Demo) -> &'static str {
    if demo.debug { "debug" } else { "demo" }
}

/// What the market is, as arguments of `marketfeed up`.
fn market(demo: &Demo) -> Vec<std::ffi::OsString> {
    if demo.live {
        return vec!["--live".into()];
    }
    if demo.replay.is_empty() {
        return vec!["--generate".into(), MARKET.into()];
    }
    let mut args = Vec::new();
    for replay in &demo.replay {
        args.extend(["--replay".into(), replay.clone()]);
    }
    let speed = demo.speed.as_deref().unwrap_or(REPLAY_SPEED);
    args.extend(["--speed".into(), speed.into()]);
    args
}

/// Variables that choose another market, which are not for the one that is asked for here.
fn unmeant(demo: &Demo) -> Vec<&'static str> {
    let mut names = vec![
        "MARKETFEED_LIVE",
        "MARKETFEED_REPLAY",
        "MARKETFEED_GENERATE",
        "MARKETFEED_SPEED",
    ];
    if !demo.live {
        names.push("MARKETFEED_ENDPOINT");
        if demo.replay.is_empty() {
            names.push("MARKETFEED_SYMBOLS");
        }
    }
    names
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(demo: &Demo, expect: &str) {
        let args: Vec<_> = market(demo)
            .iter()
            .map(|arg| arg.to_string_lossy().into_owned())
            .collect();
        assert_eq!(args.join(" "), expect);
    }

    #[test]
    fn variables_do_not_choose_the_market() {
        let check = |demo: &Demo, endpoint: bool, symbols: bool| {
            let names = unmeant(demo);
            assert!(names.contains(&"MARKETFEED_SPEED") && names.contains(&"MARKETFEED_LIVE"));
            assert_eq!(names.contains(&"MARKETFEED_ENDPOINT"), endpoint);
            assert_eq!(names.contains(&"MARKETFEED_SYMBOLS"), symbols);
        };
        check(&Demo::default(), true, true);
        let replay = vec!["coinbase=b".into()];
        let replaying = Demo {
            replay,
            ..Demo::default()
        };
        check(&replaying, true, false);
        let live = Demo {
            live: true,
            ..Demo::default()
        };
        check(&live, false, false);
    }

    #[test]
    fn the_market_is_generated_unless_told_otherwise() {
        check(&Demo::default(), &format!("--generate {MARKET}"));
        check(
            &Demo {
                live: true,
                ..Demo::default()
            },
            "--live",
        );
        let replay = vec!["binance-spot=a".into(), "coinbase=b".into()];
        check(
            &Demo {
                replay: replay.clone(),
                ..Demo::default()
            },
            "--replay binance-spot=a --replay coinbase=b --speed 20",
        );
        check(
            &Demo {
                replay,
                speed: Some("max".into()),
                ..Demo::default()
            },
            "--replay binance-spot=a --replay coinbase=b --speed max",
        );
    }
}
