// Pure: the values of the options, as they are written.
#![deny(clippy::disallowed_methods)]

use std::str::FromStr;

use wire::assignment::{AssignedEndpoints, SHARDS_MAX};
use wire::interval::IntervalError;
use wire::{Interval, ShardCount, Symbol, TokenError, Venue};

/// `<venue>=<symbol>,<symbol>`
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SourceArg {
    /// Which venue.
    pub venue: Venue,
    /// Its symbols, as they are to be listed.
    pub symbols: Vec<Symbol>,
}

/// `<venue>=<ws>`, `<venue>=<ws>,<rest>` or `<venue>=`
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EndpointArg {
    /// Which venue.
    pub venue: Venue,
    /// Where it is; `None` for where the exchange itself is.
    pub endpoints: Option<AssignedEndpoints>,
}

/// What is wrong with a value.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ValueError {
    /// Without `=`, or nothing after it.
    #[error("write <venue>=<symbol>,<symbol>, such as binance-spot=BTC-USDT,ETH-USDT")]
    Source,
    /// Without `=`, or more than two addresses.
    #[error("write <venue>=wss://<host>/<path>,https://<host>/<path>")]
    Endpoint,
    /// No venue or symbol.
    #[error(transparent)]
    Token(#[from] TokenError),
    /// No count of shards.
    #[error("write 1 to {SHARDS_MAX}")]
    Shards,
}

impl FromStr for SourceArg {
    type Err = ValueError;

    fn from_str(text: &str) -> Result<Self, ValueError> {
        let (venue, symbols) = text.split_once('=').ok_or(ValueError::Source)?;
        if symbols.trim().is_empty() {
            return Err(ValueError::Source);
        }
        let symbols = symbols.split(',').map(|symbol| Symbol::new(symbol.trim()));
        Ok(Self {
            venue: Venue::new(venue.trim())?,
            symbols: symbols.collect::<Result<_, _>>()?,
        })
    }
}

impl FromStr for EndpointArg {
    type Err = ValueError;

    /// What the addresses are is checked with the assignment that they get into.
    fn from_str(text: &str) -> Result<Self, ValueError> {
        let (venue, addresses) = text.split_once('=').ok_or(ValueError::Endpoint)?;
        let addresses: Vec<&str> = addresses.split(',').map(base).collect();
        let endpoints = match addresses[..] {
            [""] => None,
            // `ws` becomes `http`, `wss` becomes `https`.
            [ws] => Some((ws.to_owned(), ws.replacen("ws", "http", 1))),
            [ws, rest] => Some((ws.to_owned(), rest.to_owned())),
            _ => return Err(ValueError::Endpoint),
        };
        Ok(Self {
            venue: Venue::new(venue.trim())?,
            endpoints: endpoints.map(|(ws, rest)| AssignedEndpoints { ws, rest }),
        })
    }
}

/// A base address, to which paths are added.
fn base(text: &str) -> &str {
    text.trim().trim_end_matches('/')
}

/// A bar length in a list that may have blanks after its commas.
pub(super) fn interval(text: &str) -> Result<Interval, IntervalError> {
    text.trim().parse()
}

pub(super) fn shards(text: &str) -> Result<ShardCount, ValueError> {
    let shards = text.trim().parse().ok().and_then(ShardCount::new);
    shards
        .filter(|shards| shards.get() <= SHARDS_MAX)
        .ok_or(ValueError::Shards)
}

/// The bar lengths that are made where nothing is said.
pub(super) fn usual_intervals() -> Vec<Interval> {
    // All of them divide a day.
    let usual = [1, 60, 3_600, 86_400].into_iter();
    usual.filter_map(Interval::from_secs).collect()
}
