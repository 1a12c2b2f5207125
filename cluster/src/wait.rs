//! Waiting for what must come: polled, bounded, and named when it does not.

use std::time::Duration;

use anyhow::{Result, bail};
use tokio::time::{Instant, sleep};

/// How long anything may take to start here. Generous: CI shares its cores.
pub const PATIENCE: Duration = Duration::from_secs(60);

/// Between two looks.
const LOOK_EVERY: Duration = Duration::from_millis(20);

/// Looks again and again until there is a value.
///
/// # Errors
/// When there is none within `bound`, or `look` itself fails.
pub async fn until<T>(
    what: &str,
    bound: Duration,
    mut look: impl AsyncFnMut() -> Result<Option<T>>,
) -> Result<T> {
    let deadline = Instant::now() + bound;
    loop {
        if let Some(value) = look().await? {
            return Ok(value);
        }
        if Instant::now() >= deadline {
            bail!("not within {bound:?}: {what}");
        }
        sleep(LOOK_EVERY).await;
    }
}
