//! Pure: why connections end. One enum is the source of the close code, the metric label and the log field.
#![deny(clippy::disallowed_methods)]

/// Why a connection ended. Codes up to 1015 are RFC 6455's and its registry's; 4000 and above are ours.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum CloseReason {
    /// The client said goodbye.
    Client,
    /// The connection broke, or the client left without a word.
    Gone,
    /// The client broke RFC 6455.
    Protocol,
    /// The client sent a binary message.
    Binary,
    /// The client sent text that is not UTF-8.
    NotUtf8,
    /// The client sent a message above the limit.
    TooBig,
    /// The gateway is stopping: connect again, elsewhere or in a moment.
    Drain,
    /// A frame did not leave within the longest write lag allowed.
    Slow,
    /// The client did not answer pings.
    PongMissed,
    /// The client began a message and did not end it.
    Unfinished,
}

impl CloseReason {
    /// Every reason, so that metrics show each from the start.
    pub const ALL: [Self; 10] = [
        Self::Client,
        Self::Gone,
        Self::Protocol,
        Self::Binary,
        Self::NotUtf8,
        Self::TooBig,
        Self::Drain,
        Self::Slow,
        Self::PongMissed,
        Self::Unfinished,
    ];

    /// The close code. 1006 is never sent: it stands for a connection that broke.
    pub const fn code(self) -> u16 {
        match self {
            Self::Client => 1000,
            Self::Gone => 1006,
            Self::Protocol => 1002,
            Self::Binary => 1003,
            Self::NotUtf8 => 1007,
            Self::TooBig => 1009,
            Self::Drain => 1012,
            Self::Slow => 4001,
            Self::PongMissed => 4002,
            Self::Unfinished => 4003,
        }
    }

    /// The word for logs, metrics and the close frame's text.
    pub const fn label(self) -> &'static str {
        match self {
            Self::Client => "client",
            Self::Gone => "gone",
            Self::Protocol => "protocol_error",
            Self::Binary => "binary_refused",
            Self::NotUtf8 => "not_utf8",
            Self::TooBig => "too_big",
            Self::Drain => "drain",
            Self::Slow => "slow",
            Self::PongMissed => "pong_missed",
            Self::Unfinished => "unfinished",
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn codes_and_labels_are_distinct() {
        let codes: BTreeSet<u16> = CloseReason::ALL.iter().map(|r| r.code()).collect();
        let labels: BTreeSet<&str> = CloseReason::ALL.iter().map(|r| r.label()).collect();
        assert_eq!(
            (codes.len(), labels.len()),
            (CloseReason::ALL.len(), CloseReason::ALL.len())
        );
    }
}
