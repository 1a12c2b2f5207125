//! The processes as their users meet them: bad input, servers that are away or not as they should be, signals, and
//! texts of other releases. Each test has servers of its own.
#![allow(
    clippy::unwrap_used,
    clippy::print_stdout,
    reason = "a helper that fails fails the test that called it"
)]

mod assignment;
mod flags;
mod garbage;
mod local;
mod purge;
mod refused;
mod signals;
mod start;
mod support;
mod versions;
