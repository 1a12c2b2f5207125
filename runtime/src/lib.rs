//! The shared shell of MarketFeed's processes: arguments, telemetry, admin HTTP, tasks and shutdown,
//! backoff, and the bus.
//!
//! It knows nothing of exchanges, clients or charts, and no bar is computed here. Read first
//! [`tasks::Tasks`] (who owns what runs), [`shutdown::Shutdown`] (how it ends) and
//! [`broker::Broker`] (what a bus must do).

/// Argument groups that every binary has, and errors of one line.
pub mod args;

/// Locks of plain data.
pub mod lock;

/// A process's name among its like.
pub mod instance;

/// Logs on stderr; the metrics registry.
pub mod telemetry;

/// `/livez`, `/readyz`, `/metrics`.
pub mod admin;

/// When to try again, with full jitter. Pure.
pub mod backoff;

/// The request to stop, and the signals that make it.
pub mod shutdown;

/// How a process begins and with which code it ends.
pub mod process;

/// Groups of tasks and threads with names, owners and known ends.
pub mod tasks;

/// The bus: what it must do, and the one in memory.
pub mod broker;
