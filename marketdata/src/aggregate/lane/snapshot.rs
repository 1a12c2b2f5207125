// Pure: one interval as plain data.
#![deny(clippy::disallowed_methods)]

use wire::{Candle, Price};

use super::{Bucket, Lane};
use crate::aggregate::clock::is_plausible;
use crate::aggregate::held::{Gone, Held, Ring};
use crate::aggregate::snapshot::{
    BucketSnapshot, CandleSnapshot, HELD_MAX, HeldSnapshot, LaneSnapshot,
};

impl Lane {
    pub(in crate::aggregate) fn snapshot(
        &self,
        is_proven: impl Fn(i64, i64) -> bool,
    ) -> (LaneSnapshot, Vec<Gone>) {
        let (gone_ms, held, gone) = self.closed.snapshot(is_proven);
        let bucket = |bucket: &Bucket| BucketSnapshot {
            start: bucket.start_ms,
            candle: CandleSnapshot::of(&bucket.candle),
            lacks: bucket.lacks,
            repaired: bucket.repaired,
            tip: bucket.tip,
        };
        let lane = LaneSnapshot {
            interval: self.interval,
            origin: (self.origin_ms != i64::MAX).then_some(self.origin_ms),
            next: (self.next_ms != i64::MAX).then_some(self.next_ms),
            begun: self.begun,
            last: self.last,
            open: self.buckets.iter().map(bucket).collect(),
            gone: (gone_ms != i64::MIN).then_some(gone_ms),
            held,
        };
        (lane, gone)
    }

    /// As it was. What a snapshot cannot say truly is left out.
    pub(in crate::aggregate) fn restore(snapshot: &LaneSnapshot) -> Self {
        let mut lane = Self::new(snapshot.interval);
        let (Some(origin), Some(next)) = (snapshot.origin, snapshot.next) else {
            lane.last = snapshot.last;
            return lane;
        };
        let begins = |ms: i64| is_plausible(ms) && lane.interval.start_of(ms) == ms;
        if !begins(origin) || !begins(next) || next < origin {
            return lane;
        }
        for bucket in &snapshot.open {
            let newest = lane.buckets.back().map(|bucket| bucket.start_ms);
            if !begins(bucket.start) || bucket.start < next || newest >= Some(bucket.start) {
                continue;
            }
            let candle = bucket.candle.as_ref().map(CandleSnapshot::candle);
            lane.buckets.push_back(Bucket {
                start_ms: bucket.start,
                candle: candle.unwrap_or_else(|| Candle::flat(Price::ZERO)),
                lacks: bucket.lacks,
                repaired: bucket.repaired,
                tip: bucket.tip,
            });
        }
        lane.origin_ms = origin;
        lane.next_ms = next;
        lane.begun = snapshot.begun;
        lane.last = snapshot.last;
        lane.closed = Ring::restore(snapshot, next);
        lane
    }
}

impl Ring {
    /// What is not whole, not proven or not given yet, the newest of it; the end of the newest whole bar that is
    /// left out; and what is left out though it is not whole.
    fn snapshot(
        &self,
        is_proven: impl Fn(i64, i64) -> bool,
    ) -> (i64, Vec<HeldSnapshot>, Vec<Gone>) {
        let (mut gone_ms, mut held, mut gone) = (self.gone_until_ms, Vec::new(), Vec::new());
        for bar in self.bars.iter().rev() {
            let changed = bar.changed || bar.pending;
            let end_ms = self.end_ms(bar);
            let settled = bar.is_whole() && !changed && is_proven(bar.start_ms, end_ms);
            if settled || held.len() >= HELD_MAX {
                if bar.is_whole() {
                    gone_ms = gone_ms.max(end_ms);
                } else {
                    gone.push((bar.start_ms, end_ms, bar.completeness));
                }
                continue;
            }
            let flat = bar.candle.count == 0;
            held.push(HeldSnapshot {
                start: bar.start_ms,
                n: bar.len,
                candle: CandleSnapshot::of(&bar.candle),
                tip: flat.then_some((bar.tip_id, bar.candle.close)),
                lacks: bar.lacks,
                repaired: bar.repaired,
                completeness: bar.completeness,
                rev: bar.rev,
                closed: bar.closed_ms,
                changed,
            });
        }
        held.reverse();
        gone.reverse();
        (gone_ms, held, gone)
    }

    /// As it was. What a snapshot cannot say truly is left out; all of it was closed before `next_ms`.
    fn restore(snapshot: &LaneSnapshot, next_ms: i64) -> Self {
        let len_ms = snapshot.interval.ms();
        let mut ring = Self::new(len_ms);
        ring.gone_until_ms = snapshot.gone.unwrap_or(i64::MIN);
        let mut after_ms = i64::MIN;
        for held in &snapshot.held {
            let begins =
                is_plausible(held.start) && snapshot.interval.start_of(held.start) == held.start;
            let end_ms = held.start.saturating_add(i64::from(held.n) * len_ms);
            let flat = held.tip.map(|(id, price)| (id, Candle::flat(price)));
            let trades = held.candle.as_ref().map(|candle| (0, candle.candle()));
            let Some((tip_id, candle)) = trades.or(flat) else {
                continue;
            };
            let fits = held.n == 1 || (held.n > 1 && candle.count == 0);
            if !begins || !fits || held.start < after_ms || end_ms > next_ms {
                continue;
            }
            after_ms = end_ms;
            ring.bars.push_back(Held {
                start_ms: held.start,
                len: held.n,
                candle,
                tip_id,
                lacks: held.lacks,
                repaired: held.repaired,
                completeness: held.completeness,
                rev: held.rev,
                closed_ms: held.closed,
                changed: held.changed,
                pending: false,
            });
        }
        ring
    }
}
