//! The market that a process carries: the exchanges' own, or one that a simulated exchange plays.

use std::net::{Ipv4Addr, SocketAddr};

use exchange_sim::{Kind, Play, Speed, StartWhen};
use wire::{Instrument, Symbol};

use crate::args::{self, Listed, Recording, SpeedArg, Up};

/// Where trades come from.
#[derive(Debug, Clone)]
pub enum Market {
    /// The exchanges.
    Live,
    /// A simulated exchange in this process, spoken to over loopback sockets by the exchanges' own protocols.
    Simulated {
        /// What it plays.
        play: Play,
        /// How fast.
        speed: Speed,
    },
}

/// Why a choice of symbols leads nowhere.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// A symbol was asked for that the market does not have.
    #[error("--symbols: the market has no {0}")]
    NoSuchSymbol(Symbol),
}

/// What is carried of the exchanges, where nothing is said.
const LIVE_DEFAULT: [(Kind, &str, &str); 3] = [
    (Kind::BinanceSpot, "BTC", "USDT"),
    (Kind::BinanceSpot, "ETH", "USDT"),
    (Kind::Coinbase, "BTC", "USD"),
];

impl Market {
    /// The market that the arguments name; clap has seen to it that they name one.
    #[must_use]
    pub fn of(up: &Up) -> Self {
        if !up.replay.is_empty() {
            let pair = |Recording { venue, file }: &Recording| (*venue, file.clone());
            let files = up.replay.iter().map(pair).collect();
            let SpeedArg(speed) = up.speed.unwrap_or(SpeedArg(Speed::Times(1.0)));
            return Self::Simulated {
                play: Play::Replay {
                    files,
                    endless: false,
                },
                speed,
            };
        }
        if up.generate.is_empty() {
            return Self::Live;
        }
        let pair = |listed: &Listed| {
            (
                listed.venue.unwrap_or(Kind::BinanceSpot),
                listed.symbol.clone(),
            )
        };
        Self::Simulated {
            play: Play::Generate {
                symbols: up.generate.iter().map(pair).collect(),
                rate: up.rate,
                seed: up.seed,
                start_ms: None,
                trades_max: None,
            },
            speed: Speed::Times(1.0),
        }
    }
}

/// How the simulated exchange is set up. It waits to be told that everybody listens.
#[must_use]
pub fn simulated(play: Play, speed: Speed) -> exchange_sim::Options {
    let listen = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
    exchange_sim::Options {
        speed,
        start_when: StartWhen::Manually,
        ..exchange_sim::Options::new(listen, play)
    }
}

/// The instruments to carry: all that the market has, or those that are asked for, in the market's order.
///
/// # Errors
/// When one is asked for that is not there.
pub fn choose(has: Vec<Instrument>, asked: &[Listed]) -> Result<Vec<Instrument>, Error> {
    if let Some(absent) = asked
        .iter()
        .find(|listed| !has.iter().any(|it| listed.names(it)))
    {
        return Err(Error::NoSuchSymbol(absent.symbol.clone()));
    }
    let wanted = |it: &Instrument| asked.is_empty() || asked.iter().any(|listed| listed.names(it));
    Ok(has.into_iter().filter(wanted).collect())
}

/// The instruments to carry of the exchanges, in the order in which they are asked for.
#[must_use]
pub fn live(asked: &[Listed]) -> Vec<Instrument> {
    if !asked.is_empty() {
        return asked.iter().map(Listed::instrument).collect();
    }
    LIVE_DEFAULT
        .iter()
        .filter_map(|(venue, base, quote)| {
            Some(args::instrument(
                *venue,
                Symbol::from_parts(base, quote).ok()?,
            ))
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn listed(texts: &[&str]) -> Vec<Listed> {
        texts.iter().map(|text| text.parse().unwrap()).collect()
    }

    fn shown(instruments: &[Instrument]) -> Vec<String> {
        instruments.iter().map(ToString::to_string).collect()
    }

    #[test]
    fn symbols_choose_from_what_the_market_has() {
        let has: Vec<_> = ["coinbase:BTC-USD", "BTC-USDT", "coinbase-advanced:BTC-USD"]
            .iter()
            .map(|text| text.parse::<Listed>().unwrap().instrument())
            .collect();
        let check = |asked: &[&str], expect: &[&str]| {
            let chosen = choose(has.clone(), &listed(asked)).unwrap();
            assert_eq!(shown(&chosen), expect);
        };
        check(
            &[],
            &[
                "coinbase/BTC-USD",
                "binance-spot/BTC-USDT",
                "coinbase-advanced/BTC-USD",
            ],
        );
        check(
            &["BTC-USD"],
            &["coinbase/BTC-USD", "coinbase-advanced/BTC-USD"],
        );
        check(
            &["coinbase-advanced:BTC-USD", "BTC-USDT"],
            &["binance-spot/BTC-USDT", "coinbase-advanced/BTC-USD"],
        );
        let error = choose(has.clone(), &listed(&["BTC-USDT", "SOL-USD"])).unwrap_err();
        assert_eq!(error.to_string(), "--symbols: the market has no SOL-USD");
        assert!(choose(has, &listed(&["coinbase:BTC-USDT"])).is_err());
    }

    #[test]
    fn the_exchanges_have_a_default() {
        assert_eq!(
            shown(&live(&[])),
            [
                "binance-spot/BTC-USDT",
                "binance-spot/ETH-USDT",
                "coinbase/BTC-USD"
            ]
        );
        assert_eq!(
            shown(&live(&listed(&["coinbase:SOL-USD", "SOL-USDT"]))),
            ["coinbase/SOL-USD", "binance-spot/SOL-USDT"]
        );
    }
}
