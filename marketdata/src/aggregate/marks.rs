// Pure: what is known to be missing, as stretches of time. A stretch that has been told stays, so that a long
// bar that closes later says the same as the short ones it spans.
#![deny(clippy::disallowed_methods)]

use wire::Completeness;

use super::snapshot::{OutageSnapshot, StretchSnapshot};

/// Stretches in which trades are known to be missing, and those in which the feed was down.
#[derive(Debug, Clone)]
pub(super) struct Marks {
    /// Missing ids, both ends included, in the order they were told.
    gaps: Vec<(i64, i64)>,
    outages: Vec<Outage>,
}

/// The feed was down, or not yet up.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Outage {
    pub(super) from_ms: i64,
    /// Excluded; `i64::MAX` until the feed is up.
    pub(super) to_ms: i64,
    /// Until then, ids may still show that nothing was missed.
    pub(super) told: bool,
}

/// A bar of a day outlives many gaps; from then on the two oldest are taken as one, with what lies between. A
/// day's bar says the same for it.
const STRETCHES_MAX: usize = 256;

impl Marks {
    /// Before the first subscription everything is unknown.
    pub(super) fn new() -> Self {
        Self {
            gaps: Vec::new(),
            outages: vec![Outage {
                from_ms: i64::MIN,
                to_ms: i64::MAX,
                told: false,
            }],
        }
    }

    /// What the told stretches say of the bucket; `Quiet` for nothing.
    pub(super) fn of(&self, start_ms: i64, end_ms: i64) -> Completeness {
        if self
            .gaps
            .iter()
            .any(|&(lo, hi)| lo < end_ms && hi >= start_ms)
        {
            Completeness::Gap
        } else if self
            .outages
            .iter()
            .any(|outage| outage.told && outage.touches(start_ms, end_ms))
        {
            Completeness::Unknown
        } else {
            Completeness::Quiet
        }
    }

    /// Whether an outage that may still turn out to be harmless touches the bucket.
    pub(super) fn in_doubt(&self, start_ms: i64, end_ms: i64) -> bool {
        self.outages
            .iter()
            .any(|outage| !outage.told && outage.touches(start_ms, end_ms))
    }

    /// Takes missing ids' stretch, both ends included. Where the feed was down between its ends, the outage
    /// already says so: only the ends themselves, and what the outage leaves, are gaps.
    pub(super) fn handle_gap(&mut self, lo_ms: i64, hi_ms: i64, closed_until_ms: i64) {
        let mut outages: Vec<_> = self.outages.clone();
        outages.sort_by_key(|outage| outage.from_ms);
        let mut at = lo_ms;
        self.push_gap(lo_ms, lo_ms);
        for outage in outages {
            if outage.to_ms <= at || outage.from_ms > hi_ms {
                continue;
            }
            if outage.from_ms > at {
                self.push_gap(at, outage.from_ms - 1);
            }
            at = outage.to_ms;
        }
        self.push_gap(at.min(hi_ms), hi_ms);
        self.prune(closed_until_ms);
    }

    fn push_gap(&mut self, lo_ms: i64, hi_ms: i64) {
        match self.gaps.last_mut() {
            Some((_, hi)) if *hi == lo_ms => *hi = (*hi).max(hi_ms),
            _ => self.gaps.push((lo_ms, hi_ms)),
        }
    }

    /// The feed went down; trades from `from_ms` on may be missing.
    pub(super) fn handle_down(&mut self, from_ms: i64, closed_until_ms: i64) {
        match self.outages.last_mut() {
            Some(last) if !last.told && last.to_ms >= from_ms => last.to_ms = i64::MAX,
            _ => self.outages.push(Outage {
                from_ms,
                to_ms: i64::MAX,
                told: false,
            }),
        }
        self.prune(closed_until_ms);
    }

