// Pure: Coinbase Advanced Trade, as its documentation and samples show it.
#![deny(clippy::disallowed_methods)]

/// Reads recorded messages.
pub mod recorded;

/// Writes messages.
pub mod frames;

/// One connection.
pub mod session;

/// The REST answers: it has none of its own.
pub mod rest;
