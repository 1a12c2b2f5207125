// Pure: which ids are to be fetched, each hole once.
#![deny(clippy::disallowed_methods)]

use wire::Price;

use super::Series;
use crate::aggregate::event::Missing;
use crate::aggregate::ids::Hole;

/// Which holes are new and which have been asked for.
#[derive(Debug, Clone, Default)]
pub(super) struct Wanted {
    /// Holes that may still fill by themselves, and since when they are known, by the caller's clock.
    fresh: Vec<(Range, i64)>,
    /// What was asked for and is not filled.
    asked: Vec<Range>,
    /// The highest id when the feed was lost: what comes first after it shows what was missed.
    lost_at: Option<u64>,
    /// Whether there may be something that is not asked for.
    open: bool,
}

/// First and last id.
type Range = (u64, u64);

/// Holes of one instrument that are wanted at a time, the newest ones.
const WANTED_MAX: usize = 64;

impl Wanted {
    pub(super) fn handle_hole(&mut self) {
        self.open = true;
    }

    pub(super) fn handle_down(&mut self, top: Option<(u64, Price)>) {
        self.lost_at = top.map(|(id, _)| id);
        self.open = true;
    }

    pub(super) fn heap_bytes(&self) -> usize {
        self.fresh.capacity() * size_of::<(Range, i64)>()
            + self.asked.capacity() * size_of::<Range>()
    }
}

impl Series {
    /// Appends the ids that are to be fetched: holes that are told, that the loss of the feed has left, or that are
    /// open for longer than `grace_ms` by the caller's clock, which `now_ms` is. Each is given once; then again after
    /// [`Series::handle_missing_again`]. What can be added to no bar any more is not fetched.
    pub fn poll_missing(&mut self, now_ms: i64, grace_ms: i64, out: &mut Vec<Missing>) {
        if !self.wanted.open {
            return;
        }
        let from_ms = self.amendable_from_ms();
        if from_ms == i64::MAX {
            // No bar has begun in some interval.
            return;
        }
        let holes = self.ids.holes(self.slack_ms()).rev();
        let holes = holes.filter(|(hole, _)| hole.hi_ms >= from_ms);
        let holes: Vec<(Hole, bool)> = holes.take(WANTED_MAX).collect();
        let wanted = &mut self.wanted;
        let mut fresh = Vec::new();
        let before = out.len();
        for (hole, told) in &holes {
            let range = (hole.from_id, hole.to_id);
            if wanted.asked.iter().any(|asked| within(range, *asked)) {
                continue;
            }
            let since = wanted
                .fresh
                .iter()
                .find(|(known, _)| within(range, *known))
                .map_or(now_ms, |(_, since)| *since);
            let lost = wanted
                .lost_at
                .is_some_and(|id| range.0 <= id.saturating_add(1) && id < range.1);
            if *told || lost || now_ms.saturating_sub(since) >= grace_ms {
                wanted.asked.push(range);
                out.push(Missing {
                    from_id: hole.from_id,
                    to_id: hole.to_id,
                    after_ms: hole.lo_ms,
                    before_ms: hole.hi_ms,
                });
            } else {
                fresh.push((range, since));
            }
        }
        // Oldest first.
        out[before..].reverse();
        let open = |asked: &Range| {
            let touches = |(hole, _): &(Hole, bool)| within((hole.from_id, hole.to_id), *asked);
            holes.iter().any(touches)
        };
        wanted.asked.retain(open);
        wanted.open = !fresh.is_empty();
        wanted.fresh = fresh;
    }

    /// These ids could not be asked for: if they are still missing after the grace, they are given again.
    pub fn handle_missing_again(&mut self, from_id: u64, to_id: u64) {
        let wanted = &mut self.wanted;
        wanted
            .asked
            .retain(|asked| asked.0 > to_id || asked.1 < from_id);
        wanted.open = true;
    }

    /// Whether [`Series::poll_missing`] may have something, now or later.
    #[inline]
    pub fn has_missing(&self) -> bool {
        self.wanted.open
    }

    /// The start of the oldest bar that can still take a trade, in every interval.
    fn amendable_from_ms(&self) -> i64 {
        let oldest = self
            .lanes
            .iter()
            .map(|lane| lane.closed.oldest_ms().unwrap_or(lane.next_ms()));
        oldest.max().unwrap_or(i64::MAX)
    }
}

fn within(inner: Range, outer: Range) -> bool {
    outer.0 <= inner.0 && inner.1 <= outer.1
}
