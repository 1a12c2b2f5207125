// Pure: the kinds of faults.
#![deny(clippy::disallowed_methods)]

use serde::{Deserialize, Serialize};

use crate::venue::Class;

/// What goes wrong.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(
    tag = "kind",
    content = "params",
    rename_all = "snake_case",
    deny_unknown_fields
)]
pub enum What {
    /// The connection ends: with a close frame of this code, or (1006 for the client) without any.
    Disconnect {
        /// The close code.
        code: Option<u16>,
    },
    /// A message of trades is lost.
    Drop {},
    /// A message of trades comes twice.
    Duplicate {},
    /// A message of trades comes this much later; those after it pass it by.
    Delay {
        /// Milliseconds.
        ms: u64,
    },
    /// A message of trades comes after this many that follow it.
    Reorder {
        /// Messages.
        window: u64,
    },
    /// A message of trades breaks off in the middle.
    CorruptJson {},
    /// A message of trades lacks a field: the price if none is named.
    MissingField {
        /// The field's name on the venue.
        field: Option<String>,
    },
    /// A number is beyond all range: the price if none is named.
    OutOfRange {
        /// The field's name on the venue.
        field: Option<String>,
    },
    /// A trade's id is lower by this than it should be.
    IdBack {
        /// How much lower.
        by: u64,
    },
    /// A trade's id is higher by this than it should be.
    IdAhead {
        /// How much higher.
        by: u64,
    },
    /// Nothing but answers and pings comes for this long; what would have come is lost.
    Silence {
        /// Milliseconds.
        ms: u64,
    },
    /// New connections and REST requests are answered with 503 for this long.
    Refuse {
        /// Milliseconds.
        ms: u64,
    },
    /// An answer to a subscription comes this much later.
    SlowAck {
        /// Milliseconds.
        ms: u64,
    },
    /// An answer is the venue's error message, whatever was asked.
    ErrorAck {},
    /// All times in a message are this much off.
    TimeJump {
        /// Milliseconds; may be negative.
        ms: i64,
    },
    /// A message of trades comes as a binary message.
    Binary {},
    /// A text message of trades is not UTF-8.
    InvalidUtf8 {},
}

impl What {
    /// Which messages it can strike.
    pub(super) fn concerns(&self, class: Class) -> bool {
        match self {
            Self::Refuse { .. } => false,
            Self::SlowAck { .. } | Self::ErrorAck {} => class == Class::Answer,
            Self::Silence { .. } => class != Class::Answer,
            Self::TimeJump { .. } | Self::Disconnect { .. } => {
                matches!(class, Class::Trade | Class::Tick)
            }
            _ => class == Class::Trade,
        }
    }
}
