// Pure: what a session is told beforehand, and what it tells.
#![deny(clippy::disallowed_methods)]

use crate::venue::InstrumentIndex;

/// How patient a session is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Options {
    /// How long opening may take, in milliseconds.
    pub open_within_ms: u64,
    /// How long an answer to a request may take, in milliseconds.
    pub answer_within_ms: u64,
    /// How long the venue's clock may stand still, in milliseconds. It ticks every second, also while no one
    /// trades: a feed whose clock stands is not quiet but dead. `u64::MAX` is for ever: a recording ends.
    pub silence_max_ms: u64,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            open_within_ms: 10_000,
            answer_within_ms: 10_000,
            silence_max_ms: 10_000,
        }
    }
}

/// What the session tells of itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Change {
    /// The instrument's trades come from now on.
    Subscribed(InstrumentIndex),
    /// The venue does not carry the instrument; the others go on.
    Refused {
        /// Which.
        instrument: InstrumentIndex,
        /// The venue's words.
        message: String,
    },
    /// Everything that can be subscribed is.
    Live,
    /// The server announced that it goes away.
    ShutdownAnnounced,
    /// The venue complained about nothing that we asked for.
    Complaint(String),
}

/// Why a connection is over.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum End {
    /// It could not be opened.
    NotOpened,
    /// The other side closed it, or the network did.
    Closed,
    /// What came was no WebSocket message that we take: invalid text, too large, against the protocol.
    Protocol,
    /// A request was not answered.
    Unanswered,
    /// The venue's clock stood still.
    Silent,
    /// The venue carries none of the instruments.
    NothingCarried,
    /// We closed it.
    Asked,
}

impl End {
    /// The metric's label.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::NotOpened => "not_opened",
            Self::Closed => "closed",
            Self::Protocol => "protocol",
            Self::Unanswered => "unanswered",
            Self::Silent => "silent",
            Self::NothingCarried => "nothing_carried",
            Self::Asked => "asked",
        }
    }
}
