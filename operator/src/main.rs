//! The `marketfeed-operator` binary.

use std::process::ExitCode;

fn main() -> ExitCode {
    operator::command::main()
}
