// Pure: what a client was told, and whether it is what the contract promises: every close exactly once, in order.
#![deny(clippy::disallowed_methods)]

use std::collections::BTreeMap;
use std::fmt;
use std::time::Duration;

use wire::{Bar, Candle, Completeness, Topic};

/// One close or amendment as a client got it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// The topic's count of closes and amendments.
    pub close_no: u64,
    /// Unix milliseconds.
    pub start_ms: i64,
    /// Unix milliseconds of the first instant after it.
    pub end_ms: i64,
    /// 0 at the first close, +1 at each amendment.
    pub rev: u32,
    /// The publisher's fencing number.
    pub epoch: u64,
    /// What it said.
    pub candle: Candle,
    /// What it claimed.
    pub completeness: Completeness,
    /// When it came, since the Unix epoch. Not by a clock that is set meanwhile.
    pub at: Duration,
}

/// What broke the promise.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Violation {
    /// The next number was another.
    CloseNo {
        /// Of what.
        topic: Topic,
        /// The number that had to come.
        expected: u64,
        /// The number that came: below it is a double, above it a gap.
        got: u64,
    },
    /// A first close does not begin where the one before it ended.
    Start {
        /// Of what.
        topic: Topic,
        /// Unix milliseconds.
        expected_ms: i64,
        /// Unix milliseconds.
        got_ms: i64,
    },
    /// An amendment does not follow the last word on its bar.
    Rev {
        /// Of what.
        topic: Topic,
        /// Which bar, Unix milliseconds.
        start_ms: i64,
        /// What had to come.
        expected: u32,
        /// What came.
        got: u32,
    },
    /// A close of an owner before the one that has closed already.
    Epoch {
        /// Of what.
        topic: Topic,
        /// That of the close before.
        last: u64,
        /// What came.
        got: u64,
    },
    /// The server said that it cannot send these any more.
    Missed {
        /// Of what.
        topic: Topic,
        /// The first of them.
        from: u64,
        /// The last of them.
        to: u64,
    },
    /// Two clients were told different things under one number.
    Differs {
        /// Of what.
        topic: Topic,
        /// Which number.
        close_no: u64,
    },
    /// A connection that should have stayed ended, or brought what it must not.
    Connection(String),
}

impl fmt::Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::CloseNo {
                topic,
                expected,
                got,
            } if got < expected => {
                write!(f, "{topic}: close {got} came again, {expected} was next")
            }
            Self::CloseNo {
                topic,
                expected,
                got,
            } => write!(f, "{topic}: close {got} came, {expected} was next"),
            Self::Start {
                topic,
                expected_ms,
                got_ms,
            } => write!(
                f,
                "{topic}: the bar of {got_ms} closed, that of {expected_ms} was next"
            ),
            Self::Rev {
                topic,
                start_ms,
                expected,
                got,
            } => write!(
                f,
                "{topic}: rev {got} of {start_ms} came, {expected} was next"
            ),
            Self::Epoch { topic, last, got } => {
                write!(f, "{topic}: epoch fell from {last} to {got}")
            }
            Self::Missed { topic, from, to } => {
                write!(f, "{topic}: closes {from} to {to} can no longer be sent")
            }
            Self::Differs { topic, close_no } => {
                write!(f, "{topic}: close {close_no} is not the same for all")
            }
            Self::Connection(what) => f.write_str(what),
        }
    }
}

/// The closes of every topic in the order in which they came, and what was wrong with them.
#[derive(Debug, Clone, Default)]
pub struct Ledger {
    topics: BTreeMap<Topic, Vec<Entry>>,
    violations: Vec<Violation>,
}

impl Ledger {
    /// A bar has come; an open one says nothing here.
    pub fn handle_bar(&mut self, bar: &Bar, at: Duration) {
        if !bar.closed {
            return;
        }
        let entry = Entry {
            close_no: bar.close_no,
            start_ms: bar.start_ms,
            end_ms: bar.end_ms(),
            rev: bar.rev,
            epoch: bar.epoch,
            candle: bar.candle,
            completeness: bar.completeness,
            at,
        };
        let entries = self.topics.entry(bar.topic.clone()).or_default();
        let found = faults_of(&bar.topic, entries, &entry);
        self.violations.extend(found);
        entries.push(entry);
    }

    /// The server has said that closes can no longer be sent.
    pub fn handle_missed(&mut self, topic: Topic, from: u64, to: u64) {
        self.violations.push(Violation::Missed { topic, from, to });
    }

