//! The whole path in one process: an exchange's bytes in, exact bars out to clients.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::print_stdout,
    reason = "a test may stop here"
)]

mod client;

mod replay_binance;

mod replay_coinbase;

mod generated;

mod elsewhere;

mod bad_input;

mod binary;

mod traces;

mod documents;
