// Pure: shapes of the HTTP API.
use serde::{Deserialize, Serialize};

use crate::{Interval, Symbol, Topic, Venue};

/// Body of every refused request: `{"error":{"code":"bad_interval","message":"..."}}`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ErrorBody {
    /// What went wrong.
    pub error: ErrorDetail,
}

/// A code for programs and a sentence for people.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ErrorDetail {
    /// A stable word in snake_case.
    pub code: String,
    /// What to do about it.
    pub message: String,
}

impl ErrorBody {
    /// Pairs code and message.
    pub fn new(code: &str, message: impl Into<String>) -> Self {
        Self {
            error: ErrorDetail {
                code: code.to_owned(),
                message: message.into(),
            },
        }
    }
}

/// Answer of `GET /api/v1/topics`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TopicList {
    /// What is carried, in the order in which the instruments are listed.
    pub topics: Vec<TopicEntry>,
}

/// One topic that is carried, under the name that its bars bear. Its long name is valid too.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TopicEntry {
    /// The name.
    pub topic: Topic,
    /// Where it trades.
    pub venue: Venue,
    /// What trades.
    pub symbol: Symbol,
    /// Bar length.
    pub interval: Interval,
}
