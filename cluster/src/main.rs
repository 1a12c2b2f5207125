//! The cluster on one machine as a process: shown to people (`local`), or broken again and again (`faults`).
//! `cargo xtask cluster-local` and `cargo xtask faults` build what it needs and start it.
#![expect(
    clippy::print_stdout,
    reason = "this program talks to the person who started it"
)]

/// The command line. Pure.
mod args;

use std::fs;
use std::path::Path;
use std::process::ExitCode;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use cluster::faults::{self, Outcome, Plan};
use cluster::topology::{Options, Topology};
use tokio::signal::unix::{SignalKind, signal};

use crate::args::{Command, Faults, Local};

/// Each process has so long to end when all is over.
const END_MAX: Duration = Duration::from_secs(10);

#[tokio::main]
async fn main() -> ExitCode {
    let done = match args::parse(std::env::args_os().skip(1)) {
        Err(error) => {
            eprintln!("error: {error:#}");
            return ExitCode::from(2);
        }
        Ok(Command::Help) => {
            print!("{}", args::HELP);
            Ok(true)
        }
        Ok(Command::Local(local)) => show(local).await,
        Ok(Command::Faults(faults)) => tokio::select! {
            done = break_it(&faults) => done,
            // What was started is dropped, and so killed.
            stopped = stop_asked() => stopped.map(|()| false),
        },
    };
    match done {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

/// Waits for SIGINT or SIGTERM.
async fn stop_asked() -> Result<()> {
    let mut interrupt = signal(SignalKind::interrupt())?;
    let mut terminate = signal(SignalKind::terminate())?;
    tokio::select! {
        _ = interrupt.recv() => {}
        _ = terminate.recv() => {}
    }
    Ok(())
}

/// Starts everything, says what runs where, and stops it when asked to; a second time, at once.
async fn show(local: Local) -> Result<bool> {
    fresh(&local.folder)?;
    let options = Options {
        folder: Some(local.folder),
        listen: Some(local.listen),
        seed: local.seed,
        ..Options::default()
    };
    println!("starting 3 NATS nodes, the simulator, 4 marketdata processes, 2 gateways and nginx");
    let topology = tokio::select! {
        topology = Topology::start(options) => topology?,
        stopped = stop_asked() => return stopped.map(|()| false),
    };
    println!("\n{}\nCtrl-C stops all of it", topology.summary());
    stop_asked().await?;
    println!("\nstopping; Ctrl-C again stops at once");
    tokio::select! {
        killed = topology.stop(END_MAX) => {
            for name in killed {
                println!("{name} did not stop in {} s and was killed", END_MAX.as_secs());
            }
        }
        stopped = stop_asked() => stopped?,
    }
    Ok(true)
}

/// Runs one seed after another; true if every run passed, and closes came back in time in half of those of each kind that has three.
async fn break_it(what: &Faults) -> Result<bool> {
    fresh(&what.folder)?;
    let mut outcomes: Vec<Outcome> = Vec::new();
    let mut topology = None;
    let mut started = 0;
    for seed in what.seed..what.seed + what.runs {
        let mut whole = match topology.take() {
            Some(whole) => whole,
            None => {
                started += 1;
                let folder = what.folder.join(format!("cluster-{started}"));
                println!("starting a cluster; its logs are in {}", folder.display());
                start(&folder, what.seed).await?
            }
        };
        let plan = {
            let options = whole.options();
            Plan::of_seed(seed, what.only, options.shards, options.gateways)
        };
        let outcome = match faults::run(&mut whole, &plan).await {
            Ok(outcome) => outcome,
            Err(error) => Outcome {
                plan,
                resumed: None,
                slowest: None,
                doubted: 0,
                marked: 0,
                broken: vec![format!("the cluster did not come back: {error:#}")],
            },
        };
        println!("{}", outcome.lines());
        // What failed may be broken still; its logs stay as they are.
        topology = outcome.passed().then_some(whole);
        outcomes.push(outcome);
    }
    println!("\n{}", faults::summary(&outcomes));
    Ok(faults::all_passed(&outcomes))
}

async fn start(folder: &Path, seed: u64) -> Result<Topology> {
    let options = Options {
        folder: Some(folder.to_path_buf()),
        seed,
        ..Options::default()
    };
    Topology::start(options).await
}

/// A folder that is made or empty: what an earlier cluster left would be taken for this one's.
fn fresh(folder: &Path) -> Result<()> {
    fs::create_dir_all(folder).with_context(|| format!("cannot create {}", folder.display()))?;
    if fs::read_dir(folder)?.next().is_some() {
        bail!("{} is not empty", folder.display());
    }
    Ok(())
}
