//! The bus that bars come by.

use std::sync::Arc;

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
