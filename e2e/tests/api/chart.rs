//! All objects of the chart are taken by a real API server, with each file of values in its `ci/` folder.

use std::fs;

use e2e::ApiServer;
use e2e::helm::Helm;
use kube::Client;
use serde_json::json;

use super::support::{default_account, make, make_namespace, root, server};

/// Definitions of others that the chart has objects of: plural, kind. What is in them is for others to judge.
const FOREIGN: [(&str, &str); 2] = [
    ("servicemonitors", "ServiceMonitor"),
    ("podmonitors", "PodMonitor"),
];

#[tokio::test]
async fn the_server_takes_the_chart_with_all_values() {
    let Some(server) = server().await else {
        return;
    };
    let helm = match Helm::find(&server.kubeconfig()) {
        Ok(helm) => helm,
        Err(why) => {
            println!("skipped: {why:#}");
            return;
        }
    };
    let client = server.client().await.unwrap();
    what_it_needs(&server, &client).await;
    let chart = root().join("charts/marketfeed");
    let mut taken = 0;
    for entry in fs::read_dir(chart.join("ci")).unwrap() {
        let values = entry.unwrap().path();
        let name = values.file_stem().unwrap().to_str().unwrap();
        let namespace = format!("case-{name}");
        make_namespace(&client, &namespace).await;
        make(&client, &default_account(&namespace)).await;
        let args = [
            "template",
            "marketfeed",
            "--namespace",
            &namespace,
            "--values",
        ];
        let args = args.into_iter().map(Into::into);
        let files = [
            values.clone().into_os_string(),
            chart.clone().into_os_string(),
        ];
        let objects = helm.run(args.chain(files)).await.unwrap();
        // There is nobody who would act on them.
        let said = server.kubectl().try_apply(&objects, &[]).await.unwrap();
        assert!(said.ok, "{name}: {}", said.err);
        // Such as fields that are unknown, or versions that go.
        let warned = said
            .err
            .lines()
            .filter(|line| line.starts_with("Warning: "));
        let warned: Vec<_> = warned
            .filter(|line| !line.contains("last-applied-configuration"))
            .collect();
        assert!(warned.is_empty(), "{name}: {warned:?}");
        taken += 1;
    }
    assert!(taken >= 8, "{taken} files of values");
    println!("{taken} files of values");
}

/// What the values speak of and a chart does not make.
async fn what_it_needs(server: &ApiServer, client: &Client) {
    make_namespace(client, "market").await;
    let kubectl = server.kubectl();
    let class = json!({
        "apiVersion": "scheduling.k8s.io/v1", "kind": "PriorityClass",
        "metadata": { "name": "market-data" }, "value": 1000,
    });
    kubectl.apply(&class.to_string()).await.unwrap();
    for (plural, kind) in FOREIGN {
        let name = format!("{plural}.monitoring.coreos.com");
        let anything = json!({ "type": "object", "x-kubernetes-preserve-unknown-fields": true });
        let version = json!({ "name": "v1", "served": true, "storage": true, "schema": { "openAPIV3Schema": anything } });
        let definition = json!({
            "apiVersion": "apiextensions.k8s.io/v1", "kind": "CustomResourceDefinition",
            "metadata": { "name": name },
            "spec": {
                "group": "monitoring.coreos.com", "scope": "Namespaced",
                "names": { "plural": plural, "kind": kind }, "versions": [version],
            },
        });
        kubectl.apply(&definition.to_string()).await.unwrap();
        let wait = [
            "wait",
            "--for=condition=Established",
            "--timeout=60s",
            "crd",
            &name,
        ];
        kubectl.run(wait).await.unwrap();
    }
}
