//! `marketfeed-marketdata purge`: removes a feed from NATS, for good.

use std::process::ExitCode;
use std::time::Duration;

use runtime::broker::nats::{Party, purge};
use runtime::telemetry;

use super::args::Purge;
use super::{EXIT_REFUSED, EXIT_USAGE, fail};

/// How long NATS may be away: what a Kubernetes Job of a minute leaves room for.
const WITHIN: Duration = Duration::from_secs(45);

pub(super) fn main(args: Purge) -> ExitCode {
    let Purge { scope, nats, log } = args;
    if let Err(error) = telemetry::init(&log) {
        return fail(EXIT_USAGE, &error);
    }
    let options = match nats.options(Party::Purge) {
        Ok(options) => options,
        Err(error) => return fail(EXIT_USAGE, &error),
    };
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build();
    let runtime = match runtime {
        Ok(runtime) => runtime,
        Err(error) => return fail(1, &error),
    };
    match runtime.block_on(purge(&scope.scope(), &options, WITHIN)) {
        Ok(purged) => {
            tracing::info!(streams = ?purged.streams, "purged");
            ExitCode::SUCCESS
        }
        Err(error) => fail(EXIT_REFUSED, &error),
    }
}
