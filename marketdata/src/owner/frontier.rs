// Pure: where each topic of an instrument stands in the log.
#![deny(clippy::disallowed_methods)]

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use wire::Interval;

use crate::aggregate::Closed;

/// One instrument's topics, by interval. A topic without a close is not in it.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Default)]
pub struct Frontier {
    topics: BTreeMap<Interval, Place>,
}

/// Where a topic stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Place {
    /// Start of the next bar to close, in Unix milliseconds.
    pub next_start_ms: i64,
    /// The number of the last close or amendment.
    pub close_no: u64,
}

/// A topic's place as a checkpoint's text has it.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct PlaceText {
    interval: Interval,
    next_start: i64,
    close_no: u64,
}

impl Frontier {
    /// Where the topic stands; `None` before its first close.
    #[must_use]
    pub fn place(&self, interval: Interval) -> Option<Place> {
        self.topics.get(&interval).copied()
    }

    /// The topics with a close, shortest interval first.
    pub fn places(&self) -> impl Iterator<Item = (Interval, Place)> + '_ {
        self.topics
            .iter()
            .map(|(&interval, &place)| (interval, place))
    }

    /// Whether the bar's close is committed.
    #[must_use]
    pub fn covers(&self, interval: Interval, start_ms: i64) -> bool {
        self.place(interval)
            .is_some_and(|place| start_ms < place.next_start_ms)
    }

    /// Moves on by a close or an amendment; gives its number. `None`, and nothing is moved, for a close that is not the
    /// next one, or an amendment of a bar that is not closed.
    pub(super) fn handle_close(&mut self, close: &Closed) -> Option<u64> {
        let interval = close.interval;
        let start_ms = close.start_ms;
        let place = self.topics.get(&interval);
        let follows = match (close.rev, place) {
            (0, None) => true,
            (0, Some(place)) => start_ms == place.next_start_ms,
            (_, None) => false,
            (_, Some(place)) => start_ms < place.next_start_ms,
        };
        if !follows {
            return None;
        }
        let after_ms = start_ms + interval.ms();
        let place = self.topics.entry(interval).or_insert(Place {
            next_start_ms: after_ms,
            close_no: 0,
        });
        place.next_start_ms = place.next_start_ms.max(after_ms);
        place.close_no += 1;
        Some(place.close_no)
    }

    pub(super) fn texts(&self) -> Vec<PlaceText> {
        let text = |(interval, place): (Interval, Place)| PlaceText {
            interval,
            next_start: place.next_start_ms,
            close_no: place.close_no,
        };
        self.places().map(text).collect()
    }

    pub(super) fn from_texts(texts: Vec<PlaceText>) -> Self {
        let place = |text: PlaceText| {
            let place = Place {
                next_start_ms: text.next_start,
                close_no: text.close_no,
            };
            (text.interval, place)
        };
        Self {
            topics: texts.into_iter().map(place).collect(),
        }
    }
}
