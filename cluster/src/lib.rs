//! Real processes for tests and for a cluster on one machine: `nats-server`, nginx and the project's own binaries,
//! each behind a guard that ends it when dropped; faults; and clients that check what they are told.
//!
//! It is not shipped, and it links none of what it starts: it knows flags, ports and HTTP only. Everything listens on
//! loopback. Where something must happen, it is polled for and bounded in time; an error says what did not come.
//!
//! Read first: [`Process`] (one guard), [`NatsCluster`] (three of them), [`Topology`] (all of them), [`Checker`]
//! (the client) and [`faults`].

/// Where the programs are.
pub mod tools;

/// The folder of a cluster, held while it runs.
pub mod folder;

/// Loopback ports that nobody else is likely to take.
pub mod ports;

/// Waiting for what must come.
pub mod wait;

/// The smallest HTTP client: one GET.
pub mod http;

/// One program, running.
pub mod process;

/// A process's way to a server, which can be cut.
pub mod link;

/// `nats-server`, alone and as a cluster.
pub mod nats;

/// nginx before the gateways.
pub mod nginx;

/// Everything together.
pub mod topology;

/// Clients that check what they are told.
pub mod checker;

/// What goes wrong, by a seed, and what must hold nonetheless.
pub mod faults;

pub use checker::{Checker, Persistence};
pub use folder::Folder;
pub use link::Link;
pub use nats::{NatsCluster, NatsOptions, NatsServer, Tap};
pub use nginx::Nginx;
pub use process::{Process, Program};
pub use topology::Topology;
