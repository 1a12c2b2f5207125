// Pure: a series that others have followed along with, once its instrument is ours to commit.
#![deny(clippy::disallowed_methods)]

use wire::Candle;

use super::Series;
use crate::aggregate::held::{Choice, Gone, Held, Ring};
use crate::aggregate::marks::Cause;
use crate::aggregate::snapshot::SeriesSnapshot;

/// Which of two copies of a bar has all that the other has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Fuller {
    Same,
    Ours,
    Theirs,
}

impl Series {
    /// Another series of this instrument was the one whose bars are published, up to this snapshot of it; from here on
    /// it is this one. Bars that are closed there become what was said of them, with their `rev`; those that it does
    /// not hold any more stay so for good. Where our copy of one has all of its trades and more, or shows that it is
    /// whole, it is amended. Where it has more than ours, it stays, and its ids count as seen. Open bars stay ours.
    /// What was missed by either is missing, unless the other has it.
    ///
    /// Gives false, and the series is then to be replaced by [`Series::restore`], where this cannot be: a bar is
    /// closed there and not here, each copy of a closed bar has trades that the other lacks, or an open one there has
    /// trades that we lack.
    #[must_use]
    pub fn adopt(&mut self, snapshot: &SeriesSnapshot) -> bool {
        let theirs = Self::restore(&self.config, snapshot);
        // So that our copies say what we know.
        self.judge_closed();
        if !self.holds_open_of(&theirs) {
            return false;
        }
        let Some(adopted) = self.adopted(&theirs) else {
            return false;
        };
        let committed = theirs.lanes.iter().zip(adopted.rings);
        for (lane, (committed, ring)) in self.lanes.iter_mut().zip(committed) {
            lane.adopt(committed, ring);
        }
        let keep_ms = self.keep_from_ms();
        let holes = theirs.ids.holes(theirs.slack_ms());
        let holes = holes.map(|(hole, _)| (hole.lo_ms, hole.hi_ms));
        self.marks.adopt(&theirs.marks, holes, keep_ms);
        for (hole, told) in self.ids.unite(&theirs.ids, self.slack_ms()) {
            if !told {
                let from_ms = hole.lo_ms.max(self.gone_until_ms()).min(hole.hi_ms);
                let marks = &mut self.marks;
                marks.handle_gap(from_ms, hole.hi_ms, Cause::Lasting, keep_ms);
            }
            self.marks.handle_given_up(hole.from_id, hole.to_id);
        }
        for (start_ms, end_ms, said) in adopted.gone {
            self.marks.handle_gone(start_ms, end_ms, said, keep_ms);
        }
        self.against_told |= self.ids.times_run_against();
        self.wanted.handle_hole();
        self.marks_stale = true;
        self.judge_closed();
        self.refresh_bounds();
        true
    }

    /// Whether every trade of their open bars is in ours.
    fn holds_open_of(&self, theirs: &Self) -> bool {
        self.lanes.iter().zip(&theirs.lanes).all(|(lane, open)| {
            open.open_candles().all(|(start_ms, candle)| {
                match lane.candle_at(start_ms) {
                    Some(own) => matches!(
                        self.fuller(theirs, own, candle),
                        Some(Fuller::Same | Fuller::Ours)
                    ),
                    // Closed here, and whole, for too long to be held.
                    None => {
                        let (first, last) = candle.ids.unwrap_or_default();
                        lane.is_late(start_ms) && self.ids.covers(&theirs.ids, first, last)
                    }
                }
            })
        })
    }

    /// The closed bars of each interval that has any there; `None` if they cannot be brought together.
    fn adopted(&self, theirs: &Self) -> Option<Adopted> {
        let mut rings = Vec::with_capacity(self.lanes.len());
        let mut gone: Vec<Gone> = Vec::new();
        for (lane, committed) in self.lanes.iter().zip(&theirs.lanes) {
            if !committed.has_begun() {
                rings.push(None);
                continue;
            }
            let next_ms = committed.next_ms();
            if !lane.has_origin() || lane.next_ms() < next_ms {
                return None;
            }
            let len_ms = lane.interval.ms();
            let adopted = lane.closed.adopt(&committed.closed, next_ms, |mine, bar| {
                let end_ms = bar.start_ms + i64::from(bar.len) * len_ms;
                let touches = |(from, to, _): &Gone| *from < end_ms && *to > bar.start_ms;
                self.choose(theirs, mine, bar, end_ms, gone.iter().any(touches))
            });
            let (ring, more) = adopted?;
            gone.extend(more);
            rings.push(Some(ring));
        }
        Some(Adopted { rings, gone })
    }

