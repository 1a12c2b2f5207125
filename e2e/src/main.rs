//! Scenarios on a real cluster: `cargo xtask e2e` builds what they need and starts this.
/// The command line. Pure.
mod args;

use std::io::Write;
use std::process::ExitCode;
use std::time::Instant;

use anyhow::{Context, Result, bail};
use e2e::scenarios::{self, Outcome, Place, Scenario};
use e2e::{Cluster, Options};
use tokio::signal::unix::{SignalKind, signal};

use crate::args::{Command, Run};

#[tokio::main]
async fn main() -> ExitCode {
    let run = match args::parse(std::env::args_os().skip(1)) {
        Err(error) => {
            eprintln!("error: {error:#}");
            return ExitCode::from(2);
        }
        Ok(Command::Help) => {
            say(args::HELP.trim_end());
            return ExitCode::SUCCESS;
        }
        Ok(Command::Run(run)) => run,
    };
    let done = tokio::select! {
        done = try_all(&run) => done,
        // What was started is dropped, and so ended.
        stopped = stop_asked() => stopped.map(|()| false),
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
    say("stopping");
    Ok(())
}

/// Whether all that could be tried held.
async fn try_all(run: &Run) -> Result<bool> {
    let started = Instant::now();
    let chosen = scenarios::chosen(&run.only, run.all)?;
    let cluster = cluster_for(run, &chosen).await?;
    let took = started.elapsed().as_secs_f64();
    say(&format!("{} cluster, {took:.1} s", at(started)));
    let tell = Box::new(move |line: &str| say(&format!("{} {line}", at(started))));
    let mut place = Place::prepare(cluster, run.stock.clone(), tell).await?;
    let mut outcomes: Vec<Outcome> = Vec::new();
    for scenario in chosen {
        outcomes.push(scenario.run(&mut place).await);
    }
    let well = scenarios::all_well(&outcomes);
    if run.keep && !well {
        let kubeconfig = place.kubeconfig().display();
        say(&format!(
            "the cluster stays until Ctrl-C: KUBECONFIG={kubeconfig}"
        ));
        std::future::pending::<()>().await;
    }
    place.stop().context("the cluster did not end")?;
    say(&format!("\n{}", scenarios::table(&outcomes)));
    say(&format!("took {:.0} s", started.elapsed().as_secs_f64()));
    say(&scenarios::summary(&outcomes).to_string());
    Ok(well)
}

/// The given one, or one of our own. Who asked for scenarios is not told that all is well where none can be run.
async fn cluster_for(run: &Run, chosen: &[&Scenario]) -> Result<Cluster> {
    if let Some(kubeconfig) = &run.kubeconfig {
        return Cluster::given(kubeconfig).await;
    }
    if let Some(why) = Cluster::absent() {
        bail!("no cluster can be made here: {why}");
    }
    let options = Options {
        nodes: chosen
            .iter()
            .map(|scenario| scenario.nodes())
            .max()
            .unwrap_or(1),
        folder: Some(run.stock.folder.join("cluster")),
        ..Options::default()
    };
    Cluster::start(&options).await
}

/// A line for the person who started this. One who listens no longer ends nothing.
fn say(line: &str) {
    let _ = writeln!(std::io::stdout(), "{line}");
}

/// Minutes and seconds since then, before a line.
fn at(since: Instant) -> String {
    let seconds = since.elapsed().as_secs();
    format!("{:2}:{:02}", seconds / 60, seconds % 60)
}
