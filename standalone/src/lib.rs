//! The whole path in one process: exchanges, bars, bus, clients, history, page.
//!
//! It wires the other crates together and holds a history in memory. It computes no bar and frames no
//! message; nor does it speak to Kubernetes or NATS. Read first
//! [`args::Up`] (what may be asked), [`up::Service`] (how it is put together) and [`carried::Carried`] (what it
//! carries).

/// The command line.
pub mod args;

/// Which variables count beside the flags. Pure.
pub mod variables;

/// The market: the exchanges' or a simulated one.
pub mod market;

/// From the market to the bus.
pub mod source;

/// What this process carries. Pure.
pub mod carried;

/// Closed bars in memory, and the requests for them.
pub mod history;

/// The embedded page.
pub mod page;

/// The HTTP routes.
pub mod api;

/// All of it, put together.
pub mod up;
