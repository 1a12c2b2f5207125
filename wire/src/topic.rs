// Pure: what a client subscribes to.
use std::fmt;
use std::str::FromStr;

use crate::interval::IntervalError;
use crate::token::{TokenError, join, serde_by_text, shown};
use crate::{Instrument, Interval, Symbol, Venue};

/// One stream of bars: `kline:<interval>:<symbol>`, or `kline:<venue>:<interval>:<symbol>`, which is always
/// valid too. Where two venues carry one symbol, the one listed first has the short topic.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Topic {
    /// `None` in the short form.
    pub venue: Option<Venue>,
    /// Bar length.
    pub interval: Interval,
    /// Symbol.
    pub symbol: Symbol,
}

/// A topic in which `*` may stand for the interval or the symbol.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TopicFilter {
    /// `None` matches short topics.
    pub venue: Option<Venue>,
    /// `None` is `*`.
    pub interval: Option<Interval>,
    /// `None` is `*`.
    pub symbol: Option<Symbol>,
}

/// Why text is not a topic.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum TopicError {
    /// Not three or four parts that begin with `kline`.
    #[error("topic {0:?} is not kline:<interval>:<symbol> or kline:<venue>:<interval>:<symbol>")]
    Shape(String),
    /// `*` where one stream must be named.
    #[error("topic {0:?} names more than one stream: * has no place here")]
    Wildcard(String),
    /// The venue or the symbol is not valid.
    #[error(transparent)]
    Token(#[from] TokenError),
    /// The interval is not valid.
    #[error(transparent)]
    Interval(#[from] IntervalError),
}

/// The kind of stream. The only one yet.
const KIND: &str = "kline";
/// The longest valid topic has 86 bytes; what is longer is refused before it is taken apart.
const TEXT_LEN_MAX: usize = 128;
const ANY: &str = "*";

impl Topic {
    /// `kline:<interval>:<symbol>`.
    pub fn short(interval: Interval, symbol: Symbol) -> Self {
        Self {
            venue: None,
            interval,
            symbol,
        }
    }

    /// `kline:<venue>:<interval>:<symbol>`.
    pub fn long(instrument: &Instrument, interval: Interval) -> Self {
        Self {
            venue: Some(instrument.venue.clone()),
            interval,
            symbol: instrument.symbol.clone(),
        }
    }

    /// Appends the topic's text.
    pub fn write_to(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(b"kline:");
        if let Some(venue) = &self.venue {
            out.extend_from_slice(venue.as_str().as_bytes());
            out.push(b':');
        }
        self.interval.write_to(out);
        out.push(b':');
        out.extend_from_slice(self.symbol.as_str().as_bytes());
    }
}

impl TopicFilter {
    /// Whether it stands for more than one topic.
    pub fn is_wildcard(&self) -> bool {
        self.interval.is_none() || self.symbol.is_none()
    }

    /// The topic itself, where it stands for one.
    pub fn as_topic(&self) -> Option<Topic> {
        Some(Topic {
            venue: self.venue.clone(),
            interval: self.interval?,
            symbol: self.symbol.clone()?,
        })
    }

    /// Whether the topic is one that it stands for. Short filters match short topics only, so that a client
    /// never gets one bar under two names.
    pub fn matches(&self, topic: &Topic) -> bool {
        self.venue == topic.venue
            && self
                .interval
                .is_none_or(|interval| interval == topic.interval)
            && self
                .symbol
                .as_ref()
                .is_none_or(|symbol| *symbol == topic.symbol)
    }
}

impl From<Topic> for TopicFilter {
    fn from(topic: Topic) -> Self {
        Self {
            venue: topic.venue,
            interval: Some(topic.interval),
            symbol: Some(topic.symbol),
        }
    }
}

impl FromStr for TopicFilter {
    type Err = TopicError;
    fn from_str(text: &str) -> Result<Self, TopicError> {
        let shape = || TopicError::Shape(shown(text));
        if text.len() > TEXT_LEN_MAX {
            return Err(shape());
        }
        let mut parts = text.split(':');
        if parts.next() != Some(KIND) {
            return Err(shape());
        }
        let parts: Vec<&str> = parts.collect();
        let (venue, interval, symbol) = match parts[..] {
            [interval, symbol] => (None, interval, symbol),
            [venue, interval, symbol] => (Some(Venue::new(venue)?), interval, symbol),
            _ => return Err(shape()),
        };
        let interval = if interval == ANY {
            None
        } else {
            Some(interval.parse()?)
        };
        let symbol = if symbol == ANY {
            None
        } else {
            Some(Symbol::new(symbol)?)
        };
        Ok(Self {
            venue,
            interval,
            symbol,
        })
    }
}

impl FromStr for Topic {
    type Err = TopicError;
    fn from_str(text: &str) -> Result<Self, TopicError> {
        let filter: TopicFilter = text.parse()?;
        filter
            .as_topic()
            .ok_or_else(|| TopicError::Wildcard(shown(text)))
    }
}

impl fmt::Display for Topic {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.venue {
            Some(venue) => join(f, ':', &[&KIND, venue, &self.interval, &self.symbol]),
            None => join(f, ':', &[&KIND, &self.interval, &self.symbol]),
        }
    }
}

