// Pure: one condition each, from what was seen.
#![deny(clippy::disallowed_methods)]

use wire::Assignment;

use super::heard::Heard;
use super::{Observed, Workload, first_few};
use crate::build::names::Component;

/// What is well, not well, or not known.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finding {
    /// Of what.
    pub kind: Kind,
    /// Whether.
    pub state: State,
    /// One word for programs.
    pub reason: &'static str,
    /// A sentence for people.
    pub message: String,
}

/// What a condition is of.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Kind {
    /// All of it together.
    Ready,
    /// The bus carries what is published.
    NatsReady,
    /// Every shard has an owner that is heard.
    ShardsOwned,
    /// The venues have news of every instrument.
    FeedFresh,
    /// Clients are served.
    GatewayAvailable,
    /// The autoscaler can scale.
    ScalingActive,
    /// Pods are being replaced or added. Good or bad it is not.
    Progressing,
}

/// How it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum State {
    /// So.
    Good,
    /// Not so.
    Bad,
    /// Nobody can tell.
    Unknown,
}

impl Kind {
    /// As in a condition's type.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Ready => "Ready",
            Self::NatsReady => "NatsReady",
            Self::ShardsOwned => "ShardsOwned",
            Self::FeedFresh => "FeedFresh",
            Self::GatewayAvailable => "GatewayAvailable",
            Self::ScalingActive => "ScalingActive",
            Self::Progressing => "Progressing",
        }
    }
}

impl State {
    /// As in a condition's status.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Good => "True",
            Self::Bad => "False",
            Self::Unknown => "Unknown",
        }
    }
}

/// What is found of each part, in the order in which they are looked at for what is wrong.
pub(super) fn parts(
    assignment: &Assignment,
    observed: &Observed,
    heard: Option<&Heard>,
) -> Vec<Finding> {
    let mut findings = vec![
        nats(observed, heard),
        shards(assignment, observed, heard),
        gateway(observed),
        fresh(heard),
    ];
    findings.extend(scaling(observed));
    findings.push(progress(observed));
    findings
}

/// The sum: the first part that is not well says why. Scaling and progress are not part of it.
pub(super) fn ready(parts: &[Finding], assignment: &Assignment, observed: &Observed) -> Finding {
    let counts = |finding: &&Finding| {
        !matches!(finding.kind, Kind::ScalingActive | Kind::Progressing)
            && finding.state != State::Good
    };
    if !observed.taken.is_empty() {
        return Finding {
            kind: Kind::Ready,
            state: State::Bad,
            reason: "NameTaken",
            message: format!(
                "there are objects of these names that are not this feed's: {}; they are left as they are: delete them, or \
                 give the feed another name",
                first_few(&observed.taken)
            ),
        };
    }
    if !observed.refused.is_empty() {
        return Finding {
            kind: Kind::Ready,
            state: State::Bad,
            reason: "Refused",
            message: format!(
                "the API server refuses what is to be made: {}",
                first_few(&observed.refused)
            ),
        };
    }
    // What is known to be wrong says more than what nobody can tell.
    let bad = parts
        .iter()
        .filter(counts)
        .find(|finding| finding.state == State::Bad);
    match bad.or_else(|| parts.iter().find(counts)) {
        Some(finding) => Finding {
            kind: Kind::Ready,
            ..finding.clone()
        },
        None => Finding {
            kind: Kind::Ready,
            state: State::Good,
            reason: "Running",
            message: format!(
                "{} instruments on {} shards, {} gateways",
                assignment.instruments().count(),
                assignment.shards(),
                observed.gateway.wanted
            ),
        },
    }
}

fn nats(observed: &Observed, heard: Option<&Heard>) -> Finding {
    let refusal = observed
        .troubles
        .iter()
        .find(|trouble| trouble.is_refusal());
    let (state, reason, message) = match (refusal, heard) {
        (Some(refusal), _) => (State::Bad, refusal.reason, refusal.to_string()),
        (None, Some(heard)) if heard.is_anything_heard() => (
            State::Good,
            "Heard",
            "a gateway hears the shards".to_owned(),
        ),
        (None, Some(_)) if observed.bus_ready == Some(false) => (
            State::Bad,
            "NatsAway",
            "a gateway has no connection to NATS".to_owned(),
        ),
        (None, Some(_)) => (
            State::Unknown,
            "NothingHeard",
            "a gateway hears nothing: no shard publishes, or none has a connection to NATS"
                .to_owned(),
        ),
        (None, None) => (
            State::Unknown,
            "NoGateway",
            "no gateway says what it hears".to_owned(),
        ),
    };
    Finding {
        kind: Kind::NatsReady,
        state,
        reason,
        message,
    }
}

