//! From the market to the bus: which connectors run, and against whom.

use std::net::SocketAddr;
use std::sync::Arc;

use marketdata::service::{ConfigError, Options, Service, Source, WhenFull};
use marketdata::venue::Endpoints;
use runtime::broker::Bus;
use runtime::telemetry::Metrics;
use wire::{Scope, Venue};

use crate::args::Endpoint;
use crate::carried::Carried;

/// Where the venues are.
#[derive(Debug, Clone)]
pub enum At {
    /// All in the simulated exchange at this address.
    Simulated(SocketAddr),
    /// Where the exchanges themselves are, but for these.
    Exchanges(Vec<Endpoint>),
}

/// Sets the connectors up: against the simulated exchange where there is one, else against the exchanges.
///
/// # Errors
/// When a venue cannot carry what it is asked to.
pub fn bind(
    scope: &Scope,
    bus: &Arc<dyn Bus>,
    carried: &Carried,
    at: &At,
    metrics: &Metrics,
) -> Result<Service, ConfigError> {
    let sources = carried.venues().into_iter().map(|(venue, symbols)| Source {
        endpoints: at.endpoints(&venue),
        venue,
        symbols,
    });
    let mut options = Options::new(
        sources.collect(),
        carried.intervals().to_vec(),
        scope.clone(),
    );
    if matches!(at, At::Simulated(_)) {
        // A recording at full speed is as fast as we read it; nothing of it may be lost.
        options.when_full = WhenFull::Wait;
        // A recording that is over, or has a hole, is no dead connection.
        options.session.silence_max_ms = u64::MAX;
    }
    metrics.register(|registry| Service::new(options, Arc::clone(bus), registry))
}

impl At {
    /// Where a venue is; `None` for where the exchange itself is.
    fn endpoints(&self, venue: &Venue) -> Option<Endpoints> {
        match self {
            Self::Simulated(address) => Some(below(&format!("ws://{address}/{venue}"))),
            Self::Exchanges(endpoints) => endpoints
                .iter()
                .find(|endpoint| endpoint.venue.name() == venue.as_str())
                .map(|endpoint| below(&endpoint.ws)),
        }
    }
}

/// The addresses of a venue that serves HTTP where it serves WebSocket, as the simulator does.
fn below(ws: &str) -> Endpoints {
    Endpoints {
        // `ws` becomes `http`, `wss` becomes `https`.
        rest: ws.replacen("ws", "http", 1),
        ws: ws.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_venue_is_where_it_is_said_to_be() {
        let check = |at: &At, venue: &str, expect: Option<(&str, &str)>| {
            let found = at.endpoints(&Venue::new(venue).unwrap());
            let found = found.map(|Endpoints { ws, rest }| (ws, rest));
            let expect = expect.map(|(ws, rest)| (ws.to_owned(), rest.to_owned()));
            assert_eq!(found, expect, "{venue}");
        };
        let simulated = At::Simulated(SocketAddr::from(([127, 0, 0, 1], 7)));
        let here = ("ws://127.0.0.1:7/coinbase", "http://127.0.0.1:7/coinbase");
        check(&simulated, "coinbase", Some(here));
        let other = At::Exchanges(vec!["binance-spot=wss://ws.example/x".parse().unwrap()]);
        let there = ("wss://ws.example/x", "https://ws.example/x");
        check(&other, "binance-spot", Some(there));
        check(&other, "coinbase", None);
    }
}