    /// The connection did what it must not.
    pub fn handle_connection(&mut self, what: impl Into<String>) {
        self.violations.push(Violation::Connection(what.into()));
    }

    /// Everything that was wrong so far.
    #[must_use]
    pub fn violations(&self) -> &[Violation] {
        &self.violations
    }

    /// The closes of a topic in the order in which they came.
    #[must_use]
    pub fn of(&self, topic: &Topic) -> &[Entry] {
        self.topics.get(topic).map_or(&[], Vec::as_slice)
    }

    /// The topics of which something has come.
    pub fn topics(&self) -> impl Iterator<Item = &Topic> {
        self.topics.keys()
    }

    /// How many closes and amendments have come in all.
    #[must_use]
    pub fn count(&self) -> usize {
        self.topics.values().map(Vec::len).sum()
    }

    /// What to subscribe with after a disconnect: the highest number of each topic.
    #[must_use]
    pub fn after(&self) -> BTreeMap<String, u64> {
        let highest = |entries: &[Entry]| entries.iter().map(|entry| entry.close_no).max();
        self.topics
            .iter()
            .filter_map(|(topic, entries)| Some((topic.to_string(), highest(entries)?)))
            .collect()
    }

    /// When the newest close of a topic came.
    #[must_use]
    pub fn last_at(&self, topic: &Topic) -> Option<Duration> {
        self.of(topic).last().map(|entry| entry.at)
    }

    /// How long closes of a topic were waited for after something broke at `since`, and for which most: the longest
    /// time from then, or from the end of a bar that ended later, to the coming of its first close. None while
    /// nothing has come since.
    #[must_use]
    pub fn waited_since(&self, topic: &Topic, since: Duration) -> Option<(Duration, &Entry)> {
        let later = self.of(topic).iter().filter(|entry| entry.at > since);
        let waited = later.filter(|entry| entry.rev == 0).map(|entry| {
            let ended = Duration::from_millis(u64::try_from(entry.end_ms).unwrap_or(0));
            (entry.at.saturating_sub(since.max(ended)), entry)
        });
        waited.max_by_key(|(waited, _)| *waited)
    }

    /// Where two clients were told different things: numbers that both have must name the same close.
    #[must_use]
    pub fn differences(&self, other: &Self) -> Vec<Violation> {
        let mut found = Vec::new();
        for (topic, entries) in &self.topics {
            let theirs: BTreeMap<_, _> = other
                .of(topic)
                .iter()
                .map(|entry| (entry.close_no, entry))
                .collect();
            for entry in entries {
                let same = |their: &&Entry| {
                    (their.start_ms, their.rev, &their.candle, their.completeness)
                        == (entry.start_ms, entry.rev, &entry.candle, entry.completeness)
                };
                let their = theirs.get(&entry.close_no);
                if their.is_some_and(|their| !same(their)) {
                    found.push(Violation::Differs {
                        topic: topic.clone(),
                        close_no: entry.close_no,
                    });
                }
            }
        }
        found
    }
}

/// What is wrong with `entry` after `before`. The first close of a topic is taken as it comes.
fn faults_of(topic: &Topic, before: &[Entry], entry: &Entry) -> Vec<Violation> {
    let mut found = Vec::new();
    let topic = || topic.clone();
    if let Some(last) = before.last()
        && entry.close_no != last.close_no + 1
    {
        found.push(Violation::CloseNo {
            topic: topic(),
            expected: last.close_no + 1,
            got: entry.close_no,
        });
    }
    if let Some(last) = before.last()
        && entry.epoch < last.epoch
    {
        found.push(Violation::Epoch {
            topic: topic(),
            last: last.epoch,
            got: entry.epoch,
        });
    }
    let of_bar = |other: &&Entry| other.start_ms == entry.start_ms;
    let newest = before.iter().rev().find(of_bar);
    if entry.rev == 0 {
        let first = before.iter().rev().find(|other| other.rev == 0);
        let expected_ms = first.map(|first| first.end_ms);
        if let Some(expected_ms) = expected_ms.filter(|expected| *expected != entry.start_ms) {
            found.push(Violation::Start {
                topic: topic(),
                expected_ms,
                got_ms: entry.start_ms,
            });
        }
    } else if let Some(expected) = newest.map(|newest| newest.rev + 1)
        && entry.rev != expected
    {
        // Of a bar that closed before this client came, any amendment may be the first one.
        found.push(Violation::Rev {
            topic: topic(),
            start_ms: entry.start_ms,
            expected,
            got: entry.rev,
        });
    }
    found
}

#[cfg(test)]
#[path = "ledger/tests.rs"]
mod tests;
