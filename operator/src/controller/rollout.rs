// Pure: one workload at a time. An upgrade changes all of them; the gateways go first, since readers are to be the newer ones,
// then shard after shard. What is not as it should be waits for none: a gateway is ready when the shards have made the streams,
// so that shards which cannot run as they are would wait for it for ever.
#![deny(clippy::disallowed_methods)]

/// One pass over a feed's workloads, in their order.
#[derive(Debug, Default)]
pub struct Rollout {
    /// One before is on its way.
    busy: bool,
}

/// A workload that is there.
#[derive(Debug, Clone, Copy)]
pub struct There<'a> {
    /// What it was made from, as it says itself.
    pub made_from: Option<&'a str>,
    /// Whether its pods are all as it says.
    pub settled: bool,
    /// How many of them are made as it says now.
    pub updated: u32,
}

impl Rollout {
    /// Whether the next one may be applied now: one that is not there yet, that does not change, that is not settled itself, or
    /// of which all before are settled.
    pub fn handle_next(&mut self, there: Option<There<'_>>, wanted: &str) -> bool {
        let Some(There {
            made_from,
            settled,
            updated: _,
        }) = there
        else {
            return true;
        };
        let changes = made_from != Some(wanted);
        let may = !(changes && self.busy && settled);
        self.busy |= changes || !settled;
        may
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(workloads: &[(Option<&str>, bool)], expect: &[bool]) {
        let mut rollout = Rollout::default();
        let may = |&(made_from, settled): &(Option<&str>, bool)| {
            let there = made_from.map(|made_from| There {
                made_from: Some(made_from),
                settled,
                updated: 0,
            });
            rollout.handle_next(there, "new")
        };
        assert_eq!(workloads.iter().map(may).collect::<Vec<_>>(), expect);
    }

    #[test]
    fn one_at_a_time_in_order() {
        check(&[(Some("old"), true), (Some("old"), true)], &[true, false]);
        // The first is on its way, then there.
        check(&[(Some("new"), false), (Some("old"), true)], &[true, false]);
        check(&[(Some("new"), true), (Some("old"), true)], &[true, true]);
        // Nothing is held up that does not change, nor what is not there.
        check(&[(Some("new"), false), (Some("new"), false)], &[true, true]);
        check(&[(Some("old"), true), (None, false)], &[true, true]);
        // One that is broken may be mended, whatever there is before it; one that is well waits for that.
        check(
            &[
                (Some("old"), false),
                (Some("old"), false),
                (Some("old"), true),
            ],
            &[true, true, false],
        );
        check(&[(Some("new"), false), (Some("old"), false)], &[true, true]);
    }
}
