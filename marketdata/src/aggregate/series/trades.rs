// Pure: what becomes of a trade.
#![deny(clippy::disallowed_methods)]

use wire::{Candle, CandleError, Trade};

use super::Series;
use crate::aggregate::event::{Event, Rejection, TradeOutcome};
use crate::aggregate::ids::Place;

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
        match self.add(trade) {
            Ok(()) => {
                self.insert(trade, place);
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

    /// A trade that some interval has no open bucket for. `None` when it is to be added to the others.
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
        if late {
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
        if taken {
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
        for lane in self.lanes.iter().filter(|lane| lane.takes(time_ms)) {
            if lane
                .bucket(time_ms)
                .is_some_and(|bucket| !bucket.fits(&one))
            {
                return Err(Rejection::Overflow(CandleError::Sum));
            }
        }
        for lane in self.lanes.iter_mut().filter(|lane| lane.takes(time_ms)) {
            let bucket = lane.bucket_mut(time_ms);
            bucket.add(&one).map_err(Rejection::Overflow)?;
        }
        Ok(())
    }

    #[inline]
    pub(super) fn insert(&mut self, trade: &Trade, place: Place) {
        let slack_ms = self.slack_ms();
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
        }
    }

    pub(super) fn mark(&mut self, time_ms: i64) {
        let mut marked = true;
        for lane in &mut self.lanes {
            marked &= lane.mark(time_ms);
        }
        if !marked {
            // More buckets wait than are held.
            self.mark_stretch(time_ms, time_ms);
        }
    }

    pub(super) fn count(&mut self, outcome: TradeOutcome) -> TradeOutcome {
        let counters = &mut self.counters;
        match outcome {
            TradeOutcome::Added => counters.added += 1,
            TradeOutcome::Duplicate => counters.duplicate += 1,
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
