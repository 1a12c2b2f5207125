// Pure: the address of an instrument's checkpoint.
use std::fmt;
use std::str::FromStr;

use super::grammar::{CHECKPOINT, Tokens, Written};
use super::{Scope, SubjectError};
use crate::token::shown;
use crate::{Instrument, Symbol, Venue};

/// The address of an instrument's checkpoint: `ckpt.<env>.<region>.<venue>.<symbol>`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct CheckpointSubject {
    /// Whose.
    pub scope: Scope,
    /// Of what.
    pub instrument: Instrument,
}

impl CheckpointSubject {
    /// The instrument's.
    #[must_use]
    pub fn new(scope: &Scope, instrument: &Instrument) -> Self {
        Self {
            scope: scope.clone(),
            instrument: instrument.clone(),
        }
    }
}

impl fmt::Display for CheckpointSubject {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { scope, instrument } = self;
        let tokens: Tokens<&dyn fmt::Display> = Tokens {
            env: &scope.env,
            region: &scope.region,
            venue: &instrument.venue,
            interval: &"",
            symbol: &instrument.symbol,
        };
        Written(&CHECKPOINT, &tokens).fmt(f)
    }
}

impl FromStr for CheckpointSubject {
    type Err = SubjectError;
    fn from_str(text: &str) -> Result<Self, SubjectError> {
        let tokens = CHECKPOINT
            .read(text)
            .ok_or_else(|| SubjectError::Shape(shown(text)))?;
        Ok(Self {
            scope: Scope::new(tokens.env, tokens.region)?,
            instrument: Instrument::new(Venue::new(tokens.venue)?, Symbol::new(tokens.symbol)?),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn checkpoints_round_trip() {
        let text = "ckpt.default-crypto.eu.binance-spot.BTC-USDT";
        let subject: CheckpointSubject = text.parse().unwrap();
        assert_eq!(subject.to_string(), text);
        let scope = Scope::new("default-crypto", "eu").unwrap();
        let (venue, symbol) = ("binance-spot".parse().unwrap(), "BTC-USDT".parse().unwrap());
        let instrument = Instrument::new(venue, symbol);
        assert_eq!(subject, CheckpointSubject::new(&scope, &instrument));
    }

    #[test]
    fn nothing_else_is_a_checkpoint() {
        for text in [
            "",
            "ckpt",
            "ckpt.a.eu.binance-spot",
            "ckpt.a.eu.binance-spot.1m.BTC-USDT",
            "ckpt.a.eu.binance-spot.BTC-USDT.x",
            "bar.a.eu.binance-spot.BTC-USDT",
            "ckpt.a.eu.*.BTC-USDT",
            "ckpt.a.eu.binance-spot.>",
            "ckpt..eu.binance-spot.BTC-USDT",
            "ckpt.a b.eu.binance-spot.BTC-USDT",
        ] {
            assert!(text.parse::<CheckpointSubject>().is_err(), "{text:?}");
        }
    }
}
