//! The NATS broker against real servers.
#![allow(missing_docs, unreachable_pub)]

mod contract;
mod server;
