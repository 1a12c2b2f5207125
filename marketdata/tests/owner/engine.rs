//! A stand-in for aggregation. What a topic's bars hold follows from the time alone, so that every process computes the
//! same; some trades come late, so that bars are amended.

use std::collections::BTreeMap;

use marketdata::aggregate::Closed;
use marketdata::owner::Snapshot;
use serde_json::value::RawValue;
use wire::{Candle, Completeness, Interval};

/// Lengths in ticks (seconds) of an instrument's two topics.
pub(crate) const LENS: [i64; 2] = [1, 2];

/// Ticks after its bar's end at which a late trade comes.
const LATE: i64 = 1;

/// A bar: which of [`LENS`], and its number.
pub(crate) type BarId = (usize, i64);

/// What was said of a bar: its `rev`, and how many trades it has.
pub(crate) type Said = (u32, u64);

pub(crate) fn interval(topic: usize) -> Interval {
    Interval::from_secs(LENS[topic] as u32).unwrap()
}

/// How many trades the bar has, as far as is known at this tick.
pub(crate) fn known((topic, number): BarId, tick: i64) -> u64 {
    let len = LENS[topic];
    let second = |s: i64| 1 + u64::from(s.rem_euclid(3) == 1 && tick > s + LATE);
    (number * len..(number + 1) * len).map(second).sum()
}

/// One series.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Default)]
pub(crate) struct Series {
    /// How far the feed has told it.
    pub(crate) tick: i64,
    /// The next bar to close of each topic; `None` before it was first fed.
    lanes: Option<[i64; 2]>,
    said: BTreeMap<BarId, Said>,
}

impl Series {
    /// The feed has come up to here. Bars begin with the first tick that is fed.
    pub(crate) fn feed(&mut self, tick: i64) {
        let first = || LENS.map(|len| tick.div_euclid(len));
        self.lanes.get_or_insert_with(first);
        self.tick = self.tick.max(tick);
    }

    /// The next bar that is amended or closed.
    pub(crate) fn poll_close(&mut self) -> Option<Closed> {
        let amended = self
            .said
            .iter()
            .find(|&(&bar, &(_, count))| known(bar, self.tick) > count);
        if let Some((&bar, &(rev, _))) = amended {
            return Some(self.say(bar, rev + 1));
        }
        let lanes = self.lanes.as_mut()?;
        let due = |topic: &usize| (lanes[*topic] + 1) * LENS[*topic];
        let topic = (0..LENS.len()).min_by_key(due)?;
        if due(&topic) > self.tick {
            return None;
        }
        let bar = (topic, lanes[topic]);
        lanes[topic] += 1;
        Some(self.say(bar, 0))
    }

    fn say(&mut self, bar: BarId, rev: u32) -> Closed {
        let count = known(bar, self.tick);
        self.said.insert(bar, (rev, count));
        let interval = interval(bar.0);
        let candle = Candle {
            count,
            ids: Some((0, count - 1)),
            ..Candle::flat("1".parse().unwrap())
        };
        Closed {
            rev,
            interval,
            start_ms: bar.1 * interval.ms(),
            candle,
            completeness: Completeness::Complete,
            event_time_ms: 0,
        }
    }

    /// Its state, without how far it was fed: that comes again.
    pub(crate) fn snapshot(&self) -> Snapshot {
        let said: Vec<(BarId, Said)> = self.said.iter().map(|(&bar, &said)| (bar, said)).collect();
        let text = serde_json::to_string(&(self.lanes, said)).unwrap();
        Snapshot::new(RawValue::from_string(text).unwrap())
    }

    /// Goes on from a state. What the feed has told since is fetched.
    pub(crate) fn restore(&mut self, from: &Snapshot) {
        (self.lanes, self.said) = read(from);
    }

    /// What is committed stays as it is; what it lacks is amended.
    pub(crate) fn reconcile(&mut self, with: &Snapshot) {
        let (_, committed) = read(with);
        self.said.extend(committed);
    }
}

/// What a state holds: the next bar of each topic, and what was said of the bars before.
pub(crate) fn read(state: &Snapshot) -> (Option<[i64; 2]>, BTreeMap<BarId, Said>) {
    let (lanes, said): (_, Vec<(BarId, Said)>) = serde_json::from_str(state.get()).unwrap();
    (lanes, said.into_iter().collect())
}