    /// The feed is up from `to_ms` on.
    pub(super) fn handle_up(&mut self, to_ms: i64) {
        if let Some(last) = self.outages.last_mut()
            && last.to_ms == i64::MAX
        {
            last.to_ms = to_ms;
        }
    }

    /// When the first untold outage ended; `i64::MAX` while the feed is down.
    #[inline]
    pub(super) fn untold_ms(&self) -> Option<i64> {
        self.outages
            .iter()
            .filter(|outage| !outage.told)
            .map(|outage| outage.to_ms)
            .min()
    }

    /// Judges the first untold outage that ended at `settled_ms` or before: `trim` leaves what is still
    /// possible of it.
    pub(super) fn tell_outage(
        &mut self,
        settled_ms: i64,
        trim: impl FnOnce(i64, i64) -> Option<(i64, i64)>,
    ) -> Option<Told> {
        let at = self
            .outages
            .iter()
            .position(|outage| !outage.told && outage.to_ms <= settled_ms)?;
        let outage = &mut self.outages[at];
        match trim(outage.from_ms, outage.to_ms) {
            Some((from_ms, to_ms)) => {
                *outage = Outage {
                    from_ms,
                    to_ms,
                    told: true,
                };
                Some(Told::Missed { from_ms, to_ms })
            }
            None => {
                self.outages.remove(at);
                Some(Told::Nothing)
            }
        }
    }

    /// Forgets what no open bucket touches, and bounds the rest.
    fn prune(&mut self, closed_until_ms: i64) {
        self.gaps.retain(|&(_, hi)| hi >= closed_until_ms);
        self.outages
            .retain(|outage| !outage.told || outage.to_ms > closed_until_ms);
        self.bound(STRETCHES_MAX);
    }

    /// Takes the oldest together until there are no more than `max` of each kind.
    pub(super) fn bound(&mut self, max: usize) {
        while self.gaps.len() > max {
            let (lo, hi) = self.gaps.remove(0);
            self.gaps[0] = (lo.min(self.gaps[0].0), hi.max(self.gaps[0].1));
        }
        while self.outages.len() > max {
            let oldest = self.outages.remove(0);
            let next = &mut self.outages[0];
            next.from_ms = next.from_ms.min(oldest.from_ms);
        }
    }

    pub(super) fn snapshot(&self) -> (Vec<StretchSnapshot>, Vec<OutageSnapshot>) {
        let stretch = |&(lo, hi): &(i64, i64)| StretchSnapshot { lo, hi };
        let outage = |outage: &Outage| OutageSnapshot {
            from: (outage.from_ms != i64::MIN).then_some(outage.from_ms),
            to: (outage.to_ms != i64::MAX).then_some(outage.to_ms),
            told: outage.told,
        };
        (
            self.gaps.iter().map(stretch).collect(),
            self.outages.iter().map(outage).collect(),
        )
    }

    pub(super) fn restore(gaps: &[StretchSnapshot], outages: &[OutageSnapshot]) -> Self {
        let gaps = gaps.iter().filter(|gap| gap.lo <= gap.hi);
        Self {
            gaps: gaps.map(|gap| (gap.lo, gap.hi)).collect(),
            outages: outages
                .iter()
                .map(|outage| Outage {
                    from_ms: outage.from.unwrap_or(i64::MIN),
                    to_ms: outage.to.unwrap_or(i64::MAX),
                    told: outage.told,
                })
                .collect(),
        }
    }

    pub(super) fn heap_bytes(&self) -> usize {
        self.gaps.capacity() * size_of::<(i64, i64)>()
            + self.outages.capacity() * size_of::<Outage>()
    }
}

/// How an outage was judged.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Told {
    /// Ids show that nothing was missed.
    Nothing,
    /// Trades may be missing in this stretch.
    Missed { from_ms: i64, to_ms: i64 },
}

impl Outage {
    fn touches(&self, start_ms: i64, end_ms: i64) -> bool {
        self.from_ms < end_ms && self.to_ms > start_ms
    }
}
