//! The cluster on one machine as a process: shown to people (`local`), or broken again and again (`faults`).
//! `cargo xtask cluster-local` and `cargo xtask faults` build what it needs and start it.
#![expect(
    clippy::print_stdout,
    reason = "this program talks to the person who started it"
)]

/// The command line. Pure.
mod args;

use std::convert::Infallible;
use std::net::{SocketAddr, TcpListener};
use std::path::Path;
use std::process::ExitCode;
use std::time::Duration;

use anyhow::{Context, Result};
use cluster::Folder;
use cluster::faults::{self, Outcome, Plan};
use cluster::topology::{Options, Topology};
use tokio::signal::unix::{SignalKind, signal};

use crate::args::{Command, Faults, Local};

/// How often it is looked whether a process has ended.
const LOOK_EVERY: Duration = Duration::from_millis(500);

/// Signals within this time of the first are one request, as they are to the processes.
const SAME_REQUEST: Duration = Duration::from_millis(200);

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

/// As [`stop_asked`], for a request that is another one: `timeout` sends its signal twice.
async fn stop_asked_again() -> Result<()> {
    tokio::time::sleep(SAME_REQUEST).await;
    stop_asked().await
}

/// Starts everything, says what runs where and what ends too early, and stops it when asked to; a second time, at once.
async fn show(local: Local) -> Result<bool> {
    let folder = Folder::take(&local.folder)?;
    let listen = free_to_listen(local.listen)?;
    folder.clear()?;
    let options = Options {
        folder: Some(folder.path().to_path_buf()),
        listen: Some(listen),
        seed: local.seed,
        ..Options::default()
    };
    println!("starting 3 NATS nodes, the simulator, 4 marketdata processes, 2 gateways and nginx");
    let mut topology = tokio::select! {
        topology = Topology::start(options) => topology?,
        stopped = stop_asked() => return stopped.map(|()| false),
    };
    println!("\n{}\nCtrl-C stops all of it", topology.summary());
    tokio::select! {
        stopped = stop_asked() => stopped?,
        failed = tell_ends(&mut topology) => match failed? {},
    }
    println!("\nstopping; Ctrl-C again stops at once");
    tokio::select! {
        killed = topology.stop(END_MAX) => {
            for name in killed {
                println!("{name} did not stop in {} s and was killed", END_MAX.as_secs());
            }
        }
        stopped = stop_asked_again() => stopped?,
    }
    Ok(true)
}

/// The address, of any port if it has port 0. Another's nginx there would answer in the place of ours, and look like it.
fn free_to_listen(address: SocketAddr) -> Result<SocketAddr> {
    let bound = TcpListener::bind(address).and_then(|listener| listener.local_addr());
    bound.with_context(|| format!("cannot listen on {address}; name another by --listen <addr>"))
}

/// Says what ends, for as long as it is polled.
async fn tell_ends(topology: &mut Topology) -> Result<Infallible> {
    loop {
        for end in topology.poll_ends()? {
            println!("{end}");
        }
        tokio::time::sleep(LOOK_EVERY).await;
    }
}

/// Runs one seed after another; true if every run passed, and closes came back in time in half of those of each kind that has three.
async fn break_it(what: &Faults) -> Result<bool> {
    let own = Folder::take(&what.folder)?;
    own.clear()?;
    let mut outcomes: Vec<Outcome> = Vec::new();
    let mut topology = None;
    let mut started = 0;
    for seed in what.seed..what.seed + what.runs {
        let mut whole = match topology.take() {
            Some(whole) => whole,
            None => {
                started += 1;
                let folder = own.path().join(format!("cluster-{started}"));
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
