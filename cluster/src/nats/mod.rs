//! `nats-server`, alone and as a cluster of three.

/// The configuration file's text. Pure.
mod config;

/// What the monitoring port tells. Pure.
mod monitor;

/// One server.
mod server;

/// Three servers with one JetStream.
mod three;

/// What is said on the wire.
mod tap;

/// One request and its answer.
mod request;

pub use config::NatsOptions;
pub use monitor::{StreamState, streams};
pub use request::request;
pub use server::NatsServer;
pub use tap::{RawMessage, Tap};
pub use three::NatsCluster;
