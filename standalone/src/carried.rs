// Pure: what this process carries, and which instrument a topic means.
#![deny(clippy::disallowed_methods)]

use std::collections::BTreeSet;

use wire::api::{TopicEntry, TopicList};
use wire::{Instrument, Interval, Symbol, Topic, Venue};

/// The instruments and intervals of one process. The order of instruments is the order of listing: the
/// first venue to list a symbol has its short topic.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Carried {
    instruments: Vec<Instrument>,
    intervals: Vec<Interval>,
}

impl Carried {
    /// Takes instruments and intervals; what is repeated counts once. Venues are listed in the order in which
    /// they first appear, the instruments of each in theirs.
    #[must_use]
    pub fn new(
        instruments: impl IntoIterator<Item = Instrument>,
        intervals: impl IntoIterator<Item = Interval>,
    ) -> Self {
        let mut seen = BTreeSet::new();
        let instruments = instruments.into_iter().filter(|it| seen.insert(it.clone()));
        let mut instruments: Vec<_> = instruments.collect();
        let mut venues: Vec<Venue> = Vec::new();
        for instrument in &instruments {
            if !venues.contains(&instrument.venue) {
                venues.push(instrument.venue.clone());
            }
        }
        instruments.sort_by_key(|instrument| venues.iter().position(|it| *it == instrument.venue));
        let intervals: BTreeSet<Interval> = intervals.into_iter().collect();
        Self {
            instruments,
            intervals: intervals.into_iter().collect(),
        }
    }

    /// The instruments in listing order.
    #[must_use]
    pub fn instruments(&self) -> &[Instrument] {
        &self.instruments
    }

    /// The venues in listing order, each with its symbols.
    #[must_use]
    pub fn venues(&self) -> Vec<(Venue, Vec<Symbol>)> {
        let of_one = self.instruments.chunk_by(|a, b| a.venue == b.venue);
        of_one
            .map(|of| {
                (
                    of[0].venue.clone(),
                    of.iter().map(|it| it.symbol.clone()).collect(),
                )
            })
            .collect()
    }

    /// The intervals, shortest first.
    #[must_use]
    pub fn intervals(&self) -> &[Interval] {
        &self.intervals
    }

    /// The instrument that a symbol means: the one of that venue, or of the first venue to list it.
    #[must_use]
    pub fn find(&self, venue: Option<&Venue>, symbol: &Symbol) -> Option<&Instrument> {
        self.instruments.iter().find(|instrument| {
            instrument.symbol == *symbol && venue.is_none_or(|venue| instrument.venue == *venue)
        })
    }

    /// The name that the instrument's bars bear: short where its venue is the first to list the symbol.
    #[must_use]
    pub fn topic(&self, instrument: &Instrument, interval: Interval) -> Topic {
        if self.find(None, &instrument.symbol) == Some(instrument) {
            Topic::short(interval, instrument.symbol.clone())
        } else {
            Topic::long(instrument, interval)
        }
    }

    /// The body of `GET /api/v1/topics`.
    #[must_use]
    pub fn list(&self) -> TopicList {
        let entry = |instrument: &Instrument, interval| TopicEntry {
            topic: self.topic(instrument, interval),
            venue: instrument.venue.clone(),
            symbol: instrument.symbol.clone(),
            interval,
        };
        let of = |instrument| {
            self.intervals
                .iter()
                .map(move |interval| entry(instrument, *interval))
        };
        TopicList {
            topics: self.instruments.iter().flat_map(of).collect(),
        }
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    pub(crate) fn instrument(venue: &str, symbol: &str) -> Instrument {
        Instrument::new(Venue::new(venue).unwrap(), Symbol::new(symbol).unwrap())
    }

    /// BTC-USD at two venues, and a symbol of the second alone.
    pub(crate) fn carried() -> Carried {
        let instruments = [
            instrument("coinbase", "BTC-USD"),
            instrument("coinbase-advanced", "BTC-USD"),
            instrument("coinbase-advanced", "ETH-USD"),
            instrument("coinbase", "BTC-USD"),
        ];
        Carried::new(
            instruments,
            ["1m", "1s", "1m"].map(|text| text.parse().unwrap()),
        )
    }

    #[test]
    fn the_first_to_list_a_symbol_has_its_short_topic() {
        let topics: Vec<_> = carried()
            .list()
            .topics
            .iter()
            .map(|entry| (entry.topic.to_string(), entry.venue.to_string()))
            .collect();
        let expect = [
            ("kline:1s:BTC-USD", "coinbase"),
            ("kline:1m:BTC-USD", "coinbase"),
            ("kline:coinbase-advanced:1s:BTC-USD", "coinbase-advanced"),
            ("kline:coinbase-advanced:1m:BTC-USD", "coinbase-advanced"),
            ("kline:1s:ETH-USD", "coinbase-advanced"),
            ("kline:1m:ETH-USD", "coinbase-advanced"),
        ];
        let expect = expect.map(|(topic, venue)| (topic.to_owned(), venue.to_owned()));
        assert_eq!(topics, expect);
    }

    #[test]
    fn a_venue_is_listed_where_it_first_appears() {
        let instruments = [
            instrument("coinbase", "ETH-USD"),
            instrument("coinbase-advanced", "BTC-USD"),
            instrument("coinbase", "BTC-USD"),
        ];
        let carried = Carried::new(instruments, [Interval::S1]);
        let shown = |(venue, symbols): (Venue, Vec<Symbol>)| format!("{venue} {}", symbols.len());
        let venues: Vec<_> = carried.venues().into_iter().map(shown).collect();
        assert_eq!(venues, ["coinbase 2", "coinbase-advanced 1"]);
        let btc = carried
            .find(None, &Symbol::new("BTC-USD").unwrap())
            .unwrap();
        assert_eq!(btc.venue.as_str(), "coinbase");
    }

    #[test]
    fn a_symbol_without_a_venue_is_the_first_ones() {
        let check = |venue: Option<&str>, symbol: &str, expect: Option<&str>| {
            let venue = venue.map(|venue| Venue::new(venue).unwrap());
            let carried = carried();
            let found = carried.find(venue.as_ref(), &Symbol::new(symbol).unwrap());
            assert_eq!(found.map(ToString::to_string).as_deref(), expect);
        };
        check(None, "BTC-USD", Some("coinbase/BTC-USD"));
        check(
            Some("coinbase-advanced"),
            "BTC-USD",
            Some("coinbase-advanced/BTC-USD"),
        );
        check(None, "ETH-USD", Some("coinbase-advanced/ETH-USD"));
        check(Some("coinbase"), "ETH-USD", None);
        check(None, "SOL-USD", None);
    }
}
