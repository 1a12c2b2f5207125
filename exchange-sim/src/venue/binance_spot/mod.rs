// Pure: Binance spot, as its documentation and recordings show it.
#![deny(clippy::disallowed_methods)]

/// Reads recorded messages.
pub mod recorded;

/// Writes messages.
pub mod frames;

/// One connection.
pub mod session;

/// The REST answers.
pub mod rest;
