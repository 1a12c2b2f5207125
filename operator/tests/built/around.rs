//! What is around the pods: owners, selectors, names, budgets, policies.

use operator::validate::NAME_LEN_MAX;
use serde_json::{Value, json};

use super::feeds::{all, feed, find, parsed};

#[test]
fn everything_goes_with_its_feed() {
    for object in all(&feed(&json!({ "networkPolicies": {} }))) {
        let name = &object["metadata"]["name"];
        let owner = &object["metadata"]["ownerReferences"][0];
        assert_eq!(
            (&owner["kind"], &owner["name"], &owner["uid"]),
            (&json!("MarketFeed"), &json!("crypto"), &json!("1b4e28ba")),
            "{name}"
        );
        assert_eq!(owner["controller"], true, "{name}");
        assert_eq!(object["metadata"]["namespace"], "market", "{name}");
        assert_eq!(
            object["metadata"]["labels"]["marketfeed.dev/feed"], "crypto",
            "{name}"
        );
        assert!(object["apiVersion"].is_string() && object["kind"].is_string());
    }
}

/// Whether a selector picks a set of labels.
fn picks(selector: &Value, labels: &Value) -> bool {
    let selector = selector.as_object().unwrap();
    assert!(!selector.is_empty());
    selector.iter().all(|(key, value)| labels[key] == *value)
}

#[test]
fn selectors_pick_their_own_pods_and_no_others() {
    let objects = all(&feed(&json!({ "networkPolicies": {} })));
    let pods: Vec<(String, &Value)> = super::feeds::templates(&objects)
        .into_iter()
        .map(|(name, template)| (name, &template["metadata"]["labels"]))
        .collect();
    let picked = |selector: &Value| -> Vec<&str> {
        pods.iter()
            .filter(|(_, labels)| picks(selector, labels))
            .map(|(name, _)| &name[..])
            .collect()
    };
    let shards = ["crypto-shard-0", "crypto-shard-1"];
    for object in &objects {
        let spec = &object["spec"];
        let name = object["metadata"]["name"].as_str().unwrap();
        match object["kind"].as_str().unwrap() {
            "Deployment" | "PodDisruptionBudget" => {
                assert_eq!(picked(&spec["selector"]["matchLabels"]), [name]);
            }
            "Service" => assert_eq!(picked(&spec["selector"]), [name]),
            "NetworkPolicy" if name == "crypto-gateway" => {
                assert_eq!(picked(&spec["podSelector"]["matchLabels"]), [name]);
            }
            "NetworkPolicy" => assert_eq!(picked(&spec["podSelector"]["matchLabels"]), shards),
            "ConfigMap" | "HorizontalPodAutoscaler" | "Job" => {}
            other => panic!("{other}"),
        }
    }
}

#[test]
fn the_longest_names_still_fit() {
    let name = "a".repeat(NAME_LEN_MAX);
    let feed = parsed(&format!(
        "{{apiVersion: marketfeed.dev/v1alpha1, kind: MarketFeed, metadata: {{name: {name}}}, spec: {{\
         sources: [{{venue: coinbase, symbols: [BTC-USD]}}], marketdata: {{shards: 256}}, nats: {{urls: ['nats://n:1']}}}}}}"
    ));
    for object in all(&feed) {
        let name = object["metadata"]["name"].as_str().unwrap();
        // A Deployment's pod has two random words of 10 and 5 behind its name.
        let len = name.len()
            + if object["kind"] == "Deployment" {
                17
            } else {
                0
            };
        assert!(len <= 68 && name.len() <= 63, "{name}");
        for (key, value) in object["metadata"]["labels"].as_object().unwrap() {
            assert!(value.as_str().unwrap().len() <= 63, "{key}");
        }
    }
}

#[test]
fn budgets_let_a_node_be_drained() {
    let objects = all(&feed(&json!({})));
    for name in ["crypto-gateway", "crypto-shard-0", "crypto-shard-1"] {
        let budget = &find(&objects, "PodDisruptionBudget", name)["spec"];
        assert_eq!(budget["maxUnavailable"], 1);
        assert_eq!(budget["unhealthyPodEvictionPolicy"], "AlwaysAllow");
    }
}

#[test]
fn network_policies_are_made_when_they_are_asked_for() {
    let none = all(&feed(&json!({})));
    assert!(!none.iter().any(|object| object["kind"] == "NetworkPolicy"));
    let objects = all(&feed(
        &json!({ "networkPolicies": { "adminNamespaces": ["monitoring"] } }),
    ));
    let rules = |name: &str| find(&objects, "NetworkPolicy", name)["spec"]["ingress"].clone();
    let admin = rules("crypto-marketdata");
    assert_eq!(admin.as_array().unwrap().len(), 1);
    let namespaces: Vec<&Value> = admin[0]["from"]
        .as_array()
        .unwrap()
        .iter()
        .map(|from| &from["namespaceSelector"]["matchLabels"]["kubernetes.io/metadata.name"])
        .collect();
    assert_eq!(namespaces, ["marketfeed-system", "monitoring"]);
    assert_eq!(admin[0]["ports"][0]["port"], "admin");
    let gateway = rules("crypto-gateway");
    assert_eq!(gateway[0]["ports"][0]["port"], "clients");
    assert!(
        gateway[0].get("from").is_none(),
        "clients come from anywhere"
    );
    assert_eq!(gateway[1], admin[0]);
}

#[test]
fn the_job_ends_whatever_happens() {
    let objects = all(&feed(&json!({})));
    let job = &find(&objects, "Job", "crypto-purge")["spec"];
    assert_eq!(job["activeDeadlineSeconds"], 60);
    let pod = &job["template"]["spec"];
    assert_eq!(pod["restartPolicy"], "Never");
    let container = &pod["containers"][0];
    assert_eq!(
        container["command"],
        json!(["marketfeed-marketdata", "purge"])
    );
    assert!(container.get("livenessProbe").is_none() && container.get("ports").is_none());
}
