//! The project's own commands, run as `cargo xtask <command>`.
//!
//! It is compiled first on a cold machine, so it depends on almost nothing. It does not hold any
//! of the product's logic. Read [`args::Command`] first, then the module of a command.
#![expect(
    clippy::print_stdout,
    reason = "this program talks to the person who started it"
)]

/// The command line.
mod args;

/// Folders.
mod workspace;

/// Child processes with their logs and progress.
mod process;

/// The checkout.
mod git;

/// Tools from outside, found or installed.
mod install;

/// The page's build.
mod web;

/// `cargo xtask demo`
mod demo;

/// `cargo xtask cluster-local` and `cargo xtask faults`
mod cluster;

/// `cargo xtask e2e`
mod e2e;

/// `cargo xtask image`
mod image;

/// `cargo xtask e2e` with scenarios.
mod scenarios;

/// Counting what the test runners ran.
mod tally;

/// `cargo xtask invariants`
mod invariants;

/// `cargo xtask test`
mod steps;

/// `cargo xtask bench`
mod bench;

use std::process::ExitCode;

use anyhow::Result;

use crate::args::Command;
use crate::tally::Tally;
use crate::workspace::Workspace;

fn main() -> ExitCode {
    let command = match args::parse(std::env::args_os().skip(1)) {
        Ok(command) => command,
        Err(error) => {
            eprintln!("error: {error:#}");
            return ExitCode::from(2);
        }
    };
    match run(&command) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

/// Whether the command did what it is for.
fn run(command: &Command) -> Result<bool> {
    let workspace = Workspace::locate();
    match command {
        Command::Demo(demo) => demo::run(&workspace, demo).map(|()| true),
        Command::Cluster(cluster) => cluster::run(&workspace, cluster).map(|()| true),
        Command::Image(args) => image::run(&workspace, args).map(|()| true),
        Command::E2e(what) => e2e::run(&workspace, what).map(|()| true),
        Command::Test(test) => steps::run(&workspace, test).map(summary),
        Command::Invariants => invariants::check(&workspace).map(summary),
        Command::Bench(args) => bench::run(&workspace, args).map(|()| true),
        Command::Help => {
            print!("{}", args::HELP);
            Ok(true)
        }
    }
}

/// The one line that says how it went.
fn summary(tally: Tally) -> bool {
    println!("{tally}");
    tally.failed == 0
}
