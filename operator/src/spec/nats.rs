// Pure: the bus.
#![deny(clippy::disallowed_methods)]

use schemars::{JsonSchema, Schema};
use serde::{Deserialize, Serialize};

use super::schema::{bus_token, of_each, rules, secret_name, written};

/// The bus between the processes: where it is, and who we are to it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(extend("x-kubernetes-validations" = rules(&[
    (
        "has(self.environment) == has(oldSelf.environment) && (!has(self.environment) || self.environment == oldSelf.environment)",
        "environment names the streams of a feed and cannot be changed: write the old one, or make another MarketFeed",
    ),
    (
        "self.region == oldSelf.region",
        "region names the streams of a feed and cannot be changed: write the old one, or make another MarketFeed",
    ),
    (
        "self.replicas == oldSelf.replicas",
        "replicas is a setting of streams that are there, and cannot be changed: write the old one, or make another MarketFeed",
    ),
])))]
pub struct NatsSpec {
    /// Servers to try: nats://host:4222, or tls://host:4222 for one that speaks TLS only. No user and no password.
    #[schemars(
        length(min = 1, max = 16),
        inner(length(max = 256)),
        extend("x-kubernetes-list-type" = "set"),
        transform = server_rules
    )]
    pub urls: Vec<String>,

    /// Names this feed on the bus: lower-case letters, digits and inner hyphens, 128 at most. The namespace, a hyphen and
    /// the name where absent; two feeds on one NATS may come to the same, such as c in the namespace a-b and b-c in a: give
    /// one of them another name here. Cannot be changed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(
        length(min = 1, max = 128),
        extend("x-kubernetes-validations" = bus_token())
    )]
    pub environment: Option<String>,

    /// Names where this feed runs, by the same rule, 32 at most. Cannot be changed.
    #[serde(default = "region")]
    #[schemars(
        length(min = 1, max = 32),
        extend("x-kubernetes-validations" = bus_token())
    )]
    pub region: String,

    /// How many NATS servers hold each close, 1 to 5; no more than there are. Cannot be changed.
    #[serde(default = "replicas")]
    #[schemars(range(min = 1, max = 5))]
    pub replicas: i32,

    /// The file with a user's JWT and seed (.creds), in a Secret of this namespace. Pods mount it: the operator does not
    /// read it, and a renewed one is used at the next connection. No credentials where absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub credentials_secret_ref: Option<SecretKeyRef>,

    /// Other credentials for the gateways, which publish nothing and are the ones that strangers reach. Those of
    /// credentialsSecretRef where absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub gateway_credentials_secret_ref: Option<SecretKeyRef>,

    /// Other credentials for the removal of the streams when the MarketFeed is deleted. Those of credentialsSecretRef where
    /// absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub purge_credentials_secret_ref: Option<SecretKeyRef>,

    /// Encryption. What the servers offer is used where this is absent, with the image's own list of authorities.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tls: Option<NatsTlsSpec>,

    /// What becomes of the streams and leases when the MarketFeed is deleted. Delete: they are removed. Retain: they stay.
    #[serde(default)]
    pub deletion_policy: DeletionPolicy,
}

/// Encryption towards NATS.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct NatsTlsSpec {
    /// Whether servers without TLS are not spoken to.
    pub required: bool,

    /// The certificates to trust (PEM), in a Secret of this namespace.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ca_secret_ref: Option<SecretKeyRef>,

    /// Our own certificate and its key: a Secret of type kubernetes.io/tls, with tls.crt and tls.key.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub client_secret_ref: Option<SecretRef>,
}

/// A key of a Secret in the same namespace.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct SecretKeyRef {
    /// The Secret.
    #[schemars(
        length(min = 1, max = 253),
        extend("x-kubernetes-validations" = secret_name())
    )]
    pub name: String,

    /// Which of its keys: letters, digits, hyphens, underscores and dots.
    #[schemars(
        length(min = 1, max = 253),
        extend("x-kubernetes-validations" = written(
            "^[-._a-zA-Z0-9]+$",
            "that is no key of a Secret: write one such as marketfeed.creds",
        ))
    )]
    pub key: String,
}

/// A Secret in the same namespace.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct SecretRef {
    /// The Secret.
    #[schemars(
        length(min = 1, max = 253),
        extend("x-kubernetes-validations" = secret_name())
    )]
    pub name: String,
}

/// What becomes of the streams.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[schemars(inline)]
pub enum DeletionPolicy {
    #[allow(missing_docs)]
    #[default]
    Delete,
    #[allow(missing_docs)]
    Retain,
}

fn server_rules(urls: &mut Schema) {
    let rules = written(
        r"^(nats|tls)://[-a-zA-Z0-9.:\[\]]+$",
        "that is no NATS address: write nats://host:4222 or tls://host:4222, without user and password",
    );
    of_each(urls, rules);
}

fn region() -> String {
    "local".to_owned()
}

fn replicas() -> i32 {
    3
}
