// Pure: addresses on the bus. Every token is checked when it is made, so that none can hold `.`, `*`, `>` or a space.
use std::fmt;
use std::str::FromStr;

use crate::interval::IntervalError;
use crate::token::{TokenError, check_lower, shown, token};
use crate::{Instrument, Interval, Symbol, Venue};

mod checkpoint;

mod grammar;

use grammar::{Tokens, Written};

pub use checkpoint::CheckpointSubject;
pub use grammar::{Part, Role, Rule, Transport, grammar};

token! {
    /// Names one feed on the bus. The operator's default is `<namespace>-<name>`.
    Env, |text: &str| check_lower("env", text, 128)
}

token! {
    /// Where the feed runs: `eu`.
    Region, |text: &str| check_lower("region", text, 32)
}

/// The part of the bus that belongs to one feed in one region.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Scope {
    /// The feed.
    pub env: Env,
    /// The region.
    pub region: Region,
}

impl Scope {
    /// Checks both words.
    ///
    /// # Errors
    /// When either is not lower-case letters, digits and inner hyphens.
    pub fn new(env: &str, region: &str) -> Result<Self, TokenError> {
        Ok(Self {
            env: Env::new(env)?,
            region: Region::new(region)?,
        })
    }
}

/// What travels under a subject.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Kind {
    /// `kline.….open`: open bars; at most once, conflatable.
    Open,
    /// `kline.….closed`: closes as everyone may watch them, repeated by the server after commit.
    Closed,
    /// `bar.…`: the committed closes and amendments themselves.
    Committed,
}

/// The address of one instrument's bars of one interval.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Subject {
    /// Open bars, watched closes, or committed closes.
    pub kind: Kind,
    /// Whose.
    pub scope: Scope,
    /// Of what.
    pub instrument: Instrument,
    /// Bar length.
    pub interval: Interval,
}

/// Subjects of one kind in one scope; `None` is `*`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SubjectFilter {
    /// Open bars, watched closes, or committed closes.
    pub kind: Kind,
    /// Whose.
    pub scope: Scope,
    /// Any venue if `None`.
    pub venue: Option<Venue>,
    /// Any interval if `None`.
    pub interval: Option<Interval>,
    /// Any symbol if `None`.
    pub symbol: Option<Symbol>,
}

/// Why text is not a subject.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SubjectError {
    /// Another number of tokens, or other fixed words.
    #[error("subject {0:?} is not of this grammar")]
    Shape(String),
    /// A token that is not valid.
    #[error(transparent)]
    Token(#[from] TokenError),
    /// The interval is not valid.
    #[error(transparent)]
    Interval(#[from] IntervalError),
}

impl Subject {
    /// The address of the instrument's bars.
    pub fn new(kind: Kind, scope: &Scope, instrument: &Instrument, interval: Interval) -> Self {
        Self {
            kind,
            scope: scope.clone(),
            instrument: instrument.clone(),
            interval,
        }
    }

    /// The same bars under another kind.
    #[must_use]
    pub fn with_kind(&self, kind: Kind) -> Self {
        Self {
            kind,
            ..self.clone()
        }
    }
}

impl SubjectFilter {
    /// Everything of one kind in the scope.
    pub fn all(kind: Kind, scope: &Scope) -> Self {
        Self {
            kind,
            scope: scope.clone(),
            venue: None,
            interval: None,
            symbol: None,
        }
    }

    /// Whether the subject is one that it stands for.
    pub fn matches(&self, subject: &Subject) -> bool {
        self.kind == subject.kind
            && self.scope == subject.scope
            && self
                .venue
                .as_ref()
                .is_none_or(|venue| *venue == subject.instrument.venue)
            && self
                .interval
                .is_none_or(|interval| interval == subject.interval)
            && self
                .symbol
                .as_ref()
                .is_none_or(|symbol| *symbol == subject.instrument.symbol)
    }
}

impl Kind {
    /// The kind's line of the grammar.
    #[must_use]
    pub const fn rule(self) -> &'static Rule {
        match self {
            Self::Open => &grammar::OPEN,
            Self::Closed => &grammar::CLOSED,
            Self::Committed => &grammar::COMMITTED,
        }
    }
}

