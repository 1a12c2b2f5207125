// Pure: shapes of the HTTP API.
use serde::{Deserialize, Serialize};

use crate::{Env, Interval, Region, Symbol, Topic, Venue};

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

/// Answer of a gateway's `GET /admin/feed`: what it hears of each instrument on the bus. Times are Unix
/// milliseconds, spans milliseconds.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct FeedReport {
    /// The feed.
    pub env: Env,
    /// Where it runs.
    pub region: Region,
    /// When this was said, by the gateway's clock.
    pub now: i64,
    /// All instruments together.
    pub totals: FeedTotals,
    /// One entry an instrument that was heard of, by venue and symbol.
    pub instruments: Vec<InstrumentReport>,
}

/// What was heard since the gateway started, over all instruments.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct FeedTotals {
    /// How many there are.
    pub instruments: u64,
    /// How many of them are fresh.
    pub fresh: u64,
    /// Open bars of their owners.
    pub open_bars: u64,
    /// Open bars of owners that had been replaced.
    pub fenced: u64,
    /// Closes and amendments.
    pub closes: u64,
    /// Breaks in a topic's `close_no`.
    pub breaks: u64,
}

/// What was heard of one instrument since the gateway started.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct InstrumentReport {
    /// Where it trades.
    pub venue: Venue,
    /// What trades.
    pub symbol: Symbol,
    /// The highest epoch heard in an open bar: its owner's. Absent until one was heard.
    pub epoch: Option<u64>,
    /// The newest event time of its open bars.
    pub event_time: Option<i64>,
    /// How long ago that event time came to be known. Of the first open bar that was heard, which may be an old
    /// last value, it is how old the event time is by the gateway's clock.
    pub age: Option<u64>,
    /// How long ago its owner was heard last.
    pub heard: Option<u64>,
    /// Whether its event time has moved lately.
    pub fresh: bool,
    /// Open bars of its owners.
    pub open_bars: u64,
    /// Open bars of owners that had been replaced.
    pub fenced: u64,
    /// Closes and amendments.
    pub closes: u64,
    /// Breaks in the `close_no` of its topics.
    pub breaks: u64,
    /// Its bar lengths, shortest first.
    pub intervals: Vec<IntervalReport>,
}

/// What was heard of one topic since the gateway started.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct IntervalReport {
    /// Bar length.
    pub interval: Interval,
    /// The highest `close_no` that a bar bore: a close's own, or the one that an open bar knew of.
    pub close_no: u64,
    /// Start of the newest bar, open or closed.
    pub start: i64,
}
