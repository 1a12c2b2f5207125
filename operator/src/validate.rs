// Pure: from what was written to what can run. The API server has refused most of what is wrong by the schema; here it is
// all checked, since a definition in a cluster may be an older one, and since `plan` has no API server.
#![deny(clippy::disallowed_methods)]

use std::collections::BTreeSet;
use std::fmt;
use std::time::Duration;

use wire::assignment::{AssignedEndpoints, INSTRUMENTS_MAX, WantedSource};
use wire::{AssignmentError, Interval, Scope, ShardCount, Symbol, TokenError, Venue};

use crate::spec::{
    AggregationSpec, DeletionPolicy, MarketFeed, MarketFeedSpec, MarketdataSpec,
    NetworkPoliciesSpec, SourceSpec, TelemetrySpec, WhenFull,
};

/// Errors, with the fields that they are of.
mod error;

/// The bus.
mod nats;

/// The clients' side.
mod gateway;

/// What pods shall be like.
mod pod;

/// Amounts of resources.
mod quantity;

/// Logs and traces.
mod telemetry;

/// What is needed of one that goes.
mod removal;

pub use error::{FieldError, Invalid};
pub use gateway::{Replicas, ValidGateway};
pub use nats::{ValidNats, ValidTls};
pub use pod::ValidPods;
pub use removal::validate_removal;

use error::Checks;

/// The longest name: the longest of a Deployment's pods is then within a label's 63 characters.
pub const NAME_LEN_MAX: usize = 40;

/// The longest name of a namespace, which is Kubernetes' own.
const NAMESPACE_LEN_MAX: usize = 63;

/// The most shards: a Deployment each.
pub const SHARDS_MAX: i32 = 256;

/// A `MarketFeed` that can run. Made by [`validate`] only, and not checked again.
#[derive(Debug, Clone, PartialEq)]
pub struct ValidFeed {
    /// Whose it is.
    pub identity: Identity,
    /// What it is called on the bus.
    pub scope: Scope,
    /// What is carried, in listing order; at least one, at most [`INSTRUMENTS_MAX`] symbols in all.
    pub sources: Vec<WantedSource>,
    /// Bar lengths, as listed; at least one, each once.
    pub intervals: Vec<Interval>,
    /// How bars close.
    pub aggregation: ValidAggregation,
    /// How many shards there are.
    pub shards: ShardCount,
    /// Standbys of each.
    pub standbys: i32,
    /// The shards' pods.
    pub marketdata_pods: ValidPods,
    /// The bus.
    pub nats: ValidNats,
    /// The clients' side.
    pub gateway: ValidGateway,
    /// Whether there are NetworkPolicies, and who may read metrics.
    pub network_policies: Option<NetworkPoliciesSpec>,
    /// Logs and traces.
    pub telemetry: TelemetrySpec,
    /// The image, if it is not the operator's own.
    pub image: Option<String>,
}

/// The object that a feed is of.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Identity {
    /// Where it is.
    pub namespace: String,
    /// Its name, which begins those of all that is made for it.
    pub name: String,
    /// What tells it from another one of that name; it owns the streams under it.
    pub uid: String,
}

/// How bars close and are sent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ValidAggregation {
    /// How long stragglers are waited for.
    pub reorder_window: Span,
    /// How often open bars are sent.
    pub update_interval: Span,
    /// What happens when there is no room.
    pub when_full: WhenFull,
}

/// A duration, and how it was written: that is what a flag is given.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Span {
    /// As written, such as `250ms`.
    pub text: String,
    /// As meant.
    pub duration: Duration,
}

