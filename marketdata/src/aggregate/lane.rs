// Pure: one interval of one instrument, the buckets of which are open.
#![deny(clippy::disallowed_methods)]

use std::collections::VecDeque;

use wire::{Candle, CandleError, Completeness, Interval, Price, Trade};

use super::held::{Held, Ring, of_parts};

/// As plain data.
mod snapshot;

/// With what another has committed.
mod adopt;

/// One interval's open buckets and where its closed bars end.
#[derive(Debug, Clone)]
pub(super) struct Lane {
    pub(super) interval: Interval,
    len_ms: i64,
    /// Start of the first bar; `i64::MAX` until the feed was first alive.
    origin_ms: i64,
    /// Start of the next bar to close; `i64::MAX` until the feed was first alive.
    next_ms: i64,
    /// Whether a bar has been closed.
    begun: bool,
    /// The trade with the highest id before `next_ms`: it gives flat bars their price. By id rather than by
    /// time, so that every interval agrees on it, also where times run against ids.
    last: Option<(u64, Price)>,
    /// Buckets that hold a trade or a mark of their own, by start.
    buckets: VecDeque<Bucket>,
    /// Closed bars that may yet be amended.
    pub(super) closed: Ring,
}

/// What is held of a bar before it closes.
#[derive(Debug, Clone, Copy)]
pub(super) struct Bucket {
    pub(super) start_ms: i64,
    /// Without trades, its prices mean nothing.
    pub(super) candle: Candle,
    /// A trade of it is known and not in it.
    pub(super) lacks: bool,
    /// A trade in it was fetched later.
    pub(super) repaired: bool,
    /// The trade that flat bars after it follow, where that is not the one with its highest id.
    tip: Option<(u64, Price)>,
}

/// Buckets that wait in one interval. Trades come for the current bucket and, within the window, for one or two
/// before it in the shortest interval; a feed that is down can be fed from a snapshot of some minutes. With
/// more, trades are refused and counted.
pub(super) const BUCKETS_MAX: usize = 4_096;

impl Lane {
    pub(super) fn new(interval: Interval) -> Self {
        Self {
            interval,
            len_ms: interval.ms(),
            origin_ms: i64::MAX,
            next_ms: i64::MAX,
            begun: false,
            last: None,
            // The current bucket, and the one before it while it waits.
            buckets: VecDeque::with_capacity(2),
            closed: Ring::new(interval.ms()),
        }
    }

    /// Whether the feed was ever alive for it.
    pub(super) fn has_origin(&self) -> bool {
        self.origin_ms != i64::MAX
    }

    /// The feed is alive for the first time: bars begin with the bucket that holds this time.
    pub(super) fn handle_origin(&mut self, time_ms: i64) {
        self.origin_ms = self.interval.start_of(time_ms);
        self.next_ms = self.origin_ms;
    }

    pub(super) fn origin_ms(&self) -> i64 {
        self.origin_ms
    }

    pub(super) fn next_ms(&self) -> i64 {
        self.next_ms
    }

    /// Before the first bar.
    pub(super) fn precedes(&self, time_ms: i64) -> bool {
        time_ms < self.origin_ms
    }

    /// In a bar that is closed.
    pub(super) fn is_late(&self, time_ms: i64) -> bool {
        time_ms >= self.origin_ms && time_ms < self.next_ms
    }

    /// In a bar that is open.
    pub(super) fn takes(&self, time_ms: i64) -> bool {
        time_ms >= self.next_ms
    }

    /// A trade from before the first bar.
    pub(super) fn handle_reference(&mut self, id: u64, price: Price) {
        if !self.begun && self.last.is_none_or(|(last, _)| id > last) {
            self.last = Some((id, price));
        }
    }

    /// The bucket that holds the time, or where it belongs.
    #[inline]
    fn find(&self, time_ms: i64) -> Result<usize, usize> {
        let Some(newest) = self.buckets.len().checked_sub(1) else {
            return Err(0);
        };
        let start = self.buckets[newest].start_ms;
        if time_ms >= start {
            return if time_ms - start < self.len_ms {
                Ok(newest)
            } else {
                Err(newest + 1)
            };
        }
        let after = self.buckets.partition_point(|b| b.start_ms <= time_ms);
        match after.checked_sub(1) {
            Some(at) if time_ms - self.buckets[at].start_ms < self.len_ms => Ok(at),
            _ => Err(after),
        }
    }

    #[inline]
    pub(super) fn bucket(&self, time_ms: i64) -> Option<&Bucket> {
        self.find(time_ms).ok().map(|at| &self.buckets[at])
    }

    /// Whether another bucket can be held.
    #[inline]
    pub(super) fn has_room(&self, time_ms: i64) -> bool {
        self.buckets.len() < BUCKETS_MAX || self.find(time_ms).is_ok()
    }

    /// The bucket that holds the time, made if need be.
    #[inline]
    pub(super) fn bucket_mut(&mut self, time_ms: i64) -> &mut Bucket {
        let at = match self.find(time_ms) {
            Ok(at) => at,
            Err(at) => {
                let bucket = Bucket {
                    start_ms: self.interval.start_of(time_ms),
                    candle: Candle::flat(Price::ZERO),
                    lacks: false,
                    repaired: false,
                    tip: None,
                };
                self.buckets.insert(at, bucket);
                at
            }
        };
        &mut self.buckets[at]
    }

    /// Notes that a known trade of the bucket is not in it, if the bucket is open. False where it cannot be held.
    #[must_use]
    pub(super) fn mark(&mut self, time_ms: i64) -> bool {
        let has_room = !self.takes(time_ms) || self.has_room(time_ms);
        if self.takes(time_ms) && has_room {
            self.bucket_mut(time_ms).lacks = true;
        }
        has_room
    }

