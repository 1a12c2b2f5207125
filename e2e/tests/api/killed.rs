//! The operator is killed after each of its writes, before it hears what came of it, and begun anew: it gets to the same objects.

use std::collections::BTreeSet;

use cluster::Process;
use e2e::ApiServer;
use kube::Client;
use kube::api::{DeleteParams, Patch, PatchParams};
use serde_json::{Value, json};

use super::gate::Gate;
use super::operator::{Start, is_built};
use super::support::{
    ACCOUNT, SYSTEM, api, feed, feeds, looked_at, make, make_namespace, parts, server,
};

/// The feed's name, in a namespace of its own each time.
const FEED: &str = "crypto";

#[tokio::test]
async fn killed_after_each_write_it_gets_to_the_same() {
    if !is_built() {
        return;
    }
    let Some(server) = server().await else {
        return;
    };
    // What it comes to undisturbed, and how many writes that takes.
    let undisturbed = Round::begin(&server, "round-0")
        .await
        .run([None, None])
        .await;
    let [made, changed] = undisturbed.writes;
    assert!(made >= 12 && changed >= 4, "{made} and {changed} writes");
    for number in 1..=made.max(changed) {
        let round = Round::begin(&server, &format!("round-{number}")).await;
        let kills = [
            (number <= made).then_some(number),
            (number <= changed).then_some(number),
        ];
        let found = round.run(kills).await;
        let (made, changed) = (&undisturbed.made, &undisturbed.changed);
        assert_eq!(
            differences("", &found.made, made),
            [""; 0],
            "killed after write {number}"
        );
        let found = differences("", &found.changed, changed);
        assert_eq!(found, [""; 0], "killed after write {number} of a change");
    }
    println!(
        "killed after each of {made} writes that make a feed, and of {changed} that change it"
    );
}

/// A feed in a namespace of its own, with an operator of its own.
struct Round<'a> {
    server: &'a ApiServer,
    namespace: String,
    client: Client,
    gate: Gate,
    operator: Option<Process>,
}

/// What came of a round.
struct Found {
    /// Objects after the feed was made, and after it was changed.
    made: Value,
    changed: Value,
    /// How many writes each took.
    writes: [usize; 2],
}

impl<'a> Round<'a> {
    async fn begin(server: &'a ApiServer, namespace: &str) -> Self {
        let client = server.client().await.unwrap();
        make_namespace(&client, namespace).await;
        // Its Lease is in the round's namespace: rounds do not wait for each other's.
        make(&client, &lease_right(namespace)).await;
        make(&client, &lease_binding(namespace)).await;
        let account = server.kubeconfig_of(SYSTEM, ACCOUNT).await.unwrap();
        let gate = Gate::open(e2e::client::of(&account).await.unwrap()).await;
        Self {
            server,
            namespace: namespace.to_owned(),
            client,
            gate,
            operator: None,
        }
    }

    /// Makes a feed and changes it; the operator is killed after so many writes of each.
    async fn run(mut self, kills: [Option<usize>; 2]) -> Found {
        let [kill_made, kill_changed] = kills;
        let spec = json!({ "marketdata": { "shards": 2 }, "networkPolicies": {} });
        make(&self.client, &feed(&self.namespace, FEED, &spec)).await;
        let made_writes = self.disturbed(kill_made).await;
        let made = self.objects().await;
        let symbols =
            json!([{ "venue": "binance-spot", "symbols": ["BTC-USDT", "ADA-USDT", "SOL-USDT"] }]);
        let change = json!({ "spec": { "marketdata": { "shards": 3 }, "sources": symbols, "gateway": { "replicas": 3 } } });
        let patch = Patch::Merge(&change);
        let all = feeds(&self.client, &self.namespace);
        self.gate.hold_after(kill_changed.unwrap_or(usize::MAX / 2));
        let before = self.gate.written().len();
        all.patch(FEED, &PatchParams::default(), &patch)
            .await
            .unwrap();
        if kill_changed.is_some() {
            self.gate.held().await;
            self.begin_anew().await;
        }
        looked_at(&self.client, &self.namespace, FEED).await;
        let changed_writes = self.gate.written().len() - before;
        Found {
            made,
            changed: self.objects().await,
            writes: [made_writes, changed_writes],
        }
    }

