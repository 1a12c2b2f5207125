//! Ownership: a model checker over every order of events in small worlds, and a seeded simulation of larger ones. Both
//! drive the real machine, and check after every commit what 0007 promises.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::cast_sign_loss,
    clippy::print_stdout
)]

/// A stand-in for aggregation: exact, deterministic, and able to go on from a state.
mod engine;

/// The log, which checks what it is given.
mod log;

/// One process around the machine.
mod node;

/// Every order of events, in small worlds.
mod model;

/// Seeded schedules of larger worlds.
mod simulate;
