//! The bus that bars come by.

use std::sync::Arc;

use runtime::broker::Broker;
use runtime::broker::nats::{NatsBroker, Party};
use runtime::tasks::Tasks;
use runtime::telemetry::Metrics;

use crate::args::Args;

/// Why there is no bus, and will not be by waiting.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub(crate) struct ConnectError(String);

/// NATS.
pub(crate) async fn connect(
    args: &Args,
    metrics: &Metrics,
    _tasks: &Tasks,
) -> Result<Arc<dyn Broker>, ConnectError> {
    let options = args.nats.clone().options(Party::Gateway).map_err(|e| ConnectError(e.to_string()))?;
    Ok(Arc::new(NatsBroker::connect(args.scope.scope(), options, metrics)))
}
