//! The NATS broker against real servers.
#![allow(
    missing_docs,
    unreachable_pub,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::print_stdout,
    reason = "a test's helpers fail by panicking, and nobody reads their documentation"
)]

mod auth;
mod bad_input;
mod contract;
mod faults;
mod feed;
mod owners;
mod permissions;
mod purge;
mod server;