    /// What a bar of theirs, or several flat ones in a row, becomes by our copy of it. `stuck` if a part of it stays
    /// as it is for good: then it gets no more trades than that.
    fn choose(
        &self,
        theirs: &Self,
        mine: Option<&Held>,
        bar: &Held,
        end_ms: i64,
        stuck: bool,
    ) -> Option<Choice> {
        let hold = |held: Held| Some(Choice::Hold(Box::new(held)));
        let Some(mine) = mine else {
            // Ours was whole, and is gone: whatever else would make theirs whole, too, has been seen.
            return if !bar.is_whole() && self.has_more_of(theirs, bar.start_ms, end_ms) {
                Some(Choice::Final)
            } else {
                hold(bar.clone())
            };
        };
        let fuller = match (mine.candle.ids, bar.candle.ids) {
            (None, None) if mine.candle != bar.candle && mine.tip_id > bar.tip_id => Fuller::Ours,
            (None, None) if mine.candle != bar.candle => Fuller::Theirs,
            _ => self.fuller(theirs, &mine.candle, &bar.candle)?,
        };
        match fuller {
            Fuller::Ours if stuck => Some(Choice::Final),
            // Ours may hold what is not the venue's.
            Fuller::Ours if bar.is_whole() && !mine.is_whole() => None,
            Fuller::Ours => hold(Held {
                rev: bar.rev,
                completeness: bar.completeness,
                closed_ms: bar.closed_ms,
                // A longer bar of theirs over it says so, too.
                repaired: mine.repaired || bar.repaired,
                changed: true,
                pending: false,
                ..mine.clone()
            }),
            Fuller::Same | Fuller::Theirs => hold(Held {
                tip_id: bar.tip_id.max(mine.tip_id),
                ..bar.clone()
            }),
        }
    }

    /// `None` if each may have a trade that the other lacks.
    fn fuller(&self, theirs: &Self, mine: &Candle, bar: &Candle) -> Option<Fuller> {
        if mine == bar {
            return Some(Fuller::Same);
        }
        let ids = [mine.ids, bar.ids].into_iter().flatten();
        let from_id = ids.clone().map(|(first, _)| first).min()?;
        let to_id = ids.map(|(_, last)| last).max()?;
        let covers = |all: &Self, part: &Self| all.ids.covers(&part.ids, from_id, to_id);
        if encloses(mine, bar) && covers(self, theirs) {
            Some(Fuller::Ours)
        } else if encloses(bar, mine) && covers(theirs, self) {
            Some(Fuller::Theirs)
        } else {
            None
        }
    }

    /// Whether we have seen ids that they lack and that may be of this stretch of time.
    fn has_more_of(&self, theirs: &Self, start_ms: i64, end_ms: i64) -> bool {
        let holes = theirs.ids.holes(theirs.slack_ms());
        let holes = holes.map(|(hole, _)| hole);
        let mut holes = holes.filter(|hole| hole.lo_ms < end_ms && hole.hi_ms >= start_ms);
        if holes.any(|hole| self.ids.has_any(hole.from_id, hole.to_id)) {
            return true;
        }
        let beyond = theirs.ids.top().map_or(0, |(id, _)| id.saturating_add(1));
        let ended = theirs.ids.top_ms().is_none_or(|top_ms| top_ms < end_ms);
        ended && self.ids.has_any(beyond, u64::MAX)
    }
}

/// The closed bars of each interval, `None` for one that has none there; and what stays as it is for good.
struct Adopted {
    rings: Vec<Option<Ring>>,
    gone: Vec<Gone>,
}

/// Whether a candle can be that of more trades than another's, with all of those.
fn encloses(all: &Candle, part: &Candle) -> bool {
    let (Some((first, last)), Some(of)) = (all.ids, part.ids) else {
        return all.ids.is_some();
    };
    all.count > part.count
        && first <= of.0
        && last >= of.1
        && all.high >= part.high
        && all.low <= part.low
        && all.volume >= part.volume
        && all.taker_buy_volume >= part.taker_buy_volume
}
