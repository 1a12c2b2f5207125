// Pure: a MarketFeed from text, and the assignment that it asks for.
#![deny(clippy::disallowed_methods)]

use std::fmt::Write;

use kube::Resource;
use serde::Deserialize;
use serde_json::Value;
use wire::assignment::{Difference, assign};
use wire::{Assignment, AssignmentError, ShardId};

use crate::ValidFeed;
use crate::build::names::{self, Component};
use crate::spec::{MarketFeed, UnknownField, unknown_fields};

/// Stands for what tells an object from others of its name, where there is no cluster to give it one.
pub const NO_UID: &str = "00000000-0000-0000-0000-000000000000";

/// Why text is no MarketFeed.
#[derive(Debug, thiserror::Error)]
pub enum FeedError {
    /// Not YAML, or not of its shape; says where.
    #[error("{0}")]
    Malformed(#[from] serde_yaml_ng::Error),
    /// More or fewer objects than one.
    #[error("there are {0} objects in it: write one MarketFeed to a file")]
    Count(usize),
    /// An object of another kind.
    #[error(
        "it is of kind {kind:?} and apiVersion {api_version:?}: write kind MarketFeed and apiVersion marketfeed.dev/v1alpha1"
    )]
    Kind {
        /// Of the object.
        kind: String,
        /// Of the object.
        api_version: String,
    },
    /// Fields that there are not.
    #[error("{}", .0.iter().map(ToString::to_string).collect::<Vec<_>>().join("; "))]
    UnknownFields(Vec<UnknownField>),
}

/// Reads a MarketFeed as it would be applied in the namespace, if it names none itself.
///
/// # Errors
/// When it is not one; what it says is not checked.
pub fn parse(text: &str, namespace: &str) -> Result<MarketFeed, FeedError> {
    let documents = serde_yaml_ng::Deserializer::from_str(text).map(Value::deserialize);
    let mut documents = documents.collect::<Result<Vec<_>, _>>()?;
    // A separator with nothing after it, or only comments.
    documents.retain(|document| !document.is_null());
    let [document] = &documents[..] else {
        return Err(FeedError::Count(documents.len()));
    };
    let word = |field: &str| document[field].as_str().unwrap_or_default().to_owned();
    let (kind, api_version) = (word("kind"), word("apiVersion"));
    if kind != MarketFeed::kind(&()) || api_version != MarketFeed::api_version(&()) {
        return Err(FeedError::Kind { kind, api_version });
    }
    let unknown = unknown_fields(document);
    if !unknown.is_empty() {
        return Err(FeedError::UnknownFields(unknown));
    }
    let mut feed = typed(text, document)?;
    feed.metadata
        .namespace
        .get_or_insert_with(|| namespace.to_owned());
    feed.metadata.uid.get_or_insert_with(|| NO_UID.to_owned());
    Ok(feed)
}

/// From the text where it is one document, so that errors say the line.
fn typed(text: &str, document: &Value) -> Result<MarketFeed, serde_yaml_ng::Error> {
    let from_text = serde_yaml_ng::from_str(text);
    from_text.or_else(|error| {
        // The same without lines, where the text has more than the object.
        let value = serde_yaml_ng::to_value(document)?;
        serde_yaml_ng::from_value(value).map_err(|_| error)
    })
}

/// The assignment that a feed asks for, with as few moves as can be against the one in force.
///
/// # Errors
/// As [`assign`]; not for a feed and an assignment in force that keep their bounds.
pub fn assignment(
    feed: &ValidFeed,
    previous: Option<&Assignment>,
) -> Result<Assignment, AssignmentError> {
    assign(
        previous,
        feed.sources.clone(),
        feed.intervals.iter().copied(),
        feed.shards,
    )
}

/// As [`assignment`]; where there is none in force that can be read, its number is above `floor`, the highest that was.
///
/// # Errors
/// As [`assignment`].
pub fn assignment_above(
    feed: &ValidFeed,
    previous: Option<&Assignment>,
    floor: u64,
) -> Result<Assignment, AssignmentError> {
    let next = assignment(feed, previous)?;
    if previous.is_some() || next.generation() > floor {
        return Ok(next);
    }
    let (intervals, sources) = (next.intervals().to_vec(), next.sources().to_vec());
    Assignment::new(floor.saturating_add(1), intervals, next.shards(), sources)
}

/// What a feed is, what changes, and what would be applied, for people.
#[must_use]
pub fn summary(feed: &ValidFeed, difference: &Difference, objects: &[Value]) -> String {
    let identity = &feed.identity;
    let intervals: Vec<String> = feed.intervals.iter().map(ToString::to_string).collect();
    let instruments: usize = feed.sources.iter().map(|source| source.symbols.len()).sum();
    // Writing to a string cannot fail.
    let mut out = String::new();
    let _ = writeln!(
        out,
        "MarketFeed {}/{}: {instruments} instruments, bars of {}, on the bus as {} in {}",
        identity.namespace,
        identity.name,
        intervals.join(","),
        feed.scope.env,
        feed.scope.region,
    );
    let _ = writeln!(out, "{difference}");
    if difference.intervals_changed {
        let _ = writeln!(
            out,
            "the market-data pods would be restarted, as bar lengths change with a start only"
        );
    }
    for object in objects {
        let _ = writeln!(out, "apply {}", shown(object));
    }
    let going = usize::from(feed.shards.get())..difference.loads.len();
    for shard in going.filter_map(|at| u16::try_from(at).ok()) {
        let name = names::shard(identity, ShardId(shard));
        let _ = writeln!(
            out,
            "remove Deployment and PodDisruptionBudget {name}, when it has nothing left"
        );
    }
    let purge = names::component(identity, Component::Purge);
    let _ = match feed.is_purged() {
        true => writeln!(out, "at its deletion: Job {purge} removes its streams"),
        false => writeln!(out, "at its deletion: its streams stay"),
    };
    out
}

/// Kind and name of an object.
fn shown(object: &Value) -> String {
    let word = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let (kind, name) = (word(&object["kind"]), word(&object["metadata"]["name"]));
    match object["spec"]["replicas"].as_i64() {
        Some(replicas) => format!("{kind} {name}, {replicas} replicas"),
        None => format!("{kind} {name}"),
    }
}

/// The objects as documents of one text, for `kubectl diff -f -`.
///
/// # Errors
/// Never for JSON.
pub fn to_yaml(objects: &[Value]) -> Result<String, serde_yaml_ng::Error> {
    let mut out = String::new();
    for object in objects {
        out.push_str("---\n");
        out.push_str(&serde_yaml_ng::to_string(object)?);
    }
    Ok(out)
}
