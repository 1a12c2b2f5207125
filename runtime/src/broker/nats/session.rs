//! One connection to NATS, from its making to its end. It never reconnects: what the client had queued when the
//! connection broke would be sent then, and stale bars must not be.

use std::sync::{Arc, Mutex, OnceLock};
use std::time::Duration;

use async_nats::client::Request;
use async_nats::connection::State;
use async_nats::{
    Client, ConnectErrorKind, Event, HeaderMap, Message, RequestErrorKind, ServerAddr, ServerError,
    Subscriber,
};
use bytes::Bytes;
use serde::de::DeserializeOwned;
use tokio::sync::broadcast;
use tokio::time::{Instant, sleep, timeout, timeout_at};
use tokio_util::sync::CancellationToken;

use super::api::{self, AnswerError, ApiError};
use super::error::{NatsError, Trouble, VERSION_NEEDED};
use super::metrics::Counts;
use super::names::Names;
use super::options::NatsOptions;
use crate::lock::lock;

/// How often the server is asked for a sign of life; three without an answer end the connection. The client's own
/// minute would leave a cut-off owner in the dark for three.
const PING_EVERY: Duration = Duration::from_secs(2);

/// Messages that wait for one subscription's task. Past it the newest is dropped and counted. Two seconds of 20,000
/// open bars; at about 0.8 KB each, 32 MB.
const SUBSCRIPTION_MAX: usize = 40_000;

/// Commands that wait for the connection's task: four commits, or 0.2 s of 20,000 open bars.
const COMMANDS_MAX: usize = 4_096;

/// An address at which nobody listens and that is refused at once. Once connected it is the only one that the client
/// knows, so that it cannot reconnect, fails and ends. (Its `max_reconnects` of 0 means without end.)
const NOWHERE: &str = "nats://127.0.0.1:0";

/// A live connection.
#[derive(Debug)]
pub(super) struct Session {
    client: Client,
    signals: Arc<Signals>,
    /// Its server, for logs.
    pub(super) server: String,
}

/// What the client reports beside its answers.
#[derive(Debug)]
struct Signals {
    over: CancellationToken,
    violations: broadcast::Sender<Violation>,
    /// What the server said when it refused the subscription to our own inbox: no answer will ever come.
    deaf: OnceLock<String>,
    last_logged: Mutex<Option<Instant>>,
    counts: Counts,
    inbox: String,
}

/// The server did not let something through. It says so apart from any answer.
#[derive(Debug, Clone)]
pub(super) struct Violation {
    publish: bool,
    subject: String,
    text: String,
}

/// Why there is no answer.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(super) enum RequestError {
    /// Nobody is there who could answer: it has not been taken.
    #[error("nobody answers there")]
    NoResponders,
    /// It may have been taken.
    #[error("no answer in time")]
    TimedOut,
    /// It may have been taken.
    #[error("the connection broke")]
    Gone,
    /// The server did not let it through.
    #[error("{0}")]
    Denied(String),
}

