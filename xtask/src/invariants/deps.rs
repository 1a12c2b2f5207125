//! Rules over what cargo prints: `cargo metadata` and `cargo tree`. Pure.

#![deny(clippy::disallowed_methods)]

use std::collections::{BTreeMap, BTreeSet};

use anyhow::{Context, Result};
use serde_json::Value;

/// Dependencies that may be there in two versions, each with the reason.
const DUPLICATES_ALLOWED: [(&str, &str); 13] = [
    (
        "base64",
        "kube-client 5 is at 0.23; async-nats, k8s-openapi, tonic and tower-http keep to 0.22",
    ),
    (
        "digest",
        "nkeys (async-nats) signs by ed25519-dalek, which keeps to 0.10; tungstenite's sha1 is at 0.11",
    ),
    ("block-buffer", "with digest"),
    ("const-oid", "with digest"),
    ("cpufeatures", "with digest"),
    ("crypto-common", "with digest"),
    ("rand_chacha", "with rand"),
    (
        "getrandom",
        "ring 0.17 (marketdata's TLS) keeps to 0.2; proptest is at 0.4",
    ),
    (
        "rand",
        "opentelemetry_sdk 0.33 keeps to 0.9; async-nats and proptest are at 0.10, nkeys at 0.8",
    ),
    (
        "hashbrown",
        "kube-runtime 5 keeps to 0.16; indexmap is at 0.17",
    ),
    ("rand_core", "with rand"),
    (
        "syn",
        "at build time only: prost, tracing and curve25519 are at 2, clap, serde and async-trait at 3",
    ),
    (
        "webpki-roots",
        "0.26, which tokio-tungstenite names, is a shell around 1.0",
    ),
];

/// The members of the workspace with the names that their manifests list, of whatever kind.
pub(super) struct Members {
    listed: BTreeMap<String, BTreeSet<String>>,
}

impl Members {
    /// Reads `cargo metadata --no-deps`.
    pub(super) fn from_metadata(json: &str) -> Result<Self> {
        let metadata: Value = serde_json::from_str(json).context("cargo metadata is no JSON")?;
        let packages = metadata["packages"]
            .as_array()
            .context("cargo metadata has no packages")?;
        let name_of = |value: &Value| value["name"].as_str().map(str::to_owned);
        let mut listed = BTreeMap::new();
        for package in packages {
            let name = name_of(package).context("a package without a name")?;
            let dependencies = package["dependencies"].as_array().into_iter().flatten();
            listed.insert(name, dependencies.filter_map(name_of).collect());
        }
        Ok(Self { listed })
    }

    /// The members in alphabetical order.
    pub(super) fn names(&self) -> impl Iterator<Item = &str> {
        self.listed.keys().map(String::as_str)
    }

    /// Members other than `runtime` whose manifest lists async-nats.
    pub(super) fn nats_outside_runtime(&self) -> Vec<String> {
        self.listed
            .iter()
            .filter(|(name, listed)| *name != "runtime" && listed.contains("async-nats"))
            .map(|(name, _)| format!("{name} lists async-nats"))
            .collect()
    }
}

/// The distinct package names of `cargo tree --prefix none`.
pub(super) fn names(tree: &str) -> Vec<String> {
    let names: BTreeSet<_> = tree
        .lines()
        .filter_map(|line| line.split_whitespace().next())
        .map(str::to_owned)
        .collect();
    names.into_iter().collect()
}

/// Async runtimes and what only makes sense with one.
pub(super) fn async_runtimes(tree: &[String]) -> Vec<String> {
    let is_runtime = |name: &str| {
        [
            "tokio",
            "smol",
            "mio",
            "futures-executor",
            "glommio",
            "monoio",
        ]
        .contains(&name)
            || name.starts_with("tokio-")
            || name.starts_with("async-")
    };
    tree.iter()
        .filter(|name| is_runtime(name))
        .map(|name| format!("wire reaches {name}"))
        .collect()
}

/// Members that may reach Kubernetes: what runs there, and what tests it there.
const ON_KUBERNETES: [&str; 2] = ["operator", "e2e"];

/// Other members that reach Kubernetes.
pub(super) fn kube_outside_operator(trees: &[(String, Vec<String>)]) -> Vec<String> {
    trees
        .iter()
        .filter(|(member, _)| !ON_KUBERNETES.contains(&member.as_str()))
        .flat_map(|(member, tree)| {
            tree.iter()
                .filter(|name| is_kube(name))
                .map(move |name| format!("{member} reaches {name}"))
        })
        .collect()
}

/// `to` where the tree of `from` holds it.
pub(super) fn reaches(from: &str, to: &str, tree: &[String]) -> Vec<String> {
    tree.iter()
        .filter(|name| *name == to)
        .map(|_| format!("{from} reaches {to}"))
        .collect()
}