    /// Ids from `cut` on are void: flat bars follow another trade. The bars that hold void ones keep them, as
    /// there is no telling which part is wrong; the caller marks them.
    pub(super) fn handle_cut(
        &mut self,
        cut: u64,
        top: Option<(u64, Price)>,
        next: Option<(u64, Price)>,
    ) {
        if let Some((last, price)) = &mut self.last
            && *last >= cut
        {
            // Without any other, the price stands until there is one.
            (*last, *price) = top.unwrap_or((0, *price));
        }
        let Some((id, price)) = top.or(next) else {
            return;
        };
        for bucket in &mut self.buckets {
            if bucket.candle.last_id() >= Some(cut) {
                bucket.tip = Some((id, price));
            }
        }
    }

    /// Start of the bar that is next to close. Before any price is known there is none: a flat bar needs one.
    #[inline]
    pub(super) fn due_start_ms(&self) -> Option<i64> {
        if self.last.is_some() {
            return (self.next_ms != i64::MAX).then_some(self.next_ms);
        }
        let priced = self.buckets.iter().find(|bucket| bucket.candle.count > 0)?;
        Some(priced.start_ms)
    }

    /// Takes out the bar that [`Lane::due_start_ms`] named; `told` is what is known of its time. It is not held yet.
    pub(super) fn close(
        &mut self,
        start_ms: i64,
        told: Completeness,
        newest_ms: i64,
    ) -> Option<Held> {
        while self
            .buckets
            .front()
            .is_some_and(|bucket| bucket.start_ms < start_ms)
        {
            // Marks without a price, from before the first price.
            self.buckets.pop_front();
        }
        let held = match self.buckets.front() {
            Some(bucket) if bucket.start_ms == start_ms => self.buckets.pop_front(),
            _ => None,
        };
        let candle = match held {
            Some(bucket) if bucket.candle.count > 0 => {
                if let Some((id, price)) = bucket.tip()
                    && self.last.is_none_or(|(last, _)| id > last)
                {
                    self.last = Some((id, price));
                }
                bucket.candle
            }
            _ => Candle::flat(self.last?.1),
        };
        self.next_ms = start_ms + self.len_ms;
        self.begun = true;
        let lacks = held.is_some_and(|bucket| bucket.lacks);
        let repaired = held.is_some_and(|bucket| bucket.repaired);
        Some(Held {
            start_ms,
            len: 1,
            candle,
            tip_id: match candle.ids {
                Some(_) => 0,
                None => self.last.map_or(0, |(id, _)| id),
            },
            lacks,
            repaired,
            completeness: of_parts(&candle, lacks, repaired).merge(told),
            rev: 0,
            closed_ms: newest_ms,
            changed: false,
            pending: false,
        })
    }

    /// Whether a trade of that time is in a bar that can be amended.
    pub(super) fn amends(&self, time_ms: i64) -> bool {
        self.is_late(time_ms) && self.closed.holds(time_ms)
    }

    /// Whether the bar of that time can take the candle without leaving the range of a sum.
    #[inline]
    pub(super) fn fits(&self, time_ms: i64, one: &Candle) -> bool {
        if self.takes(time_ms) {
            self.bucket(time_ms).is_none_or(|bucket| bucket.fits(one))
        } else {
            !self.is_late(time_ms) || self.closed.fits(time_ms, one)
        }
    }

    /// Adds a trade to the bar of its time, open or closed; `one` is its candle.
    #[inline]
    pub(super) fn add(
        &mut self,
        trade: &Trade,
        one: &Candle,
        repaired: bool,
    ) -> Result<(), CandleError> {
        if self.takes(trade.time_ms) {
            let bucket = self.bucket_mut(trade.time_ms);
            bucket.add(one)?;
            bucket.repaired |= repaired;
            return Ok(());
        }
        if self.is_late(trade.time_ms) {
            self.closed.merge(trade, one, repaired)?;
            if self.last.is_none_or(|(last, _)| trade.id > last) {
                self.last = Some((trade.id, trade.price));
            }
        }
        Ok(())
    }

    /// No bar that ends before can be amended in whole.
    pub(super) fn gone_until_ms(&self) -> i64 {
        self.closed.gone_until_ms
    }

    /// The price of the highest id before the time.
    pub(super) fn price_before(&self, time_ms: i64) -> Option<Price> {
        let held = self
            .buckets
            .iter()
            .take_while(|bucket| bucket.start_ms < time_ms)
            .filter_map(Bucket::tip);
        held.chain(self.last)
            .max_by_key(|(id, _)| *id)
            .map(|(_, price)| price)
    }

    pub(super) fn heap_bytes(&self) -> usize {
        self.closed.heap_bytes() + self.buckets.capacity() * size_of::<Bucket>()
    }
}

impl Bucket {
    /// The trade with the highest id that is not void.
    fn tip(&self) -> Option<(u64, Price)> {
        let highest = || Some((self.candle.last_id()?, self.candle.close));
        self.tip.or_else(highest)
    }

    /// Adds a candle of one trade.
    #[inline]
    pub(super) fn add(&mut self, one: &Candle) -> Result<(), CandleError> {
        self.candle.merge(one)?;
        if let (Some(tip), Some(id)) = (&mut self.tip, one.last_id())
            && id > tip.0
        {
            *tip = (id, one.close);
        }
        Ok(())
    }

    /// Whether the candle can be merged without leaving the range of a sum.
    #[inline]
    pub(super) fn fits(&self, other: &Candle) -> bool {
        self.candle.volume.checked_add(other.volume).is_some()
            && self
                .candle
                .quote_volume
                .checked_add(other.quote_volume)
                .is_some()
    }
}
