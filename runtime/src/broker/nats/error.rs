// Pure: why a feed cannot be used on this NATS, now or at all.
#![deny(clippy::disallowed_methods)]

use std::fmt::Write as _;

/// What no retry mends: the process should say it and end.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NatsError {
    /// The server does not know us, or a file of credentials cannot be used.
    #[error("the NATS credentials are refused: {0}")]
    Credentials(String),
    /// Atomic batches came with 2.12.
    #[error(
        "the NATS server at {server} is {version}; version {} or later is needed",
        needed()
    )]
    ServerTooOld {
        /// Its address.
        server: String,
        /// Its version.
        version: String,
    },
    /// Another feed has the name.
    #[error("stream {stream} belongs to {owner:?}, not to {ours:?}; nothing was changed")]
    OwnedByOther {
        /// Which.
        stream: String,
        /// Who made it; empty if it was not made by this project.
        owner: String,
        /// Who we are.
        ours: String,
    },
    /// The stream is ours and is not as it should be.
    #[error(
        "stream {stream} exists with other settings; nothing was changed:{}",
        list(differs)
    )]
    OtherSettings {
        /// Which.
        stream: String,
        /// `setting is 1, not 3`.
        differs: Vec<String>,
    },
    /// Replicas need servers.
    #[error(
        "{replicas} replicas are wanted and the NATS server is alone; set --nats-replicas 1 or run a cluster"
    )]
    NotClustered {
        /// How many were wanted.
        replicas: u8,
    },
    /// JetStream is off.
    #[error("JetStream is not enabled for this account: {0}")]
    NoJetStream(String),
    /// The credentials do not reach as far as the role.
    #[error("the NATS credentials do not allow it: {0}")]
    Denied(String),
    /// What keeps the connection has panicked: a fault of this program.
    #[error("the task that keeps the connection to NATS has panicked")]
    Panicked,
}

/// The first version with atomic batches.
pub(super) const VERSION_NEEDED: (u32, u32) = (2, 12);

fn needed() -> String {
    let (major, minor) = VERSION_NEEDED;
    format!("{major}.{minor}")
}

fn list(differs: &[String]) -> String {
    let mut text = String::new();
    for (at, one) in differs.iter().enumerate() {
        let before = if at == 0 { " " } else { "; " };
        // Writing to a string cannot fail.
        let _ = write!(text, "{before}{one}");
    }
    text
}

impl NatsError {
    /// A word for metrics and the log.
    #[must_use]
    pub fn as_str(&self) -> &'static str {
        match self {
            Self::Credentials(_) => "credentials",
            Self::ServerTooOld { .. } => "server_too_old",
            Self::OwnedByOther { .. } => "owned_by_other",
            Self::OtherSettings { .. } => "other_settings",
            Self::NotClustered { .. } => "not_clustered",
            Self::NoJetStream(_) => "no_jetstream",
            Self::Denied(_) => "denied",
            Self::Panicked => "panicked",
        }
    }
}

/// Why it does not work just now.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Trouble {
    /// For good.
    Terminal(NatsError),
    /// Try again later.
    Transient(String),
}

impl From<NatsError> for Trouble {
    fn from(error: NatsError) -> Self {
        Self::Terminal(error)
    }
}
