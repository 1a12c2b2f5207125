// Pure: trades whose times or ids one message alone is not believed.
#![deny(clippy::disallowed_methods)]

use wire::Trade;

use super::{Feed, Series};
use crate::aggregate::event::{Event, Rejection, TradeOutcome};
use crate::aggregate::ids::{Jump, Place};
use crate::aggregate::marks::Cause;
use crate::aggregate::snapshot::DoubtSnapshot;

/// A trade whose id stands alone. The next one tells whether it was damaged or the venue counts on from there.
#[derive(Debug, Clone, Copy)]
pub(super) struct Doubt {
    trade: Trade,
    jump: Jump,
    /// The clock when it came.
    heard_ms: i64,
    /// False once it has waited for too long to be in a bar; its id still stands as a claim.
    held: bool,
}

/// A venue stamps a message after the trades in it. More than a second the other way is damage, not rounding.
const AHEAD_MAX_MS: i64 = 1_000;

impl Doubt {
    pub(super) fn snapshot(&self) -> DoubtSnapshot {
        DoubtSnapshot::new(
            &self.trade,
            self.jump == Jump::Ahead,
            self.heard_ms,
            self.held,
        )
    }

    pub(super) fn restore(snapshot: &DoubtSnapshot) -> Self {
        Self {
            trade: snapshot.trade(),
            jump: if snapshot.ahead {
                Jump::Ahead
            } else {
                Jump::Back
            },
            heard_ms: snapshot.heard,
            held: snapshot.held,
        }
    }
}

impl Series {
    /// Judges a live trade's times and moves the clock by what is believed of them.
    #[inline]
    pub(super) fn judge_times(
        &mut self,
        trade: &Trade,
        event_time_ms: i64,
    ) -> Result<(), Rejection> {
        let time_ms = trade.time_ms;
        self.clock.check(time_ms, self.jump_max_ms())?;
        let sent = if event_time_ms <= time_ms {
            Ok(())
        } else {
            self.clock.check(event_time_ms, self.jump_max_ms())
        };
        if time_ms.saturating_sub(event_time_ms) > AHEAD_MAX_MS {
            self.handle_clock(event_time_ms);
            self.handle_loss();
            return Err(Rejection::TimeAhead);
        }
        if sent.is_err() {
            self.counters.clock_rejected += 1;
            self.advance(time_ms);
            return Ok(());
        }
        self.advance(event_time_ms.max(time_ms));
        if event_time_ms.saturating_sub(time_ms) > self.window_ms()
            && self.is_over(time_ms, event_time_ms)
        {
            self.handle_loss();
            return Err(Rejection::TimeBehind);
        }
        Ok(())
    }

    /// Whether the shortest bar of a time is due by the clock.
    fn is_over(&self, time_ms: i64, now_ms: i64) -> bool {
        self.lanes.first().is_some_and(|lane| {
            let end_ms = lane.interval.start_of(time_ms) + lane.interval.ms();
            end_ms.saturating_add(self.window_ms()) <= now_ms
        })
    }

    /// How far one message alone may move the clock.
    #[inline]
    pub(super) fn jump_max_ms(&self) -> i64 {
        let jump = self.config.clock_jump_max_ms.max(0);
        if self.feed == Feed::Alive {
            jump.min(self.config.clock_step_max_ms.max(0))
        } else {
            jump
        }
    }

    /// Judges a trade's id by those seen and by the one in doubt. `None` when it is to be taken.
    #[inline]
    pub(super) fn judge_id(&mut self, trade: &Trade, place: Place) -> Option<TradeOutcome> {
        let jump_max = self.config.id_jump_max;
        let slack_ms = self.window_ms();
        let jump = self.ids.jump(place, trade, jump_max, slack_ms);
        match (jump, self.doubt) {
            (None, None) => None,
            (None, Some(_)) if place == Place::Seen => None,
            (None, Some(_)) => {
                self.drop_doubt();
                None
            }
            (Some(jump), doubt) => self.handle_claim(trade, jump, doubt),
        }
    }

