//! Commits: one atomic batch each (ADR-50 of NATS).
//!
//! The first message is a request, whose empty answer says that the batch has begun; the ones between have no answer;
//! the last one is a request again, whose answer is the commit's. So only the last one can leave the outcome open: a
//! batch without its last message is given up by the server after ten seconds, with nothing appended.

use async_nats::HeaderMap;
use bytes::Bytes;
use tokio::time::Instant;

use super::api::{self, AnswerError, PubAck, code};
use super::error::Trouble;
use super::headers;
use super::identity;
use super::session::{RequestError, Session};
use super::shared::Shared;
use super::streams;
use crate::broker::{BarMessage, CheckpointWrite, Commit, CommitError, Committed};

/// One message of a batch.
struct Part {
    subject: String,
    headers: HeaderMap,
    payload: Bytes,
}

pub(super) async fn commit(shared: &Shared, commit: &Commit) -> Result<Committed, CommitError> {
    check(shared, commit)?;
    let wait = shared.options.timings.attempt;
    let session = shared.within(wait).await;
    let session = session.map_err(CommitError::Unavailable)?;
    if commit.is_empty() {
        return end_of_log(shared, &session).await;
    }
    if identity::is_asked_for(commit) {
        let looked = identity::look(shared, &session).await;
        looked.map_err(|trouble| match trouble {
            Trouble::Terminal(error) => CommitError::Denied(error.to_string()),
            Trouble::Transient(why) => CommitError::Unavailable(why),
        })?;
    }
    let begun = Instant::now();
    let outcome = send(shared, &session, parts(commit)).await;
    shared.counts.committed(begun.elapsed());
    let outcome_word = match &outcome {
        Ok(_) => "ok",
        Err(CommitError::Fenced) => "fenced",
        Err(CommitError::Unknown(_)) => "unknown",
        Err(CommitError::Unavailable(_)) => "unavailable",
        Err(_) => "denied",
    };
    let Commit {
        closes,
        checkpoints,
    } = commit;
    let counts = &shared.counts;
    counts.sent("close", outcome_word, closes.len());
    counts.sent("checkpoint", outcome_word, checkpoints.len());
    let last_sequence = outcome?;
    // A batch takes one stretch of the log, its checkpoints last.
    let first = last_sequence + 1 - checkpoints.len() as u64;
    Ok(Committed {
        last_sequence,
        checkpoints: (first..=last_sequence).collect(),
    })
}

/// What needs no server to be refused.
fn check(shared: &Shared, commit: &Commit) -> Result<(), CommitError> {
    commit.check()?;
    let closes = commit.closes.iter().map(|close| &close.subject.scope);
    let checkpoints = commit.checkpoints.iter().map(|write| &write.subject.scope);
    match closes
        .chain(checkpoints)
        .find(|scope| **scope != shared.scope)
    {
        None => Ok(()),
        Some(other) => Err(CommitError::Denied(format!(
            "a commit to {}.{}, which is another feed",
            other.env, other.region
        ))),
    }
}

fn parts(commit: &Commit) -> Vec<Part> {
    let batch = format!("{:016x}{:016x}", fastrand::u64(..), fastrand::u64(..));
    let count = commit.len();
    let closes = commit.closes.iter().map(of_close);
    let checkpoints = commit.checkpoints.iter().map(of_checkpoint);
    let mut parts: Vec<Part> = closes.chain(checkpoints).collect();
    for (at, part) in parts.iter_mut().enumerate() {
        let number = at + 1;
        part.headers.insert("Nats-Batch-Id", batch.as_str());
        part.headers
            .insert("Nats-Batch-Sequence", number.to_string());
        if number == count {
            part.headers.insert("Nats-Batch-Commit", "1");
        }
    }
    parts
}

fn of_close(close: &BarMessage) -> Part {
    Part {
        subject: close.subject.to_string(),
        headers: headers::of_bar(close).unwrap_or_default(),
        payload: close.json.clone(),
    }
}

fn of_checkpoint(write: &CheckpointWrite) -> Part {
    let mut headers = HeaderMap::new();
    headers.insert(
        "Nats-Expected-Last-Subject-Sequence",
        write.expect.to_string(),
    );
    headers.insert("Nats-Rollup", "sub");
    Part {
        subject: write.subject.to_string(),
        headers,
        payload: write.json.clone(),
    }
}

