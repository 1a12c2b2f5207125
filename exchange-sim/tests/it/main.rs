//! The simulator as its clients see it, over real sockets on the loopback.
#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::print_stdout,
    reason = "what fails here fails its test, and what is skipped says so"
)]

/// A simulator under test and a raw WebSocket client.
mod support;

/// Recorded sessions come out byte for byte.
mod replay;

/// Binance spot's protocol.
mod binance;

/// Coinbase's protocols.
mod coinbase;

/// The gate and the admin endpoint.
mod admin;

/// What no client should say.
mod garbage;

/// Limits of a connection.
mod limits;

/// Faults on the way.
mod faults;

/// The binary, and recordings that are cut or looped.
mod binary;

/// Committed sessions and their bars.
mod golden;
