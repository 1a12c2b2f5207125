//! The contract that every part of MarketFeed speaks: what an instrument, an amount, a trade and a
//! bar are, and how they are written on the bus and to clients.
//!
//! It is pure: no socket, no clock, no task, no float near an amount. It decides nothing about
//! *when* a bar closes (`marketdata`) or *who* hears of it (`gateway`).
//!
//! Read first: [`Candle`] (the exact arithmetic), [`Bar`] (what is sent), [`Topic`] and [`Subject`]
//! (its addresses for clients and on the bus).
#![deny(clippy::disallowed_methods)]

mod token;

/// Venue, symbol, instrument: who trades what where.
pub mod instrument;

/// Exact decimal amounts: prices, sizes and their products.
pub mod amount;

/// One execution at a venue.
pub mod trade;

/// Bar lengths and the buckets they cut time into.
pub mod interval;

/// The exact part of a bar: what trades add up to, and the roll-up of shorter bars.
pub mod candle;

/// A candle with its address, its status and its place in the stream.
pub mod bar;

/// The bar's JSON text, written by hand in the contract's field order.
pub mod codec;

/// What a client subscribes to.
pub mod topic;

/// Addresses on the bus.
pub mod subject;

/// The native dialect's frames, client to server and back.
pub mod frame;

/// Shapes of the HTTP API.
pub mod api;

/// Which shard an instrument belongs to.
pub mod shard;

/// The file that says which instrument belongs to which shard, and how it is planned.
pub mod assignment;

pub use amount::{AmountError, Price, Quote, Size};
pub use assignment::{Assignment, AssignmentError};
pub use bar::{Bar, Completeness};
pub use candle::{Candle, CandleError};
pub use instrument::{Instrument, Symbol, Venue};
pub use interval::Interval;
pub use shard::{ShardCount, ShardId};
pub use subject::{Env, Region, Scope, Subject, SubjectFilter};
pub use token::TokenError;
pub use topic::{Topic, TopicFilter};
pub use trade::{Side, Trade};
