// Pure: the times and bounds of ownership.
#![deny(clippy::disallowed_methods)]

/// Times in milliseconds, and bounds. The defaults are those of a cluster.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Options {
    /// How long a lease lasts after it was last renewed; it is renewed three times within it.
    pub ttl_ms: u64,
    /// How often a standby looks at the lease. With the time to live it bounds a take-over: a holder that dies just
    /// after it renewed is noticed this much later at most.
    pub watch_ms: u64,
    /// How much longer a standby that does not hear all its instruments leaves a free lease to others.
    pub unlevel_wait_ms: u64,
    /// How long an instrument that comes from another shard is left to its old owner while we do not hear it whole.
    pub move_wait_ms: u64,
    /// For how long, once the lease is ours, an instrument of our own shard is left untaken while our engine has yet to
    /// close a bar that is committed. Nobody publishes it meanwhile.
    pub behind_wait_ms: u64,
    /// How often checkpoints of instruments that are not ours are read. A standby keeps the closes of this long.
    pub look_ms: u64,
    /// Wait before what failed is tried again; doubles up to [`Options::retry_max_ms`].
    pub retry_ms: u64,
    /// The longest such wait.
    pub retry_max_ms: u64,
    /// Messages in one commit, closes and checkpoints.
    pub batch_max: usize,
    /// Checkpoints that are read or taken at once. They bear the series' state, some tens of kilobytes each.
    pub take_max: usize,
    /// Closes that wait, of all instruments. Where all of it waits to be committed, further ones stay in the engine,
    /// which makes them one by one and adds trades to them until they are taken out: see
    /// [`super::Ledger::is_full`]. Those of instruments that are not ours give way to those that are. At 1,000
    /// instruments that trade in each second it is over a minute of the bus being away. Some 250 bytes each: 20 MB.
    pub pending_max: usize,
    /// How long the last commits may take when stopping; the lease is given back after that.
    pub stop_ms: u64,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            ttl_ms: 3_000,
            watch_ms: 500,
            unlevel_wait_ms: 5_000,
            move_wait_ms: 30_000,
            // Feeds of one venue are milliseconds apart; one that is further behind will not be there soon.
            behind_wait_ms: 1_500,
            look_ms: 5_000,
            retry_ms: 50,
            retry_max_ms: 2_000,
            batch_max: runtime::broker::BATCH_MAX,
            take_max: 200,
            pending_max: 80_000,
            stop_ms: 3_000,
        }
    }
}

impl Options {
    /// The most closes of one instrument that one commit can hold beside its checkpoint.
    #[must_use]
    pub fn section_max(&self) -> usize {
        self.batch_max.saturating_sub(1).max(1)
    }

    /// The wait after this many failures in a row.
    pub(super) fn backoff_ms(&self, fails: u32) -> u64 {
        let doubled = self.retry_ms.saturating_mul(1 << fails.min(16));
        doubled.min(self.retry_max_ms)
    }
}
