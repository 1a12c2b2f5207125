//! The whole path in one process: exchanges, bars, bus, clients, history, page.
//!
//! It wires the other crates together and holds a history in memory. It computes no bar and frames no
//! message; nor does it speak to Kubernetes or NATS. Read first
//! [`carried::Carried`] (what it carries) and [`history::Handle`] (what it remembers).

/// The command line.
pub mod args;

/// What this process carries. Pure.
pub mod carried;

/// Closed bars in memory, and the requests for them.
pub mod history;

/// The embedded page.
pub mod page;

/// The HTTP routes.
pub mod api;
