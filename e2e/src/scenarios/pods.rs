// Pure: what pods are, as `kubectl get pods -o json` tells, and whether they are the ones that there were.
#![deny(clippy::disallowed_methods)]

use std::collections::BTreeMap;

use serde_json::Value;

/// A pod of a feed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Pod {
    /// Its name.
    pub(crate) name: String,
    /// Another pod of the same name has another one.
    pub(crate) uid: String,
    /// `gateway` or `marketdata`.
    pub(crate) component: String,
    /// The shard that it serves, if it does.
    pub(crate) shard: Option<u32>,
    /// How often its container was started again.
    pub(crate) restarts: u64,
    /// Its container's image.
    pub(crate) image: String,
    /// Where it runs; empty while it runs nowhere.
    pub(crate) node: String,
    /// It is ready, and nobody has asked it to stop.
    pub(crate) is_ready: bool,
    /// It is being removed.
    pub(crate) is_going: bool,
}

/// The pods of a list, by their names.
pub(crate) fn read(list: &Value) -> Vec<Pod> {
    let items = list["items"].as_array().into_iter().flatten();
    let mut pods: Vec<_> = items.filter_map(pod).collect();
    pods.sort_by(|a, b| a.name.cmp(&b.name));
    pods
}

fn pod(item: &Value) -> Option<Pod> {
    let text = |value: &Value| value.as_str().map(str::to_owned);
    let labels = &item["metadata"]["labels"];
    let status = &item["status"];
    let container = &status["containerStatuses"][0];
    let is_going = !item["metadata"]["deletionTimestamp"].is_null();
    let conditions = status["conditions"].as_array().into_iter().flatten();
    let mut ready = conditions.filter(|condition| condition["type"] == "Ready");
    Some(Pod {
        name: text(&item["metadata"]["name"])?,
        uid: text(&item["metadata"]["uid"])?,
        component: text(&labels["app.kubernetes.io/component"]).unwrap_or_default(),
        shard: labels["marketfeed.dev/shard"]
            .as_str()
            .and_then(|shard| shard.parse().ok()),
        restarts: container["restartCount"].as_u64().unwrap_or(0),
        image: text(&item["spec"]["containers"][0]["image"]).unwrap_or_default(),
        node: text(&item["spec"]["nodeName"]).unwrap_or_default(),
        is_ready: !is_going && ready.any(|condition| condition["status"] == "True"),
        is_going,
    })
}

/// What is not as it should be of the Deployments and pods of a list: nothing once each pod that is wanted runs as it is wanted
/// now, and no other is there.
pub(crate) fn unsettled(list: &Value) -> Vec<String> {
    let items = || list["items"].as_array().into_iter().flatten();
    let deployments = items().filter(|item| item["kind"] == "Deployment");
    let mut found: Vec<String> = deployments.filter_map(behind).collect();
    let pods: Vec<Pod> = items()
        .filter(|item| item["kind"] == "Pod")
        .filter_map(pod)
        .collect();
    for pod in &pods {
        if pod.is_going {
            found.push(format!("{} is being removed", pod.name));
        } else if !pod.is_ready {
            found.push(format!("{} is not ready", pod.name));
        }
    }
    found
}

/// A Deployment whose pods are not those that it wants.
fn behind(item: &Value) -> Option<String> {
    let (metadata, status) = (&item["metadata"], &item["status"]);
    let wanted = item["spec"]["replicas"].as_u64().unwrap_or(1);
    let is = |count: &str| status[count].as_u64().unwrap_or(0) == wanted;
    let is_whole = status["observedGeneration"] == metadata["generation"]
        && ["replicas", "updatedReplicas", "readyReplicas"]
            .into_iter()
            .all(is);
    let name = metadata["name"].as_str().unwrap_or_default();
    (!is_whole).then(|| {
        let ready = status["readyReplicas"].as_u64().unwrap_or(0);
        format!("{name} has {ready} of {wanted}")
    })
}

