// Pure: one interval, after another process has committed bars of it.
#![deny(clippy::disallowed_methods)]

use wire::Candle;

use super::Lane;
use crate::aggregate::held::Ring;

impl Lane {
    /// Whether the other, from whose state this was taken, has closed a bar.
    pub(in crate::aggregate) fn has_begun(&self) -> bool {
        self.begun
    }

    /// The other's open bars with trades: where each begins, and what it holds.
    pub(in crate::aggregate) fn open_candles(&self) -> impl Iterator<Item = (i64, &Candle)> {
        let traded = self.buckets.iter().filter(|bucket| bucket.candle.count > 0);
        traded.map(|bucket| (bucket.start_ms, &bucket.candle))
    }

    /// What we hold of the bar of a time, open or closed.
    pub(in crate::aggregate) fn candle_at(&self, time_ms: i64) -> Option<&Candle> {
        if self.takes(time_ms) {
            return self.bucket(time_ms).map(|bucket| &bucket.candle);
        }
        self.closed.get(time_ms).map(|held| &held.candle)
    }

    /// Bars before the other's next one are those of `closed`, if it has any; what is after them stays ours.
    pub(in crate::aggregate) fn adopt(&mut self, committed: &Self, closed: Option<Ring>) {
        if let Some(closed) = closed {
            self.closed = closed;
        }
        let repaired = committed.buckets.iter().filter(|bucket| bucket.repaired);
        for start_ms in repaired.map(|bucket| bucket.start_ms) {
            if !self.takes(start_ms) {
                self.closed.note_repaired(start_ms);
            } else if let Ok(at) = self.find(start_ms) {
                self.buckets[at].repaired = true;
            }
        }
        if let Some((id, price)) = committed.last {
            if self.last.is_none_or(|(last, _)| id > last) {
                self.last = Some((id, price));
            }
            self.closed.follow(committed.next_ms, id, price);
        }
    }
}
