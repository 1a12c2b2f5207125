// Pure: what an adapter makes of a frame.
#![deny(clippy::disallowed_methods)]

use wire::{AmountError, Trade};

use super::InstrumentIndex;

/// One thing that a frame says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Event {
    /// An execution, told as it happened.
    Trade {
        /// Of what.
        instrument: InstrumentIndex,
        /// The execution.
        trade: Trade,
        /// When the venue sent the message, by its own clock, in Unix milliseconds.
        event_time_ms: i64,
    },
    /// An execution from before the subscription. It counts like any other, but says nothing of the venue's
    /// clock: it may be hours old.
    Reference {
        /// Of what.
        instrument: InstrumentIndex,
        /// The execution.
        trade: Trade,
    },
    /// The venue's clock, in Unix milliseconds.
    Clock {
        /// What it shows.
        venue_ms: i64,
    },
    /// The id of the instrument's newest trade by the venue's account.
    LastTrade {
        /// Of what.
        instrument: InstrumentIndex,
        /// The trade's id.
        trade_id: u64,
        /// When the venue said so, in Unix milliseconds.
        venue_ms: i64,
    },
    /// A request was taken, by its number.
    Acknowledged {
        /// The number.
        request: u64,
    },
    /// The venue lists the instrument's trades as subscribed.
    Subscribed {
        /// Which.
        instrument: InstrumentIndex,
    },
    /// A request was refused.
    Refused {
        /// Its number, where the venue repeats it.
        request: Option<u64>,
        /// The instrument, where the venue names it.
        instrument: Option<InstrumentIndex>,
        /// The venue's words, cut to [`MESSAGE_LEN_MAX`] bytes.
        message: String,
    },
    /// The number of a message, on venues that number them all: +1 each, per connection.
    Sequence {
        /// The number.
        number: u64,
    },
    /// The server is going away: connect elsewhere.
    ShutdownAnnounced,
    /// Of no use to us, and no error.
    Ignored,
}

/// What a refusal's text is cut to: it ends in a log line.
pub const MESSAGE_LEN_MAX: usize = 200;

/// Takes events as they are found.
pub trait Sink {
    /// Takes one.
    fn handle_event(&mut self, event: Event);
}

impl Sink for Vec<Event> {
    fn handle_event(&mut self, event: Event) {
        self.push(event);
    }
}

/// Why a frame, or a part of it, was dropped.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{reason}")]
pub struct DecodeError {
    /// What was wrong.
    pub reason: Reason,
    /// Whose trades may have been lost with it.
    pub harm: Harm,
}

/// Whose trades may have been lost with a frame that could not be read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Harm {
    /// Nobody's that we carry.
    None,
    /// This one's.
    One(InstrumentIndex),
    /// There is no telling: anyone's on the connection.
    Any,
}

/// What was wrong with a frame.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Reason {
    /// A binary frame where the venue sends text.
    #[error("a binary frame")]
    Binary,
    /// Not JSON, or cut short.
    #[error("not JSON: {0}")]
    Json(String),
    /// A field of another type, or one that is missing.
    #[error("a field is wrong: {0}")]
    Field(String),
    /// A price that cannot be held exactly.
    #[error("price: {0}")]
    Price(AmountError),
    /// A size that cannot be held exactly.
    #[error("size: {0}")]
    Size(AmountError),
    /// A time that is none.
    #[error("not a time")]
    Time,
    /// An instrument that was not asked for.
    #[error("an instrument that was not asked for")]
    Instrument,
}

impl Reason {
    /// The metric's label.
    #[must_use]
    pub const fn as_str(&self) -> &'static str {
        match self {
            Self::Binary => "binary",
            Self::Json(_) => "json",
            Self::Field(_) => "field",
            Self::Price(_) => "price",
            Self::Size(_) => "size",
            Self::Time => "time",
            Self::Instrument => "instrument",
        }
    }
}

impl From<serde_json::Error> for Reason {
    fn from(error: serde_json::Error) -> Self {
        match error.classify() {
            serde_json::error::Category::Data => Self::Field(error.to_string()),
            _ => Self::Json(error.to_string()),
        }
    }
}

/// Cuts text from outside to what a log line bears.
pub(crate) fn shown(text: &str) -> String {
    let mut end = text.len().min(MESSAGE_LEN_MAX);
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    text[..end].to_owned()
}
