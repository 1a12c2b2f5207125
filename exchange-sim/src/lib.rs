//! Speaks the bytes of Binance spot, Coinbase Exchange and Coinbase Advanced Trade: replays recordings,
//! generates seeded markets, injects faults, and knows the bars that should come out.
//!
//! It is the project's stand-in for exchanges and has no order book, no orders and no accounts; how else it
//! differs from them is in `docs/exchange-simulator.md`. It computes no bar by the product's aggregator.
//!
//! Read first: [`market::Step`] (what a source gives), [`market::Market`] (what it changes) and
//! [`venue::Session`] (what a client is told of it).

/// Recorded sessions, read line by line.
pub mod recording;

/// Where steps come from: recordings and seeds.
pub mod source;

/// Seeded numbers. Pure.
mod random;

/// When a step is due. Pure.
pub mod pace;

/// What steps change: trades, the venue's clock, the truth. Pure.
pub mod market;

/// What clients are told of it, in each venue's protocol. Pure.
pub mod venue;

/// What goes wrong on the way, on purpose. Pure.
pub mod fault;

/// One venue's shared state.
mod exchange;

/// The task that plays a source.
mod feed;

/// The listen address: WebSocket, REST, admin.
mod server;

/// Options, service and handle.
mod service;

pub use exchange::{Progress, StartWhen};
pub use pace::Speed;
pub use service::{Error, Handle, Options, Play, Service};
pub use venue::Kind;
