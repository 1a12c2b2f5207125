//! Messages of the log from any of its replicas: neither the stream's leader nor a consumer is needed, so that it works
//! while one is being elected. A replica has what was committed, in order, up to a place that may be behind.

use async_nats::Message;
use bytes::Bytes;
use futures_util::StreamExt;
use serde_json::json;
use tokio::time::timeout;

use super::session::Session;
use super::shared::Shared;

/// Messages in one answer.
const PAGE: usize = 512;

/// Up to [`PAGE`] messages of the subjects from the sequence on, with their places.
pub(super) async fn page(
    shared: &Shared,
    session: &Session,
    subjects: &str,
    from: u64,
) -> Result<Vec<(u64, Message)>, String> {
    let inbox = session.new_inbox();
    let answers = session.subscribe(inbox.clone()).await;
    let mut answers = answers.map_err(|error| error.to_string())?;
    let which = json!({ "seq": from, "next_by_subj": subjects, "batch": PAGE });
    let api = format!("$JS.API.DIRECT.GET.{}", shared.names.closes);
    let asked = session.publish_with_reply(api, inbox, Bytes::from(which.to_string()));
    asked.await.map_err(|error| error.to_string())?;
    let mut messages = Vec::new();
    loop {
        let answer = timeout(shared.options.timings.attempt, answers.next()).await;
        let Ok(Some(answer)) = answer else {
            return Err("no answer".to_owned());
        };
        match answer.status.map(|status| status.as_u16()) {
            None | Some(200) => {
                let placed = placed(answer);
                messages.push(placed.ok_or("an answer without its place")?);
            }
            // The end of the page; nothing there.
            Some(204 | 404) => return Ok(messages),
            Some(status) => {
                let why = answer.description.unwrap_or_default();
                return Err(format!("{status} {why}"));
            }
        }
    }
}

/// The answer comes under our inbox; place and subject of the message are in its headers.
fn placed(mut message: Message) -> Option<(u64, Message)> {
    let headers = message.headers.as_ref()?;
    let sequence = headers.get("Nats-Sequence")?.as_str().parse().ok()?;
    message.subject = headers.get("Nats-Subject")?.as_str().into();
    Some((sequence, message))
}
