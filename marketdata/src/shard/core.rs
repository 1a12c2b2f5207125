// Pure: one shard's inputs become closes and open bars.
#![deny(clippy::disallowed_methods)]

use std::collections::{BTreeMap, HashMap};

use serde_json::value::RawValue;
use wire::{Bar, Instrument, Interval, Trade};

use crate::aggregate::{
    Closed, Config, Counters, Engine, Event, FeedIndex, Missing, OpenBar, SeriesIndex, TradeOutcome,
};
use crate::listing::Listed;
use crate::owner::{CheckpointError, Snapshot, Snapshots};
use crate::publish::{Content, Names, Numbers};
use crate::roster::Member;
use crate::route::Input;

/// A shard's engine, with what joins it to connections on one side and to topics on the other.
///
/// After each [`Core::handle_input`] the shell takes closes from [`Core::poll_close`] and events from
/// [`Core::poll_event`] until they give nothing: a bar takes trades until it is fetched, and local scheduling must
/// decide nothing.
#[derive(Debug)]
pub(crate) struct Core {
    engine: Engine,
    names: Names,
    members: Vec<Held>,
    /// The newest series of each instrument; looked up only.
    of: HashMap<Instrument, usize>,
    /// The way back from the engine; looked up only.
    places: HashMap<SeriesIndex, usize>,
    feeds: BTreeMap<u32, FeedIndex>,
}

/// A series.
#[derive(Debug)]
struct Held {
    index: SeriesIndex,
    /// Its place in the list of everything that this process carries.
    at: usize,
    /// How many connections carry it.
    connections: u32,
    /// The time of its newest trade, in Unix milliseconds.
    newest_ms: i64,
    /// False once its instrument is released: what its feed still brings is passed over.
    is_carried: bool,
}

impl Core {
    /// Without instruments.
    pub(crate) fn new(config: Config, intervals: Vec<Interval>) -> Self {
        Self {
            engine: Engine::new(config),
            names: Names::new(intervals),
            members: Vec::new(),
            of: HashMap::new(),
            places: HashMap::new(),
            feeds: BTreeMap::new(),
        }
    }

    /// Further instruments, in the order of their series numbers.
    pub(crate) fn handle_gained(&mut self, gained: Vec<Member>) {
        for Member { listed, feed, at } in gained {
            let engine = &mut self.engine;
            let feed = *self.feeds.entry(feed).or_insert_with(|| engine.add_feed());
            let index = engine.add(listed.instrument.clone(), feed);
            let series = self.members.len();
            self.places.insert(index, series);
            // One that was let go and comes again is a new series.
            if let Some(before) = self.of.insert(listed.instrument.clone(), series) {
                self.let_go(before);
            }
            self.names.handle_listed(listed);
            self.members.push(Held {
                index,
                at,
                connections: 0,
                newest_ms: i64::MIN,
                is_carried: true,
            });
        }
    }

    /// The series' topics have another name.
    pub(crate) fn handle_renamed(&mut self, series: u32, listed: Listed) {
        self.names.handle_renamed(series as usize, listed);
    }

    /// The instrument has no place here any more; gives its place in the list of everything, and its series.
    pub(crate) fn handle_released(&mut self, instrument: &Instrument) -> Option<(usize, u32)> {
        let series = self.of.remove(instrument)?;
        self.let_go(series);
        let number = u32::try_from(series).unwrap_or(u32::MAX);
        Some((self.members[series].at, number))
    }

    /// Its feed may live on with others: the engine must not go on closing its bars.
    fn let_go(&mut self, series: usize) {
        let held = &mut self.members[series];
        if std::mem::take(&mut held.is_carried) {
            self.engine.release(held.index);
        }
    }

    /// The instruments carried, with their places in the list of everything and their series.
    pub(crate) fn carried(&self) -> impl Iterator<Item = (&Instrument, usize, u32)> {
        let members = (0..).zip(&self.members);
        let carried = members.filter(|(_, held)| held.is_carried);
        carried.map(|(series, held)| (self.engine.instrument(held.index), held.at, series))
    }

    /// Takes an input; says what became of a trade, and of which instrument it was.
    #[inline]
    pub(crate) fn handle_input(&mut self, input: &Input) -> Option<(TradeOutcome, &Instrument)> {
        let outcome = self.tell_engine(input)?;
        match *input {
            Input::Trade { series, .. }
            | Input::Reference { series, .. }
            | Input::Repaired { series, .. } => {
                let index = self.members[series as usize].index;
                Some((outcome, self.engine.instrument(index)))
            }
            _ => None,
        }
    }

