// Pure: a candle with its address, its status and its place in the stream.
use std::fmt;
use std::str::FromStr;

use crate::token::{serde_by_text, shown};
use crate::{Candle, Instrument, Interval, Topic};

/// What is known of a bar's trades. Ordered so that a roll-up's completeness is the highest of its parts'.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Completeness {
    /// No trades, and the feed was alive: a flat bar at the previous close.
    Quiet,
    /// Every trade is in.
    Complete,
    /// Holes were filled by the venue's REST interface.
    Repaired,
    /// The feed was down for some of it: there may be trades that nobody has seen.
    Unknown,
    /// Trade ids are known to be missing.
    Gap,
}

impl Completeness {
    /// The contract's word.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Quiet => "quiet",
            Self::Complete => "complete",
            Self::Repaired => "repaired",
            Self::Unknown => "unknown",
            Self::Gap => "gap",
        }
    }

    /// Completeness of the bar that spans bars of both.
    #[must_use]
    pub fn merge(self, other: Self) -> Self {
        self.max(other)
    }
}

impl fmt::Display for Completeness {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// A word that this release does not know, written by a newer one, is read as `unknown`: such a bar must
/// not pass as whole.
impl FromStr for Completeness {
    type Err = std::convert::Infallible;
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Ok(match text {
            "quiet" => Self::Quiet,
            "complete" => Self::Complete,
            "repaired" => Self::Repaired,
            "gap" => Self::Gap,
            _ => Self::Unknown,
        })
    }
}

serde_by_text!(Completeness);

/// One bar as it is sent: open (still moving) or closed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Bar {
    /// The topic it is published under: the short one where its venue is the first to list the symbol.
    pub topic: Topic,
    /// What it is a bar of.
    pub instrument: Instrument,
    /// Its length.
    pub interval: Interval,
    /// Unix milliseconds; a multiple of the interval.
    pub start_ms: i64,
    /// Prices, volumes, ids.
    pub candle: Candle,
    /// False while it may still change without a new `rev`.
    pub closed: bool,
    /// 0 at the first close, +1 at each amendment; 0 while open.
    pub rev: u32,
    /// What is known of its trades.
    pub completeness: Completeness,
    /// The topic's count of committed closes and amendments: this one's own number if closed, else the latest.
    pub close_no: u64,
    /// The fencing number of the owner that published it.
    pub epoch: u64,
    /// The topic's count of open-bar messages within the epoch.
    pub seq: u64,
    /// Unix milliseconds: the newest time by the venue's own clock that it rests on.
    pub event_time_ms: i64,
    /// Unix milliseconds by the publisher's clock when it left. It decides nothing.
    pub publish_time_ms: i64,
}

/// Why a bar's text was refused.
#[derive(Debug, thiserror::Error)]
pub enum BarError {
    /// Not the JSON of a bar.
    #[error("not a bar: {0}")]
    Json(#[from] serde_json::Error),
    /// Another kind of object.
    #[error("not a bar but {0:?}")]
    Op(String),
    /// Fields that contradict each other.
    #[error("a bar that contradicts itself: {0}")]
    Contradiction(&'static str),
}

impl BarError {
    pub(crate) fn op(op: &str) -> Self {
        Self::Op(shown(op))
    }
}

impl Bar {
    /// Unix milliseconds of the first instant after it.
    pub fn end_ms(&self) -> i64 {
        self.start_ms + self.interval.ms()
    }

    /// What decides between two open bars of one topic: the later bar, then the newer owner, then the newer message.
    pub fn open_order(&self) -> (i64, u64, u64) {
        (self.start_ms, self.epoch, self.seq)
    }

    /// Checks what an encoder of this contract always keeps.
    pub(crate) fn check(self) -> Result<Self, BarError> {
        let contradiction = |what| Err(BarError::Contradiction(what));
        let topic = &self.topic;
        if topic.symbol != self.instrument.symbol
            || topic.interval != self.interval
            || topic
                .venue
                .as_ref()
                .is_some_and(|venue| *venue != self.instrument.venue)
        {
            return contradiction("topic is of another bar");
        }
        // Not by `start_of`: text from outside may hold the lowest start there is, and less has no type.
        if self.start_ms.rem_euclid(self.interval.ms()) != 0 {
            return contradiction("start is no multiple of the interval");
        }
        let candle = &self.candle;
        if (candle.count == 0) != candle.ids.is_none()
            || candle.ids.is_some_and(|(first, last)| first > last)
        {
            return contradiction("ids do not fit the count");
        }
        // One in doubt may have more: of a venue that begins its ids anew within it, it holds trades of both counts.
        let is_whole = matches!(
            self.completeness,
            Completeness::Complete | Completeness::Repaired
        );
        if is_whole
            && candle
                .ids
                .is_some_and(|(first, last)| last - first < candle.count - 1)
        {
            return contradiction("more trades than ids");
        }
        if self.completeness == Completeness::Quiet && candle.count > 0 {
            return contradiction("quiet, and trades");
        }
        if !self.closed && self.rev > 0 {
            return contradiction("amended while open");
        }
        if candle.low > candle.high
            || candle.open.max(candle.close) > candle.high
            || candle.open.min(candle.close) < candle.low
        {
            return contradiction("prices outside low and high");
        }
        if candle.taker_buy_volume > candle.volume
            || candle.taker_buy_quote_volume > candle.quote_volume
        {
            return contradiction("taker volume above volume");
        }
        Ok(self)
    }
}