    /// Starts the operator, kills it after so many writes and starts it again, until it has looked at the feed.
    async fn disturbed(&mut self, kill: Option<usize>) -> usize {
        if let Some(kill) = kill {
            self.gate.hold_after(kill);
        }
        self.start();
        if kill.is_some() {
            self.gate.held().await;
            self.begin_anew().await;
        }
        looked_at(&self.client, &self.namespace, FEED).await;
        self.gate.written().len()
    }

    fn start(&mut self) {
        let kubeconfig = self.gate.kubeconfig(self.server.folder());
        let start = Start {
            kubeconfig: &kubeconfig,
            folder: self.server.folder(),
            namespace: &self.namespace,
            watched: Some(&self.namespace),
        };
        self.operator = Some(start.start());
    }

    /// kill -9, and another process. Its Lease is removed: the other would wait for it to run out.
    async fn begin_anew(&mut self) {
        self.operator.as_mut().unwrap().kill().unwrap();
        self.gate.release();
        let leases = api(
            &self.client,
            &self.namespace,
            ("coordination.k8s.io", "v1", "Lease"),
        );
        for lease in leases
            .list(&kube::api::ListParams::default())
            .await
            .unwrap()
        {
            let name = lease.metadata.name.unwrap();
            leases
                .delete(&name, &DeleteParams::default())
                .await
                .unwrap();
        }
        self.start();
    }

    /// What is there, without what differs from one feed to another.
    async fn objects(&self) -> Value {
        let mut found = parts(&self.client, &self.namespace, FEED).await;
        let whole = feeds(&self.client, &self.namespace)
            .get(FEED)
            .await
            .unwrap();
        let finalizers = json!(whole.metadata.finalizers);
        let uid = whole.metadata.uid.unwrap();
        for object in found.values_mut() {
            let meta = object["metadata"].as_object_mut().unwrap();
            for own in [
                "uid",
                "resourceVersion",
                "creationTimestamp",
                "managedFields",
            ] {
                meta.remove(own);
            }
            // A hash of what has the feed's own UID in it.
            let notes = meta.get_mut("annotations").and_then(Value::as_object_mut);
            notes.map(|notes| notes.remove("marketfeed.dev/made-from"));
            if let Some(spec) = object.get_mut("spec").and_then(Value::as_object_mut) {
                spec.remove("clusterIP");
                spec.remove("clusterIPs");
            }
            let text = object
                .to_string()
                .replace(&uid, "UID")
                .replace(&self.namespace, "NAMESPACE");
            *object = serde_json::from_str(&text).unwrap();
        }
        found.insert("finalizers".to_owned(), finalizers);
        json!(found)
    }
}

fn lease_right(namespace: &str) -> Value {
    json!({
        "apiVersion": "rbac.authorization.k8s.io/v1", "kind": "Role",
        "metadata": { "name": ACCOUNT, "namespace": namespace },
        "rules": [{ "apiGroups": ["coordination.k8s.io"], "resources": ["leases"], "verbs": ["get", "create", "update"] }],
    })
}

fn lease_binding(namespace: &str) -> Value {
    json!({
        "apiVersion": "rbac.authorization.k8s.io/v1", "kind": "RoleBinding",
        "metadata": { "name": ACCOUNT, "namespace": namespace },
        "roleRef": { "apiGroup": "rbac.authorization.k8s.io", "kind": "Role", "name": ACCOUNT },
        "subjects": [{ "kind": "ServiceAccount", "name": ACCOUNT, "namespace": SYSTEM }],
    })
}

/// Where two differ, and how.
fn differences(at: &str, found: &Value, expected: &Value) -> Vec<String> {
    let (Some(one), Some(two)) = (found.as_object(), expected.as_object()) else {
        let differ = found != expected;
        return differ
            .then(|| format!("{at}: {found} and not {expected}"))
            .into_iter()
            .collect();
    };
    let names: BTreeSet<&String> = one.keys().chain(two.keys()).collect();
    let of = |object: &Value, name: &String| object.get(name).cloned().unwrap_or_default();
    let within = |name| {
        differences(
            &format!("{at}/{name}"),
            &of(found, name),
            &of(expected, name),
        )
    };
    names.into_iter().flat_map(within).collect()
}
