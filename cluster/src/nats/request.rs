//! One request and its answer, on a connection of its own. For tests of the harness, and for looking at JetStream from
//! outside the product.

use std::net::SocketAddr;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use serde_json::Value;

use super::tap::Tap;

/// How long an answer may take.
const ANSWER_MAX: Duration = Duration::from_secs(5);

/// A request to `subject`, as a user without a name; the JSON of the answer.
///
/// # Errors
/// When there is no connection or no answer within 5 s each, the server refuses, or the answer is no JSON.
pub async fn request(server: SocketAddr, subject: &str, payload: &str) -> Result<Value> {
    let inbox = format!("_INBOX.{:016x}", fastrand::u64(..));
    let mut tap = Tap::open(server, &[&inbox]).await?;
    tap.publish(subject, &inbox, payload).await?;
    let answer = tap.next(ANSWER_MAX).await;
    let answer = answer.with_context(|| format!("{server} did not answer on {subject}"))?;
    if answer.headers.is_some() {
        bail!("nobody answers on {subject}");
    }
    serde_json::from_slice(&answer.payload).context("the answer is no JSON")
}
