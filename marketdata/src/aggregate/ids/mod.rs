// Pure: which trade ids were seen, as runs of contiguous ones with the times they span.
#![deny(clippy::disallowed_methods)]

use wire::{Price, Trade};

/// What is missing between runs.
mod holes;

/// As plain data.
mod snapshot;

/// With those that another has seen.
mod unite;

pub(super) use holes::Hole;
use holes::hole;

/// The seen ids. Normally one run.
#[derive(Debug, Clone)]
pub(super) struct Ids {
    runs: Vec<Run>,
    runs_max: usize,
    /// Holes that are not yet told: they may still fill. Kept so that the usual case asks one number.
    holes_open: usize,
    against: bool,
    /// The newest time of all; the highest run's can be older where times run against ids.
    newest_ms: Option<i64>,
}

#[derive(Debug, Clone, Copy)]
struct Run {
    lo: u64,
    hi: u64,
    min_ms: i64,
    max_ms: i64,
    /// Of the trade with the highest id: flat bars need it where runs above turn out not to be the venue's.
    price: Price,
    /// Whether the hole below this run has been told.
    told: bool,
    /// Whether a higher id of it has an earlier time.
    against: bool,
}

/// What a cut took away.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Cut {
    /// The oldest and the newest time of the ids taken away.
    pub(super) span_ms: (i64, i64),
    /// The highest id that is left, and its price.
    pub(super) top: Option<(u64, Price)>,
}

/// Where an id belongs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Place {
    /// Seen before.
    Seen,
    /// Next after the run's highest.
    After(usize),
    /// Next before the run's lowest.
    Before(usize),
    /// The one that joins the run to the one before it.
    Joins(usize),
    /// A run of its own, to be put here.
    Alone(usize),
}

impl Ids {
    pub(super) fn new(runs_max: usize) -> Self {
        Self {
            runs: Vec::new(),
            runs_max: runs_max.max(2),
            holes_open: 0,
            against: false,
            newest_ms: None,
        }
    }

    /// Whether a higher id was seen with an earlier time.
    pub(super) fn times_run_against(&self) -> bool {
        self.against
    }

    pub(super) fn has_open_holes(&self) -> bool {
        self.holes_open > 0
    }

    pub(super) fn newest_ms(&self) -> Option<i64> {
        self.newest_ms
    }

    #[inline]
    pub(super) fn place(&self, id: u64) -> Place {
        let Some((last, top)) = self.runs.len().checked_sub(1).map(|i| (i, &self.runs[i])) else {
            return Place::Alone(0);
        };
        if id > top.hi {
            return if id - top.hi == 1 {
                Place::After(last)
            } else {
                Place::Alone(last + 1)
            };
        }
        let above = self.runs.partition_point(|run| run.lo <= id);
        let touches_above = self.runs.get(above).is_some_and(|run| run.lo - id == 1);
        let Some(below) = above.checked_sub(1) else {
            return if touches_above {
                Place::Before(0)
            } else {
                Place::Alone(0)
            };
        };
        if id <= self.runs[below].hi {
            return Place::Seen;
        }
        match (id - self.runs[below].hi == 1, touches_above) {
            (true, true) => Place::Joins(above),
            (true, false) => Place::After(below),
            (false, true) => Place::Before(above),
            (false, false) => Place::Alone(above),
        }
    }

    /// Why one trade alone is not believed to have this id at this time. `slack_ms` is by how much a trade may
    /// truly be newer than one with a higher id.
    #[inline]
    pub(super) fn jump(
        &self,
        place: Place,
        trade: &Trade,
        jump_max: u64,
        slack_ms: i64,
    ) -> Option<Jump> {
        let (first, last) = (self.runs.first()?, self.runs.last()?);
        let above = match place {
            // A true repetition is no newer than what was seen.
            Place::Seen => {
                return self
                    .newest_ms
                    .is_some_and(|newest| trade.time_ms > newest)
                    .then_some(Jump::Back);
            }
            Place::After(at) => at + 1,
            Place::Before(at) | Place::Joins(at) | Place::Alone(at) => at,
        };
        let Some(above) = self.runs.get(above) else {
            let ahead = trade.id > last.hi.saturating_add(jump_max);
            return ahead.then_some(Jump::Ahead);
        };
        let far = trade.id.saturating_add(jump_max) < first.lo;
        let newest_ms = if far {
            above.min_ms.saturating_sub(slack_ms)
        } else {
            above.min_ms.saturating_add(slack_ms)
        };
        (trade.time_ms > newest_ms).then_some(Jump::Back)
    }

    /// Forgets the runs that hold this id or higher ones: the venue does not count on from them.
    pub(super) fn cut(&mut self, id: u64) -> Option<Cut> {
        let kept = self.runs.partition_point(|run| run.hi < id);
        let gone = self.runs.split_off(kept);
        let from_ms = gone.iter().map(|run| run.min_ms).min()?;
        let to_ms = gone.iter().map(|run| run.max_ms).max()?;
        let inverted = |pair: &[Run]| pair[0].max_ms > pair[1].min_ms;
        self.against =
            self.runs.iter().any(|run| run.against) || self.runs.windows(2).any(inverted);
        self.count_holes();
        Some(Cut {
            span_ms: (from_ms, to_ms),
            top: self.top(),
        })
    }

    /// The highest id, and its price.
    pub(super) fn top(&self) -> Option<(u64, Price)> {
        self.runs.last().map(|run| (run.hi, run.price))
    }

