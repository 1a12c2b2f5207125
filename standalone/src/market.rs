//! The market that a process carries: the exchanges' own, or one that a simulated exchange plays.

use std::net::{Ipv4Addr, SocketAddr};

use exchange_sim::{Kind, Play, Speed, StartWhen};
use wire::{Instrument, Symbol};

use crate::args::{self, Endpoint, Listed, Recording, SpeedArg, Up};

/// Where trades come from.
#[derive(Debug, Clone)]
pub enum Market {
    /// The exchanges.
    Live {
        /// Venues that are elsewhere than where the exchange itself is, each at most once.
        endpoints: Vec<Endpoint>,
    },
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
    NoSuchSymbol(Listed),
    /// An address is given of a venue that is not carried.
    #[error("--endpoint: no symbol of {name} is carried; name one with --symbols {name}:<symbol>", name = .0.name())]
    NoSuchVenue(Kind),
    /// Two addresses are given of one venue.
    #[error("--endpoint: {} has two addresses", .0.name())]
    EndpointTwice(Kind),
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
            return Self::Live {
                endpoints: up.endpoint.clone(),
            };
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
        // What its REST interface and its truth could still be asked for. Nothing in this process asks, so that
        // what a test of an hour needs is plenty: at some 100 bytes each, 10 to 20 MB a venue.
        trades_kept_max: 100_000,
        ..exchange_sim::Options::new(listen, play)
    }
}

/// The venues of a simulated market in the order in which they are first listed: the first to list a symbol has
/// its short topic.
#[must_use]
pub fn venues(play: &Play) -> Vec<Kind> {
    let listed: Vec<Kind> = match play {
        Play::Replay { files, .. } => files.iter().map(|(venue, _)| *venue).collect(),
        Play::Generate { symbols, .. } => symbols.iter().map(|(venue, _)| *venue).collect(),
    };
    let mut venues = Vec::new();
    for venue in listed {
        if !venues.contains(&venue) {
            venues.push(venue);
        }
    }
    venues
}

/// The instruments to carry: all that the market has in its order, or those that are asked for in theirs.
///
/// # Errors
/// When one is asked for that is not there.
pub fn choose(has: Vec<Instrument>, asked: &[Listed]) -> Result<Vec<Instrument>, Error> {
    if let Some(absent) = asked
        .iter()
        .find(|listed| !has.iter().any(|it| listed.names(it)))
    {
        return Err(Error::NoSuchSymbol(absent.clone()));
    }
    if asked.is_empty() {
        return Ok(has);
    }
    let of_one = |listed: &Listed| {
        let named = has.iter().filter(|it| listed.names(it));
        named.cloned().collect::<Vec<_>>()
    };
    Ok(asked.iter().flat_map(of_one).collect())
}

/// Sees that each address is of a venue that is carried, and that none has two.
///
/// # Errors
/// About the first that is not so.
pub fn check_endpoints(endpoints: &[Endpoint], carried: &[Instrument]) -> Result<(), Error> {
    for (index, Endpoint { venue, .. }) in endpoints.iter().enumerate() {
        if endpoints[..index].iter().any(|it| it.venue == *venue) {
            return Err(Error::EndpointTwice(*venue));
        }
        if !carried.iter().any(|it| it.venue.as_str() == venue.name()) {
            return Err(Error::NoSuchVenue(*venue));
        }
    }
    Ok(())
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
            &["coinbase-advanced/BTC-USD", "binance-spot/BTC-USDT"],
        );
        let error = choose(has.clone(), &listed(&["BTC-USDT", "SOL-USD"])).unwrap_err();
        assert_eq!(error.to_string(), "--symbols: the market has no SOL-USD");
        let error = choose(has, &listed(&["coinbase:BTC-USDT"])).unwrap_err();
        let expect = "--symbols: the market has no coinbase:BTC-USDT";
        assert_eq!(error.to_string(), expect);
    }

    #[test]
    fn venues_are_in_the_order_of_the_listing() {
        let symbol = |text: &str| Symbol::new(text).unwrap();
        let play = Play::Generate {
            symbols: vec![
                (Kind::CoinbaseAdvanced, symbol("BTC-USD")),
                (Kind::BinanceSpot, symbol("BTC-USDT")),
                (Kind::CoinbaseAdvanced, symbol("ETH-USD")),
            ],
            rate: 1,
            seed: 1,
            start_ms: None,
            trades_max: None,
        };
        assert_eq!(venues(&play), [Kind::CoinbaseAdvanced, Kind::BinanceSpot]);
        let file = |venue| (venue, "x".into());
        let play = Play::Replay {
            files: vec![file(Kind::Coinbase), file(Kind::BinanceSpot)],
            endless: false,
        };
        assert_eq!(venues(&play), [Kind::Coinbase, Kind::BinanceSpot]);
    }

    #[test]
    fn an_address_is_of_one_carried_venue() {
        let carried = live(&[]);
        let check = |texts: &[&str], expect: Option<&str>| {
            let endpoints: Vec<Endpoint> = texts.iter().map(|it| it.parse().unwrap()).collect();
            let error = check_endpoints(&endpoints, &carried).err();
            let error = error.map(|error| error.to_string()).unwrap_or_default();
            assert!(
                expect.map_or(error.is_empty(), |part| error.contains(part)),
                "{error}"
            );
        };
        check(&["binance-spot=ws://a", "coinbase=ws://a"], None);
        check(
            &["coinbase=ws://a", "coinbase=ws://b"],
            Some("two addresses"),
        );
        check(
            &["coinbase-advanced=ws://a"],
            Some("--symbols coinbase-advanced:<symbol>"),
        );
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
