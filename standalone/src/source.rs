//! From the market to the bus: which connectors run, and against whom.

use std::net::SocketAddr;
use std::sync::Arc;

use marketdata::service::{ConfigError, Options, Service, Source, WhenFull};
use marketdata::venue::Endpoints;
use runtime::broker::Broker;
use runtime::telemetry::Metrics;
use wire::{Scope, Venue};

use crate::carried::Carried;

/// Sets the connectors up: against the simulated exchange where there is one, else against the exchanges.
///
/// # Errors
/// When a venue cannot carry what it is asked to.
pub fn bind(
    scope: &Scope,
    broker: &Arc<dyn Broker>,
    carried: &Carried,
    simulated_at: Option<SocketAddr>,
    metrics: &Metrics,
) -> Result<Service, ConfigError> {
    let sources = carried.venues().into_iter().map(|(venue, symbols)| Source {
        endpoints: simulated_at.map(|address| endpoints(address, &venue)),
        venue,
        symbols,
    });
    let mut options = Options::new(
        sources.collect(),
        carried.intervals().to_vec(),
        scope.clone(),
    );
    if simulated_at.is_some() {
        // A recording at full speed is as fast as we read it; nothing of it may be lost.
        options.when_full = WhenFull::Wait;
    }
    metrics.register(|registry| Service::new(options, Arc::clone(broker), registry))
}

/// Where the simulated exchange plays a venue.
fn endpoints(address: SocketAddr, venue: &Venue) -> Endpoints {
    Endpoints {
        ws: format!("ws://{address}/{venue}"),
        rest: format!("http://{address}/{venue}"),
    }
}
