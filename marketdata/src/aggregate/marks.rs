// Pure: what is known to be missing, as stretches of time. A stretch that has been told stays until ids show that
// nothing of it is missing, so that a long bar that closes later says the same as the short ones it spans.
#![deny(clippy::disallowed_methods)]

use wire::Completeness;

use super::ids::{Hole, Ids};
use super::snapshot::{OutageSnapshot, StretchSnapshot};

/// With what another lacks.
mod adopt;

/// Stretches in which trades are known to be missing, and those in which the feed was down.
#[derive(Debug, Clone)]
pub(super) struct Marks {
    /// In the order they were told.
    gaps: Vec<Gap>,
    outages: Vec<Outage>,
    /// No stretch that may yet be shown to be whole is newer; `i64::MIN` where there is none.
    heals_until_ms: i64,
}

/// Both ends included.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Gap {
    lo_ms: i64,
    hi_ms: i64,
    cause: Cause,
}

/// Why trades are taken to be missing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Cause {
    /// These ids are, the first and the last of them.
    Ids(u64, u64),
    /// A message could not be read; ids may show that it held nothing that is missing.
    Loss,
    /// No trade that comes can make it good.
    Lasting,
}

/// The feed was down, or not yet up.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Outage {
    pub(super) from_ms: i64,
    /// Excluded; `i64::MAX` until the feed is up.
    pub(super) to_ms: i64,
    /// Until then, ids may still show that nothing was missed before any bar says so.
    pub(super) told: bool,
    /// Nothing that comes can make it good.
    lasting: bool,
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
                lasting: false,
            }],
            heals_until_ms: i64::MIN,
        }
    }

    /// What the told stretches say of the bucket; `Quiet` for nothing.
    pub(super) fn of(&self, start_ms: i64, end_ms: i64) -> Completeness {
        if self
            .gaps
            .iter()
            .any(|gap| gap.lo_ms < end_ms && gap.hi_ms >= start_ms)
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

    /// Takes a stretch, both ends included. Where the feed was down between its ends, the outage already says so:
    /// only the ends themselves, and what the outage leaves, are gaps; but what lasts is not left to an outage.
    pub(super) fn handle_gap(&mut self, lo_ms: i64, hi_ms: i64, cause: Cause, keep_ms: i64) {
        let mut at = lo_ms;
        if cause != Cause::Lasting {
            let mut outages: Vec<_> = self.outages.clone();
            outages.sort_by_key(|outage| outage.from_ms);
            self.push_gap(lo_ms, lo_ms, cause);
            for outage in outages {
                if outage.to_ms <= at || outage.from_ms > hi_ms {
                    continue;
                }
                if outage.from_ms > at {
                    self.push_gap(at, outage.from_ms - 1, cause);
                }
                at = outage.to_ms;
            }
        }
        self.push_gap(at.min(hi_ms), hi_ms, cause);
        self.prune(keep_ms);
    }

    fn push_gap(&mut self, lo_ms: i64, hi_ms: i64, cause: Cause) {
        match self.gaps.last_mut() {
            Some(last) if last.cause == cause && last.lo_ms <= lo_ms && last.reaches(lo_ms) => {
                last.hi_ms = last.hi_ms.max(hi_ms);
            }
            _ => self.gaps.push(Gap {
                lo_ms,
                hi_ms,
                cause,
            }),
        }
    }

    /// Bars that said this will not be amended any more: longer ones over them must go on saying it.
    pub(super) fn handle_gone(
        &mut self,
        start_ms: i64,
        end_ms: i64,
        said: Completeness,
        keep_ms: i64,
    ) {
        if said == Completeness::Gap {
            self.handle_gap(start_ms, end_ms - 1, Cause::Lasting, keep_ms);
            return;
        }
        let before = self.outages.iter_mut().find(|outage| {
            outage.lasting && outage.from_ms <= start_ms && outage.to_ms >= start_ms
        });
        match before {
            Some(outage) => outage.to_ms = outage.to_ms.max(end_ms),
            None => self.outages.insert(
                0,
                Outage {
                    from_ms: start_ms,
                    to_ms: end_ms,
                    told: true,
                    lasting: true,
                },
            ),
        }
        self.prune(keep_ms);
    }

    /// What rests on any of these ids lasts: it will not be known whether they come.
    pub(super) fn handle_given_up(&mut self, from_id: u64, to_id: u64) {
        for gap in &mut self.gaps {
            if let Cause::Ids(from, to) = gap.cause
                && from <= to_id
                && to >= from_id
            {
                gap.cause = Cause::Lasting;
            }
        }
        self.refresh_bound();
    }

    /// Ids from this one on are not the venue's. What was missing among them lasts; of a hole right below, it is not
    /// known any more where it ends, and only a later run can show that nothing is missing there.
    pub(super) fn handle_cut(&mut self, cut: u64) {
        for gap in &mut self.gaps {
            if let Cause::Ids(_, to) = gap.cause {
                if to >= cut {
                    gap.cause = Cause::Lasting;
                } else if to.saturating_add(1) == cut {
                    gap.cause = Cause::Loss;
                }
            }
        }
        self.refresh_bound();
    }

    /// The feed went down; trades from `from_ms` on may be missing.
    pub(super) fn handle_down(&mut self, from_ms: i64, keep_ms: i64) {
        match self.outages.last_mut() {
            Some(last) if !last.told && last.to_ms >= from_ms => last.to_ms = i64::MAX,
            _ => self.outages.push(Outage {
                from_ms,
                to_ms: i64::MAX,
                told: false,
                lasting: false,
            }),
        }
        self.prune(keep_ms);
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
        let told = match trim(outage.from_ms, outage.to_ms) {
            Some((from_ms, to_ms)) => {
                *outage = Outage {
                    from_ms,
                    to_ms,
                    told: true,
                    lasting: outage.lasting,
                };
                Told::Missed { from_ms, to_ms }
            }
            None => {
                self.outages.remove(at);
                Told::Nothing
            }
        };
        self.refresh_bound();
        Some(told)
    }

    /// No stretch that may yet be shown to be whole is newer; `i64::MIN` where there is none.
    #[inline]
    pub(super) fn heals_until_ms(&self) -> i64 {
        self.heals_until_ms
    }

    /// Lets go of what ids now show to be whole, in whole or in part.
    pub(super) fn heal(&mut self, ids: &Ids, slack_ms: i64) {
        for gap in std::mem::take(&mut self.gaps) {
            match gap.cause {
                Cause::Lasting => self.gaps.push(gap),
                Cause::Loss => {
                    let end_ms = gap.hi_ms.saturating_add(1);
                    if ids.trim(gap.lo_ms, end_ms, slack_ms).is_some() {
                        self.gaps.push(gap);
                    }
                }
                Cause::Ids(from_id, to_id) => {
                    let left = |hole: Hole| {
                        let (lo_ms, hi_ms) = (gap.lo_ms.max(hole.lo_ms), gap.hi_ms.min(hole.hi_ms));
                        let cause = Cause::Ids(hole.from_id, hole.to_id);
                        (lo_ms <= hi_ms).then_some(Gap {
                            lo_ms,
                            hi_ms,
                            cause,
                        })
                    };
                    let holes = ids.holes_within(from_id, to_id, slack_ms);
                    self.gaps.extend(holes.filter_map(left));
                }
            }
        }
        self.outages.retain_mut(|outage| {
            if !outage.told || outage.lasting {
                return true;
            }
            let left = ids.trim(outage.from_ms, outage.to_ms, slack_ms);
            if let Some((from_ms, to_ms)) = left {
                (outage.from_ms, outage.to_ms) = (from_ms, to_ms);
            }
            left.is_some()
        });
        self.bound(STRETCHES_MAX);
    }

    /// Forgets what no bar that is open or held touches, and bounds the rest.
    fn prune(&mut self, keep_ms: i64) {
        self.gaps.retain(|gap| gap.hi_ms >= keep_ms);
        self.outages
            .retain(|outage| !outage.told || outage.to_ms > keep_ms);
        self.bound(STRETCHES_MAX);
    }

    /// Takes the oldest together until there are no more than `max` of each kind.
    pub(super) fn bound(&mut self, max: usize) {
        while self.gaps.len() > max {
            let oldest = self.gaps.remove(0);
            let next = &mut self.gaps[0];
            next.lo_ms = next.lo_ms.min(oldest.lo_ms);
            next.hi_ms = next.hi_ms.max(oldest.hi_ms);
            next.cause = Cause::Lasting;
        }
        while self.outages.len() > max {
            let oldest = self.outages.remove(0);
            let next = &mut self.outages[0];
            next.from_ms = next.from_ms.min(oldest.from_ms);
            next.to_ms = next.to_ms.max(oldest.to_ms);
            next.lasting |= oldest.lasting;
        }
        self.refresh_bound();
    }

    fn refresh_bound(&mut self) {
        let gaps = self.gaps.iter();
        let gaps = gaps.filter(|gap| gap.cause != Cause::Lasting);
        let outages = self.outages.iter();
        let outages = outages.filter(|outage| outage.told && !outage.lasting);
        let ends = gaps.map(|gap| gap.hi_ms);
        let ends = ends.chain(outages.map(|outage| outage.to_ms));
        self.heals_until_ms = ends.max().unwrap_or(i64::MIN);
    }

    pub(super) fn snapshot(&self) -> (Vec<StretchSnapshot>, Vec<OutageSnapshot>) {
        let stretch = |gap: &Gap| StretchSnapshot {
            lo: gap.lo_ms,
            hi: gap.hi_ms,
            ids: match gap.cause {
                Cause::Ids(from, to) => Some((from, to)),
                _ => None,
            },
            loss: gap.cause == Cause::Loss,
        };
        let outage = |outage: &Outage| OutageSnapshot {
            from: (outage.from_ms != i64::MIN).then_some(outage.from_ms),
            to: (outage.to_ms != i64::MAX).then_some(outage.to_ms),
            told: outage.told,
            lasting: outage.lasting,
        };
        (
            self.gaps.iter().map(stretch).collect(),
            self.outages.iter().map(outage).collect(),
        )
    }

    pub(super) fn restore(gaps: &[StretchSnapshot], outages: &[OutageSnapshot]) -> Self {
        let gaps = gaps.iter().filter(|gap| gap.lo <= gap.hi);
        let gap = |gap: &StretchSnapshot| Gap {
            lo_ms: gap.lo,
            hi_ms: gap.hi,
            cause: match gap.ids {
                Some((from, to)) => Cause::Ids(from, to),
                None if gap.loss => Cause::Loss,
                None => Cause::Lasting,
            },
        };
        let outage = |outage: &OutageSnapshot| Outage {
            from_ms: outage.from.unwrap_or(i64::MIN),
            to_ms: outage.to.unwrap_or(i64::MAX),
            told: outage.told,
            lasting: outage.lasting,
        };
        let mut marks = Self {
            gaps: gaps.map(gap).collect(),
            outages: outages.iter().map(outage).collect(),
            heals_until_ms: i64::MIN,
        };
        marks.bound(STRETCHES_MAX);
        marks
    }

    pub(super) fn heap_bytes(&self) -> usize {
        self.gaps.capacity() * size_of::<Gap>() + self.outages.capacity() * size_of::<Outage>()
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

impl Gap {
    /// Whether a stretch that begins then goes on where this one ends.
    fn reaches(&self, lo_ms: i64) -> bool {
        let next_ms = match self.cause {
            Cause::Lasting => self.hi_ms.saturating_add(1),
            _ => self.hi_ms,
        };
        next_ms >= lo_ms
    }
}

impl Outage {
    fn touches(&self, start_ms: i64, end_ms: i64) -> bool {
        self.from_ms < end_ms && self.to_ms > start_ms
    }
}
