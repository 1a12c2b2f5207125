// Pure: symbols as configured and as the venue spells them.
#![deny(clippy::disallowed_methods)]

use std::collections::HashMap;

use wire::Symbol;

/// An instrument's place in its source's list.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct InstrumentIndex(pub u32);

impl InstrumentIndex {
    /// As an index into a list.
    #[must_use]
    pub const fn at(self) -> usize {
        self.0 as usize
    }
}

/// The instruments of one source, both ways: by index, and by the venue's spelling. A spelling such as
/// `BTCUSDT` cannot be taken apart without knowing the assets, which is why it is only ever looked up here.
#[derive(Debug)]
pub struct Symbols {
    symbols: Vec<Symbol>,
    spelled: Vec<String>,
    /// Looked up only, never walked.
    by_spelling: HashMap<String, InstrumentIndex>,
}

/// Why a list of symbols was refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SymbolsError {
    /// Two of them are one to the venue.
    #[error("symbols {0} and {1} are the same {2} to the venue: list one of them")]
    Clash(Symbol, Symbol, String),
    /// No symbols.
    #[error("a source needs at least one symbol")]
    Empty,
    /// More than an index can count.
    #[error("{0} symbols are too many for one source")]
    TooMany(usize),
}

impl Symbols {
    /// Spells every symbol the venue's way.
    ///
    /// # Errors
    /// When there are none, or two are spelled alike.
    pub fn new(
        symbols: &[Symbol],
        spell: impl Fn(&Symbol) -> String,
    ) -> Result<Self, SymbolsError> {
        if symbols.is_empty() {
            return Err(SymbolsError::Empty);
        }
        let mut by_spelling: HashMap<String, InstrumentIndex> = HashMap::new();
        let mut spelled = Vec::with_capacity(symbols.len());
        for (at, symbol) in symbols.iter().enumerate() {
            let at = u32::try_from(at).map_err(|_| SymbolsError::TooMany(symbols.len()))?;
            let text = spell(symbol);
            if let Some(other) = by_spelling.insert(text.clone(), InstrumentIndex(at)) {
                let other = symbols[other.at()].clone();
                return Err(SymbolsError::Clash(other, symbol.clone(), text));
            }
            spelled.push(text);
        }
        Ok(Self {
            symbols: symbols.to_vec(),
            spelled,
            by_spelling,
        })
    }

    /// How many there are; at least one.
    #[must_use]
    #[expect(clippy::len_without_is_empty, reason = "never empty")]
    pub fn len(&self) -> usize {
        self.symbols.len()
    }

    /// The instrument that the venue spells so.
    #[must_use]
    pub fn find(&self, spelled: &str) -> Option<InstrumentIndex> {
        self.by_spelling.get(spelled).copied()
    }

    /// The venue's spelling.
    #[must_use]
    pub fn spelled(&self, instrument: InstrumentIndex) -> &str {
        &self.spelled[instrument.at()]
    }

    /// The canonical symbol.
    #[must_use]
    pub fn symbol(&self, instrument: InstrumentIndex) -> &Symbol {
        &self.symbols[instrument.at()]
    }

    /// All of them, in the listed order.
    pub fn indices(&self) -> impl Iterator<Item = InstrumentIndex> + use<> {
        // The constructor has checked that the length fits.
        (0..u32::try_from(self.symbols.len()).unwrap_or(u32::MAX)).map(InstrumentIndex)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_ways() {
        let list: Vec<Symbol> = ["BTC-USDT", "1INCH-EUR"]
            .map(|symbol| symbol.parse().unwrap())
            .into();
        let symbols = Symbols::new(&list, |s| format!("{}{}", s.base(), s.quote())).unwrap();
        for (index, symbol) in symbols.indices().zip(&list) {
            assert_eq!(symbols.find(symbols.spelled(index)), Some(index));
            assert_eq!(symbols.symbol(index), symbol);
        }
        assert_eq!(symbols.spelled(InstrumentIndex(1)), "1INCHEUR");
        assert_eq!(symbols.find("btcusdt"), None);
    }

    #[test]
    fn lists_that_cannot_be_told_apart_are_refused() {
        let check = |list: &[&str], expect: &str| {
            let list: Vec<Symbol> = list.iter().map(|s| s.parse().unwrap()).collect();
            let error = Symbols::new(&list, |s| format!("{}{}", s.base(), s.quote())).unwrap_err();
            assert!(error.to_string().contains(expect), "{error}");
        };
        check(&[], "at least one");
        check(&["BTC-USDT", "BTCU-SDT"], "the same BTCUSDT");
        check(&["BTC-USDT", "BTC-USDT"], "the same BTCUSDT");
    }
}
