//! Bars from the bus to WebSocket clients: intake, hub, outbox, socket.
//!
//! It computes no bar and keeps no history: closes that a client missed come from a short ring, then from the bus's
//! log; what that has not got either it is told to fetch by HTTP. A connection that has nothing to say costs no task, no queue and no buffer.
//!
//! Read first: [`Service`] (how it runs), then `hub.rs` and `outbox.rs` (who gets what, and what a
//! slow client costs; both pure), then `shard.rs` (the loop around them).

/// How a gateway is set up.
pub mod options;

/// Runs it all: bind, start, drain, stop.
pub mod service;

/// Which topics are carried, as far as is known.
pub mod catalogue;

/// What is answered over HTTP.
pub mod http;

/// Room in the table of open files.
mod files;

/// The upgrade request, and the socket taken over from HTTP.
mod handshake;

/// Places for connections: how many there may be, and on which shard.
mod seats;

/// From the bus to every shard.
mod intake;

/// Whether closes are numbered without a break. Pure.
mod numbers;

/// What is heard of each instrument. Pure.
mod feed;

/// What waits for a shard's next look.
mod inbox;

/// From the bus's log to a connection that lacks closes.
mod replayer;

/// Topics, their newest bars and closes, and who listens. Pure.
mod hub;

/// What one connection is owed. Pure.
mod outbox;

/// The native dialect: requests to subscriptions. Pure.
mod native;

/// RFC 6455 frames. Pure.
mod frame;

/// When to ping, when to give up. Pure.
mod liveness;

/// When each connection wants to be looked at without being asked. Pure.
mod deadlines;

/// How long a shard gathers before it flushes. Pure.
mod pacer;

/// Sampled bars until they are first written.
mod traced;

/// One connection: its socket and its cores.
mod conn;

/// The loop that a shard of the connections lives in.
mod shard;

/// Why connections end. Pure.
pub mod close;

/// What is counted.
mod metrics;

/// Bars for the tests of this crate, and the simulation of hub and outboxes.
#[cfg(test)]
mod tests;

pub use catalogue::Catalogue;
pub use close::CloseReason;
pub use options::Options;
pub use service::{Handle, Service, ServiceError};