impl fmt::Display for Span {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

/// Checks an object. What is not known of it, such as a namespace in a file that names none, is filled in by the caller
/// before.
///
/// # Errors
/// With all that is wrong, in the order of the fields; each says what is right.
pub fn validate(feed: &MarketFeed) -> Result<ValidFeed, Invalid> {
    let mut checks = Checks::default();
    let identity = identity(feed, &mut checks);
    let MarketFeedSpec {
        sources,
        intervals,
        aggregation,
        marketdata,
        nats,
        gateway,
        network_policies,
        telemetry,
        image,
    } = &feed.spec;
    let sources = wanted(sources, &mut checks);
    let intervals = bar_lengths(intervals, &mut checks);
    let aggregation = closing(aggregation, &mut checks);
    let (shards, standbys) = shards(marketdata, &mut checks);
    let marketdata_pods = ValidPods::check(
        "spec.marketdata",
        marketdata.resources.as_ref(),
        marketdata.pod.as_ref(),
        &mut checks,
    );
    let (scope, nats) = nats::check(nats, &identity, &mut checks);
    let gateway = ValidGateway::check(gateway, &mut checks);
    check_network_policies(network_policies.as_ref(), &mut checks);
    telemetry::check(telemetry, &mut checks);
    if image
        .as_ref()
        .is_some_and(|image| image.is_empty() || image.contains(char::is_whitespace))
    {
        checks.refuse(
            "spec.image",
            "write an image such as registry.example/marketfeed:0.1.0, or leave it out",
        );
    }
    checks.end((scope, shards), |(scope, shards)| ValidFeed {
        identity,
        scope,
        sources,
        intervals,
        aggregation,
        shards,
        standbys,
        marketdata_pods,
        nats,
        gateway,
        network_policies: network_policies.clone(),
        telemetry: telemetry.clone(),
        image: image.clone(),
    })
}

impl ValidFeed {
    /// Whether the streams go with the feed.
    #[must_use]
    pub fn is_purged(&self) -> bool {
        self.nats.deletion_policy == DeletionPolicy::Delete
    }
}

fn identity(feed: &MarketFeed, checks: &mut Checks) -> Identity {
    let name = feed.metadata.name.clone().unwrap_or_default();
    if name.len() > NAME_LEN_MAX {
        checks.refuse(
            "metadata.name",
            format!(
                "{name:?} has {} characters: write {NAME_LEN_MAX} at most, as names of Deployments and Services are made of it",
                name.len()
            ),
        );
    }
    let plain = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-';
    let begins_well = name.starts_with(|c: char| c.is_ascii_lowercase());
    if !begins_well || !name.bytes().all(plain) || name.ends_with('-') {
        checks.refuse(
            "metadata.name",
            format!(
                "{name:?} cannot name a Service: begin with a letter, then write lower-case letters, digits and inner hyphens, and no dots"
            ),
        );
    }
    let namespace = feed.metadata.namespace.clone().unwrap_or_default();
    let is_end = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit();
    let is_namespace = (1..=NAMESPACE_LEN_MAX).contains(&namespace.len())
        && namespace.bytes().all(plain)
        && [namespace.bytes().next(), namespace.bytes().next_back()]
            .into_iter()
            .all(|end| end.is_some_and(is_end));
    if !is_namespace {
        checks.refuse(
            "metadata.namespace",
            format!(
                "{namespace:?} names no namespace: write lower-case letters, digits and inner hyphens, {NAMESPACE_LEN_MAX} at most"
            ),
        );
    }
    Identity {
        namespace,
        name,
        uid: feed.metadata.uid.clone().unwrap_or_default(),
    }
}

fn wanted(sources: &[SourceSpec], checks: &mut Checks) -> Vec<WantedSource> {
    if sources.is_empty() {
        checks.refuse("spec.sources", AssignmentError::NoSources);
    }
    let mut venues = BTreeSet::new();
    let mut count = 0;
    let mut wanted = Vec::new();
    for (at, source) in sources.iter().enumerate() {
        let path = format!("spec.sources[{at}]");
        count += source.symbols.len();
        if !venues.insert(&source.venue) {
            let twice = format!(
                "{} is listed twice: put its symbols in one list",
                source.venue
            );
            checks.refuse(&format!("{path}.venue"), twice);
        }
        let venue = checks.take(&format!("{path}.venue"), known_venue(&source.venue));
        let symbols = symbols(&path, source, checks);
        let endpoints = source.endpoints.as_ref().map(|given| {
            checks.url(&format!("{path}.endpoints.ws"), &given.ws, ["ws", "wss"]);
            checks.url(
                &format!("{path}.endpoints.rest"),
                &given.rest,
                ["http", "https"],
            );
            AssignedEndpoints {
                ws: given.ws.trim_end_matches('/').to_owned(),
                rest: given.rest.trim_end_matches('/').to_owned(),
            }
        });
        if let Some(venue) = venue {
            wanted.push(WantedSource {
                venue,
                endpoints,
                symbols,
            });
        }
    }
    if count > INSTRUMENTS_MAX {
        checks.refuse("spec.sources", AssignmentError::TooManyInstruments(count));
    }
    wanted
}

fn known_venue(text: &str) -> Result<Venue, String> {
    let known = || {
        format!(
            "{text:?} is no venue: write one of {}",
            Venue::KNOWN.join(", ")
        )
    };
    let venue = Venue::new(text).map_err(|_| known())?;
    if Venue::KNOWN.contains(&venue.as_str()) {
        Ok(venue)
    } else {
        Err(known())
    }
}

fn symbols(path: &str, source: &SourceSpec, checks: &mut Checks) -> Vec<Symbol> {
    if source.symbols.is_empty() {
        checks.refuse(
            &format!("{path}.symbols"),
            "there are none: list at least one, such as BTC-USDT, or leave the venue out",
        );
    }
    let mut spelled = std::collections::BTreeMap::new();
    let mut symbols = Vec::new();
    for (at, text) in source.symbols.iter().enumerate() {
        let path = format!("{path}.symbols[{at}]");
        let Some(symbol) = checks.take(
            &path,
            Symbol::new(text).map_err(|error: TokenError| error.to_string()),
        ) else {
            continue;
        };
        // Binance has no hyphen between the two sides, so that two symbols may be one to it.
        let is_joined = source.venue == Venue::BINANCE_SPOT;
        let spelling = if is_joined {
            text.replace('-', "")
        } else {
            text.clone()
        };
        match spelled.insert(spelling, symbol.clone()) {
            Some(other) if other == symbol => {
                checks.refuse(&path, format!("{symbol} is listed twice: list it once"));
            }
            Some(other) => checks.refuse(
                &path,
                format!("{other} and {symbol} are the same to the venue: list one of them"),
            ),
            None => symbols.push(symbol),
        }
    }
    symbols
}

fn bar_lengths(intervals: &[String], checks: &mut Checks) -> Vec<Interval> {
    if intervals.is_empty() {
        checks.refuse("spec.intervals", AssignmentError::NoIntervals);
    }
    let mut seen = BTreeSet::new();
    let mut lengths = Vec::new();
    for (at, text) in intervals.iter().enumerate() {
        let path = format!("spec.intervals[{at}]");
        let Some(interval) = checks.take(&path, text.parse::<Interval>()) else {
            continue;
        };
        if seen.insert(interval) {
            lengths.push(interval);
        } else {
            checks.refuse(&path, AssignmentError::IntervalTwice(interval));
        }
    }
    lengths
}

fn closing(aggregation: &AggregationSpec, checks: &mut Checks) -> ValidAggregation {
    let AggregationSpec {
        reorder_window,
        update_interval,
        when_full,
    } = aggregation;
    ValidAggregation {
        reorder_window: checks.span("spec.aggregation.reorderWindow", reorder_window, "2s", "1m"),
        update_interval: checks.span(
            "spec.aggregation.updateInterval",
            update_interval,
            "10ms",
            "1m",
        ),
        when_full: *when_full,
    }
}

fn shards(marketdata: &MarketdataSpec, checks: &mut Checks) -> (Option<ShardCount>, i32) {
    let MarketdataSpec {
        shards,
        standbys,
        resources: _,
        pod: _,
    } = marketdata;
    checks.range("spec.marketdata.shards", *shards, 1, SHARDS_MAX);
    checks.range("spec.marketdata.standbys", *standbys, 0, 4);
    (
        u16::try_from(*shards).ok().and_then(ShardCount::new),
        *standbys,
    )
}

fn check_network_policies(policies: Option<&NetworkPoliciesSpec>, checks: &mut Checks) {
    let namespaces = policies
        .map(|policies| &policies.admin_namespaces[..])
        .unwrap_or_default();
    for (at, namespace) in namespaces.iter().enumerate() {
        let plain = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-';
        if namespace.is_empty() || namespace.len() > 63 || !namespace.bytes().all(plain) {
            checks.refuse(
                &format!("spec.networkPolicies.adminNamespaces[{at}]"),
                format!("{namespace:?} names no namespace: write one such as monitoring"),
            );
        }
    }
}
