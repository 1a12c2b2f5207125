//! Exchange socket to bar on the bus.
//!
//! The data's path is the order of the modules: a socket's frames are judged by its session, decoded by its
//! venue's adapter, routed to the shard of their instrument, aggregated into bars and published. It does not
//! serve clients, store history or talk to Kubernetes; and no clock of ours decides a bar.
//!
//! Read first: [`venue::Venue`] (what an exchange's protocol is made of), [`session::Session`] (a connection's
//! life) and [`service::Service`] (how it is put together).

/// Token buckets for the venues' limits. Pure.
pub mod budget;

/// When connections are opened, replaced and tried again. Pure.
pub mod feed;

/// The life of one connection. Pure.
pub mod session;

/// The exchanges' protocols. Pure.
pub mod venue;

/// Trades become bars. Pure.
pub mod aggregate;
