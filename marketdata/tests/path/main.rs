//! From the simulated exchange's socket to the bus.
#![cfg(test)]

/// What each adapter must do.
mod venue_acceptance;

/// Recorded sessions.
mod replay;

/// What goes wrong on the way.
mod faults;

/// What is missing is fetched.
mod repair;

/// The simulated exchange, the service and a bus, joined.
mod support;
