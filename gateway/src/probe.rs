//! `marketfeed-gateway probe`: whether a gateway delivers live bars, asked as a client asks.

use std::cell::RefCell;
use std::process::ExitCode;
use std::time::Duration;

use clap::Args;
use futures_util::{SinkExt, StreamExt};
use runtime::args::duration;
use runtime::backoff::{self, Backoff};
use runtime::process::{self, EXIT_FAILED, fail};
use tokio::net::TcpStream;
use tokio_tungstenite::tungstenite::Message;
use wire::Topic;
use wire::api::TopicList;

use self::live::{Listener, Refused};
use self::target::{Kind, Target};

/// Where to ask. Pure.
mod target;

/// Which bar is a live one. Pure.
mod live;

/// One GET.
mod get;

/// What is waited between two tries, at most.
const AGAIN: backoff::Options = backoff::Options {
    base: Duration::from_millis(200),
    cap: Duration::from_secs(2),
};

/// The options of `marketfeed-gateway probe`.
#[derive(Debug, Clone, Args)]
#[command(about = "Read a live bar as a client does, and print it; or see that an address answers")]
pub(crate) struct ProbeArgs {
    /// ws://host:port/ws for a live bar, or http://host:port/readyz for its answer 200
    #[arg(long, value_name = "URL", env = "MARKETFEED_URL")]
    url: Target,

    /// The topic, such as kline:1s:BTC-USDT; if absent the first of the shortest interval that is carried
    #[arg(long, value_name = "TOPIC", env = "MARKETFEED_TOPIC")]
    topic: Option<Topic>,

    /// How long all of it may take; what fails is tried again until then
    #[arg(
        long,
        value_name = "TIME",
        env = "MARKETFEED_TIMEOUT",
        default_value = "60s",
        value_parser = duration
    )]
    timeout: Duration,

    /// What is logged, and how.
    #[command(flatten)]
    log: runtime::args::LogArgs,
}

/// 0 and the bar on standard output, or 1 and a sentence.
pub(crate) fn main(args: ProbeArgs) -> ExitCode {
    let log = args.log.clone();
    process::run(&log, async move {
        match probe(&args).await {
            Ok(seen) => {
                // A closed stdout changes nothing of what was seen.
                let _ = std::io::Write::write_all(&mut std::io::stdout(), seen.as_bytes());
                ExitCode::SUCCESS
            }
            Err(error) => fail(EXIT_FAILED, &error),
        }
    })
}

/// Why there is nothing to show.
#[derive(Debug, thiserror::Error)]
enum ProbeError {
    #[error("{wanted} within {timeout:?}: it was {doing}{before}")]
    Late {
        wanted: &'static str,
        timeout: Duration,
        doing: String,
        before: String,
    },
    #[error("{url} refuses: {refused}")]
    Refused { url: Target, refused: Refused },
}

/// How far it came, for the sentence when time is over.
#[derive(Debug, Default)]
struct Progress {
    doing: RefCell<String>,
    failed: RefCell<String>,
}

impl Progress {
    fn now(&self, doing: String) {
        *self.doing.borrow_mut() = doing;
    }

    fn fail(&self, why: &TryError) {
        *self.failed.borrow_mut() = why.to_string();
    }
}

