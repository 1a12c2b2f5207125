//! Clients that check what they are told.

/// The socket.
mod client;

/// What was told, and whether it is right. Pure.
mod ledger;

pub use client::{Checker, Persistence};
pub use ledger::{Entry, Ledger, Violation};
