//! The machine by hand: one process at a time, its answers given by the test.

/// Closes, instruments, checkpoints.
mod support;

mod golden;

mod lease;

mod ledger;
