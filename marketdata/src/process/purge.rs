//! `marketfeed-marketdata purge`: removes a feed from NATS, for good.

use std::process::ExitCode;

use runtime::broker::nats::{Party, PurgeError, purge};
use runtime::process::{self, EXIT_FAILED, EXIT_REFUSED, EXIT_USAGE, fail};

use super::args::Purge;

pub(super) fn main(args: Purge) -> ExitCode {
    let log = args.log.clone();
    process::run(&log, remove(args))
}

async fn remove(args: Purge) -> ExitCode {
    let Purge {
        scope,
        within,
        nats,
        log: _,
    } = args;
    let options = match nats.options(Party::Purge) {
        Ok(options) => options,
        Err(error) => return fail(EXIT_USAGE, &error),
    };
    let scope = scope.scope();
    match purge(&scope, &options, within).await {
        // A repetition has nothing left to do; but it is also how a wrong name looks.
        Ok(purged) if purged.streams.is_empty() => {
            let (env, region) = (&scope.env, &scope.region);
            tracing::warn!(%env, %region, "NATS has nothing of this feed: nothing was removed");
            ExitCode::SUCCESS
        }
        Ok(purged) => {
            tracing::info!(streams = ?purged.streams, "purged");
            ExitCode::SUCCESS
        }
        Err(error @ PurgeError::Nats(_)) => fail(EXIT_REFUSED, &error),
        Err(error @ PurgeError::Unavailable { .. }) => fail(EXIT_FAILED, &error),
    }
}
