//! The `marketfeed-marketdata` binary.

use std::process::ExitCode;

fn main() -> ExitCode {
    marketdata::process::main()
}
