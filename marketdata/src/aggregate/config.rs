// Pure: what a series is told to do.
#![deny(clippy::disallowed_methods)]

use wire::Interval;

/// How trades become bars. The same for all instruments of an engine.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Config {
    /// Bar lengths. Order and repetition do not matter; without any, no bar comes out.
    pub intervals: Vec<Interval>,
    /// Milliseconds of the venue's clock for which a bar waits for stragglers after its end, unless ids prove
    /// that there are none. A trade may also be that much older than its neighbours by id.
    pub reorder_window_ms: i64,
    /// Whether contiguous ids may close a bar at once. Wrong for a venue whose times are known to run against
    /// its ids; where they are seen to, an instrument stops doing so by itself.
    pub close_on_ids: bool,
    /// The first venue time after the feed was down: if it is further ahead than this, in milliseconds, it is
    /// believed only when a second message agrees with it.
    pub clock_jump_max_ms: i64,
    /// The same while the feed is alive. Its clock is heard every second, but an instrument may be told only
    /// when a bar can close; what damaged envelopes can do is bounded more tightly where they are read.
    pub clock_step_max_ms: i64,
    /// A trade whose id is further above all seen ones than this is held until the next one agrees with it. The
    /// busiest market makes some sixty ids a second, so that only a long outage does that honestly.
    pub id_jump_max: u64,
    /// How many runs of contiguous ids are told apart, per instrument; at least 2. With more, the oldest hole is
    /// given up: marked, told, counted. A thousand holes are far more than a repair would fill one by one, and
    /// take 100 KB.
    pub ranges_max: usize,
}

impl Config {
    /// The defaults of the project for these intervals.
    pub fn new(intervals: impl IntoIterator<Item = Interval>) -> Self {
        Self {
            intervals: intervals.into_iter().collect(),
            reorder_window_ms: 2_000,
            close_on_ids: true,
            clock_jump_max_ms: 86_400_000,
            clock_step_max_ms: 60_000,
            id_jump_max: 100_000,
            ranges_max: 1_024,
        }
    }
}
