//! The removal of all that a feed has on NATS.

use std::time::Duration;

use tokio::time::{Instant, sleep};
use wire::Scope;

use super::error::{NatsError, Trouble};
use super::metrics::Counts;
use super::names::Names;
use super::options::NatsOptions;
use super::session;
use super::streams;
use crate::backoff::{self, Backoff};
use crate::telemetry::Metrics;

const BACKOFF: backoff::Options = backoff::Options {
    base: Duration::from_millis(200),
    cap: Duration::from_secs(2),
};

/// What a purge did.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Purged {
    /// Streams that were there and are gone. None if there was nothing left to do.
    pub streams: Vec<String>,
}

/// Why a feed is still there, or some of it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PurgeError {
    /// No retry would help. If it is another's, nothing was removed.
    #[error(transparent)]
    Nats(#[from] NatsError),
    /// It did not work in time; what was removed stays removed, and a repetition goes on with the rest.
    #[error("not done within {} s: {why}", within.as_secs())]
    Unavailable {
        /// The time that it had.
        within: Duration,
        /// What went wrong last.
        why: String,
    },
}

/// Removes the feed's streams and its bucket, if they are the owner's, trying again for as long as is given. Nothing is
/// removed if one of them is another's. To do it again changes nothing.
///
/// # Errors
/// See [`PurgeError`].
pub async fn purge(
    scope: &Scope,
    options: &NatsOptions,
    within: Duration,
) -> Result<Purged, PurgeError> {
    let end = Instant::now() + within;
    let mut backoff = Backoff::new(BACKOFF, fastrand::Rng::new());
    let mut purged = Purged::default();
    loop {
        let why = match attempt(scope, options, &mut purged).await {
            Ok(()) => return Ok(purged),
            Err(Trouble::Terminal(error)) => return Err(error.into()),
            Err(Trouble::Transient(why)) => why,
        };
        let delay = backoff.next_delay();
        if Instant::now() + delay >= end {
            return Err(PurgeError::Unavailable { within, why });
        }
        tracing::warn!(error = why, delay_ms = delay.as_millis(), "not purged yet");
        sleep(delay).await;
    }
}

async fn attempt(scope: &Scope, options: &NatsOptions, purged: &mut Purged) -> Result<(), Trouble> {
    let names = Names::new(scope);
    // Nobody scrapes what runs once.
    let counts = Counts::register(&Metrics::new());
    let session = session::connect(options, &names, &counts).await?;
    let ours = streams::owner(scope, options);
    let mut there = Vec::new();
    for name in names.streams() {
        if let Some(info) = streams::info(&session, options, name).await? {
            streams::check_owner(name, &info.config, &ours)?;
            there.push(name);
        }
    }
    for name in there {
        streams::delete(&session, options, name).await?;
        tracing::info!(stream = name, "removed");
        purged.streams.push(name.to_owned());
    }
    Ok(())
}