    fn handle_claim(
        &mut self,
        trade: &Trade,
        jump: Jump,
        doubt: Option<Doubt>,
    ) -> Option<TradeOutcome> {
        if let Some(doubt) = doubt.filter(|doubt| doubt.jump == jump) {
            let apart = doubt.trade.id.abs_diff(trade.id);
            if apart == 0 && doubt.held {
                return Some(TradeOutcome::Duplicate);
            }
            if (1..=self.config.id_jump_max).contains(&apart) {
                self.believe(&doubt, trade);
                return None;
            }
        }
        self.drop_doubt();
        self.counters.held += 1;
        self.doubt = Some(Doubt {
            trade: *trade,
            jump,
            heard_ms: self.clock.now_ms().unwrap_or(trade.time_ms),
            held: true,
        });
        Some(TradeOutcome::Held)
    }

    /// Two trades agree: the venue counts on from there.
    fn believe(&mut self, doubt: &Doubt, second: &Trade) {
        self.doubt = None;
        if doubt.jump == Jump::Back {
            let lower = if second.id < doubt.trade.id {
                second
            } else {
                &doubt.trade
            };
            self.cut(lower.id, Some(lower));
        }
        if doubt.held {
            let place = self.ids.place(doubt.trade.id);
            let outcome = self.take_believed(&doubt.trade, place);
            self.count(outcome);
        }
    }

    /// The one in doubt stands alone: it is in no bar, and those that may lack it are marked.
    pub(super) fn drop_doubt(&mut self) {
        let Some(doubt) = self.doubt.take() else {
            return;
        };
        if doubt.held {
            self.mark(doubt.trade.time_ms);
            self.mark_stretch(
                doubt.heard_ms - self.window_ms(),
                doubt.heard_ms,
                Cause::Lasting,
            );
            self.count(TradeOutcome::Rejected(Rejection::IdJump));
        }
    }

    /// One in doubt has waited for as long as its bars do. Its id still stands as a claim: in a quiet market the
    /// next trade takes longer.
    pub(super) fn settle_doubt(&mut self, settled_ms: i64) {
        if let Some(doubt) = self.doubt
            && doubt.held
            && doubt.trade.time_ms.min(doubt.heard_ms) <= settled_ms
        {
            self.drop_doubt();
            self.doubt = Some(Doubt {
                held: false,
                ..doubt
            });
        }
    }

    /// Ids from here on are not what the venue counts on from; it does from those below, or else from `next`.
    pub(super) fn cut(&mut self, id: u64, next: Option<&Trade>) {
        let Some(cut) = self.ids.cut(id) else {
            return;
        };
        for lane in &mut self.lanes {
            lane.handle_cut(id, cut.top, next.map(|next| (next.id, next.price)));
        }
        let (from_ms, to_ms) = cut.span_ms;
        // Where no run is left, no hole will tell what was missed since.
        let to_ms = match (cut.top, next) {
            (None, Some(next)) => to_ms.max(next.time_ms),
            _ => to_ms,
        };
        self.marks.handle_cut(id);
        self.mark_stretch(from_ms, to_ms, Cause::Lasting);
        self.against_told = self.ids.times_run_against();
        self.counters.ids_cut += 1;
        self.tell(Event::IdsCut(id));
    }

    /// Marks what is open of a stretch of time, both ends included. What is closed stays as it is; so must then
    /// the longer bars over it.
    pub(super) fn mark_stretch(&mut self, from_ms: i64, to_ms: i64, cause: Cause) {
        let from_ms = self.open_part_ms(from_ms, to_ms);
        let keep_ms = self.keep_from_ms();
        self.marks.handle_gap(from_ms, to_ms, cause, keep_ms);
    }

    /// Where the part of a stretch begins that is open in all intervals.
    pub(super) fn open_part_ms(&self, from_ms: i64, to_ms: i64) -> i64 {
        from_ms.max(self.open_from_ms).min(to_ms)
    }
}
