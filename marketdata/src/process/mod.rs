//! The process `marketfeed-marketdata`: one shard of a feed between the exchanges and NATS.
//!
//! It starts in any order with everything else: it waits for its assignment and for NATS, and is not ready meanwhile.
//!
//! It exits with 0 after a stop that was asked for, with 2 when it cannot start as asked, with 3 when NATS refuses it
//! for good (credentials, version, streams of others), and with 1 when it fails in another way.

/// The command line.
pub mod args;

/// `marketfeed-marketdata run`.
mod run;

/// What it is to its shard, for people and for the operator.
mod view;

/// `marketfeed-marketdata purge`.
mod purge;

use std::process::ExitCode;

use runtime::args::parse_or_exit;
use runtime::process::{EXIT_USAGE, fail};

use self::args::{Cli, Command};
use crate::cli;

/// Runs what the command line says.
#[must_use]
pub fn main() -> ExitCode {
    let Cli { command } = parse_or_exit();
    match command {
        Command::Run(args) => run::main(*args),
        Command::Assign(args) => match cli::assign::run(&args) {
            Ok(()) => ExitCode::SUCCESS,
            Err(error) => fail(EXIT_USAGE, &error),
        },
        Command::Purge(args) => purge::main(*args),
    }
}