/// Why a call of the API failed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(super) enum ApiFailure {
    #[error(transparent)]
    Request(#[from] RequestError),
    #[error(transparent)]
    Api(#[from] ApiError),
    #[error("{0}")]
    Malformed(String),
}

impl From<AnswerError> for ApiFailure {
    fn from(error: AnswerError) -> Self {
        match error {
            AnswerError::Api(error) => Self::Api(error),
            AnswerError::Malformed(what) => Self::Malformed(what),
        }
    }
}

impl ApiFailure {
    /// The server's number, if it gave one.
    pub(super) fn err_code(&self) -> Option<u32> {
        match self {
            Self::Api(error) => Some(error.err_code),
            Self::Request(_) | Self::Malformed(_) => None,
        }
    }
}

/// Connects to the first server that takes us, and checks its version.
pub(super) async fn connect(
    options: &NatsOptions,
    names: &Names,
    counts: &Counts,
) -> Result<Session, Trouble> {
    let mut trouble = Trouble::Transient("no server to try".to_owned());
    for address in options.shuffled_urls() {
        match connect_to(&address, options, names, counts).await {
            Err(Trouble::Transient(why)) => {
                trouble = Trouble::Transient(format!("{}: {why}", address.as_url_str()));
            }
            done => return done,
        }
    }
    Err(trouble)
}

async fn connect_to(
    address: &ServerAddr,
    options: &NatsOptions,
    names: &Names,
    counts: &Counts,
) -> Result<Session, Trouble> {
    let inbox = names.inbox(options.party);
    let signals = Arc::new(Signals {
        over: CancellationToken::new(),
        violations: broadcast::Sender::new(64),
        deaf: OnceLock::new(),
        last_logged: Mutex::default(),
        counts: counts.clone(),
        inbox: format!("{inbox}."),
    });
    let heard = Arc::clone(&signals);
    let client_options = options.client_options().await;
    // A file that says nothing of use: it was there when the process started, or the process would not have.
    let client_options =
        client_options.map_err(|error| NatsError::Credentials(error.to_string()))?;
    let client = client_options
        .name(format!("marketfeed {}", options.party.as_str()))
        .custom_inbox_prefix(&inbox)
        .ping_interval(PING_EVERY)
        .subscription_capacity(SUBSCRIPTION_MAX)
        .client_capacity(COMMANDS_MAX)
        .ignore_discovered_servers()
        // The first connection is one attempt; a second one goes nowhere.
        .max_reconnects(1)
        .event_callback(move |event| {
            heard.handle_event(&event);
            std::future::ready(())
        })
        .connect(address.clone())
        .await
        .map_err(|error| trouble_of(&error))?;
    // Nothing is sent before this is done, so that nothing can be sent twice.
    let closed = client.set_server_pool(NOWHERE).await;
    closed.map_err(|error| Trouble::Transient(error.to_string()))?;
    let info = client.server_info();
    let server = address.as_url_str().to_owned();
    if api::read_version(&info.version).is_none_or(|version| version < VERSION_NEEDED) {
        return Err(Trouble::Terminal(NatsError::ServerTooOld {
            server,
            version: info.version,
        }));
    }
    Ok(Session {
        client,
        signals,
        server,
    })
}

fn trouble_of(error: &async_nats::ConnectError) -> Trouble {
    use std::error::Error;
    // The kind alone is a word; what the operating system or the server said is behind it.
    let why = match error.source() {
        Some(source) => format!("{}: {source}", error.kind()),
        None => error.kind().to_string(),
    };
    match error.kind() {
        ConnectErrorKind::AuthorizationViolation | ConnectErrorKind::Authentication => {
            Trouble::Terminal(NatsError::Credentials(why))
        }
        _ => Trouble::Transient(why),
    }
}

impl Signals {
    /// Never waits: the client's events go through a short queue.
    fn handle_event(&self, event: &Event) {
        match event {
            Event::Disconnected | Event::Closed => self.over.cancel(),
            Event::SlowConsumer(_) => {
                self.counts.slow.inc();
                self.log("this process is too slow for the bus: messages are dropped");
            }
            Event::ServerError(ServerError::Other(text)) => self.handle_server_error(text),
            Event::ServerError(error) => self.log(&error.to_string()),
            Event::LameDuckMode => tracing::info!("the NATS server is about to leave"),
            Event::Connected | Event::Draining | Event::ClientError(_) => {}
        }
    }

    fn handle_server_error(&self, text: &str) {
        let Some((publish, subject)) = api::read_violation(text) else {
            self.counts.error("connection", "server_error");
            self.log(text);
            return;
        };
        self.counts.error("connection", "permission");
        self.log(text);
        if !publish && subject.starts_with(&self.inbox) {
            let _ = self.deaf.set(text.to_owned());
        }
        // Nobody in flight, nobody told.
        let _ = self.violations.send(Violation {
            publish,
            subject: subject.to_owned(),
            text: text.to_owned(),
        });
    }

    /// One line in ten seconds; the counts tell the rest.
    fn log(&self, what: &str) {
        let mut last = lock(&self.last_logged);
        let now = Instant::now();
        if last.is_none_or(|last| now - last >= Duration::from_secs(10)) {
            *last = Some(now);
            tracing::warn!(what, "NATS");
        }
    }
}

/// Hears what the server does not let through from its making on.
pub(super) struct Violations(broadcast::Receiver<Violation>);

impl Violations {
    /// Waits for a publish to one of the subjects that was not let through; for ever if there is none.
    pub(super) async fn publish_to(&mut self, is_ours: impl Fn(&str) -> bool) -> String {
        loop {
            match self.0.recv().await {
                Ok(violation) if violation.publish && is_ours(&violation.subject) => {
                    return violation.text;
                }
                Ok(_) | Err(broadcast::error::RecvError::Lagged(_)) => {}
                Err(broadcast::error::RecvError::Closed) => std::future::pending().await,
            }
        }
    }
}

impl Session {
    /// Waits for the end of the connection.
    pub(super) async fn over(&self) {
        self.signals.over.cancelled().await;
    }

    pub(super) fn is_over(&self) -> bool {
        // The events may be lost in a flood of others; the state is not.
        if self.client.connection_state() != State::Connected {
            self.signals.over.cancel();
        }
        self.signals.over.is_cancelled()
    }

    /// Ends it for all who use it, whatever is on its way.
    pub(super) fn give_up(&self) {
        self.signals.over.cancel();
    }

    pub(super) fn violations(&self) -> Violations {
        Violations(self.signals.violations.subscribe())
    }

    /// Hands a message to the connection.
    pub(super) async fn publish(
        &self,
        subject: String,
        headers: Option<HeaderMap>,
        payload: Bytes,
    ) -> Result<(), RequestError> {
        let sent = match headers {
            Some(headers) => {
                let client = &self.client;
                client.publish_with_headers(subject, headers, payload).await
            }
            None => self.client.publish(subject, payload).await,
        };
        sent.map_err(|_| RequestError::Gone)
    }

    /// Asks for messages that come in by a subscription.
    pub(super) async fn publish_with_reply(
        &self,
        subject: String,
        reply: String,
        payload: Bytes,
    ) -> Result<(), RequestError> {
        let sent = self
            .client
            .publish_with_reply(subject, reply, payload)
            .await;
        sent.map_err(|_| RequestError::Gone)
    }

    pub(super) async fn subscribe(&self, subject: String) -> Result<Subscriber, RequestError> {
        let subscribed = self.client.subscribe(subject).await;
        subscribed.map_err(|_| RequestError::Gone)
    }

    /// A subject of our own for answers.
    pub(super) fn new_inbox(&self) -> String {
        self.client.new_inbox()
    }

    /// Waits until what was given to the connection has been written to it.
    pub(super) async fn flush(&self) {
        let _ = self.client.flush().await;
    }

    /// Ends it after what waits has been sent.
    pub(super) async fn drain(&self) {
        let _ = self.client.drain().await;
        self.over().await;
    }

    /// One request, one answer.
    pub(super) async fn request(
        &self,
        subject: &str,
        headers: Option<HeaderMap>,
        payload: Bytes,
        within: Duration,
    ) -> Result<Message, RequestError> {
        if let Some(text) = self.signals.deaf.get() {
            return Err(RequestError::Denied(text.clone()));
        }
        let mut violations = self.violations();
        let request = Request::new().payload(payload).timeout(None);
        let request = match headers {
            Some(headers) => request.headers(headers),
            None => request,
        };
        let answered = timeout(
            within,
            self.client.send_request(subject.to_owned(), request),
        );
        tokio::select! {
            answered = answered => match answered {
                Ok(Ok(message)) => Ok(message),
                Ok(Err(error)) if error.kind() == RequestErrorKind::NoResponders => {
                    Err(RequestError::NoResponders)
                }
                Ok(Err(_)) => Err(RequestError::Gone),
                Err(_) => Err(match self.signals.deaf.get() {
                    Some(text) => RequestError::Denied(text.clone()),
                    None => RequestError::TimedOut,
                }),
            },
            text = violations.publish_to(|denied| denied == subject) => {
                Err(RequestError::Denied(text))
            }
            () = self.over() => Err(RequestError::Gone),
        }
    }

    /// One call of the JetStream API, or a message to a stream that asks for its acknowledgement.
    pub(super) async fn api<T: DeserializeOwned>(
        &self,
        subject: &str,
        body: Bytes,
        within: Duration,
    ) -> Result<T, ApiFailure> {
        let answer = self.request(subject, None, body, within).await?;
        Ok(api::read_answer(&answer.payload)?)
    }

    /// A call that changes nothing, and so may be repeated: while the stream elects a leader nobody answers.
    pub(super) async fn read<T: DeserializeOwned>(
        &self,
        subject: &str,
        body: Bytes,
        options: &NatsOptions,
    ) -> Result<T, ApiFailure> {
        let end = Instant::now() + options.timings.read;
        let mut said = RequestError::TimedOut;
        loop {
            let attempt = self.api(subject, body.clone(), options.timings.attempt);
            let Ok(answer) = timeout_at(end, attempt).await else {
                // It was cut short: what was said before tells more.
                return Err(said.into());
            };
            let pause = match answer {
                Err(ApiFailure::Request(error @ RequestError::TimedOut)) => {
                    said = error;
                    Duration::ZERO
                }
                Err(ApiFailure::Request(error @ RequestError::NoResponders)) => {
                    said = error;
                    Duration::from_millis(100)
                }
                answer => return answer,
            };
            if Instant::now() + pause >= end {
                return Err(said.into());
            }
            sleep(pause).await;
        }
    }
}
