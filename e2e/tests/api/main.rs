//! The definition and the operator, as its binary, on a real API server without nodes.
#![expect(
    clippy::unwrap_used,
    clippy::print_stdout,
    reason = "a test's helpers fail by panicking, and say what they measured"
)]

/// An API server with what a MarketFeed needs, and what is there of a feed.
mod support;

/// The operator, as its process.
mod operator;

/// Between the operator and the API server: counts writes, and keeps back what comes after one of them.
mod gate;

/// What the operator may do, as `docs/operator.md` says it.
mod rules;

/// The definition: what people see of it, what it refuses.
mod definition;

/// Killed after each of its writes.
mod killed;

/// A hundred feeds, and then silence.
mod many;

/// What is deleted goes.
mod going;

/// A feed that cannot be read or run is its own trouble alone.
mod held_up;

/// An operator that is newer than the definition.
mod older;

/// What is asked is allowed, and what is allowed is asked.
mod access;

/// What is done before the operator is uninstalled.
mod leaving;

/// The chart, with each of its values.
mod chart;
