//! Scenarios on a real cluster: `cargo xtask e2e` builds what they need and starts this.

/// The command line. Pure.
mod args;

use std::io::Write;
use std::process::ExitCode;
use std::time::Instant;

use anyhow::{Context, Result, bail};
use e2e::scenarios::{self, Outcome, Place, Scenario};
use e2e::{Cluster, Options};
use tokio::signal::unix::{Signal, SignalKind, signal};

use crate::args::{Command, Run};

#[tokio::main]
async fn main() -> ExitCode {
    let run = match args::parse(std::env::args_os().skip(1)) {
        Err(error) => {
            eprintln!("error: {error:#}");
            return ExitCode::from(2);
        }
        Ok(Command::Help) => {
            tell(args::HELP.trim_end());
            return ExitCode::SUCCESS;
        }
        Ok(Command::Run(run)) => run,
    };
    match try_all(&run).await {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

/// SIGINT and SIGTERM. What was begun is dropped then, and so ended.
struct Stop {
    interrupt: Signal,
    terminate: Signal,
}

impl Stop {
    fn listen() -> Result<Self> {
        Ok(Self {
            interrupt: signal(SignalKind::interrupt())?,
            terminate: signal(SignalKind::terminate())?,
        })
    }

    async fn asked(&mut self) {
        tokio::select! {
            _ = self.interrupt.recv() => {}
            _ = self.terminate.recv() => {}
        }
        tell("stopping");
    }
}

/// A line for people. Who read them may be gone: what was started is ended in order all the same.
fn tell(line: &str) {
    let _ = writeln!(std::io::stdout(), "{line}");
}

/// Whether all that could be tried held.
async fn try_all(run: &Run) -> Result<bool> {
    let started = Instant::now();
    let mut stop = Stop::listen()?;
    let chosen = scenarios::chosen(&run.only, run.all)?;
    let mut place = tokio::select! {
        prepared = prepare(run, &chosen, started) => prepared?,
        () = stop.asked() => return Ok(false),
    };
    let mut outcomes: Vec<Outcome> = Vec::new();
    let done = tokio::select! {
        () = try_each(run, &chosen, &mut place, &mut outcomes) => true,
        () = stop.asked() => false,
    };
    let well = done && scenarios::all_well(&outcomes);
    if run.keep && done && !well {
        let kubeconfig = place.kubeconfig().display();
        tell(&format!(
            "the cluster stays until Ctrl-C: KUBECONFIG={kubeconfig}"
        ));
        stop.asked().await;
    }
    // Asked again, it is left as it is.
    let cleared = tokio::select! {
        cleared = place.clear() => cleared,
        () = stop.asked() => Ok(()),
    };
    let ended = place.stop().context("the cluster did not end");
    tell(&format!("\n{}", scenarios::table(&outcomes)));
    tell(&format!("took {:.0} s", started.elapsed().as_secs_f64()));
    tell(&scenarios::summary(&outcomes));
    cleared.context("the cluster is not as it was")?;
    ended?;
    Ok(well)
}

/// The cluster, with the images in it.
async fn prepare(run: &Run, chosen: &[&Scenario], started: Instant) -> Result<Place> {
    let cluster = cluster_for(run, chosen).await?;
    let took = started.elapsed().as_secs_f64();
    tell(&format!("{} cluster, {took:.1} s", at(started)));
    let say = Box::new(move |line: &str| tell(&format!("{} {line}", at(started))));
    Place::prepare(cluster, run.stock.clone(), say).await
}

/// One after the other. Where one failed the next begins anew, so that it does not fail for that; if the cluster is to stay for a
/// look, it is left as that one had it, and there is no next.
async fn try_each(
    run: &Run,
    chosen: &[&'static Scenario],
    place: &mut Place,
    outcomes: &mut Vec<Outcome>,
) {
    for (index, scenario) in chosen.iter().enumerate() {
        let outcome = scenario.run(place).await;
        let failed = !scenarios::all_well(std::slice::from_ref(&outcome));
        outcomes.push(outcome);
        if !failed || index + 1 == chosen.len() {
            continue;
        }
        if run.keep {
            return;
        }
        if let Err(error) = place.recover().await {
            tell(&format!("what it left could not be put right: {error:#}"));
        }
    }
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

/// Minutes and seconds since then, before a line.
fn at(since: Instant) -> String {
    let seconds = since.elapsed().as_secs();
    format!("{:2}:{:02}", seconds / 60, seconds % 60)
}
