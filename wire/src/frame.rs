// Pure: the native dialect. Several objects may share one text frame, separated by `\n`.
use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::token::{shown, shown_ends};
use crate::topic::TopicError;
use crate::{Topic, TopicFilter};

/// What a client asks for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ClientOp {
    /// `{"op":"subscribe","topics":[…],"after":{topic:close_no},"id":1}`
    Subscribe {
        /// What to subscribe to. A topic that cannot be read is kept as its error: the others still count.
        topics: Vec<Result<TopicFilter, BadTopic>>,
        /// Replay the closes after these numbers first.
        after: BTreeMap<Topic, u64>,
    },
    /// `{"op":"unsubscribe","topics":[…],"id":2}`
    Unsubscribe {
        /// What to leave.
        topics: Vec<Result<TopicFilter, BadTopic>>,
    },
    /// `{"op":"list","id":3}`
    List,
    /// `{"op":"auth","token":"…","id":4}`
    Auth {
        /// A fresh token.
        token: String,
    },
    /// `{"op":"ping","id":5}`
    Ping,
}

/// A topic that cannot be read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BadTopic {
    /// What was given, shortened.
    pub text: String,
    /// Why it is none.
    pub error: TopicError,
}

/// A request and the number that its answer bears.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Request {
    /// Chosen by the client; answers repeat it.
    pub id: Option<u64>,
    /// What is asked.
    pub op: ClientOp,
}

/// Words for programs in `error` replies.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ErrorCode {
    /// The frame is not one JSON object.
    BadJson,
    /// A field is missing or of the wrong type.
    BadRequest,
    /// `op` is none of the known ones.
    UnknownOp,
    /// A topic that cannot be read.
    BadTopic,
    /// A well-formed topic that is not carried here.
    UnknownTopic,
    /// More topics than a request or a connection may hold.
    TooManyTopics,
    /// `after` names a topic that is not subscribed to in the same request, or cannot be read.
    BadAfter,
    /// Asked for what this gateway is not set up for.
    Unsupported,
}

/// A refused request.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct RequestError {
    /// The request's number, where it could be read.
    pub id: Option<u64>,
    /// Why.
    pub code: ErrorCode,
    /// What to do about it.
    pub message: String,
}

/// What a gateway answers. Bars are not here: they are encoded once for all ([`crate::Bar::encode`]).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "op", rename_all = "snake_case")]
pub enum Reply {
    /// Done.
    Ok {
        /// The request's number.
        #[serde(skip_serializing_if = "Option::is_none", default)]
        id: Option<u64>,
        /// `subscribe`, `unsubscribe`: the topics it applied to; `list`: all topics subscribed to. For `auth`, none.
        #[serde(skip_serializing_if = "Option::is_none", default)]
        topics: Option<Vec<String>>,
    },
    /// Refused.
    Error {
        /// The request's number.
        #[serde(skip_serializing_if = "Option::is_none", default)]
        id: Option<u64>,
        /// Why, for programs.
        code: ErrorCode,
        /// Why, for people.
        message: String,
        /// The topic that it is about.
        #[serde(skip_serializing_if = "Option::is_none", default)]
        topic: Option<String>,
    },
    /// Closes `from` to `to`, both included, can no longer be sent here: fetch them by HTTP.
    Missed {
        /// Of what.
        topic: Topic,
        /// First close_no missed.
        from: u64,
        /// Last close_no missed.
        to: u64,
    },
    /// Answer to `ping`.
    Pong {
        /// The request's number.
        #[serde(skip_serializing_if = "Option::is_none", default)]
        id: Option<u64>,
    },
}

impl Reply {
    /// The reply's text, one JSON object without a line end.
    pub fn encode(&self) -> Vec<u8> {
        // Plain strings and numbers always serialise; an empty text would only drop one reply.
        serde_json::to_vec(self).unwrap_or_default()
    }
}

impl From<RequestError> for Reply {
    fn from(error: RequestError) -> Self {
        Self::Error {
            id: error.id,
            code: error.code,
            message: error.message,
            topic: None,
        }
    }
}

