//! Scenarios on a real cluster: `cargo xtask e2e` builds what they need and starts this.
#![expect(
    clippy::print_stdout,
    reason = "this program talks to the person who started it"
)]

/// The command line. Pure.
mod args;

use std::process::ExitCode;
use std::time::Instant;

use anyhow::{Context, Result};
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
            print!("{}", args::HELP);
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
    println!("stopping");
    Ok(())
}

/// Whether all that could be tried held.
async fn try_all(run: &Run) -> Result<bool> {
    let started = Instant::now();
    let chosen = scenarios::chosen(&run.only, run.all)?;
    let cluster = cluster_for(run, &chosen).await?;
    let Some(cluster) = cluster else {
        return Ok(true);
    };
    println!(
        "{} cluster, {:.1} s",
        at(started),
        started.elapsed().as_secs_f64()
    );
    let say = Box::new(move |line: &str| println!("{} {line}", at(started)));
    let mut place = Place::prepare(cluster, run.stock.clone(), say).await?;
    let mut outcomes: Vec<Outcome> = Vec::new();
    for scenario in chosen {
        outcomes.push(scenario.run(&mut place).await);
    }
    let well = scenarios::all_well(&outcomes);
    if run.keep && !well {
        println!(
            "the cluster stays until Ctrl-C: KUBECONFIG={}",
            place.kubeconfig().display()
        );
        std::future::pending::<()>().await;
    }
    place.stop().context("the cluster did not end")?;
    println!("\n{}", scenarios::table(&outcomes));
    println!("took {:.0} s", started.elapsed().as_secs_f64());
    println!("{}", scenarios::summary(&outcomes));
    Ok(well)
}

/// The given one, or one of our own; none where none can be made, which is then told.
async fn cluster_for(run: &Run, chosen: &[&Scenario]) -> Result<Option<Cluster>> {
    if let Some(kubeconfig) = &run.kubeconfig {
        return Cluster::given(kubeconfig).await.map(Some);
    }
    if let Some(why) = Cluster::absent() {
        println!("skipped: {why}");
        return Ok(None);
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
    Cluster::start(&options).await.map(Some)
}

/// Minutes and seconds since then, before a line.
fn at(since: Instant) -> String {
    let seconds = since.elapsed().as_secs();
    format!("{:2}:{:02}", seconds / 60, seconds % 60)
}
