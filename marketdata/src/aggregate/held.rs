// Pure: one interval's closed bars that may yet be amended.
#![deny(clippy::disallowed_methods)]

use std::collections::VecDeque;

use wire::{Candle, CandleError, Completeness, Trade};

/// With those that another has committed.
mod adopt;

pub(super) use adopt::Choice;

/// Closed bars, oldest first: the few newest, and those that are not whole. Flat ones in a row that say the same are
/// one entry, so that an outage of an hour is one, too.
#[derive(Debug, Clone)]
pub(super) struct Ring {
    len_ms: i64,
    pub(super) bars: VecDeque<Held>,
    /// The end of the newest whole bar that is no longer held.
    pub(super) gone_until_ms: i64,
}

/// A closed bar, or several flat ones in a row.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Held {
    pub(super) start_ms: i64,
    pub(super) len: u32,
    pub(super) candle: Candle,
    /// Of a flat one, the id that it follows.
    pub(super) tip_id: u64,
    pub(super) lacks: bool,
    pub(super) repaired: bool,
    /// As it was last given.
    pub(super) completeness: Completeness,
    pub(super) rev: u32,
    /// The venue's time when it first closed.
    pub(super) closed_ms: i64,
    /// Trades came since it was given.
    pub(super) changed: bool,
    /// It is to be given again.
    pub(super) pending: bool,
}

/// Whole bars that are held: those of the last seconds, for trades that are later than the window, and those that ids
/// do not prove yet, for the trade that shows a loss. At some 240 bytes each, they take 8 KB of a busy instrument
/// of four intervals, with the room that its queues have for more.
const WHOLE_MAX: usize = 8;

/// How long a whole bar that ids prove is held, by the venue's clock.
const RECENT_MS: i64 = 5_000;

/// Entries of bars that are not whole. The repair of an outage or of a loss fills them, and is over within minutes;
/// 15 KB an interval at worst, where every second bar of an outage had a trade.
const NOT_WHOLE_MAX: usize = 64;

/// How long they are held, by the venue's clock, from when they closed.
const NOT_WHOLE_MS: i64 = 3_600_000;

/// A bar that was not whole and will not be amended any more, with what it said.
pub(super) type Gone = (i64, i64, Completeness);

impl Ring {
    pub(super) fn new(len_ms: i64) -> Self {
        Self {
            len_ms,
            bars: VecDeque::new(),
            gone_until_ms: i64::MIN,
        }
    }

    pub(super) fn end_ms(&self, bar: &Held) -> i64 {
        bar.start_ms + i64::from(bar.len) * self.len_ms
    }

    fn find(&self, time_ms: i64) -> Option<usize> {
        let after = self.bars.partition_point(|bar| bar.start_ms <= time_ms);
        let at = after.checked_sub(1)?;
        (time_ms < self.end_ms(&self.bars[at])).then_some(at)
    }

    /// Whether the bar of that time can be amended.
    pub(super) fn holds(&self, time_ms: i64) -> bool {
        self.find(time_ms).is_some()
    }

    /// Whether the bar of that time can take the candle without leaving the range of a sum.
    pub(super) fn fits(&self, time_ms: i64, one: &Candle) -> bool {
        self.find(time_ms).is_some_and(|at| {
            let mut candle = self.bars[at].candle;
            candle.merge(one).is_ok()
        })
    }

    /// The bar of that time as an entry of its own. It is held.
    fn isolate(&mut self, at: usize, time_ms: i64) -> usize {
        let bar = &self.bars[at];
        if bar.len == 1 {
            return at;
        }
        // Neither is as long as a 32-bit number of bars.
        let before = u32::try_from((time_ms - bar.start_ms) / self.len_ms).unwrap_or(0);
        let mut whole = bar.clone();
        let at_own = if before > 0 {
            let rest = self.split(&mut whole, before);
            self.bars[at] = whole;
            self.bars.insert(at + 1, rest.clone());
            whole = rest;
            at + 1
        } else {
            at
        };
        if whole.len > 1 {
            let rest = self.split(&mut whole, 1);
            self.bars[at_own] = whole;
            self.bars.insert(at_own + 1, rest);
        }
        at_own
    }

    /// Cuts an entry after so many of its bars; gives the rest.
    fn split(&self, bar: &mut Held, len: u32) -> Held {
        let mut rest = bar.clone();
        rest.start_ms += i64::from(len) * self.len_ms;
        rest.len -= len;
        bar.len = len;
        rest
    }

    /// Adds a trade to the bar of its time, and to the flat bars that follow it.
    pub(super) fn merge(
        &mut self,
        trade: &Trade,
        one: &Candle,
        repaired: bool,
    ) -> Result<(), CandleError> {
        let Some(at) = self.find(trade.time_ms) else {
            return Ok(());
        };
        let at = self.isolate(at, trade.time_ms);
        let bar = &mut self.bars[at];
        bar.candle.merge(one)?;
        bar.changed = true;
        bar.repaired |= repaired;
        for bar in self.bars.iter_mut().skip(at + 1) {
            if bar.candle.count == 0 && bar.tip_id < trade.id {
                bar.tip_id = trade.id;
                if bar.candle.close != trade.price {
                    bar.candle = Candle::flat(trade.price);
                    bar.changed = true;
                }
            }
        }
        Ok(())
    }

    /// A bar closed.
    pub(super) fn push(&mut self, bar: Held) {
        self.bars.push_back(bar);
        self.join(self.bars.len() - 1);
    }