    /// Whether the highest ids are older than lower ones.
    #[inline]
    pub(super) fn has_old_top(&self) -> bool {
        self.runs
            .last()
            .is_some_and(|top| self.newest_ms > Some(top.max_ms))
    }

    /// The id from which on ids are older than two or more that lie below, while nothing can fill the hole
    /// between any more: then it is the higher ones that are wrong.
    pub(super) fn overruled(&self) -> Option<u64> {
        let (mut cut, mut above_ms) = (None, self.runs.last()?.max_ms);
        for at in (1..self.runs.len()).rev() {
            let below = self.runs[..at].iter().filter(|run| run.max_ms > above_ms);
            let newer = below.map(|run| (run.hi - run.lo).saturating_add(1));
            if self.runs[at].told && newer.fold(0, u64::saturating_add) > 1 {
                cut = Some(self.runs[at].lo);
            }
            above_ms = above_ms.max(self.runs[at - 1].max_ms);
        }
        cut
    }

    fn count_holes(&mut self) {
        let holes = self.runs.iter().skip(1);
        self.holes_open = holes.filter(|run| !run.told).count();
    }

    /// Whether a time is off by more than `slack_ms` from what the neighbours' times allow.
    pub(super) fn contradicts(&self, place: Place, time_ms: i64, slack_ms: i64) -> bool {
        let (below, above) = neighbours(place);
        let newer_below = below
            .and_then(|i| self.runs.get(i))
            .is_some_and(|run| run.max_ms - slack_ms > time_ms);
        let older_above = above
            .and_then(|i| self.runs.get(i))
            .is_some_and(|run| run.min_ms + slack_ms < time_ms);
        newer_below || older_above
    }

    /// Whether an id at that place lies below another that was seen.
    #[inline]
    pub(super) fn is_below(&self, place: Place) -> bool {
        match place {
            Place::Seen => false,
            Place::After(at) => at + 1 < self.runs.len(),
            Place::Before(_) | Place::Joins(_) => true,
            Place::Alone(at) => at < self.runs.len(),
        }
    }

    /// The newest time of the highest run.
    pub(super) fn top_ms(&self) -> Option<i64> {
        self.runs.last().map(|run| run.max_ms)
    }

    /// Takes an id at the place that [`Ids::place`] gave. When that makes too many runs, the oldest hole is
    /// given up and handed back; the flag says whether it had been told before.
    #[inline]
    pub(super) fn insert(
        &mut self,
        place: Place,
        trade: &Trade,
        slack_ms: i64,
    ) -> Option<(Hole, bool)> {
        let (id, time_ms) = (trade.id, trade.time_ms);
        if !self.against {
            self.against = self.contradicts(place, time_ms, 0);
        }
        self.newest_ms = self.newest_ms.max(Some(time_ms));
        match place {
            Place::Seen => return None,
            Place::After(at) => {
                let run = &mut self.runs[at];
                run.hi = id;
                run.price = trade.price;
                run.against |= time_ms < run.max_ms;
                run.take(time_ms);
                return None;
            }
            Place::Before(at) => {
                let run = &mut self.runs[at];
                run.lo = id;
                run.against |= time_ms > run.min_ms;
                run.take(time_ms);
                return None;
            }
            Place::Joins(above) => self.join(above, time_ms),
            Place::Alone(at) => self.put(at, trade, slack_ms),
        }
        let given_up = (self.runs.len() > self.runs_max).then(|| self.give_up(slack_ms));
        self.count_holes();
        given_up
    }

    fn join(&mut self, above: usize, time_ms: i64) {
        let upper = self.runs.remove(above);
        let lower = &mut self.runs[above - 1];
        lower.hi = upper.hi;
        lower.price = upper.price;
        lower.against |= upper.against || lower.max_ms > time_ms || time_ms > upper.min_ms;
        lower.take(time_ms);
        lower.take(upper.min_ms);
        lower.take(upper.max_ms);
    }

    fn put(&mut self, at: usize, trade: &Trade, slack_ms: i64) {
        // A part of a hole that was told stays told, if the trade can be of that hole: what is newer than the run
        // above shows a loss of its own. Below all others there was no hole yet.
        let of_hole = |run: &Run| trade.time_ms <= run.min_ms.saturating_add(slack_ms);
        let told = at > 0
            && self
                .runs
                .get(at)
                .is_some_and(|run| run.told && of_hole(run));
        let run = Run {
            lo: trade.id,
            hi: trade.id,
            min_ms: trade.time_ms,
            max_ms: trade.time_ms,
            price: trade.price,
            told,
            against: false,
        };
        self.runs.insert(at, run);
    }

    pub(super) fn heap_bytes(&self) -> usize {
        self.runs.capacity() * size_of::<Run>()
    }
}

/// A direction in which an id is off.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Jump {
    /// Far above all others.
    Ahead,
    /// Seen before or below others, and yet newer.
    Back,
}

impl Run {
    fn take(&mut self, time_ms: i64) {
        self.min_ms = self.min_ms.min(time_ms);
        self.max_ms = self.max_ms.max(time_ms);
    }
}

/// The runs whose times bound a place's from below and from above.
fn neighbours(place: Place) -> (Option<usize>, Option<usize>) {
    match place {
        Place::Seen => (None, None),
        Place::After(at) => (Some(at), Some(at + 1)),
        Place::Before(at) | Place::Joins(at) | Place::Alone(at) => (at.checked_sub(1), Some(at)),
    }
}