fn shards(assignment: &Assignment, observed: &Observed, heard: Option<&Heard>) -> Finding {
    let all = assignment.shards();
    let (state, reason, message) = match heard {
        None => (
            State::Unknown,
            "NoGateway",
            "no gateway says what it hears".to_owned(),
        ),
        Some(heard) if heard.silent.is_empty() => (
            State::Good,
            "Heard",
            format!("{all} of {all} shards are heard"),
        ),
        Some(heard) => {
            let silent: Vec<String> = heard
                .silent_shards()
                .iter()
                .map(ToString::to_string)
                .collect();
            let (reason, because) = because(observed, Component::Marketdata);
            let message = format!(
                "{} of {all} shards are heard; of shard {} nothing comes of {}{because}",
                heard.owned(),
                silent.join(", "),
                first_few(&heard.silent),
            );
            (State::Bad, reason.unwrap_or("Silent"), message)
        }
    };
    Finding {
        kind: Kind::ShardsOwned,
        state,
        reason,
        message,
    }
}

fn gateway(observed: &Observed) -> Finding {
    let Workload { wanted, ready, .. } = observed.gateway;
    let (cause, because) = if ready < wanted {
        because(observed, Component::Gateway)
    } else {
        (None, String::new())
    };
    let (state, reason) = match ready {
        0 => (State::Bad, cause.unwrap_or("NoneReady")),
        ready if ready < wanted => (State::Good, "SomeReady"),
        _ => (State::Good, "AllReady"),
    };
    let message = format!("{ready} of {wanted} gateways are ready{because}");
    Finding {
        kind: Kind::GatewayAvailable,
        state,
        reason,
        message,
    }
}

fn fresh(heard: Option<&Heard>) -> Finding {
    let (state, reason, message) = match heard {
        None => (
            State::Unknown,
            "NoGateway",
            "no gateway says what it hears".to_owned(),
        ),
        Some(heard) if !heard.stale.is_empty() => (
            State::Bad,
            "Stale",
            format!("the venues have no news of {}", first_few(&heard.stale)),
        ),
        // Of what is silent nobody can tell; that it is silent is said of the shards.
        Some(heard) if !heard.silent.is_empty() => (
            State::Unknown,
            "Silent",
            format!("nothing is heard of {}", first_few(&heard.silent)),
        ),
        Some(heard) => (
            State::Good,
            "Fresh",
            format!("there is news of all {} instruments", heard.fresh()),
        ),
    };
    Finding {
        kind: Kind::FeedFresh,
        state,
        reason,
        message,
    }
}

fn scaling(observed: &Observed) -> Option<Finding> {
    let scaling = observed.scaling.as_ref()?;
    let (state, reason) = match scaling.active {
        Some(true) => (State::Good, "Active"),
        Some(false) => (State::Bad, "Inactive"),
        None => (State::Unknown, "Starting"),
    };
    let message = match state {
        // Its own words tell the numbers of the moment, and would change with them.
        State::Good => "the autoscaler has what it goes by".to_owned(),
        State::Bad => scaling.message.clone(),
        State::Unknown => "the autoscaler has said nothing yet".to_owned(),
    };
    Some(Finding {
        kind: Kind::ScalingActive,
        state,
        reason,
        message,
    })
}

fn progress(observed: &Observed) -> Finding {
    let mut unsettled = Vec::new();
    if !observed.gateway.settled {
        unsettled.push("the gateways".to_owned());
    }
    let shards = observed
        .shards
        .iter()
        .enumerate()
        .filter(|(_, shard)| !shard.settled);
    let shards: Vec<String> = shards.map(|(number, _)| number.to_string()).collect();
    if !shards.is_empty() {
        unsettled.push(format!("shard {}", shards.join(", ")));
    }
    let (state, reason, message) = match (&unsettled[..], &observed.waits_for) {
        ([], Some(other)) => (
            State::Good,
            "Waiting",
            format!("an upgrade goes on when that of {other} is over"),
        ),
        ([], None) => (
            State::Bad,
            "Settled",
            "all pods are as they should be".to_owned(),
        ),
        (some, _) => {
            let of = if observed.gateway.settled {
                Component::Marketdata
            } else {
                Component::Gateway
            };
            let (_, because) = because(observed, of);
            let message = format!("pods come and go: {}{because}", some.join(", "));
            (State::Good, "RollingOut", message)
        }
    };
    Finding {
        kind: Kind::Progressing,
        state,
        reason,
        message,
    }
}

/// What keeps pods of a kind from running, if that is known: in one word, and as the end of a sentence.
fn because(observed: &Observed, of: Component) -> (Option<&'static str>, String) {
    let mut troubles = observed.troubles.iter();
    let trouble = troubles.find(|trouble| trouble.component == Some(of));
    let because = trouble.map(|trouble| format!("; {trouble}"));
    (
        trouble.map(|trouble| trouble.reason),
        because.unwrap_or_default(),
    )
}
