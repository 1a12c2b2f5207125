// Pure: which of some symbols a venue has.
#![deny(clippy::disallowed_methods)]

use crate::venue::{InstrumentIndex, Listing, Page, Venue};

/// Asks a venue for all instruments of its adapter, one page at a time: [`Survey::poll_page`] and
/// [`Survey::handle_listing`] take turns, until there is no page.
#[derive(Debug)]
pub struct Survey {
    left: Vec<Vec<InstrumentIndex>>,
    asked: Vec<InstrumentIndex>,
    unknown: Vec<InstrumentIndex>,
}

impl Survey {
    /// Nothing is known yet.
    #[must_use]
    pub fn new(venue: &dyn Venue) -> Self {
        let all: Vec<InstrumentIndex> = venue.symbols().indices().collect();
        let left = all.chunks(venue.listing_len().max(1)).rev();
        Self {
            left: left.map(<[_]>::to_vec).collect(),
            asked: Vec::new(),
            unknown: Vec::new(),
        }
    }

    /// What to ask for now; `None` when all is known, or the venue tells nobody.
    pub fn poll_page(&mut self, venue: &dyn Venue) -> Option<Page> {
        self.asked = self.left.pop()?;
        venue.listing_page(&self.asked)
    }

    /// What the venue says to it; gives whether that tells anything. Where it lacks one of many, halves of them are
    /// asked for, until those that it lacks stand alone.
    pub fn handle_listing(&mut self, venue: &dyn Venue, listing: &Listing) -> bool {
        let asked = std::mem::take(&mut self.asked);
        match listing {
            Listing::Has(names) => {
                let symbols = venue.symbols();
                let lacks = |it: &InstrumentIndex| !names.contains(symbols.spelled(*it));
                self.unknown.extend(asked.into_iter().filter(lacks));
            }
            Listing::Lacks if asked.len() > 1 => {
                let (first, second) = asked.split_at(asked.len() / 2);
                self.left.extend([second.to_vec(), first.to_vec()]);
            }
            Listing::Lacks => self.unknown.extend(asked),
            Listing::Unclear => return false,
        }
        true
    }

    /// Those that the venue has not, in listing order.
    #[must_use]
    pub fn unknown(&self) -> &[InstrumentIndex] {
        &self.unknown
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use wire::Symbol;

    use super::*;
    use crate::venue::binance_spot::BinanceSpot;
    use crate::venue::coinbase::Coinbase;

    fn symbols(count: usize, quote: &str) -> Vec<Symbol> {
        let symbol = |n| Symbol::from_parts(&format!("S{n}"), quote).unwrap();
        (0..count).map(symbol).collect()
    }

    /// A venue that refuses what names one that it lacks; gives what was found, and in how many requests.
    fn found(venue: &dyn Venue, lacks: &[usize]) -> (Vec<usize>, usize) {
        let mut survey = Survey::new(venue);
        let mut requests = 0;
        while let Some(page) = survey.poll_page(venue) {
            requests += 1;
            assert!(survey.asked.len() <= 100, "{}", page.path);
            let has = survey.asked.iter().all(|it| !lacks.contains(&it.at()));
            let spelled = survey
                .asked
                .iter()
                .map(|&it| venue.symbols().spelled(it).to_owned());
            let listing = match has {
                true => Listing::Has(spelled.collect()),
                false => Listing::Lacks,
            };
            assert!(survey.handle_listing(venue, &listing));
        }
        let unknown = survey.unknown().iter().map(|it| it.at());
        (unknown.collect(), requests)
    }

    #[test]
    fn what_is_unknown_is_found_among_many_that_are_known() {
        let venue = BinanceSpot::new(&symbols(250, "USDT")).unwrap();
        assert_eq!(found(&venue, &[]), (vec![], 3));
        let (unknown, requests) = found(&venue, &[0, 77, 249]);
        assert_eq!(unknown, [0, 77, 249]);
        assert!(requests < 50, "{requests}");
        let few = BinanceSpot::new(&symbols(3, "USDT")).unwrap();
        assert_eq!(found(&few, &[0, 1, 2]), (vec![0, 1, 2], 5));
    }

    #[test]
    fn a_whole_listing_is_asked_for_once_and_what_says_nothing_ends_it() {
        let venue = Coinbase::new(&symbols(250, "USD")).unwrap();
        let mut survey = Survey::new(&venue);
        assert!(survey.poll_page(&venue).is_some());
        let names: BTreeSet<String> = (0..249).map(|n| format!("S{n}-USD")).collect();
        assert!(survey.handle_listing(&venue, &Listing::Has(names)));
        assert_eq!(survey.unknown(), [InstrumentIndex(249)]);
        assert_eq!(survey.poll_page(&venue), None);
        let mut survey = Survey::new(&venue);
        survey.poll_page(&venue);
        assert!(!survey.handle_listing(&venue, &Listing::Unclear));
    }
}