/// Why nobody takes a message of the log.
const NO_STREAM: &str = "no stream takes it: its servers elect a leader, or it was removed; a process that starts makes it";

fn unavailable(error: &RequestError) -> CommitError {
    CommitError::Unavailable(match error {
        RequestError::NoResponders => NO_STREAM.to_owned(),
        error => error.to_string(),
    })
}

/// Sends the batch; gives the sequence of its last message.
async fn send(shared: &Shared, session: &Session, parts: Vec<Part>) -> Result<u64, CommitError> {
    let timings = &shared.options.timings;
    // Whoever does not allow a message says so apart from the answers.
    let mut violations = session.violations();
    let subjects: Vec<String> = parts.iter().map(|part| part.subject.clone()).collect();
    let mut parts = parts.into_iter();
    // A commit has a checkpoint at least, and one that is empty does not come here.
    let Some(last) = parts.next_back() else {
        return Err(CommitError::Unavailable("nothing to commit".to_owned()));
    };
    let sends = async {
        if let Some(first) = parts.next() {
            begin(session, first, timings.begin).await?;
        }
        for part in parts {
            let Part {
                subject,
                headers,
                payload,
            } = part;
            let sent = session.publish(subject, Some(headers), payload).await;
            sent.map_err(|error| CommitError::Unavailable(error.to_string()))?;
        }
        let Part {
            subject,
            headers,
            payload,
        } = last;
        let answer = session.request(&subject, Some(headers), payload, timings.commit);
        match answer.await {
            Ok(answer) => outcome(&answer.payload),
            Err(RequestError::Denied(text)) => Err(CommitError::Denied(text)),
            // The server knows at once that nobody takes it.
            Err(error @ RequestError::NoResponders) => Err(unavailable(&error)),
            Err(error) => Err(CommitError::Unknown(error.to_string())),
        }
    };
    tokio::select! {
        outcome = sends => outcome,
        // One message was not let through, so that the server will not take the batch without it.
        text = violations.publish_to(|subject| subjects.iter().any(|ours| ours == subject)) => {
            Err(CommitError::Denied(text))
        }
    }
}

/// Sends the first of several messages. Whatever comes of it, nothing is committed yet.
async fn begin(
    session: &Session,
    first: Part,
    within: std::time::Duration,
) -> Result<(), CommitError> {
    let Part {
        subject,
        headers,
        payload,
    } = first;
    let answer = session
        .request(&subject, Some(headers), payload, within)
        .await;
    let answer = answer.map_err(|error| match error {
        RequestError::Denied(text) => CommitError::Denied(text),
        error => unavailable(&error),
    })?;
    if answer.payload.is_empty() {
        return Ok(());
    }
    match outcome(&answer.payload) {
        // A stream that takes no batches appends the message by itself. Ours are checked to take them.
        Ok(_) => Err(CommitError::Denied(
            "the stream takes no batches".to_owned(),
        )),
        Err(error) => Err(error),
    }
}

fn outcome(answer: &[u8]) -> Result<u64, CommitError> {
    match api::read_answer::<PubAck>(answer) {
        Ok(ack) => Ok(ack.seq),
        Err(AnswerError::Api(error)) if code::WRONG_SEQUENCE.contains(&error.err_code) => {
            Err(CommitError::Fenced)
        }
        Err(AnswerError::Api(error)) if error.err_code == code::NO_ATOMIC => {
            Err(CommitError::Denied(error.to_string()))
        }
        // Refused, and so not appended.
        Err(AnswerError::Api(error)) => Err(CommitError::Unavailable(error.to_string())),
        Err(AnswerError::Malformed(what)) => Err(CommitError::Unknown(what)),
    }
}

async fn end_of_log(shared: &Shared, session: &Session) -> Result<Committed, CommitError> {
    let info = streams::log_info(session, shared).await;
    let info = info.map_err(CommitError::Unavailable)?;
    Ok(Committed {
        last_sequence: info.state.last_seq,
        checkpoints: Vec::new(),
    })
}
