// Pure: a series that gives way to another, or to none.
#![deny(clippy::disallowed_methods)]

use super::{ALL, Engine, Series, SeriesIndex};
use crate::aggregate::snapshot::SeriesSnapshot;

impl Engine {
    /// One instrument as plain data: see [`Series::snapshot`].
    #[must_use]
    pub fn snapshot(&self, index: SeriesIndex) -> SeriesSnapshot {
        self.slot(index).series.snapshot()
    }

    /// Replaces an instrument's series by what the snapshot says: see [`Series::restore`]. Bars that are closed and
    /// not fetched are gone with the old one; its counts stay. Afterwards the caller says [`Engine::handle_series_up`].
    pub fn restore(&mut self, index: SeriesIndex, snapshot: &SeriesSnapshot) {
        self.replace(index, Series::restore(&self.config, snapshot));
    }

    /// What the snapshot says of an instrument's closed bars is what was published of them: see [`Series::adopt`].
    /// Where it gives false, the caller goes on by [`Engine::restore`].
    #[must_use]
    pub fn adopt(&mut self, index: SeriesIndex, snapshot: &SeriesSnapshot) -> bool {
        let adopted = self.with(index, |series| series.adopt(snapshot));
        self.soil(index, ALL);
        adopted
    }

    /// As if the instrument had just been added. Bars that are closed and not fetched are gone. Afterwards the caller
    /// says [`Engine::handle_series_up`].
    pub fn reset(&mut self, index: SeriesIndex) {
        self.replace(index, Series::new(&self.config));
    }

    fn replace(&mut self, index: SeriesIndex, mut series: Series) {
        let slot = self.slot_mut(index);
        series.set_counters(*slot.series.counters());
        slot.series = series;
        slot.begin_ms = i64::MIN;
        let feed = slot.feed;
        self.feed_mut(feed).due_ms = i64::MIN;
        self.note(index);
        self.soil(index, ALL);
    }

    /// The instrument is carried no more: its feed's clock does not reach it, so that it closes nothing, and what was
    /// kept of it is gone; its counts stay. Nothing may be handed in for it afterwards.
    pub fn release(&mut self, index: SeriesIndex) {
        self.replace(index, Series::new(&self.config));
        let slot = self.slot_mut(index);
        slot.released = true;
        let feed = slot.feed;
        self.feed_mut(feed)
            .members
            .retain(|&member| member != index);
    }
}
