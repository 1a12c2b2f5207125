//! A consumer of our own: messages of one stream in order, from a place on, or the news that something is amiss.
//!
//! It is ephemeral, acknowledges nothing and lives with one server. Whatever happens to it (its server is lost, the
//! stream's leader changes, somebody deletes it, a message is lost on the way), it is given up and the next one begins
//! where this one was. Nothing is repeated by a server, so that nothing can come twice or out of order.

use std::sync::Arc;
use std::time::Duration;

use async_nats::{Message, Subscriber};
use bytes::Bytes;
use futures_util::StreamExt;
use serde_json::{Value, json};
use tokio::time::timeout;

use super::api::{self, ConsumerInfo};
use super::session::{ApiFailure, RequestError, Session};
use super::shared::Shared;

/// Messages asked for at once.
const BATCH: u64 = 512;

/// A request for messages ends after this and is made anew.
const EXPIRES: Duration = Duration::from_secs(30);

/// How often the server says that there is nothing.
const HEARTBEAT: Duration = Duration::from_secs(1);

/// After this long without anything the consumer is taken for lost.
const SILENCE_MAX: Duration = Duration::from_millis(2_500);

/// The server forgets a consumer that nobody asks for this long.
const FORGET_AFTER: Duration = Duration::from_secs(10);

/// A consumer at work.
pub(super) struct Pull {
    session: Arc<Session>,
    stream: String,
    name: String,
    inbox: String,
    messages: Subscriber,
    /// Messages that have come.
    delivered: u64,
    /// Messages that may yet come before we have to ask again.
    asked: u64,
}

/// What comes.
pub(super) enum Pulled {
    /// A message, and its place in the stream.
    Message(u64, Message),
    /// It cannot go on, for this reason.
    Over(String),
}

impl Pull {
    /// Makes a consumer of the subjects; `start` says from where (`deliver_policy` and what belongs to it). Also says
    /// how many messages are there already.
    pub(super) async fn begin(
        session: &Arc<Session>,
        shared: &Shared,
        stream: &str,
        subjects: &str,
        start: &Value,
    ) -> Result<(Self, u64), ApiFailure> {
        let inbox = session.new_inbox();
        let messages = session.subscribe(inbox.clone()).await?;
        let name = format!("mf-{:016x}", fastrand::u64(..));
        let mut config = json!({
            "name": name,
            "ack_policy": "none",
            "replay_policy": "instant",
            "max_deliver": 1,
            "filter_subject": subjects,
            "inactive_threshold": nanos(FORGET_AFTER),
            "mem_storage": true,
            "num_replicas": 1,
        });
        if let (Some(config), Some(start)) = (config.as_object_mut(), start.as_object()) {
            config.extend(start.clone());
        }
        let request = json!({ "stream_name": stream, "config": config, "action": "create" });
        let subject = format!("$JS.API.CONSUMER.CREATE.{stream}.{name}.{subjects}");
        let body = Bytes::from(request.to_string());
        // Not repeated here: it may have been given to a server that has just died, as the next one need not be.
        let within = shared.options.timings.attempt;
        let made: ConsumerInfo = session.api(&subject, body, within).await?;
        let mut pull = Self {
            session: Arc::clone(session),
            stream: stream.to_owned(),
            name: made.name,
            inbox,
            messages,
            delivered: 0,
            asked: 0,
        };
        pull.ask().await?;
        Ok((pull, made.num_pending))
    }

    /// Waits for the next message. Cancel-safe: a message is taken only when it is returned.
    pub(super) async fn next(&mut self) -> Pulled {
        loop {
            if self.asked < BATCH / 2
                && let Err(error) = self.ask().await
            {
                return Pulled::Over(error.to_string());
            }
            let message = match timeout(SILENCE_MAX, self.messages.next()).await {
                Ok(Some(message)) => message,
                Ok(None) => return Pulled::Over("the connection broke".to_owned()),
                Err(_) => return Pulled::Over("the consumer is silent".to_owned()),
            };
            let status = message.status.map(|status| status.as_u16());
            let over = match status {
                None | Some(200) => return self.handle_message(message),
                // Nothing is there. It says how much it has sent, so that a lost tail is noticed.
                Some(100) => self.check_heartbeat(&message),
                // The request has ended; what it left unsent will not come.
                Some(404 | 408) => {
                    self.asked = 0;
                    None
                }
                Some(409) if is_end_of_request(&message) => {
                    self.asked = 0;
                    None
                }
                Some(status) => Some(format!("{status} {}", description(&message))),
            };
            if let Some(why) = over {
                return Pulled::Over(why);
            }
        }
    }

    fn handle_message(&mut self, message: Message) -> Pulled {
        let place = message.reply.as_deref().and_then(api::read_place);
        let Some((sequence, number)) = place else {
            return Pulled::Over("a message without its place".to_owned());
        };
        if number != self.delivered + 1 {
            return Pulled::Over(format!("message {number} after {}", self.delivered));
        }
        self.delivered = number;
        self.asked = self.asked.saturating_sub(1);
        Pulled::Message(sequence, message)
    }

    fn check_heartbeat(&self, message: &Message) -> Option<String> {
        let headers = message.headers.as_ref()?;
        let sent: u64 = headers.get("Nats-Last-Consumer")?.as_str().parse().ok()?;
        (sent > self.delivered).then(|| format!("{sent} sent, {} came", self.delivered))
    }

    async fn ask(&mut self) -> Result<(), RequestError> {
        let request = json!({
            "batch": BATCH,
            "expires": nanos(EXPIRES),
            "idle_heartbeat": nanos(HEARTBEAT),
        });
        let subject = format!("$JS.API.CONSUMER.MSG.NEXT.{}.{}", self.stream, self.name);
        self.asked += BATCH;
        let body = Bytes::from(request.to_string());
        let session = &self.session;
        session
            .publish_with_reply(subject, self.inbox.clone(), body)
            .await
    }

    /// Tells the server to forget it now. If that does not reach it, it forgets by itself.
    pub(super) async fn forget(self) {
        let subject = format!("$JS.API.CONSUMER.DELETE.{}.{}", self.stream, self.name);
        let _ = self.session.publish(subject, None, Bytes::new()).await;
    }
}

fn nanos(duration: Duration) -> u64 {
    u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX)
}

fn description(message: &Message) -> &str {
    message.description.as_deref().unwrap_or_default()
}

/// Of the many meanings of 409, the ones after which the consumer is still there.
fn is_end_of_request(message: &Message) -> bool {
    let description = description(message).to_ascii_lowercase();
    description.starts_with("message size exceeds") || description.starts_with("batch completed")
}
