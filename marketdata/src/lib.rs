//! Exchange socket to bar on the bus.
//!
//! The data's path is the order of the modules: a socket's frames are judged by its session, decoded by its
//! venue's adapter, routed to the shard of their instrument, aggregated into bars and published. It does not
//! serve clients, store history or talk to Kubernetes; and no clock of ours decides a bar.
//!
//! Read first: [`venue::Venue`] (what an exchange's protocol is made of), [`session::Session`] (a connection's
//! life) and [`service::Service`] (how it is put together).

/// What the service is told to do. Pure.
mod options;

/// Which instruments are carried, and who has the short topic. Pure.
pub mod listing;

/// Which shard has which instrument, as a file says it. Its judgement is pure.
pub mod assignment;

/// What this process carries of it, and what changes with the next assignment. Pure.
mod roster;

/// The one place that opens a WebSocket.
mod socket;

/// Token buckets for the venues' limits. Pure.
pub mod budget;

/// The venue's clock as one connection shows it. Pure.
pub mod clock;

/// The life of one connection. Pure.
pub mod session;

/// When connections are opened, replaced and tried again. Pure.
pub mod feed;

/// The shell around one connection.
mod connection;

/// The shell around one feed.
mod feeder;

/// Which instruments are carried just now.
pub mod carriage;

/// The exchanges' protocols. Pure.
pub mod venue;

/// From a connection's events to the shards' inputs. Pure.
pub mod route;

// Trades in, exact bars out. Pure. (A plain comment: its own documentation's links would be looked up here.)
pub mod aggregate;

// What is missing is fetched.
pub mod repair;

/// The numbers that bars are published under. Pure.
pub mod publish;

// Who publishes a shard's instruments: leases, take-over and commits. Pure.
pub mod owner;
/// Which bars a sampled trade is in. Pure.
mod trace;

/// The shell around one shard.
mod shard;

/// What is counted.
pub mod metrics;

/// Carries what the assignment in force says.
mod carrier;

/// The whole of it as one component.
pub mod service;

/// The commands beside the service.
pub mod cli;

/// The binary, apart from its `main`.
#[cfg(feature = "process")]
pub mod process;
