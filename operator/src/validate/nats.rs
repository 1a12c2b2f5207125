// Pure: the bus.
#![deny(clippy::disallowed_methods)]

use std::collections::BTreeSet;

use wire::Scope;
use wire::subject::{Env, Region};

use super::Identity;
use super::error::{Checks, is_host_and_port};
use crate::spec::{DeletionPolicy, NatsSpec, NatsTlsSpec, SecretKeyRef};

/// The bus, as pods are told of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ValidNats {
    /// Servers; at least one.
    pub urls: Vec<String>,
    /// How many of them hold each close.
    pub replicas: i32,
    /// The file that says who the market-data processes are.
    pub credentials: Option<SecretKeyRef>,
    /// The same of the gateways.
    pub gateway_credentials: Option<SecretKeyRef>,
    /// The same of who removes the streams.
    pub purge_credentials: Option<SecretKeyRef>,
    /// Encryption.
    pub tls: ValidTls,
    /// What becomes of the streams.
    pub deletion_policy: DeletionPolicy,
}

/// Encryption towards NATS.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ValidTls {
    /// Whether servers without it are not spoken to.
    pub required: bool,
    /// Whom to trust.
    pub ca: Option<SecretKeyRef>,
    /// The Secret with our own certificate and key.
    pub client: Option<String>,
}

pub(super) fn check(
    spec: &NatsSpec,
    identity: &Identity,
    checks: &mut Checks,
) -> (Option<Scope>, ValidNats) {
    let NatsSpec {
        urls,
        environment,
        region,
        replicas,
        credentials_secret_ref,
        gateway_credentials_secret_ref,
        purge_credentials_secret_ref,
        tls,
        deletion_policy,
    } = spec;
    check_urls(urls, checks);
    checks.range("spec.nats.replicas", *replicas, 1, 5);
    let Identity {
        namespace,
        name,
        uid: _,
    } = identity;
    let env = environment
        .clone()
        .unwrap_or_else(|| format!("{namespace}-{name}"));
    // What is made of a name that was refused says nothing new.
    let env = match (environment, Env::new(&env)) {
        (None, env) => env.ok(),
        (Some(_), env) => checks.take("spec.nats.environment", env),
    };
    let region = checks.take("spec.nats.region", Region::new(region));
    let secrets = [
        ("spec.nats.credentialsSecretRef", credentials_secret_ref),
        (
            "spec.nats.gatewayCredentialsSecretRef",
            gateway_credentials_secret_ref,
        ),
        (
            "spec.nats.purgeCredentialsSecretRef",
            purge_credentials_secret_ref,
        ),
    ];
    for (path, secret) in secrets {
        if let Some(secret) = secret {
            check_secret(path, secret, checks);
        }
    }
    let NatsTlsSpec {
        required,
        ca_secret_ref,
        client_secret_ref,
    } = tls.clone().unwrap_or_default();
    if let Some(secret) = &ca_secret_ref {
        check_secret("spec.nats.tls.caSecretRef", secret, checks);
    }
    if let Some(secret) = &client_secret_ref {
        check_name("spec.nats.tls.clientSecretRef.name", &secret.name, checks);
    }
    let valid = ValidNats {
        urls: urls.clone(),
        replicas: *replicas,
        credentials: credentials_secret_ref.clone(),
        gateway_credentials: gateway_credentials_secret_ref
            .clone()
            .or_else(|| credentials_secret_ref.clone()),
        purge_credentials: purge_credentials_secret_ref
            .clone()
            .or_else(|| credentials_secret_ref.clone()),
        tls: ValidTls {
            required,
            ca: ca_secret_ref,
            client: client_secret_ref.map(|secret| secret.name),
        },
        deletion_policy: *deletion_policy,
    };
    (
        env.zip(region).map(|(env, region)| Scope { env, region }),
        valid,
    )
}

fn check_urls(urls: &[String], checks: &mut Checks) {
    if urls.is_empty() {
        checks.refuse(
            "spec.nats.urls",
            "there are none: write at least one, such as nats://nats:4222",
        );
    }
    let mut seen = BTreeSet::new();
    for (at, url) in urls.iter().enumerate() {
        let path = format!("spec.nats.urls[{at}]");
        let rest = url
            .strip_prefix("nats://")
            .or_else(|| url.strip_prefix("tls://"));
        let plain = |b: u8| b.is_ascii_alphanumeric() || b"-.:[]".contains(&b);
        let is_good = |rest: &str| rest.bytes().all(plain) && is_host_and_port(rest);
        if !rest.is_some_and(is_good) {
            checks.refuse(
                &path,
                format!("{url:?} is no NATS address: write nats://host:4222 or tls://host:4222, without user and password"),
            );
        }
        if !seen.insert(url) {
            checks.refuse(&path, format!("{url} is listed twice: list it once"));
        }
    }
}

fn check_secret(path: &str, secret: &SecretKeyRef, checks: &mut Checks) {
    let SecretKeyRef { name, key } = secret;
    check_name(&format!("{path}.name"), name, checks);
    let plain = |b: u8| b.is_ascii_alphanumeric() || b"-._".contains(&b);
    // `..` would be a folder where the Secret is mounted.
    if key.is_empty() || key.len() > 253 || !key.bytes().all(plain) || key.starts_with("..") {
        checks.refuse(
            &format!("{path}.key"),
            format!("{key:?} is no key of a Secret: write one such as marketfeed.creds"),
        );
    }
}

fn check_name(path: &str, name: &str, checks: &mut Checks) {
    let plain = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b"-.".contains(&b);
    let ends = name.starts_with(['-', '.']) || name.ends_with(['-', '.']);
    if name.is_empty() || name.len() > 253 || ends || !name.bytes().all(plain) {
        checks.refuse(
            path,
            format!("{name:?} names no Secret: write lower-case letters, digits, hyphens and dots"),
        );
    }
}
