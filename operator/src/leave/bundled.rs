// Pure: which feeds use a NATS that goes with the release.
#![deny(clippy::disallowed_methods)]

use std::str::FromStr;

use kube::api::DynamicObject;

/// A Service of the release's own NATS.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Bundled {
    service: String,
    /// `None` where its name tells none: the operator's then.
    namespace: Option<String>,
}

/// Why text is no Service's name.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "{0:?} is no Service: write its name, <service>.<namespace>, or <service>.<namespace>.svc.cluster.local"
)]
pub struct BundledError(String);

impl FromStr for Bundled {
    type Err = BundledError;

    fn from_str(text: &str) -> Result<Self, BundledError> {
        let refuse = || BundledError(text.to_owned());
        let host = text.trim_end_matches('.').to_ascii_lowercase();
        let labels: Vec<&str> = host.split('.').collect();
        let is_label = |label: &&str| {
            !label.is_empty()
                && label
                    .bytes()
                    .all(|byte| byte.is_ascii_alphanumeric() || byte == b'-')
        };
        if !labels.iter().all(is_label) {
            return Err(refuse());
        }
        let (service, namespace) = match labels[..] {
            [service] => (service, None),
            [service, namespace] | [service, namespace, "svc", ..] => (service, Some(namespace)),
            _ => return Err(refuse()),
        };
        Ok(Self {
            service: service.to_owned(),
            namespace: namespace.map(str::to_owned),
        })
    }
}

impl Bundled {
    /// Whether a host that is written in `from` is one of its names, or the name of a server behind it.
    fn is_named(&self, host: &str, from: &str, own: &str) -> bool {
        let host = host.trim_end_matches('.').to_ascii_lowercase();
        let labels: Vec<&str> = host.split('.').collect();
        let is_it = |service: &str, namespace: &str| {
            service == self.service && namespace == self.namespace.as_deref().unwrap_or(own)
        };
        if let Some(at) = labels.iter().position(|label| *label == "svc") {
            return at >= 2 && is_it(labels[at - 2], labels[at - 1]);
        }
        match labels[..] {
            [service] => is_it(service, from),
            // A Service and its namespace, or a pod and its Service.
            [first, second] => is_it(first, second) || is_it(second, from),
            [_, service, namespace] => is_it(service, namespace),
            _ => false,
        }
    }
}

/// Whether a feed uses one of them. Read as far as it can be: also a feed that this release cannot decode may do so. `own` is
/// the operator's namespace.
#[must_use]
pub fn uses(feed: &DynamicObject, bundled: &[Bundled], own: &str) -> bool {
    let from = feed.metadata.namespace.as_deref().unwrap_or_default();
    let urls = feed.data.pointer("/spec/nats/urls");
    let urls = urls.and_then(serde_json::Value::as_array);
    let mut hosts = urls
        .into_iter()
        .flatten()
        .filter_map(|url| host(url.as_str()?));
    hosts.any(|host| bundled.iter().any(|one| one.is_named(host, from, own)))
}

/// Of `nats://user:password@host:4222/path`.
fn host(url: &str) -> Option<&str> {
    let rest = url.split_once("://").map_or(url, |(_, rest)| rest);
    let authority = rest.split(['/', '?']).next()?;
    let host = authority.rsplit('@').next()?;
    // An address of version 6 is nobody's name.
    (!host.starts_with('[')).then(|| host.split(':').next())?
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn feed(namespace: &str, urls: &serde_json::Value) -> DynamicObject {
        let object = json!({
            "apiVersion": "marketfeed.dev/v1alpha1", "kind": "MarketFeed",
            "metadata": { "name": "crypto", "namespace": namespace },
            "spec": { "nats": { "urls": urls }, "sources": "not a list" },
        });
        serde_json::from_value(object).unwrap()
    }

    #[test]
    fn every_name_of_a_service_is_one() {
        let check = |bundled: &str, url: &str, from: &str, expect: bool| {
            let bundled: Bundled = bundled.parse().unwrap();
            let feed = feed(from, &json!(["nats://elsewhere:4222", url]));
            assert_eq!(uses(&feed, &[bundled], "system"), expect, "{url} in {from}");
        };
        for bundled in [
            "mf-nats",
            "mf-nats.system",
            "mf-nats.system.svc",
            "MF-NATS.system.svc.cluster.local.",
        ] {
            for (url, from) in [
                ("nats://mf-nats:4222", "system"),
                ("mf-nats", "system"),
                ("nats://mf-nats.system", "market"),
                ("tls://user:pass@mf-nats.system.svc:4222", "market"),
                ("nats://mf-nats.system.svc.cluster.local.:4222", "market"),
                ("nats://mf-nats.system.svc.other.domain", "market"),
                ("nats://mf-nats-0.mf-nats:4222", "system"),
                ("nats://mf-nats-0.mf-nats.system:4222", "market"),
                (
                    "wss://mf-nats-0.mf-nats.system.svc.cluster.local/x",
                    "market",
                ),
            ] {
                check(bundled, url, from, true);
            }
            for (url, from) in [
                ("nats://mf-nats:4222", "market"),
                ("nats://mf-nats.market:4222", "system"),
                ("nats://nats.system.svc:4222", "system"),
                ("nats://mf-nats-0:4222", "system"),
                ("nats://[::1]:4222", "system"),
                ("nats://10.0.0.1:4222", "system"),
                ("", "system"),
            ] {
                check(bundled, url, from, false);
            }
        }
    }

    #[test]
    fn what_cannot_be_read_uses_nothing() {
        let bundled = ["nats".parse::<Bundled>().unwrap()];
        for urls in [json!(null), json!("nats://nats"), json!([7, {}])] {
            assert!(!uses(&feed("system", &urls), &bundled, "system"));
        }
    }

    #[test]
    fn a_wrong_name_is_refused() {
        for text in ["", "a..b", "nats://nats:4222", "a.b.c", "a b"] {
            assert!(text.parse::<Bundled>().is_err(), "{text}");
        }
    }
}