    #[inline]
    fn tell_engine(&mut self, input: &Input) -> Option<TradeOutcome> {
        match *input {
            Input::Trade {
                series,
                ref trade,
                event_time_ms,
            } => {
                let index = self.carried_index(series)?;
                return Some(self.handle_trade(series as usize, index, trade, event_time_ms));
            }
            Input::Reference { series, ref trade } => {
                let index = self.carried_index(series)?;
                return Some(self.engine.handle_reference(index, trade));
            }
            Input::Repaired { series, ref trade } => {
                let index = self.carried_index(series)?;
                return Some(self.engine.handle_repaired(index, trade));
            }
            Input::Void {
                series,
                from_id,
                to_id,
            } => {
                let index = self.carried_index(series)?;
                self.engine.handle_void(index, from_id, to_id);
            }
            Input::RepairEnd {
                series,
                from_id,
                to_id,
                again,
            } => {
                let index = self.carried_index(series)?;
                self.engine.handle_batch_end(index);
                if again {
                    self.engine.handle_missing_again(index, from_id, to_id);
                }
            }
            Input::Loss { series } => {
                let index = self.carried_index(series)?;
                self.engine.handle_loss(index);
            }
            Input::Clock { feed, venue_ms } => {
                if let Some(&feed) = self.feeds.get(&feed) {
                    self.engine.handle_clock(feed, venue_ms);
                }
            }
            Input::Up { series, venue_ms } => self.handle_up(series as usize, venue_ms),
            Input::Down { series } => self.handle_down(series as usize),
            // It is the shell's, which makes spans.
            Input::Sampled { .. } => {}
        }
        None
    }

    #[inline]
    fn carried_index(&self, series: u32) -> Option<SeriesIndex> {
        let held = &self.members[series as usize];
        held.is_carried.then_some(held.index)
    }

    /// A trade that is refused, or whose id was seen while its time is newer than all that was seen, has a
    /// damaged number, and there is no telling which: the bars that are open now may be the ones that lack it.
    #[inline]
    fn handle_trade(
        &mut self,
        series: usize,
        index: SeriesIndex,
        trade: &Trade,
        event_time_ms: i64,
    ) -> TradeOutcome {
        let outcome = self.engine.handle_trade(index, trade, event_time_ms);
        let newest_ms = &mut self.members[series].newest_ms;
        match outcome {
            TradeOutcome::Added => *newest_ms = trade.time_ms.max(*newest_ms),
            TradeOutcome::Rejected(_) => self.engine.handle_loss(index),
            TradeOutcome::Duplicate if trade.time_ms > *newest_ms => {
                self.engine.handle_loss(index);
            }
            _ => {}
        }
        outcome
    }

    /// While a connection takes over from another, two carry the instrument: it is up from the first to the last.
    fn handle_up(&mut self, series: usize, venue_ms: i64) {
        let held = &mut self.members[series];
        held.connections += 1;
        if held.connections == 1 && held.is_carried {
            self.engine.handle_series_up(held.index, Some(venue_ms));
        }
    }

    fn handle_down(&mut self, series: usize) {
        let held = &mut self.members[series];
        held.connections = held.connections.saturating_sub(1);
        if held.connections == 0 && held.is_carried {
            self.engine.handle_series_down(held.index);
        }
    }

    /// The next close or amendment.
    pub(crate) fn poll_close(&mut self) -> Option<(Instrument, Closed)> {
        while let Some((index, bar)) = self.engine.poll_close() {
            let series = self.places.get(&index).copied().unwrap_or_default();
            if self.members[series].is_carried {
                let instrument = self.engine.instrument(index).clone();
                return Some((instrument, bar));
            }
        }
        None
    }

    /// The instrument's engine goes on from this state, as if its feed had been down since; without one it begins anew.
    ///
    /// # Errors
    /// When the state cannot be read; the engine goes on from its own then.
    pub(crate) fn handle_restore(
        &mut self,
        instrument: &Instrument,
        state: Option<&Snapshot>,
    ) -> Result<(), CheckpointError> {
        let Some(held) = self.of.get(instrument).map(|&series| &self.members[series]) else {
            return Ok(());
        };
        match state {
            Some(state) => self.engine.restore(held.index, &*state.state()?),
            None => self.engine.reset(held.index),
        }
        if held.connections > 0 {
            // Alive from the next time heard on.
            self.engine.handle_series_up(held.index, None);
        }
        Ok(())
    }

