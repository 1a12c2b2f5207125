//! A stretch of one topic's closes, by `close_no`.
//!
//! The topic's first and last message bound the search; its numbers rise by one with each of its messages, so that
//! their places are guessed by rule of three and met in a few steps. What is found is then read in one go from any
//! replica; that it may be behind shows by the topic's last message, which the leader has told.
//!
//! Whoever may publish may put what is no bar between them. It has a place and no number, and is passed over.

use std::sync::Arc;

use bytes::Bytes;
use wire::Subject;

use super::closes::decode;
use super::direct;
use super::session::Session;
use super::shared::Shared;
use super::stored::{last, next, read_error};
use crate::broker::{BarMessage, ReadError, Replay, SequencedClose};

/// Closes before the wanted one that are read and thrown away rather than searched for.
const SLACK: u64 = 16;

/// A message of the topic: its sequence and `close_no`.
#[derive(Debug, Clone, Copy)]
struct At {
    sequence: u64,
    close_no: u64,
}

pub(super) async fn closes_after(
    shared: &Shared,
    subject: &Subject,
    close_no: u64,
    max: usize,
) -> Result<Replay, ReadError> {
    if subject.scope != shared.scope {
        return Err(ReadError::Denied("closes of another feed".to_owned()));
    }
    let session = shared.within(shared.options.timings.read).await;
    let session = session.map_err(ReadError::Unavailable)?;
    let search = Search {
        shared,
        session: &session,
        subject,
        text: subject.to_string(),
    };
    let stream = &shared.names.closes;
    let end = last(shared, &session, stream, &search.text).await;
    let Some((end, json)) = end.map_err(read_error)? else {
        return Ok(Replay::default());
    };
    let Some(oldest) = search.next_at(1).await? else {
        return Ok(Replay::default());
    };
    let newest = match search.at(end, &json) {
        Some(newest) => newest,
        None => search.last_before(oldest, end).await?,
    };
    let wanted = close_no.saturating_add(1);
    let missed = (wanted < oldest.close_no).then(|| (wanted, oldest.close_no - 1));
    let mut closes = Vec::new();
    if wanted <= newest.close_no && max > 0 {
        let from = search.find(oldest, newest, wanted).await?;
        search.read(from, newest, wanted, max, &mut closes).await?;
    }
    Ok(Replay {
        closes,
        missed,
        newest: Some(newest.close_no),
    })
}

struct Search<'a> {
    shared: &'a Shared,
    session: &'a Arc<Session>,
    subject: &'a Subject,
    text: String,
}

impl Search<'_> {
    /// The message's place, if it is a bar of the topic.
    fn at(&self, sequence: u64, json: &Bytes) -> Option<At> {
        let bar = BarMessage::decode(self.subject.clone(), json.clone()).ok()?;
        let close_no = bar.bar.close_no;
        Some(At { sequence, close_no })
    }

    /// The topic's first bar at the sequence or after it.
    async fn next_at(&self, mut sequence: u64) -> Result<Option<At>, ReadError> {
        loop {
            let stream = &self.shared.names.closes;
            let stored = next(self.shared, self.session, stream, &self.text, sequence).await;
            let Some((place, json)) = stored.map_err(read_error)? else {
                return Ok(None);
            };
            if let Some(found) = self.at(place, &json) {
                return Ok(Some(found));
            }
            // Where there is one piece of garbage there may be hundreds: they are passed in pages. A replica that is
            // behind gives fewer, and the leader is asked for what follows.
            sequence = place + 1;
            let page = direct::page(self.shared, self.session, &self.text, sequence).await;
            for (place, message) in page.map_err(ReadError::Unavailable)? {
                if let Some(found) = self.at(place, &message.payload) {
                    return Ok(Some(found));
                }
                sequence = place + 1;
            }
        }
    }

    /// The topic's last bar, where its last message, at `end`, is none: halves what lies between it and a bar.
    async fn last_before(&self, bar: At, end: u64) -> Result<At, ReadError> {
        let (mut low, mut high) = (bar, end);
        while low.sequence + 1 < high {
            let guess = low.sequence + (high - low.sequence) / 2;
            match self.next_at(guess).await? {
                // What was committed since belongs to a later question.
                Some(found) if found.sequence < high => low = found,
                Some(_) | None => high = guess,
            }
        }
        Ok(low)
    }

    /// The sequence of a close shortly before the wanted one, or of it.
    async fn find(&self, oldest: At, newest: At, wanted: u64) -> Result<u64, ReadError> {
        let (mut low, mut high) = (oldest, newest);
        let mut steps = 0_u32;
        while low.close_no + SLACK < wanted && low.sequence + 1 < high.sequence {
            // Every second step halves what is left, so that no pattern of closes makes the search long.
            let guess = match steps % 2 {
                0 => between(low, high, wanted),
                _ => low.sequence + (high.sequence - low.sequence) / 2,
            };
            steps += 1;
            let Some(found) = self.next_at(guess).await? else {
                break;
            };
            if found.close_no > wanted {
                // It was found at or after the guess: nothing of the topic is between the two.
                high = At {
                    sequence: guess,
                    close_no: found.close_no,
                };
            } else {
                low = found;
            }
        }
        Ok(low.sequence)
    }

    /// Reads from the sequence on, up to `max` closes from the wanted one on.
    async fn read(
        &self,
        from: u64,
        newest: At,
        wanted: u64,
        max: usize,
        closes: &mut Vec<SequencedClose>,
    ) -> Result<(), ReadError> {
        let mut next = from;
        while closes.len() < max && next <= newest.sequence {
            let messages = direct::page(self.shared, self.session, &self.text, next).await;
            let before = next;
            for (sequence, message) in messages.map_err(ReadError::Unavailable)? {
                next = next.max(sequence + 1);
                // What was committed since belongs to a later question.
                if closes.len() == max || sequence > newest.sequence {
                    break;
                }
                if let Some(message) = decode(self.shared, "close", &message)
                    && message.bar.close_no >= wanted
                {
                    closes.push(SequencedClose { sequence, message });
                }
            }
            if next == before {
                // The replica that was asked is behind.
                let why = "a replica lacks the newest closes";
                return Err(ReadError::Unavailable(why.to_owned()));
            }
        }
        Ok(())
    }
}

/// A place between the two, by rule of three; never the first, so that the search moves.
fn between(low: At, high: At, wanted: u64) -> u64 {
    let numbers = u128::from((high.close_no - low.close_no).max(1));
    let sequences = u128::from(high.sequence - low.sequence);
    // A little before it, so that it is met from below.
    let steps = u128::from((wanted - low.close_no).saturating_sub(SLACK / 2).max(1));
    let ahead = u64::try_from(sequences * steps / numbers).unwrap_or(u64::MAX);
    (low.sequence + ahead.max(1)).min(high.sequence)
}
