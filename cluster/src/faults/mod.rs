//! What goes wrong, by a seed, and what must hold nonetheless: two clients see every close exactly once, in order,
//! what they are told to be whole is what the market was, and what is not whole is repaired where the venue allows it.

/// What goes wrong in a run. Pure.
mod plan;

/// What came of the runs. Pure.
mod report;

/// The fault itself: breaking and mending.
mod fault;

/// One run.
mod run;

/// The simulator's bars beside the clients'.
mod truth;

pub use plan::{Kind, Plan};
pub use report::{Outcome, all_passed, summary};
pub use run::run;