#[derive(Deserialize)]
struct Fields {
    op: Option<String>,
    #[serde(default)]
    topics: Option<Vec<String>>,
    #[serde(default)]
    after: Option<BTreeMap<String, u64>>,
    #[serde(default)]
    token: Option<String>,
    #[serde(default)]
    id: Option<u64>,
}

impl Request {
    /// Reads one request. `topics_max` bounds the topics of one request.
    ///
    /// # Errors
    /// A [`RequestError`] that says which part is wrong; it is answered, and the connection goes on.
    pub fn decode(text: &str, topics_max: usize) -> Result<Self, RequestError> {
        let fields = read_fields(text)?;
        let id = fields.id;
        let refuse = |code, message: String| RequestError { id, code, message };
        let missing = |what: &str| refuse(ErrorCode::BadRequest, format!("{what} is missing"));
        let op = match fields.op.as_deref() {
            None => return Err(missing("op")),
            Some("subscribe") => ClientOp::Subscribe {
                topics: read_topics(
                    fields.topics.ok_or_else(|| missing("topics"))?,
                    topics_max,
                    id,
                )?,
                after: read_after(fields.after.unwrap_or_default(), topics_max, id)?,
            },
            Some("unsubscribe") => ClientOp::Unsubscribe {
                topics: read_topics(
                    fields.topics.ok_or_else(|| missing("topics"))?,
                    topics_max,
                    id,
                )?,
            },
            Some("list") => ClientOp::List,
            Some("auth") => ClientOp::Auth {
                token: fields.token.ok_or_else(|| missing("token"))?,
            },
            Some("ping") => ClientOp::Ping,
            Some(other) => {
                let message = format!(
                    "op {:?} is not subscribe, unsubscribe, list, auth or ping",
                    shown(other)
                );
                return Err(refuse(ErrorCode::UnknownOp, message));
            }
        };
        Ok(Self { id, op })
    }
}

fn read_fields(text: &str) -> Result<Fields, RequestError> {
    // An array of the fields' values would do for the deserialiser; the contract has objects only.
    let object = text.trim_start().starts_with('{');
    let read = if object {
        serde_json::from_str(text).map_err(|error| error.to_string())
    } else {
        Err("a request is one JSON object".to_owned())
    };
    read.map_err(|error| {
        // The number is found even where another field is wrong, so that the client knows what was refused.
        let value = serde_json::from_str::<serde_json::Value>(text).ok();
        let id = value
            .as_ref()
            .and_then(|value| value.get("id"))
            .and_then(serde_json::Value::as_u64);
        let code = if value.is_some_and(|value| value.is_object()) {
            ErrorCode::BadRequest
        } else {
            ErrorCode::BadJson
        };
        RequestError {
            id,
            code,
            // The error repeats what was given, which may be all of a message.
            message: format!("not a request: {}", shown_ends(&error)),
        }
    })
}

fn read_topics(
    topics: Vec<String>,
    topics_max: usize,
    id: Option<u64>,
) -> Result<Vec<Result<TopicFilter, BadTopic>>, RequestError> {
    if topics.is_empty() {
        return Err(RequestError {
            id,
            code: ErrorCode::BadRequest,
            message: "topics is empty".into(),
        });
    }
    check_count(topics.len(), topics_max, id)?;
    let read = |text: String| {
        text.parse().map_err(|error| BadTopic {
            text: shown(&text),
            error,
        })
    };
    Ok(topics.into_iter().map(read).collect())
}

fn read_after(
    after: BTreeMap<String, u64>,
    topics_max: usize,
    id: Option<u64>,
) -> Result<BTreeMap<Topic, u64>, RequestError> {
    check_count(after.len(), topics_max, id)?;
    let read = |(text, close_no): (String, u64)| match text.parse() {
        Ok(topic) => Ok((topic, close_no)),
        Err(error) => Err(RequestError {
            id,
            code: ErrorCode::BadAfter,
            message: format!("after: {error}"),
        }),
    };
    after.into_iter().map(read).collect()
}

fn check_count(count: usize, topics_max: usize, id: Option<u64>) -> Result<(), RequestError> {
    if count > topics_max {
        let message = format!("{count} topics in one request; at most {topics_max}");
        return Err(RequestError {
            id,
            code: ErrorCode::TooManyTopics,
            message,
        });
    }
    Ok(())
}
