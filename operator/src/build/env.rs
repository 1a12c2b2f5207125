// Pure: how processes are set up: by variables and not by flags. An image that is pinned to an older release passes over a
// variable that it does not know, where a flag would end it.
#![deny(clippy::disallowed_methods)]

use k8s_openapi::api::core::v1::{EnvVar, EnvVarSource, ObjectFieldSelector};

use super::files::{self, Secrets};
use super::names::{ADMIN_PORT, CLIENTS_PORT};
use crate::ValidFeed;
use crate::spec::WhenFull;
use crate::validate::Span;
use wire::ShardId;

/// How long a gateway goes on accepting when it is asked to stop: what it takes until no proxy sends clients to it.
pub(super) const LINGER_S: u64 = 5;

/// How long a purge tries; its Job ends later.
pub(super) const PURGE_WITHIN_S: u64 = 45;

/// What a process of a shard is told.
pub(super) fn of_shard(feed: &ValidFeed, shard: ShardId) -> Vec<EnvVar> {
    let aggregation = &feed.aggregation;
    let mut vars = of_all(feed);
    vars.extend(serving(feed));
    vars.extend(nats(feed, &Secrets::of_marketdata(feed)));
    vars.extend([
        var("ASSIGNMENT", &files::assignment_path()),
        var("SHARD", &shard.to_string()),
        from_field("INSTANCE", "metadata.name"),
        var("REORDER_WINDOW", &aggregation.reorder_window.to_string()),
        var("UPDATE_INTERVAL", &aggregation.update_interval.to_string()),
        var("WHEN_FULL", when_full(aggregation.when_full)),
        var(
            "TRACE_SAMPLES_PER_MILLION",
            &feed.telemetry.samples_per_million.to_string(),
        ),
    ]);
    vars
}

/// What a gateway is told.
pub(super) fn of_gateway(feed: &ValidFeed) -> Vec<EnvVar> {
    let Span { text: drain, .. } = &feed.gateway.drain;
    let mut vars = of_all(feed);
    vars.extend(serving(feed));
    vars.extend(nats(feed, &Secrets::of_gateway(feed)));
    vars.extend([
        var("LISTEN", &format!("0.0.0.0:{CLIENTS_PORT}")),
        var("CONNECTIONS_MAX", &feed.gateway.connections_max.to_string()),
        var("LINGER", &format!("{LINGER_S}s")),
        var("DRAIN", drain),
    ]);
    vars
}

/// What a purge is told.
pub(super) fn of_purge(feed: &ValidFeed) -> Vec<EnvVar> {
    let mut vars = of_all(feed);
    vars.extend(nats(feed, &Secrets::of_purge(feed)));
    vars.push(var("WITHIN", &format!("{PURGE_WITHIN_S}s")));
    vars
}

fn of_all(feed: &ValidFeed) -> Vec<EnvVar> {
    vec![
        var("ENV", feed.scope.env.as_str()),
        var("REGION", feed.scope.region.as_str()),
        var("LOG", &feed.telemetry.log),
        var("LOG_FORMAT", "json"),
    ]
}

/// What one that stays is told besides.
fn serving(feed: &ValidFeed) -> Vec<EnvVar> {
    let mut vars = vec![var("ADMIN_LISTEN", &format!("0.0.0.0:{ADMIN_PORT}"))];
    let endpoint = feed.telemetry.otlp_endpoint.as_deref();
    vars.extend(endpoint.map(|endpoint| var("OTLP_ENDPOINT", endpoint)));
    vars
}

fn nats(feed: &ValidFeed, secrets: &Secrets<'_>) -> Vec<EnvVar> {
    let nats = &feed.nats;
    let mut vars = vec![
        var("NATS_URL", &nats.urls.join(",")),
        var("NATS_REPLICAS", &nats.replicas.to_string()),
        // Another feed of the same name has another one: the streams of one are never taken for those of the other.
        var("NATS_OWNER", &feed.identity.uid),
    ];
    if nats.tls.required {
        vars.push(var("NATS_TLS_REQUIRED", "true"));
    }
    vars.extend(secrets.paths().map(|(variable, path)| var(variable, &path)));
    vars
}

fn when_full(when_full: WhenFull) -> &'static str {
    match when_full {
        WhenFull::DropNewest => "drop-newest",
        WhenFull::Wait => "wait",
    }
}

fn var(name: &str, value: &str) -> EnvVar {
    EnvVar {
        name: format!("MARKETFEED_{name}"),
        value: Some(value.to_owned()),
        value_from: None,
    }
}

fn from_field(name: &str, path: &str) -> EnvVar {
    EnvVar {
        name: format!("MARKETFEED_{name}"),
        value: None,
        value_from: Some(EnvVarSource {
            field_ref: Some(ObjectFieldSelector {
                // Kubernetes fills it in otherwise, and what was applied would not be what is there.
                api_version: Some("v1".to_owned()),
                field_path: path.to_owned(),
            }),
            ..EnvVarSource::default()
        }),
    }
}
