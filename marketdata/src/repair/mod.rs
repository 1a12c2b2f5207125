//! What is missing is fetched: holes in the ids, over the venue's REST interface and within its budget.
//!
//! [`plan::Plan`] decides (pure), [`Repairer`] asks and hands over. What a venue offers is
//! [`crate::venue::Venue::trades_page`]; where that is nothing, holes stay gaps. Everything that comes out is an
//! [`crate::route::Input`] for the shard that asked.

/// Which page is asked for when, and what the answers say. Pure.
pub mod plan;

/// Budgets that are shared.
mod budgets;

/// How fast one venue may be asked. Pure.
pub mod pace;

/// One HTTP request.
mod http;

/// Which symbols a venue has.
mod surveyor;

/// The task.
mod task;

pub use budgets::{RestBudget, RestBudgets};
pub use plan::{RepairRequest, ToRepairer};
pub use surveyor::{Unasked, unknown_symbols};
pub use task::{REQUESTS_LEN, Repairer, requests};