/// What must not be in the tree of `standalone`: it would cost the demo its minutes.
pub(super) fn demo_ballast(trees: &[(String, Vec<String>)]) -> Vec<String> {
    let Some((_, tree)) = trees.iter().find(|(member, _)| member == "standalone") else {
        return vec!["there is no member called standalone".to_owned()];
    };
    tree.iter()
        .filter(|name| is_kube(name) || *name == "async-nats" || name.starts_with("opentelemetry"))
        .map(|name| format!("standalone reaches {name}"))
        .collect()
}

/// Roots of `cargo tree --duplicates --prefix depth` that are not allowed.
pub(super) fn duplicates(tree: &str) -> Vec<String> {
    let mut versions: BTreeMap<&str, BTreeSet<&str>> = BTreeMap::new();
    for root in tree.lines().filter_map(|line| line.strip_prefix('0')) {
        let mut words = root.split_whitespace();
        if let (Some(name), Some(version)) = (words.next(), words.next()) {
            versions.entry(name).or_default().insert(version);
        }
    }
    versions
        .into_iter()
        // One version twice differs in features only.
        .filter(|(_, versions)| versions.len() > 1)
        .filter(|(name, _)| {
            DUPLICATES_ALLOWED
                .iter()
                .all(|(allowed, _)| allowed != name)
        })
        .map(|(name, versions)| {
            format!(
                "{name} {}",
                versions.into_iter().collect::<Vec<_>>().join(" and ")
            )
        })
        .collect()
}

fn is_kube(name: &str) -> bool {
    name == "kube" || name.starts_with("kube-") || name == "k8s-openapi"
}

#[cfg(test)]
mod tests {
    use super::*;

    fn list(names: &[&str]) -> Vec<String> {
        names.iter().map(|&name| name.to_owned()).collect()
    }

    fn trees(of: &[(&str, &[&str])]) -> Vec<(String, Vec<String>)> {
        of.iter()
            .map(|(name, tree)| ((*name).to_owned(), list(tree)))
            .collect()
    }

    #[test]
    fn tree_output() {
        let tree = "wire v0.1.0 (/x/wire)\nserde v1.0.1\nserde v1.0.1 (*)\nthiserror v2.0.0\n";
        assert_eq!(names(tree), ["serde", "thiserror", "wire"]);
    }

    #[test]
    fn async_in_wire() {
        assert!(async_runtimes(&list(&["wire", "serde", "thiserror"])).is_empty());
        let found = async_runtimes(&list(&[
            "wire",
            "tokio",
            "async-trait",
            "tokio-util",
            "serde",
        ]));
        assert_eq!(found.len(), 3);
    }

    #[test]
    fn kube() {
        let of: &[(&str, &[&str])] = &[
            ("gateway", &["kube-core", "axum"]),
            ("operator", &["kube", "k8s-openapi"]),
        ];
        assert_eq!(
            kube_outside_operator(&trees(of)),
            ["gateway reaches kube-core"]
        );
    }

    #[test]
    fn demo() {
        let clean: &[(&str, &[&str])] = &[("standalone", &["axum"]), ("operator", &["kube"])];
        assert!(demo_ballast(&trees(clean)).is_empty());
        let heavy: &[(&str, &[&str])] =
            &[("standalone", &["async-nats", "opentelemetry-otlp", "kube"])];
        assert_eq!(demo_ballast(&trees(heavy)).len(), 3);
        assert_eq!(demo_ballast(&[]).len(), 1, "an absent crate does not pass");
    }

    #[test]
    fn each_other() {
        assert_eq!(
            reaches("marketdata", "gateway", &list(&["gateway", "wire"])),
            ["marketdata reaches gateway"]
        );
        assert!(reaches("marketdata", "gateway", &list(&["gateway-api", "wire"])).is_empty());
    }

    #[test]
    fn nats() {
        let metadata = r#"{"packages":[
            {"name":"runtime","dependencies":[{"name":"async-nats","kind":null}]},
            {"name":"gateway","dependencies":[{"name":"axum"},{"name":"async-nats","kind":"dev"}]}]}"#;
        let members = Members::from_metadata(metadata).unwrap();
        assert_eq!(members.names().collect::<Vec<_>>(), ["gateway", "runtime"]);
        assert_eq!(members.nats_outside_runtime(), ["gateway lists async-nats"]);
        assert!(Members::from_metadata("{}").is_err());
    }

    #[test]
    fn two_versions() {
        let tree = "0some v0.8.5\n1proptest v1.0.0\n\n0some v0.9.1\n1x v1\n\n0serde v1.0.1\n0serde v1.0.1\n";
        assert_eq!(duplicates(tree), ["some v0.8.5 and v0.9.1"]);
        assert!(duplicates("").is_empty());
    }
}
