//! Where a venue's market comes from: a recording, or a seed.

/// Plays recorded sessions.
pub mod replay;

/// Makes markets up.
pub mod generate;

use crate::market::{Listed, Step};
use crate::recording;

/// Steps of one venue, in order of `at_ns`.
pub trait Source: Send {
    /// What can be known before the first step.
    fn summary(&self) -> &Summary;

    /// The gate has opened, at this wall time (Unix milliseconds). Gives the time from which to pace (Unix
    /// nanoseconds on the steps' own scale), if it is not that of the first step.
    fn handle_start(&mut self, wall_ms: i64) -> Option<i64> {
        let _ = wall_ms;
        None
    }

    /// The next step; `None` at the end. After an error there is nothing more.
    fn next_step(&mut self) -> Option<Result<Step, recording::Error>>;
}

/// What is known of a source before it plays.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Summary {
    /// The instruments, in the order in which they first appear.
    pub listed: Vec<Listed>,
    /// Recorded streams other than trades, which must not be made up as well.
    pub recorded_streams: std::collections::BTreeSet<String>,
    /// How many trades there will be, if there is an end.
    pub trades: Option<u64>,
    /// What the venue's clock shows before the first step, Unix milliseconds; `None` is the wall clock's time.
    pub opening_ms: Option<i64>,
}
