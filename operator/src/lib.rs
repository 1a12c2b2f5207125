//! MarketFeed's operator: a `MarketFeed` resource in, the Kubernetes objects that run it out, and what is said of it.
//!
//! It computes no bar, speaks no NATS and reads no Secret. Read first [`spec::MarketFeedSpec`] (what is written),
//! [`ValidFeed`] (what can run), [`build::build`] (what runs it) and [`controller::reconcile()`] (one look at a feed).

/// The custom resource.
pub mod spec;

/// From what was written to what can run.
pub mod validate;

/// The Kubernetes objects that run it.
pub mod build;

/// A MarketFeed from text, and the assignment that it asks for.
pub mod plan;

/// What is said of a feed, from what was seen of it.
pub mod status;

/// What brings a cluster to what is wanted.
pub mod controller;

/// Which of several operators writes.
pub mod leader;

/// What is counted.
pub mod metrics;

/// The way to the API server.
mod client;

/// The controller as a process.
mod run;

/// What is to be done before the operator is uninstalled.
pub mod leave;

/// The command line.
pub mod args;

/// What the commands do.
pub mod command;

pub use validate::{ValidFeed, validate};