    /// Lets go of what need not be held; `is_proven` says of a stretch whether ids show that nothing of it is
    /// missing. Not to be called while bars are to be judged: what was found missing may be in one of these.
    pub(super) fn make_room(
        &mut self,
        now_ms: i64,
        is_proven: impl Fn(i64, i64) -> bool,
    ) -> Vec<Gone> {
        self.drop_whole(now_ms, is_proven);
        self.drop_not_whole(now_ms)
    }

    fn drop_whole(&mut self, now_ms: i64, is_proven: impl Fn(i64, i64) -> bool) {
        let is_whole = |bar: &Held| bar.is_whole() && !bar.changed && !bar.pending;
        let mut count = self.bars.iter().filter(|bar| is_whole(bar)).count();
        while let Some(at) = self.bars.iter().position(is_whole) {
            let bar = &self.bars[at];
            let end_ms = self.end_ms(bar);
            let is_old = end_ms.saturating_add(RECENT_MS) <= now_ms;
            if count <= WHOLE_MAX && !(is_old && is_proven(bar.start_ms, end_ms)) {
                break;
            }
            self.bars.remove(at);
            self.gone_until_ms = self.gone_until_ms.max(end_ms);
            count -= 1;
        }
    }

    fn drop_not_whole(&mut self, now_ms: i64) -> Vec<Gone> {
        let is_not_whole = |bar: &Held| !bar.is_whole() && !bar.changed && !bar.pending;
        let mut gone = Vec::new();
        let mut count = self.bars.iter().filter(|bar| is_not_whole(bar)).count();
        while let Some(at) = self.bars.iter().position(is_not_whole) {
            let bar = &self.bars[at];
            if count <= NOT_WHOLE_MAX && bar.closed_ms.saturating_add(NOT_WHOLE_MS) > now_ms {
                break;
            }
            gone.push((bar.start_ms, self.end_ms(bar), bar.completeness));
            self.bars.remove(at);
            count -= 1;
        }
        gone
    }

    /// Joins an entry to the one before it, if the two say the same.
    fn join(&mut self, at: usize) {
        let Some(before) = at.checked_sub(1) else {
            return;
        };
        let (a, b) = (&self.bars[before], &self.bars[at]);
        let same = a.candle.count == 0
            && a.candle == b.candle
            && self.end_ms(a) == b.start_ms
            && (a.tip_id, a.lacks, a.repaired, a.completeness, a.rev)
                == (b.tip_id, b.lacks, b.repaired, b.completeness, b.rev)
            && (a.changed, a.pending) == (b.changed, b.pending);
        if same {
            let (len, closed_ms) = (b.len, b.closed_ms);
            self.bars[before].len += len;
            self.bars[before].closed_ms = closed_ms;
            self.bars.remove(at);
        }
    }

    /// Judges every bar by what is missing now; gives whether any is to be given again.
    pub(super) fn judge(&mut self, of: impl Fn(i64, i64) -> Completeness) -> bool {
        let mut any = false;
        for mut bar in std::mem::take(&mut self.bars) {
            // Of a long row, each bar for itself, unless nothing touches any of it.
            let clear = of(bar.start_ms, self.end_ms(&bar)) == Completeness::Quiet;
            loop {
                let at = |n: u32| bar.start_ms + i64::from(n) * self.len_ms;
                let judge = |n: u32| bar.own().merge(of(at(n), at(n + 1)));
                let first = judge(0);
                let same = if clear {
                    bar.len
                } else {
                    1 + (1..bar.len)
                        .take_while(|&n| judge(n) == first)
                        .fold(0, |count, _| count + 1)
                };
                let rest = (same < bar.len).then(|| self.split(&mut bar, same));
                bar.pending |= bar.changed || first != bar.completeness;
                bar.changed = false;
                bar.completeness = first;
                any |= bar.pending;
                self.bars.push_back(bar);
                match rest {
                    Some(rest) => bar = rest,
                    None => break,
                }
            }
        }
        any
    }

    /// The end of the first bar that is to be given again.
    pub(super) fn pending_end_ms(&self) -> Option<i64> {
        let bar = self.bars.iter().find(|bar| bar.pending)?;
        Some(bar.start_ms + self.len_ms)
    }

    /// That bar, under its next rev.
    pub(super) fn amend(&mut self) -> Option<Held> {
        let at = self.bars.iter().position(|bar| bar.pending)?;
        let at = self.isolate(at, self.bars[at].start_ms);
        let bar = &mut self.bars[at];
        bar.pending = false;
        bar.rev = bar.rev.saturating_add(1);
        let given = bar.clone();
        self.join(at);
        Some(given)
    }

    /// The start of the oldest that is held.
    pub(super) fn oldest_ms(&self) -> Option<i64> {
        self.bars.front().map(|bar| bar.start_ms)
    }

    pub(super) fn heap_bytes(&self) -> usize {
        self.bars.capacity() * size_of::<Held>()
    }
}

impl Held {
    /// What its own trades say.
    fn own(&self) -> Completeness {
        of_parts(&self.candle, self.lacks, self.repaired)
    }

    pub(super) fn is_whole(&self) -> bool {
        self.completeness <= Completeness::Repaired
    }
}

/// What a bar's own trades say of it.
pub(super) fn of_parts(candle: &Candle, lacks: bool, repaired: bool) -> Completeness {
    if lacks {
        Completeness::Gap
    } else if candle.count == 0 {
        Completeness::Quiet
    } else if repaired {
        Completeness::Repaired
    } else {
        Completeness::Complete
    }
}