fn write(
    f: &mut fmt::Formatter<'_>,
    kind: Kind,
    scope: &Scope,
    [venue, interval, symbol]: [&dyn fmt::Display; 3],
) -> fmt::Result {
    let Scope { env, region } = scope;
    let tokens: Tokens<&dyn fmt::Display> = Tokens {
        env,
        region,
        venue,
        interval,
        symbol,
    };
    fmt::Display::fmt(&Written(kind.rule(), &tokens), f)
}

impl fmt::Display for Subject {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            kind,
            scope,
            instrument,
            interval,
        } = self;
        write(
            f,
            *kind,
            scope,
            [&instrument.venue, interval, &instrument.symbol],
        )
    }
}

/// In NATS syntax, where `*` stands for one token.
impl fmt::Display for SubjectFilter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        const ANY: &str = "*";
        let venue: &dyn fmt::Display = self.venue.as_ref().map_or(&ANY, |venue| venue);
        let interval: &dyn fmt::Display = self.interval.as_ref().map_or(&ANY, |interval| interval);
        let symbol: &dyn fmt::Display = self.symbol.as_ref().map_or(&ANY, |symbol| symbol);
        write(f, self.kind, &self.scope, [venue, interval, symbol])
    }
}

impl FromStr for Subject {
    type Err = SubjectError;
    fn from_str(text: &str) -> Result<Self, SubjectError> {
        let (kind, tokens) = [Kind::Open, Kind::Closed, Kind::Committed]
            .into_iter()
            .find_map(|kind| Some((kind, kind.rule().read(text)?)))
            .ok_or_else(|| SubjectError::Shape(shown(text)))?;
        Ok(Self {
            kind,
            scope: Scope::new(tokens.env, tokens.region)?,
            instrument: Instrument::new(Venue::new(tokens.venue)?, Symbol::new(tokens.symbol)?),
            interval: tokens.interval.parse()?,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const OPEN_TEXT: &str = "kline.default-crypto.eu.binance-spot.1m.BTC-USDT.open";

    #[test]
    fn subjects_round_trip() {
        for text in [
            OPEN_TEXT,
            "kline.default-crypto.eu.coinbase.1s.BTC-USD.closed",
            "bar.default-crypto.eu.coinbase-advanced.1d.BTC-USD",
        ] {
            assert_eq!(text.parse::<Subject>().unwrap().to_string(), text);
        }
    }

    #[test]
    fn nothing_is_smuggled() {
        for text in [
            "",
            "kline.a.eu.binance-spot.1m.BTC-USDT",
            "kline.a.eu.binance-spot.1m.BTC-USDT.opened",
            "kline.a.eu.binance-spot.1m.BTC-USDT.open.x",
            "kline.a.eu.*.1m.BTC-USDT.open",
            "kline.a.eu.binance-spot.1m.>.open",
            "bar.a b.eu.binance-spot.1m.BTC-USDT",
            "bar.a.eu.binance-spot.60s.BTC-USDT",
            "bar..eu.binance-spot.1m.BTC-USDT",
        ] {
            assert!(text.parse::<Subject>().is_err(), "{text:?}");
        }
        for text in ["a.b", "*", ">", "a b", "", "A"] {
            assert!(
                Env::new(text).is_err() && Region::new(text).is_err(),
                "{text:?}"
            );
        }
    }

    #[test]
    fn filters_write_nats_wildcards_and_match_their_own() {
        let subject: Subject = OPEN_TEXT.parse().unwrap();
        let mut filter = SubjectFilter::all(Kind::Open, &subject.scope);
        assert_eq!(filter.to_string(), "kline.default-crypto.eu.*.*.*.open");
        assert_eq!(filter.to_string(), Kind::Open.rule().filter(&subject.scope));
        assert!(filter.matches(&subject));
        assert!(!filter.matches(&subject.with_kind(Kind::Closed)));
        filter.symbol = Some(Symbol::new("ETH-USDT").unwrap());
        assert_eq!(
            filter.to_string(),
            "kline.default-crypto.eu.*.*.ETH-USDT.open"
        );
        assert!(!filter.matches(&subject));
    }
}
