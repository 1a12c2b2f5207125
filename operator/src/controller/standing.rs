// Pure: an object that is there, as far as it is compared with what was applied. What controllers write into a status changes
// nothing of it, nor do labels and annotations that others add.
#![deny(clippy::disallowed_methods)]

use std::collections::BTreeMap;

use k8s_openapi::api::autoscaling::v2::HorizontalPodAutoscaler;
use k8s_openapi::api::core::v1::{ConfigMap, Service};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use kube::Resource;
use kube::core::DynamicObject;
use serde::Serialize;
use serde_json::{Value, json};

use super::ledger::hash;

/// How an object stands.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Standing {
    /// Its resource version: of two standings of an object the higher is the newer; 0 where it is no number.
    pub version: u64,
    /// What it says: its generation, or where its kind has none, as a ConfigMap's, the hash of all but metadata and status.
    pub content: u64,
    /// What tells it from others of its name.
    pub uid: String,
    /// Its labels, also those of others.
    pub labels: BTreeMap<String, String>,
    /// Its annotations, likewise.
    pub annotations: BTreeMap<String, String>,
    /// Its owners' UIDs, and whether they control it.
    pub owners: BTreeMap<String, bool>,
}

impl Standing {
    /// Of an object of a type.
    #[must_use]
    pub fn of<K: Resource + Serialize>(object: &K) -> Self {
        let content = || {
            // Plain data is always JSON.
            let mut value = serde_json::to_value(object).unwrap_or_default();
            if let Some(fields) = value.as_object_mut() {
                fields.retain(|name, _| !["metadata", "status"].contains(&&name[..]));
            }
            hash(&value)
        };
        Self::new(object.meta(), content)
    }

    /// Of an object as the API server gives it back; read by its type, so that it compares with what is watched.
    ///
    /// # Errors
    /// When it is not of its type.
    pub fn of_dynamic(kind: &str, object: DynamicObject) -> serde_json::Result<Self> {
        if object.metadata.generation.is_some() {
            return Ok(Self::new(&object.metadata, || 0));
        }
        let value = |object| serde_json::to_value::<DynamicObject>(object);
        Ok(match kind {
            "ConfigMap" => Self::of::<ConfigMap>(&serde_json::from_value(value(object)?)?),
            "Service" => Self::of::<Service>(&serde_json::from_value(value(object)?)?),
            "HorizontalPodAutoscaler" => {
                Self::of::<HorizontalPodAutoscaler>(&serde_json::from_value(value(object)?)?)
            }
            _ => Self::new(&object.metadata, || 0),
        })
    }

    fn new(meta: &ObjectMeta, content: impl FnOnce() -> u64) -> Self {
        let generation = meta
            .generation
            .and_then(|generation| u64::try_from(generation).ok());
        let owners = meta.owner_references.iter().flatten();
        Self {
            version: version(meta),
            content: generation.unwrap_or_else(content),
            uid: meta.uid.clone().unwrap_or_default(),
            labels: meta.labels.clone().unwrap_or_default(),
            annotations: meta.annotations.clone().unwrap_or_default(),
            owners: owners
                .map(|owner| (owner.uid.clone(), owner.controller.unwrap_or(false)))
                .collect(),
        }
    }

    /// A hash of those labels, annotations and owners of it that the wanted object has too.
    #[must_use]
    pub fn marks(&self, wanted: &Value) -> u64 {
        let meta = &wanted["metadata"];
        let of = |there: &BTreeMap<String, String>, wanted: &Value| {
            let keys = wanted.as_object().into_iter().flatten();
            keys.map(|(key, _)| json!([key, there.get(key)]))
                .collect::<Vec<_>>()
        };
        let owners = meta["ownerReferences"].as_array().into_iter().flatten();
        let owners = owners.filter_map(|owner| owner["uid"].as_str());
        let owners: Vec<Value> = owners
            .map(|uid| json!([uid, self.owners.get(uid)]))
            .collect();
        hash(&json!([
            of(&self.labels, &meta["labels"]),
            of(&self.annotations, &meta["annotations"]),
            owners
        ]))
    }
}

/// An object's resource version: of two of an object the higher is the newer; 0 where it is no number.
pub(super) fn version(meta: &ObjectMeta) -> u64 {
    let version = meta.resource_version.as_ref();
    version
        .and_then(|version| version.parse().ok())
        .unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn autoscaler(change: impl FnOnce(&mut Value)) -> Standing {
        let mut object = json!({
            "metadata": {
                "name": "a", "resourceVersion": "7", "labels": { "ours": "1" },
                "ownerReferences": [{ "apiVersion": "v1", "kind": "Feed", "name": "f", "uid": "u", "controller": true }],
            },
            "spec": { "maxReplicas": 9, "scaleTargetRef": { "kind": "Deployment", "name": "a" } },
        });
        change(&mut object);
        let typed: HorizontalPodAutoscaler = serde_json::from_value(object.clone()).unwrap();
        object["apiVersion"] = json!("autoscaling/v2");
        object["kind"] = json!("HorizontalPodAutoscaler");
        let standing = Standing::of(&typed);
        let dynamic = serde_json::from_value(object).unwrap();
        let given = Standing::of_dynamic("HorizontalPodAutoscaler", dynamic).unwrap();
        assert_eq!(standing, given, "watched and given back");
        standing
    }

    #[test]
    fn what_its_controller_says_is_no_change() {
        let wanted = json!({ "metadata": { "labels": { "ours": "1" }, "ownerReferences": [{ "uid": "u" }] } });
        let before = autoscaler(|_| {});
        let same = |change: fn(&mut Value)| {
            let now = autoscaler(change);
            (now.content, now.marks(&wanted)) == (before.content, before.marks(&wanted))
        };
        assert!(same(
            |object| object["status"] = json!({ "desiredReplicas": 3 })
        ));
        assert!(same(
            |object| object["metadata"]["labels"]["theirs"] = json!("2")
        ));
        assert!(same(
            |object| object["metadata"]["annotations"] = json!({ "a": "b" })
        ));
        assert!(!same(
            |object| object["metadata"]["labels"]["ours"] = json!("2")
        ));
        assert!(!same(
            |object| object["metadata"]["ownerReferences"] = json!([])
        ));
        assert!(!same(|object| object["spec"]["maxReplicas"] = json!(8)));
    }
}
