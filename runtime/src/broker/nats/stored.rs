//! Single messages as a stream's leader has them: checkpoints and leases.
//!
//! `STREAM.MSG.GET` is answered by the stream's leader alone (a direct get by any replica, however far behind). A
//! commit is answered once a majority has stored it; a new leader is one that has it, and begins to answer only after
//! it has applied all that it had stored. So a read that is answered by the leader sees every commit that was
//! answered before. There is one exception: a leader that is cut off from the others goes on answering, until it
//! notices, from what it knew. Who is cut off with it may read an old checkpoint; that does no harm, since whatever it
//! then commits expects a sequence that no longer stands, and is refused when it reaches the others.

use bytes::Bytes;
use futures_util::{StreamExt, TryStreamExt, stream};
use serde_json::json;
use wire::ShardId;

use super::api::{PubAck, StoredAnswer, code};
use super::error::Trouble;
use super::identity;
use super::session::{ApiFailure, RequestError, Session};
use super::shared::Shared;
use crate::broker::{CheckpointSubject, LeaseEntry, LeaseError, ReadError, StoredCheckpoint};

/// Reads that are on their way at once: enough to hide a round trip of some milliseconds, few enough not to flood a
/// server's API queue.
const READS_MAX: usize = 64;

pub(super) async fn checkpoints(
    shared: &Shared,
    subjects: &[CheckpointSubject],
) -> Result<Vec<Option<StoredCheckpoint>>, ReadError> {
    if subjects.iter().any(|of| of.scope != shared.scope) {
        return Err(ReadError::Denied("a checkpoint of another feed".to_owned()));
    }
    let session = shared.within(shared.options.timings.read).await;
    let session = &*session.map_err(ReadError::Unavailable)?;
    let texts: Vec<String> = subjects.iter().map(ToString::to_string).collect();
    let stored = stream::iter(texts)
        .map(async |of| {
            let stored = last(shared, session, &shared.names.closes, &of).await?;
            Ok(stored.map(|(sequence, json)| StoredCheckpoint { sequence, json }))
        })
        .buffered(READS_MAX)
        .try_collect()
        .await
        .map_err(read_error)?;
    let looked = identity::look(shared, session).await;
    looked.map_err(|trouble| match trouble {
        Trouble::Terminal(error) => ReadError::Denied(error.to_string()),
        Trouble::Transient(why) => ReadError::Unavailable(why),
    })?;
    Ok(stored)
}

/// The last message of one subject.
pub(super) async fn last(
    shared: &Shared,
    session: &Session,
    stream: &str,
    subject: &str,
) -> Result<Option<(u64, Bytes)>, ApiFailure> {
    get(shared, session, stream, &json!({ "last_by_subj": subject })).await
}

/// The first message of one subject at the sequence or after it.
pub(super) async fn next(
    shared: &Shared,
    session: &Session,
    stream: &str,
    subject: &str,
    sequence: u64,
) -> Result<Option<(u64, Bytes)>, ApiFailure> {
    let which = json!({ "next_by_subj": subject, "seq": sequence });
    get(shared, session, stream, &which).await
}

async fn get(
    shared: &Shared,
    session: &Session,
    stream: &str,
    which: &serde_json::Value,
) -> Result<Option<(u64, Bytes)>, ApiFailure> {
    let api = format!("$JS.API.STREAM.MSG.GET.{stream}");
    let body = Bytes::from(which.to_string());
    match session
        .read::<StoredAnswer>(&api, body, &shared.options)
        .await
    {
        Ok(answer) => {
            let malformed = || ApiFailure::Malformed("a message that is no base64".to_owned());
            answer.into_parts().map(Some).ok_or_else(malformed)
        }
        Err(failure) if failure.err_code() == Some(code::NO_MESSAGE) => Ok(None),
        Err(failure) => Err(failure),
    }
}

pub(super) fn read_error(failure: ApiFailure) -> ReadError {
    match failure {
        ApiFailure::Request(RequestError::Denied(text)) => ReadError::Denied(text),
        failure => ReadError::Unavailable(failure.to_string()),
    }
}

pub(super) async fn lease(
    shared: &Shared,
    shard: ShardId,
) -> Result<Option<LeaseEntry>, LeaseError> {
    let wait = shared.options.timings.lease;
    let session = shared.within(wait).await.map_err(LeaseError::Unavailable)?;
    let subject = shared.names.lease_subject(shard);
    let stored = last(shared, &session, &shared.names.leases, &subject).await;
    match stored {
        Ok(stored) => Ok(stored.map(|(revision, value)| LeaseEntry { revision, value })),
        Err(ApiFailure::Request(RequestError::Denied(text))) => Err(LeaseError::Denied(text)),
        Err(failure) => Err(LeaseError::Unavailable(failure.to_string())),
    }
}

pub(super) async fn write_lease(
    shared: &Shared,
    shard: ShardId,
    value: Bytes,
    expect: u64,
) -> Result<u64, LeaseError> {
    let wait = shared.options.timings.lease;
    let session = shared.within(wait).await.map_err(LeaseError::Unavailable)?;
    if expect == 0 {
        let looked = identity::look(shared, &session).await;
        looked.map_err(|trouble| match trouble {
            Trouble::Terminal(error) => LeaseError::Denied(error.to_string()),
            Trouble::Transient(why) => LeaseError::Unavailable(why),
        })?;
    }
    let subject = shared.names.lease_subject(shard);
    let mut headers = async_nats::HeaderMap::new();
    headers.insert("Nats-Expected-Last-Subject-Sequence", expect.to_string());
    let answer = session.request(&subject, Some(headers), value, wait).await;
    let answer = answer.map_err(|error| match error {
        RequestError::Denied(text) => LeaseError::Denied(text),
        error => LeaseError::Unavailable(error.to_string()),
    })?;
    match super::api::read_answer::<PubAck>(&answer.payload).map_err(ApiFailure::from) {
        Ok(ack) => Ok(ack.seq),
        Err(failure)
            if failure
                .err_code()
                .is_some_and(|code| code::WRONG_SEQUENCE.contains(&code)) =>
        {
            Err(LeaseError::Conflict { expected: expect })
        }
        Err(failure) => Err(LeaseError::Unavailable(failure.to_string())),
    }
}
