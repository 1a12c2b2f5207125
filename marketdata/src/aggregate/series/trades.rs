// Pure: what becomes of a trade.
#![deny(clippy::disallowed_methods)]

use wire::{Candle, CandleError, Trade};

use super::Series;
use crate::aggregate::event::{Event, Rejection, TradeOutcome};
use crate::aggregate::ids::Place;
use crate::aggregate::marks::Cause;

impl Series {
    #[inline]
    pub(super) fn take(&mut self, trade: &Trade) -> TradeOutcome {
        let place = self.ids.place(trade.id);
        if let Some(outcome) = self.judge_id(trade, place) {
            return outcome;
        }
        self.take_believed(trade, self.ids.place(trade.id))
    }

    #[inline]
    pub(super) fn take_believed(&mut self, trade: &Trade, place: Place) -> TradeOutcome {
        if place == Place::Seen {
            return TradeOutcome::Duplicate;
        }
        if trade.time_ms < self.open_from_ms
            && let Some(outcome) = self.take_old(trade, place)
        {
            return outcome;
        }
        let amends = trade.time_ms < self.open_from_ms
            && self.lanes.iter().any(|lane| lane.is_late(trade.time_ms));
        match self.add(trade) {
            Ok(()) => {
                self.insert(trade, place);
                if amends {
                    self.note_stale();
                    return TradeOutcome::Amended;
                }
                TradeOutcome::Added
            }
            Err(rejection) => {
                if let Rejection::Overflow(_) = rejection {
                    self.insert(trade, place);
                    self.mark(trade.time_ms);
                    self.tell(Event::Overflow(*trade));
                }
                TradeOutcome::Rejected(rejection)
            }
        }
    }

    /// A trade that some interval has no open bucket for. `None` when it is to be added, to closed bars too: to all of
    /// those that it belongs to, or to none, so that they add up.
    pub(super) fn take_old(&mut self, trade: &Trade, place: Place) -> Option<TradeOutcome> {
        let late = self.lanes.iter().any(|lane| lane.is_late(trade.time_ms));
        let taken = self.lanes.iter().any(|lane| lane.takes(trade.time_ms));
        // One that a longer bar takes, and that is too old for a shorter one, would be whole in neither.
        let before = self.lanes.iter().any(|lane| lane.precedes(trade.time_ms));
        if (late || before || !taken)
            && self.ids.contradicts(place, trade.time_ms, self.window_ms())
        {
            // Its id stays missing, so that the bars of its neighbours are marked.
            return Some(TradeOutcome::Rejected(Rejection::TimeAgainstIds));
        }
        let closed = self.lanes.iter().filter(|lane| lane.is_late(trade.time_ms));
        let held = late && closed.into_iter().all(|lane| lane.amends(trade.time_ms));
        if late && !held {
            self.insert(trade, place);
            self.mark(trade.time_ms);
            self.tell(Event::Late(*trade));
            return Some(TradeOutcome::Late);
        }
        for lane in &mut self.lanes {
            if lane.precedes(trade.time_ms) {
                lane.handle_reference(trade.id, trade.price);
            }
        }
        if taken || held {
            return None;
        }
        self.insert(trade, place);
        Some(TradeOutcome::Reference)
    }

    /// Adds to every interval that takes it, or to none.
    #[inline]
    pub(super) fn add(&mut self, trade: &Trade) -> Result<(), Rejection> {
        let time_ms = trade.time_ms;
        // First of all: what overflows is marked in the bucket that it would be in.
        let mut lanes = self.lanes.iter().filter(|lane| lane.takes(time_ms));
        if !lanes.all(|lane| lane.has_room(time_ms)) {
            return Err(Rejection::Backlog);
        }
        let one = Candle::of_trade(trade).map_err(Rejection::Overflow)?;
        if !self.lanes.iter().all(|lane| lane.fits(time_ms, &one)) {
            return Err(Rejection::Overflow(CandleError::Sum));
        }
        let repaired = self.repairing;
        for lane in &mut self.lanes {
            lane.add(trade, &one, repaired)
                .map_err(Rejection::Overflow)?;
        }
        Ok(())
    }

    #[inline]
    pub(super) fn insert(&mut self, trade: &Trade, place: Place) {
        let slack_ms = self.slack_ms();
        self.note_filled(place, slack_ms);
        let given_up = self.ids.insert(place, trade, slack_ms);
        if self.ids.times_run_against() && !self.against_told {
            self.against_told = true;
            self.tell(Event::TimesRunAgainstIds);
        }
        if let Some((hole, told)) = given_up {
            self.counters.holes_given_up += 1;
            if !told {
                self.tell_gap(&hole);
            }
            self.marks.handle_given_up(hole.from_id, hole.to_id);
        }
    }

    /// Where an id that comes may show a marked stretch to be whole: below others, or above all when it is the first
    /// beyond that stretch. And where it makes a hole, that is wanted.
    #[inline]
    fn note_filled(&mut self, place: Place, slack_ms: i64) {
        if let Place::Alone(at) = place
            && at > 0
        {
            self.wanted.handle_hole();
        }
        let until_ms = self.marks.heals_until_ms();
        if until_ms == i64::MIN {
            return;
        }
        let reached = self.ids.top_ms() > Some(until_ms.saturating_add(slack_ms));
        if self.ids.is_below(place) || !reached {
            self.marks_stale = true;
            self.note_stale();
        }
    }

    pub(super) fn mark(&mut self, time_ms: i64) {
        let mut marked = true;
        for lane in &mut self.lanes {
            marked &= lane.mark(time_ms);
        }
        if !marked {
            // More buckets wait than are held.
            self.mark_stretch(time_ms, time_ms, Cause::Lasting);
        }
    }

    pub(super) fn count(&mut self, outcome: TradeOutcome) -> TradeOutcome {
        let counters = &mut self.counters;
        match outcome {
            TradeOutcome::Added => counters.added += 1,
            TradeOutcome::Duplicate => counters.duplicate += 1,
            TradeOutcome::Amended => {
                counters.added += 1;
                counters.amending += 1;
            }
            TradeOutcome::Late => counters.late += 1,
            TradeOutcome::Held => {}
            TradeOutcome::Reference => counters.reference += 1,
            TradeOutcome::Rejected(rejection) => {
                counters.rejected += 1;
                counters.overflow += u64::from(matches!(rejection, Rejection::Overflow(_)));
            }
        }
        outcome
    }
}
