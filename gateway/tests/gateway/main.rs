//! The whole path over real sockets: a memory broker in front, WebSocket clients behind.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "a test ends where something fails"
)]

/// Bars, a running gateway, and clients.
mod harness;

/// Snapshot, live, batches, wildcards, resuming.
mod live;

/// Coming back, with a log behind the ring.
mod resume;

/// A log of closes that is made anew.
mod renewal;

/// The binary.
mod binary;

/// The binary as a client.
mod probe;

/// What clients send wrong.
mod bad_input;

/// Clients that do not read, or do not answer.
mod slow;

/// Clients that ask more than they listen.
mod flood;

/// Stopping.
mod drain;

/// Many connections at once.
mod many;