/// What has become of pods: those that went, came or were started again. Nothing where they are the same.
pub(crate) fn changes(before: &[Pod], after: &[Pod]) -> Vec<String> {
    let by_uid = |pods: &[Pod]| -> BTreeMap<String, Pod> {
        let pods = pods.iter().cloned();
        pods.map(|pod| (pod.uid.clone(), pod)).collect()
    };
    let (before, after) = (by_uid(before), by_uid(after));
    let mut changes = Vec::new();
    for (uid, pod) in &before {
        match after.get(uid) {
            None => changes.push(format!("{} is gone", pod.name)),
            Some(now) if now.restarts != pod.restarts => {
                changes.push(format!("{} was started again", pod.name));
            }
            Some(now) if now.is_going && !pod.is_going => {
                changes.push(format!("{} is being removed", pod.name));
            }
            Some(_) => {}
        }
    }
    let new = after.iter().filter(|(uid, _)| !before.contains_key(*uid));
    changes.extend(new.map(|(_, pod)| format!("{} is new", pod.name)));
    changes
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn item(name: &str, uid: &str, restarts: u64) -> Value {
        json!({
            "metadata": { "name": name, "uid": uid, "labels": {
                "app.kubernetes.io/component": "marketdata", "marketfeed.dev/shard": "1" } },
            "spec": { "nodeName": "node0", "containers": [{ "image": "i:1" }] },
            "status": { "conditions": [{ "type": "Ready", "status": "True" }],
                "containerStatuses": [{ "restartCount": restarts }] },
        })
    }

    fn list(items: &[Value]) -> Vec<Pod> {
        read(&json!({ "items": items }))
    }

    #[test]
    fn pods_are_read() {
        let mut going = item("b", "2", 0);
        going["metadata"]["deletionTimestamp"] = json!("2026-01-01T00:00:00Z");
        let pods = list(&[going, item("a", "1", 3)]);
        let [a, b] = &pods[..] else {
            panic!("{pods:?}")
        };
        assert_eq!((a.name.as_str(), a.restarts, a.shard), ("a", 3, Some(1)));
        assert_eq!(
            (a.component.as_str(), a.image.as_str()),
            ("marketdata", "i:1")
        );
        assert!(a.is_ready && !a.is_going);
        assert!(!b.is_ready && b.is_going);
        assert_eq!(read(&json!({})), []);
    }

    #[test]
    fn a_feed_is_settled_when_its_pods_are_those_that_are_wanted() {
        let pod = |name: &str| {
            let mut pod = item(name, name, 0);
            pod["kind"] = json!("Pod");
            pod
        };
        let deployment = |wanted: u64, ready: u64, seen: u64| {
            json!({ "kind": "Deployment", "metadata": { "name": "d", "generation": 2 },
                "spec": { "replicas": wanted }, "status": { "observedGeneration": seen,
                "replicas": ready, "updatedReplicas": ready, "readyReplicas": ready } })
        };
        let of = |items: &[Value]| unsettled(&json!({ "items": items }));
        assert_eq!(of(&[deployment(1, 1, 2), pod("a")]), [""; 0]);
        assert_eq!(of(&[deployment(2, 1, 2), pod("a")]), ["d has 1 of 2"]);
        // What it says is of an older spec.
        assert_eq!(of(&[deployment(1, 1, 1), pod("a")]), ["d has 1 of 1"]);
        let mut old = deployment(1, 1, 2);
        old["status"]["replicas"] = json!(2);
        assert_eq!(of(&[old, pod("a")]), ["d has 1 of 1"]);
        let mut going = pod("b");
        going["metadata"]["deletionTimestamp"] = json!("2026-01-01T00:00:00Z");
        let mut starting = pod("c");
        starting["status"]["conditions"] = json!([]);
        assert_eq!(
            of(&[deployment(1, 1, 2), pod("a"), going, starting]),
            ["b is being removed", "c is not ready"]
        );
    }

    #[test]
    fn what_changed_is_told() {
        let before = list(&[item("a", "1", 0), item("b", "2", 0)]);
        assert_eq!(changes(&before, &before), [""; 0]);
        let restarted = list(&[item("a", "1", 1), item("b", "2", 0)]);
        assert_eq!(changes(&before, &restarted), ["a was started again"]);
        let replaced = list(&[item("a", "3", 0), item("b", "2", 0)]);
        assert_eq!(changes(&before, &replaced), ["a is gone", "a is new"]);
    }
}
