//! Subscriptions to closes: a task that pulls, and a short queue to the reader.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use serde_json::json;
use tokio::sync::mpsc;
use tokio::time::{Instant, sleep};
use wire::{Subject, SubjectFilter};

use super::direct;
use super::headers;
use super::pull::{Pull, Pulled};
use super::session::{ApiFailure, RequestError, Session};
use super::shared::Shared;
use super::streams;
use crate::broker::{
    BarMessage, ClosePlace, CloseStart, CloseSubscription, Closed, Drained, LogId, SequencedClose,
    SubscribeError,
};

/// Closes that wait for their reader, at about 1.2 KB each. The log keeps the rest.
const QUEUE_MAX: usize = 4_096;

/// How long the next consumer waits after one that failed.
const PAUSE: Duration = Duration::from_millis(100);

/// What lasts longer is told: elections take four to nine seconds.
const TROUBLE_MAX: Duration = Duration::from_secs(10);

/// A reader's place in the log. It outlives consumers and connections.
pub(super) struct Place {
    filter: SubjectFilter,
    /// The log, by the time of its making.
    log: LogId,
    /// The sequence to read next.
    next: u64,
    /// Since when it cannot be read, and whether that was told.
    trouble: Option<(Instant, bool)>,
}

pub(super) struct NatsCloses {
    queue: mpsc::Receiver<SequencedClose>,
    place: ClosePlace,
}

/// Finds the place, and makes both ends of a subscription.
pub(super) async fn subscribe(
    shared: &Shared,
    filter: SubjectFilter,
    from: CloseStart,
) -> Result<(NatsCloses, Place, mpsc::Sender<SequencedClose>), SubscribeError> {
    if filter.scope != shared.scope {
        return Err(SubscribeError::Denied("closes of another feed".to_owned()));
    }
    let session = shared.within(shared.options.timings.read).await;
    let session = session.map_err(SubscribeError::Unavailable)?;
    // Answered by the leader, so that what was committed before is before `Next`.
    let info = streams::log_info(&session, shared).await;
    let info = info.map_err(SubscribeError::Unavailable)?;
    let last = info.state.last_seq;
    let log = LogId::new(&info.created);
    let sequence = match from {
        CloseStart::Next => last,
        CloseStart::First => 0,
        // Looked at first: by its length alone a log that was made anew cannot be told.
        CloseStart::After(place) if place.log != log => return Err(SubscribeError::OtherLog),
        CloseStart::After(ClosePlace { sequence, .. }) if sequence > last => {
            let after = sequence;
            return Err(SubscribeError::Ahead { after, last });
        }
        CloseStart::After(ClosePlace { sequence, .. }) => sequence,
    };
    let place = Place {
        filter,
        log: log.clone(),
        next: sequence + 1,
        trouble: None,
    };
    let (give, queue) = mpsc::channel(QUEUE_MAX);
    let place_given = ClosePlace { log, sequence };
    let reader = NatsCloses {
        queue,
        place: place_given,
    };
    Ok((reader, place, give))
}

#[async_trait]
impl CloseSubscription for NatsCloses {
    async fn drain(
        &mut self,
        max: usize,
        into: &mut Vec<SequencedClose>,
    ) -> Result<Drained, Closed> {
        match self.queue.recv_many(into, max.max(1)).await {
            0 => Err(Closed),
            _ => {
                let last = into.last().map(|close| close.sequence);
                self.place.sequence = last.unwrap_or(self.place.sequence);
                Ok(Drained::Closes)
            }
        }
    }

    fn place(&self) -> ClosePlace {
        self.place.clone()
    }
}

/// Why a stretch of reading ended.
enum End {
    /// Nobody reads any more.
    Unread,
    /// The log is another one than it was.
    OtherLog,
    /// Begin anew where we are.
    Again(String),
}

/// Pulls from the log into the queue until nobody reads it any more.
pub(super) async fn run(shared: Arc<Shared>, mut place: Place, give: mpsc::Sender<SequencedClose>) {
    let mut sessions = shared.session.subscribe();
    loop {
        let session = tokio::select! {
            session = sessions.wait_for(Option::is_some) => match session {
                Ok(session) => session.clone(),
                Err(_) => return,
            },
            () = give.closed() => return,
        };
        let Some(session) = session else { continue };
        match stretch(&shared, &session, &mut place, &give).await {
            End::Unread => return,
            End::OtherLog => {
                tracing::warn!(
                    stream = shared.names.closes,
                    "the log of closes was made anew: a reader of the old one has nothing to go on with"
                );
                shared.counts.error("closes", "other_log");
                return;
            }
            End::Again(why) => {
                shared.counts.error("closes", "consumer");
                place.tell_trouble(&why);
            }
        }
        tokio::select! {
            () = sleep(PAUSE) => {}
            () = give.closed() => return,
        }
    }
}

