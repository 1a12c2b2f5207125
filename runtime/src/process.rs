//! How a process begins and with which code it ends.

use std::fmt::Display;
use std::process::ExitCode;

use crate::args::LogArgs;
use crate::telemetry;

/// It failed later on.
pub const EXIT_FAILED: u8 = 1;

/// It cannot start as asked.
pub const EXIT_USAGE: u8 = 2;

/// Another service refuses it for good: to start it again mends nothing.
pub const EXIT_REFUSED: u8 = 3;

/// Says why on stderr, in one line.
pub fn fail(code: u8, error: &dyn Display) -> ExitCode {
    eprintln!("error: {error}");
    ExitCode::from(code)
}

/// Sets the log up, and runs the process's future to its end on all processors.
pub fn run(log: &LogArgs, serve: impl Future<Output = ExitCode>) -> ExitCode {
    if let Err(error) = telemetry::init(log) {
        return fail(EXIT_USAGE, &error);
    }
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build();
    match runtime {
        Ok(runtime) => runtime.block_on(serve),
        Err(error) => fail(EXIT_FAILED, &error),
    }
}