impl fmt::Display for TopicFilter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let interval: &dyn fmt::Display = self.interval.as_ref().map_or(&ANY, |interval| interval);
        let symbol: &dyn fmt::Display = self.symbol.as_ref().map_or(&ANY, |symbol| symbol);
        match &self.venue {
            Some(venue) => join(f, ':', &[&KIND, venue, interval, symbol]),
            None => join(f, ':', &[&KIND, interval, symbol]),
        }
    }
}

serde_by_text!(Topic);
serde_by_text!(TopicFilter);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn topics_round_trip() {
        for text in [
            "kline:1m:BTC-USDT",
            "kline:binance-spot:1s:BTC-USDT",
            "kline:90m:1INCH-EUR",
        ] {
            let topic: Topic = text.parse().unwrap();
            assert_eq!(topic.to_string(), text);
            let mut bytes = Vec::new();
            topic.write_to(&mut bytes);
            assert_eq!(bytes, text.as_bytes());
        }
        for text in [
            "kline:*:BTC-USDT",
            "kline:1m:*",
            "kline:*:*",
            "kline:coinbase:*:BTC-USD",
        ] {
            assert_eq!(text.parse::<TopicFilter>().unwrap().to_string(), text);
            assert!(matches!(
                text.parse::<Topic>(),
                Err(TopicError::Wildcard(_))
            ));
        }
    }

    #[test]
    fn malformed_topics_are_refused_with_what_to_write() {
        let check = |text: &str, expect: &str| {
            let error = text.parse::<TopicFilter>().unwrap_err().to_string();
            assert!(error.contains(expect), "{text:?}: {error}");
        };
        check("", "is not kline:");
        check("trade:1m:BTC-USDT", "is not kline:");
        check("kline:1m", "is not kline:");
        check("kline:a:b:1m:BTC-USDT", "is not kline:");
        check("KLINE:1m:BTC-USDT", "is not kline:");
        check("kline:7s:BTC-USDT", "does not divide a day");
        check("kline:60s:BTC-USDT", "write 1m");
        check("kline:1m:btc-usdt", "BASE-QUOTE");
        check("kline:1m:BTC.X-USDT", "BASE-QUOTE");
        check("kline:1m:>", "BASE-QUOTE");
        check("kline:*:1m:BTC-USDT", "venue");
        check(&format!("kline:1m:{}", "A".repeat(500)), "is not kline:");
    }

    #[test]
    fn a_filter_never_crosses_names() {
        let check = |filter: &str, topic: &str, expect: bool| {
            let filter: TopicFilter = filter.parse().unwrap();
            assert_eq!(
                filter.matches(&topic.parse().unwrap()),
                expect,
                "{filter} {topic}"
            );
        };
        check("kline:*:BTC-USDT", "kline:1m:BTC-USDT", true);
        check("kline:1m:*", "kline:1m:ETH-USDT", true);
        check("kline:1m:*", "kline:1s:ETH-USDT", false);
        check("kline:1m:*", "kline:coinbase:1m:ETH-USD", false);
        check("kline:coinbase:*:*", "kline:coinbase:1m:ETH-USD", true);
        check("kline:coinbase:*:*", "kline:1m:ETH-USD", false);
    }
}
