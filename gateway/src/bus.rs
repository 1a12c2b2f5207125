//! The bus that bars come by.

use std::sync::Arc;

use runtime::admin::Ready;
use runtime::broker::nats::{NatsBroker, NatsOptionsError, Party};
use runtime::telemetry::Metrics;

use crate::args::Args;

/// Begins to connect to NATS. It need not be there: what reads from it waits.
///
/// # Errors
/// When the arguments name what there is not, such as a file.
pub(crate) fn connect(args: &Args, metrics: &Metrics) -> Result<Arc<NatsBroker>, NatsOptionsError> {
    let options = args.nats.clone().options(Party::Gateway)?;
    Ok(Arc::new(NatsBroker::connect(
        args.scope.scope(),
        options,
        metrics,
    )))
}

/// Sets the condition when the bus can be used for the first time: before that the gateway has nothing to serve, and
/// clients are better off with another one. After that it stays ready without the bus, and serves what it has.
pub(crate) async fn reached(bus: Arc<NatsBroker>, ready: Ready) {
    ready.set(bus.reached().await);
    // A condition that is dropped is not met any more.
    std::future::pending::<()>().await;
}
