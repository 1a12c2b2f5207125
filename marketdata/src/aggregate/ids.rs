// Pure: which trade ids were seen, as runs of contiguous ones with the times they span.
#![deny(clippy::disallowed_methods)]

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
    /// Whether the hole below this run has been told.
    told: bool,
}

/// Missing ids between two runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Hole {
    pub(super) from_id: u64,
    pub(super) to_id: u64,
    /// No missing trade is older.
    pub(super) lo_ms: i64,
    /// No missing trade is newer.
    pub(super) hi_ms: i64,
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

    /// Whether the id is further than `jump_max` above all others, or below them.
    pub(super) fn jump(&self, id: u64, jump_max: u64) -> Option<Jump> {
        let (first, last) = (self.runs.first()?, self.runs.last()?);
        if id > last.hi.saturating_add(jump_max) {
            Some(Jump::Ahead)
        } else if id.saturating_add(jump_max) < first.lo {
            Some(Jump::Back)
        } else {
            None
        }
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

    /// Takes an id at the place that [`Ids::place`] gave. When that makes too many runs, the oldest hole is
    /// given up and handed back; the flag says whether it had been told before.
    #[inline]
    pub(super) fn insert(
        &mut self,
        place: Place,
        id: u64,
        time_ms: i64,
        slack_ms: i64,
    ) -> Option<(Hole, bool)> {
        if !self.against {
            self.against = self.contradicts(place, time_ms, 0);
        }
        self.newest_ms = self.newest_ms.max(Some(time_ms));
        match place {
            Place::Seen => return None,
            Place::After(at) => {
                let run = &mut self.runs[at];
                run.hi = id;
                run.take(time_ms);
                return None;
            }
            Place::Before(at) => {
                let run = &mut self.runs[at];
                run.lo = id;
                run.take(time_ms);
                return None;
            }
            Place::Joins(above) => self.join(above, time_ms),
            Place::Alone(at) => self.put(at, id, time_ms),
        }
        let given_up = (self.runs.len() > self.runs_max).then(|| {
            let told = self.runs[1].told;
            let hole = hole(&self.runs[0], &self.runs[1], slack_ms);
            let time_ms = self.runs[0].min_ms;
            self.join(1, time_ms);
            (hole, told)
        });
        let holes = self.runs.iter().skip(1);
        self.holes_open = holes.filter(|run| !run.told).count();
        given_up
    }

    fn join(&mut self, above: usize, time_ms: i64) {
        let upper = self.runs.remove(above);
        let lower = &mut self.runs[above - 1];
        lower.hi = upper.hi;
        lower.take(time_ms);
        lower.take(upper.min_ms);
        lower.take(upper.max_ms);
    }

    fn put(&mut self, at: usize, id: u64, time_ms: i64) {
        // A part of a hole that was told stays told. Below all others there was no hole yet.
        let told = at > 0 && self.runs.get(at).is_some_and(|run| run.told);
        if at == 0
            && let Some(first) = self.runs.first_mut()
        {
            first.told = false;
        }
        let run = Run {
            lo: id,
            hi: id,
            min_ms: time_ms,
            max_ms: time_ms,
            told,
        };
        self.runs.insert(at, run);
    }

    /// Whether one run begins before the bucket and reaches beyond it, so that every id that could be in it,
    /// where times follow ids, was seen.
    pub(super) fn prove(&self, start_ms: i64, end_ms: i64) -> bool {
        let runs = self.runs.iter().rev();
        runs.take_while(|run| run.max_ms >= end_ms)
            .any(|run| run.min_ms < start_ms)
    }

    /// Shrinks a stretch in which trades may be missing to what the ids leave possible. `None` when nothing is.
    /// `to_ms` is excluded from the stretch.
    pub(super) fn trim(&self, from_ms: i64, to_ms: i64, slack_ms: i64) -> Option<(i64, i64)> {
        let (mut from, mut to) = (from_ms, to_ms);
        for run in &self.runs {
            let (min, max) = (
                run.min_ms.saturating_add(slack_ms),
                run.max_ms.saturating_sub(slack_ms),
            );
            if min < from_ms && max >= from_ms {
                from = from.max(max);
            }
            if max >= to_ms && min < to_ms {
                to = to.min(min.saturating_add(1));
            }
        }
        (from < to).then_some((from, to))
    }

    /// Whether a hole that may still fill touches the bucket.
    pub(super) fn in_doubt(&self, start_ms: i64, end_ms: i64, slack_ms: i64) -> bool {
        self.holes_open > 0
            && self
                .runs
                .windows(2)
                .filter(|pair| !pair[1].told)
                .map(|pair| hole(&pair[0], &pair[1], slack_ms))
                .any(|hole| hole.lo_ms < end_ms && hole.hi_ms >= start_ms)
    }

    /// The lowest hole that can no longer fill, as its newest possible trade is `settled_ms` or older.
    /// From then on it counts as told.
    pub(super) fn tell_hole(&mut self, settled_ms: i64, slack_ms: i64) -> Option<Hole> {
        for above in 1..self.runs.len() {
            if self.runs[above].told {
                continue;
            }
            let hole = hole(&self.runs[above - 1], &self.runs[above], slack_ms);
            if hole.hi_ms <= settled_ms {
                self.runs[above].told = true;
                self.holes_open -= 1;
                return Some(hole);
            }
        }
        None
    }

    pub(super) fn heap_bytes(&self) -> usize {
        self.runs.capacity() * size_of::<Run>()
    }
}

/// A direction in which an id is too far off.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Jump {
    Ahead,
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

fn hole(below: &Run, above: &Run, slack_ms: i64) -> Hole {
    let (a, b) = (
        below.max_ms.saturating_sub(slack_ms),
        above.min_ms.saturating_add(slack_ms),
    );
    Hole {
        from_id: below.hi + 1,
        to_id: above.lo - 1,
        lo_ms: a.min(b),
        hi_ms: a.max(b),
    }
}
