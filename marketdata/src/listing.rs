// Pure: which instruments are carried, in which order, and who has the short topic.
#![deny(clippy::disallowed_methods)]

use std::collections::BTreeSet;

use wire::api::TopicEntry;
use wire::{Instrument, Interval, Symbol, Topic, Venue};

/// One instrument as listed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Listed {
    /// The instrument.
    pub instrument: Instrument,
    /// Whether its venue is the first to list its symbol: then its bars bear the short topic.
    pub short: bool,
}

impl Listed {
    /// The topic that its bars bear.
    #[must_use]
    pub fn topic(&self, interval: Interval) -> Topic {
        if self.short {
            Topic::short(interval, self.instrument.symbol.clone())
        } else {
            Topic::long(&self.instrument, interval)
        }
    }
}

/// Lists the instruments of the sources, in their order.
pub fn list<'a>(sources: impl IntoIterator<Item = (&'a Venue, &'a [Symbol])>) -> Vec<Listed> {
    let mut taken: BTreeSet<&Symbol> = BTreeSet::new();
    let mut listed = Vec::new();
    for (venue, symbols) in sources {
        for symbol in symbols {
            listed.push(Listed {
                instrument: Instrument::new(venue.clone(), symbol.clone()),
                short: taken.insert(symbol),
            });
        }
    }
    listed
}

/// The topics of the listed instruments, in their order, shortest interval first if the intervals are so sorted.
#[must_use]
pub fn topics(listed: &[Listed], intervals: &[Interval]) -> Vec<TopicEntry> {
    let entry = |listed: &Listed, interval: Interval| TopicEntry {
        topic: listed.topic(interval),
        venue: listed.instrument.venue.clone(),
        symbol: listed.instrument.symbol.clone(),
        interval,
    };
    listed
        .iter()
        .flat_map(|listed| {
            intervals
                .iter()
                .map(move |&interval| entry(listed, interval))
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_to_list_a_symbol_has_its_short_topic() {
        let venue = |name: &str| Venue::new(name).unwrap();
        let symbols = |names: &[&str]| -> Vec<Symbol> {
            names.iter().map(|name| name.parse().unwrap()).collect()
        };
        let (advanced, coinbase) = (venue("coinbase-advanced"), venue("coinbase"));
        let (first, second) = (symbols(&["BTC-USD"]), symbols(&["ETH-USD", "BTC-USD"]));
        let listed = list([(&advanced, &first[..]), (&coinbase, &second[..])]);
        let intervals = ["1s", "1m"].map(|text| text.parse().unwrap());
        let topics: Vec<String> = topics(&listed, &intervals)
            .iter()
            .map(|entry| format!("{} {}", entry.topic, entry.venue))
            .collect();
        let expect = [
            "kline:1s:BTC-USD coinbase-advanced",
            "kline:1m:BTC-USD coinbase-advanced",
            "kline:1s:ETH-USD coinbase",
            "kline:1m:ETH-USD coinbase",
            "kline:coinbase:1s:BTC-USD coinbase",
            "kline:coinbase:1m:BTC-USD coinbase",
        ];
        assert_eq!(topics, expect);
    }
}
