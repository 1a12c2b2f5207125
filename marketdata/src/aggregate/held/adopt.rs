// Pure: an interval's closed bars, after another process has committed them.
#![deny(clippy::disallowed_methods)]

use std::collections::VecDeque;

use wire::Candle;

use super::{Gone, Held, Ring};

/// What becomes of a committed bar that may yet be amended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::aggregate) enum Choice {
    /// It is held as this.
    Hold(Box<Held>),
    /// It stays as it is for good.
    Final,
}

impl Ring {
    /// The bars of `committed`, all of which end by `next_ms`, each as `choose` says by our copy of it, if it is held
    /// here; and our own bars after them. Also gives those that stay as they are for good. `None` if `choose` does.
    pub(in crate::aggregate) fn adopt(
        &self,
        committed: &Self,
        next_ms: i64,
        mut choose: impl FnMut(Option<&Held>, &Held) -> Option<Choice>,
    ) -> Option<(Self, Vec<Gone>)> {
        let mut ring = Self {
            len_ms: self.len_ms,
            bars: VecDeque::with_capacity(committed.bars.len()),
            gone_until_ms: self.gone_until_ms.max(committed.gone_until_ms),
        };
        let mut gone = Vec::new();
        for entry in &committed.bars {
            let mut rest = Some(entry.clone());
            while let Some(mut bar) = rest {
                let (mine, until_ms) = self.part_at(bar.start_ms);
                // Neither is as long as a 32-bit number of bars.
                let len = (until_ms.min(self.end_ms(&bar)) - bar.start_ms) / self.len_ms;
                let len = u32::try_from(len).unwrap_or(bar.len).clamp(1, bar.len);
                rest = (len < bar.len).then(|| self.split(&mut bar, len));
                let mine = mine.map(|mine| Held {
                    start_ms: bar.start_ms,
                    len,
                    ..mine.clone()
                });
                match choose(mine.as_ref(), &bar)? {
                    Choice::Hold(held) => ring.push(*held),
                    Choice::Final => {
                        gone.push((bar.start_ms, self.end_ms(&bar), bar.completeness));
                    }
                }
            }
        }
        ring.bars.extend(self.from(next_ms));
        Some((ring, gone))
    }

    /// The entry that holds a time, and where it ends, or, without one, where the next begins.
    fn part_at(&self, time_ms: i64) -> (Option<&Held>, i64) {
        if let Some(at) = self.find(time_ms) {
            let bar = &self.bars[at];
            return (Some(bar), self.end_ms(bar));
        }
        let after = self.bars.partition_point(|bar| bar.start_ms <= time_ms);
        let next = self.bars.get(after);
        (None, next.map_or(i64::MAX, |bar| bar.start_ms))
    }

    /// The bars from a time on.
    fn from(&self, next_ms: i64) -> impl Iterator<Item = Held> + '_ {
        let after = self
            .bars
            .iter()
            .filter(move |bar| self.end_ms(bar) > next_ms);
        after.map(move |bar| {
            let mut bar = bar.clone();
            let before = (next_ms - bar.start_ms).max(0) / self.len_ms;
            match u32::try_from(before) {
                Ok(before) if before > 0 => self.split(&mut bar, before),
                _ => bar,
            }
        })
    }

    /// Our copy of a bar, if it is held.
    pub(in crate::aggregate) fn get(&self, time_ms: i64) -> Option<&Held> {
        self.find(time_ms).map(|at| &self.bars[at])
    }

    /// A trade in the bar of that time was fetched later.
    pub(in crate::aggregate) fn note_repaired(&mut self, time_ms: i64) {
        if let Some(at) = self.find(time_ms) {
            let at = self.isolate(at, time_ms);
            self.bars[at].repaired = true;
        }
    }

    /// Flat bars from a time on follow this trade, unless they follow a later one.
    pub(in crate::aggregate) fn follow(&mut self, from_ms: i64, id: u64, price: wire::Price) {
        let after = self.bars.iter_mut().filter(|bar| bar.start_ms >= from_ms);
        for bar in after.filter(|bar| bar.candle.count == 0 && bar.tip_id < id) {
            bar.tip_id = id;
            if bar.candle.close != price {
                bar.candle = Candle::flat(price);
                bar.changed = true;
            }
        }
    }
}