/// Why one try failed.
#[derive(Debug, thiserror::Error)]
enum TryError {
    #[error("cannot connect to {authority}: {source}")]
    Connect {
        authority: String,
        source: std::io::Error,
    },
    #[error("{path}: {source}")]
    Get { path: String, source: get::GetError },
    #[error("it answers {path} with {status}: {body}")]
    Status {
        path: String,
        status: u16,
        body: String,
    },
    #[error("its list of topics cannot be read: {0}")]
    Topics(#[from] serde_json::Error),
    #[error("it carries no topic yet")]
    NoTopic,
    #[error("the WebSocket failed: {0}")]
    Socket(#[from] Box<tokio_tungstenite::tungstenite::Error>),
    #[error("the gateway ended the connection")]
    Closed,
    #[error("{0}")]
    Refused(#[from] Refused),
}

/// Tries until it has what it wants or its time is over.
async fn probe(args: &ProbeArgs) -> Result<String, ProbeError> {
    let ProbeArgs {
        url,
        topic,
        timeout,
        log: _,
    } = args;
    let progress = Progress::default();
    let tries = async {
        let mut backoff = Backoff::new(AGAIN, fastrand::Rng::new());
        loop {
            let tried = match url.kind {
                Kind::WebSocket => live_bar(url, topic.as_ref(), &progress).await,
                Kind::Http => answer(url, &progress).await,
            };
            match tried {
                Ok(seen) => return Ok(seen),
                Err(TryError::Refused(refused)) if refused.is_final() => {
                    let url = url.clone();
                    return Err(ProbeError::Refused { url, refused });
                }
                Err(error) => progress.fail(&error),
            }
            tokio::time::sleep(backoff.next_delay()).await;
        }
    };
    tokio::time::timeout(*timeout, tries)
        .await
        .unwrap_or_else(|_| {
            Err(ProbeError::Late {
                wanted: match url.kind {
                    Kind::WebSocket => "no live bar",
                    Kind::Http => "no answer 200",
                },
                timeout: *timeout,
                doing: progress.doing.take(),
                before: match progress.failed.take() {
                    none if none.is_empty() => none,
                    why => format!("; the try before failed: {why}"),
                },
            })
        })
}

/// Waits for a bar of the topic that is younger than the one that was there.
async fn live_bar(
    url: &Target,
    topic: Option<&Topic>,
    progress: &Progress,
) -> Result<String, TryError> {
    let topic = match topic {
        Some(topic) => topic.clone(),
        None => first_topic(url, progress).await?,
    };
    let stream = connect(url, progress).await?;
    let (mut socket, _) = tokio_tungstenite::client_async(url.to_string(), stream)
        .await
        .map_err(Box::new)?;
    let mut listener = Listener::new(topic);
    let request = Message::text(listener.request());
    socket.send(request).await.map_err(Box::new)?;
    progress.now(format!("waiting for a live bar of {}", listener.topic()));
    while let Some(message) = socket.next().await {
        match message.map_err(Box::new)? {
            Message::Text(text) => {
                if let Some(bar) = listener.handle_frame(&text)? {
                    // Best effort: the gateway notices an end without it too.
                    let _ = socket.close(None).await;
                    return Ok(format!("{bar}\n"));
                }
            }
            Message::Close(_) => break,
            _ => {}
        }
    }
    Err(TryError::Closed)
}

/// The first topic of the shortest interval that a gateway carries.
async fn first_topic(url: &Target, progress: &Progress) -> Result<Topic, TryError> {
    let body = get(url, "/api/v1/topics", progress).await?;
    let TopicList { topics } = serde_json::from_str(&body)?;
    let shortest = topics.into_iter().min_by_key(|entry| entry.interval);
    Ok(shortest.ok_or(TryError::NoTopic)?.topic)
}

/// Waits for the answer 200.
async fn answer(url: &Target, progress: &Progress) -> Result<String, TryError> {
    let body = get(url, &url.path, progress).await?;
    Ok(format!("{url} answers 200: {}\n", body.trim_end()))
}

async fn get(url: &Target, path: &str, progress: &Progress) -> Result<String, TryError> {
    let stream = connect(url, progress).await?;
    progress.now(format!("asking {} for {path}", url.authority()));
    let answered = get::get(stream, &url.authority(), path).await;
    let path = path.to_owned();
    match answered {
        Ok((200, body)) => Ok(body),
        Ok((status, body)) => Err(TryError::Status {
            path,
            status,
            body: body.trim_end().chars().take(200).collect(),
        }),
        Err(source) => Err(TryError::Get { path, source }),
    }
}

async fn connect(url: &Target, progress: &Progress) -> Result<TcpStream, TryError> {
    let authority = url.authority();
    progress.now(format!("connecting to {authority}"));
    TcpStream::connect(&authority)
        .await
        .map_err(|source| TryError::Connect { authority, source })
}