async fn stretch(
    shared: &Shared,
    session: &Arc<Session>,
    place: &mut Place,
    give: &mpsc::Sender<SequencedClose>,
) -> End {
    let start = json!({ "deliver_policy": "by_start_sequence", "opt_start_seq": place.next });
    let stream = &shared.names.closes;
    let filter = place.filter.to_string();
    let mut pull = match Pull::begin(session, shared, stream, &filter, &start).await {
        Ok((pull, _)) => pull,
        Err(ApiFailure::Request(RequestError::Denied(text))) => return End::Again(text),
        Err(failure) => {
            // A consumer is made by the leader of all streams, which may be away for some seconds, or was given to a
            // server that is. What is committed meanwhile is read without one.
            let page = direct::page(shared, session, &filter, place.next).await;
            if let Err(end) = place.confirm(shared, session).await {
                return end;
            }
            return match page {
                Ok(messages) => deliver(shared, place, give, messages, &failure).await,
                Err(why) => End::Again(format!("{failure}; {why}")),
            };
        }
    };
    if let Err(end) = place.confirm(shared, session).await {
        return end;
    }
    loop {
        let (sequence, message) = tokio::select! {
            pulled = pull.next() => match pulled {
                Pulled::Message(sequence, message) => (sequence, message),
                Pulled::Over(why) => return End::Again(why),
            },
            () = give.closed() => break,
        };
        if !place.take(shared, give, sequence, &message).await {
            break;
        }
    }
    pull.forget().await;
    End::Unread
}

async fn deliver(
    shared: &Shared,
    place: &mut Place,
    give: &mpsc::Sender<SequencedClose>,
    messages: Vec<(u64, async_nats::Message)>,
    failure: &ApiFailure,
) -> End {
    for (sequence, message) in messages {
        if !place.take(shared, give, sequence, &message).await {
            return End::Unread;
        }
    }
    End::Again(failure.to_string())
}

impl Place {
    /// Looks whether the log is still the one that the place is in: then what was read of it before is of that one too.
    /// The log's leader says so, whom a commit needs as well: where there is none, nothing new is missed.
    async fn confirm(&mut self, shared: &Shared, session: &Session) -> Result<(), End> {
        match streams::log_info(session, shared).await {
            Ok(info) if LogId::new(&info.created) != self.log => Err(End::OtherLog),
            Ok(_) => {
                self.tell_reads();
                Ok(())
            }
            Err(why) => Err(End::Again(why)),
        }
    }

    /// It cannot be read, which is told once it has lasted for longer than an election.
    fn tell_trouble(&mut self, why: &str) {
        tracing::debug!(why, next = self.next, "reading closes anew");
        let (since, is_told) = self.trouble.get_or_insert((Instant::now(), false));
        if !*is_told && since.elapsed() > TROUBLE_MAX {
            *is_told = true;
            tracing::warn!(error = why, "closes cannot be read");
        }
    }

    fn tell_reads(&mut self) {
        if let Some((since, true)) = self.trouble.take() {
            let after_ms = since.elapsed().as_millis();
            tracing::info!(after_ms, "closes are read again");
        }
    }

    /// Gives the next message to the reader; false if there is none any more.
    async fn take(
        &mut self,
        shared: &Shared,
        give: &mpsc::Sender<SequencedClose>,
        sequence: u64,
        message: &async_nats::Message,
    ) -> bool {
        // Neither source repeats itself; if one did, the reader would not see it.
        if sequence < self.next {
            return true;
        }
        if let Some(message) = decode(shared, "close", message)
            && give
                .send(SequencedClose { sequence, message })
                .await
                .is_err()
        {
            return false;
        }
        self.next = sequence + 1;
        true
    }
}

/// Reads a bar. What is none is counted, logged now and then, and dropped.
pub(super) fn decode(
    shared: &Shared,
    kind: &'static str,
    message: &async_nats::Message,
) -> Option<BarMessage> {
    let text = message.subject.as_str();
    let why = match text.parse::<Subject>() {
        Ok(subject) => match BarMessage::decode(subject, message.payload.clone()) {
            Ok(bar) => {
                let trace = headers::trace(message.headers.as_ref());
                return Some(bar.with_trace(trace));
            }
            Err(error) => error.to_string(),
        },
        Err(error) => error.to_string(),
    };
    shared.counts.garbage(kind);
    let count = shared.counts.garbage_count(kind);
    // The first, the second, the fourth, and so on: a flood fills no log.
    if count.is_power_of_two() {
        tracing::warn!(subject = text, why, count, "garbage on the bus, dropped");
    }
    None
}