    /// The instrument is ours: the engine's closed bars are what this state, beside them in the log, says of them. If it
    /// lacks what the state has, it goes on from that: see [`Core::handle_restore`]. Gives whether it goes on from its
    /// own.
    ///
    /// # Errors
    /// When the state cannot be read; the engine goes on from its own then.
    pub(crate) fn handle_taken(
        &mut self,
        instrument: &Instrument,
        state: &Snapshot,
    ) -> Result<bool, CheckpointError> {
        let Some(held) = self.of.get(instrument).map(|&series| &self.members[series]) else {
            return Ok(true);
        };
        if self.engine.adopt(held.index, &*state.state()?) {
            return Ok(true);
        }
        self.handle_restore(instrument, Some(state))?;
        Ok(false)
    }

    /// The bar of a close or an amendment.
    pub(crate) fn close(
        &self,
        instrument: &Instrument,
        close: &Closed,
        numbers: &Numbers,
    ) -> Option<Bar> {
        let series = *self.of.get(instrument)?;
        let content = content(series, &closed_as_open(close));
        self.names.close(&content, close.rev, numbers)
    }

    /// The next open bar that has changed since it was last given, with its instrument. `numbers` says under which
    /// numbers it may be published, if it may. To be drained before anything else is handled.
    pub(crate) fn poll_open(
        &mut self,
        mut numbers: impl FnMut(&Instrument, Interval) -> Option<Numbers>,
    ) -> Option<Bar> {
        loop {
            let (index, open) = self.engine.poll_open()?;
            let series = self.places.get(&index).copied().unwrap_or_default();
            if !self.members[series].is_carried {
                continue;
            }
            let instrument = self.engine.instrument(index);
            if let Some(numbers) = numbers(instrument, open.interval) {
                return self.names.open(&content(series, &open), &numbers);
            }
        }
    }

    /// All open bars are to be given again.
    pub(crate) fn handle_republish(&mut self) {
        self.engine.handle_republish();
    }

    /// Appends the ids that are to be fetched, each hole once, with the series number of its instrument: those that
    /// are missing for longer than `grace_ms` by the caller's clock, which `now_ms` is, and those that an outage left.
    pub(crate) fn poll_missing(
        &mut self,
        now_ms: i64,
        grace_ms: i64,
        out: &mut Vec<(usize, Missing)>,
    ) {
        let mut missing = Vec::new();
        self.engine.poll_missing(now_ms, grace_ms, &mut missing);
        for (index, missing) in missing {
            let series = self.places.get(&index).copied();
            out.extend(
                series
                    .filter(|&series| self.members[series].is_carried)
                    .map(|series| (series, missing)),
            );
        }
    }

    /// These could not be asked for; they are given again after the grace.
    pub(crate) fn handle_missing_again(&mut self, series: usize, missing: &Missing) {
        let index = self.members[series].index;
        self.engine
            .handle_missing_again(index, missing.from_id, missing.to_id);
    }

    /// What the engine has counted, of all instruments.
    pub(crate) fn counters(&self) -> Counters {
        self.engine.counters()
    }

    /// The next thing to count or log.
    pub(crate) fn poll_event(&mut self) -> Option<(&Instrument, Event)> {
        let (index, event) = self.engine.poll_event()?;
        Some((self.engine.instrument(index), event))
    }
}

impl Snapshots for Core {
    fn snapshot(&mut self, instrument: &Instrument) -> Snapshot {
        let series = self
            .of
            .get(instrument)
            .map(|&series| self.members[series].index);
        let state = series.map(|index| self.engine.snapshot(index));
        // A state has no map with keys that are not text, and nothing in it fails to be written; `null` is no state.
        let json = serde_json::value::to_raw_value(&state);
        Snapshot::new(json.unwrap_or_else(|_| RawValue::NULL.to_owned()))
    }
}

fn content(series: usize, bar: &OpenBar) -> Content {
    Content {
        series,
        interval: bar.interval,
        start_ms: bar.start_ms,
        candle: bar.candle,
        completeness: bar.completeness,
        event_time_ms: bar.event_time_ms,
    }
}

/// The two have the same fields, but for `rev`.
fn closed_as_open(closed: &Closed) -> OpenBar {
    OpenBar {
        interval: closed.interval,
        start_ms: closed.start_ms,
        candle: closed.candle,
        completeness: closed.completeness,
        event_time_ms: closed.event_time_ms,
    }
}

#[cfg(test)]
mod tests;
