//! The operator is killed after each of its writes, before it hears what came of it, and begun anew: it gets to the same objects.
//! So while a feed is made, is changed, gives shards up, is scaled by its load and no longer, and goes. Nobody makes pods here, so
//! that none have to go.

use std::collections::BTreeSet;
use std::time::Duration;

use cluster::Process;
use cluster::wait;
use e2e::ApiServer;
use e2e::api_server::COLLECTORS;
use futures_util::StreamExt;
use kube::Client;
use kube::api::{DeleteParams, Patch, PatchParams};
use serde_json::{Value, json};

use super::gate::Gate;
use super::going::{nothing_is_left, purged};
use super::operator::{Start, is_built};
use super::support::{
    ACCOUNT, SYSTEM, api, feed, feeds, looked_at, make, make_namespace, parts, server,
};

/// The feed's name, in a namespace of its own each time.
const FEED: &str = "crypto";

/// Rounds that go on at one time: each waits most of its time.
const AT_A_TIME: usize = 8;

/// How long a write may take to come: shards that go wait for the operator's next look, and others run beside.
const HELD_WITHIN: Duration = Duration::from_secs(90);

/// What becomes of a feed, one after the other, and how many writes that takes at least.
const STEPS: [(Step, usize); 5] = [
    (Step::Made, 12),
    (Step::Grown, 4),
    (Step::Shrunk, 7),
    (Step::Unscaled, 3),
    (Step::Deleted, 4),
];

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Step {
    /// It is made, with two shards.
    Made,
    /// It has a symbol more, a shard more, a gateway more.
    Grown,
    /// It has one shard, and its gateways are scaled by their load.
    Shrunk,
    /// The number of its gateways is as the feed says.
    Unscaled,
    /// It is deleted.
    Deleted,
}

#[tokio::test]
async fn killed_after_each_write_it_gets_to_the_same() {
    if !is_built() {
        return;
    }
    let Some(mut server) = server().await else {
        return;
    };
    server.start_controllers(&COLLECTORS).unwrap();
    // What it comes to undisturbed, and how many writes that takes.
    let undisturbed = Round::begin(&server, "round-0").await.run(None).await;
    for ((step, least), found) in STEPS.iter().zip(&undisturbed) {
        assert!(found.sure() >= *least, "{step:?}: {:?}", found.writes);
    }
    let most = undisturbed.iter().map(Found::sure).max();
    let rounds = (1..=most.unwrap()).map(|number| {
        let (server, undisturbed) = (&server, &undisturbed);
        async move {
            let round = Round::begin(server, &format!("round-{number}")).await;
            let found = round.run(Some((number, undisturbed))).await;
            for ((step, _), (found, expected)) in STEPS.iter().zip(found.iter().zip(undisturbed)) {
                let differ = differences("", &found.objects, &expected.objects);
                assert_eq!(differ, [""; 0], "{step:?}, killed after write {number}");
            }
        }
    });
    let rounds = futures_util::stream::iter(rounds);
    rounds
        .buffer_unordered(AT_A_TIME)
        .collect::<Vec<()>>()
        .await;
    let counts = STEPS.iter().zip(&undisturbed);
    let counts = counts.map(|((step, _), found)| format!("{step:?} {}", found.sure()));
    let counts: Vec<String> = counts.collect();
    println!("killed after each write: {}", counts.join(", "));
}

/// A feed in a namespace of its own, with an operator of its own.
struct Round<'a> {
    server: &'a ApiServer,
    namespace: String,
    client: Client,
    gate: Gate,
    operator: Option<Process>,
}

/// What came of a step.
struct Found {
    objects: Value,
    writes: Vec<String>,
}

impl Found {
    /// So many writes it takes each time: what is said of the feed is said once at least, and again as it happens to be looked at.
    fn sure(&self) -> usize {
        let is_word = |write: &&String| write.ends_with("/status");
        let words = self.writes.iter().filter(is_word).count();
        self.writes.len() - words.saturating_sub(1)
    }
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

    /// All steps; the operator is killed once in each that takes as many writes, after that one.
    async fn run(mut self, kill: Option<(usize, &Vec<Found>)>) -> Vec<Found> {
        let mut all = Vec::new();
        for (at, (step, _)) in STEPS.into_iter().enumerate() {
            let before = self.gate.written().len();
            let number = kill.filter(|(number, found)| *number <= found[at].sure());
            let number = number.map(|(number, _)| number);
            if let Some(number) = number {
                self.gate.hold_after(number);
            }
            self.take(step).await;
            let (client, namespace) = (self.client.clone(), self.namespace.clone());
            let reached = reached(&client, &namespace, step);
            let killed = async {
                if let Some(number) = number {
                    self.held(step, number, before).await;
                    self.begin_anew().await;
                }
            };
            tokio::join!(reached, killed);
            // What is looked at may be there before its write was answered.
            wait::until("answers", HELD_WITHIN, async || {
                Ok(self.gate.is_idle().then_some(()))
            })
            .await
            .unwrap();
            let objects = match step {
                Step::Deleted => Value::Null,
                _ => self.objects().await,
            };
            let writes = self.gate.written().split_off(before);
            all.push(Found { objects, writes });
        }
        all
    }

    /// Begins a step.
    async fn take(&mut self, step: Step) {
        let all = feeds(&self.client, &self.namespace);
        let spec = match step {
            Step::Made => {
                let spec = json!({ "marketdata": { "shards": 2 }, "networkPolicies": {} });
                make(&self.client, &feed(&self.namespace, FEED, &spec)).await;
                self.start();
                return;
            }
            Step::Deleted => {
                all.delete(FEED, &DeleteParams::default()).await.unwrap();
                return;
            }
            Step::Grown => {
                let symbols = ["BTC-USDT", "ADA-USDT", "SOL-USDT"];
                let sources = json!([{ "venue": "binance-spot", "symbols": symbols }]);
                json!({ "marketdata": { "shards": 3 }, "sources": sources, "gateway": { "replicas": 3 } })
            }
            Step::Shrunk => {
                let autoscaling = json!({ "minReplicas": 2, "maxReplicas": 5 });
                json!({ "marketdata": { "shards": 1 }, "gateway": { "autoscaling": autoscaling } })
            }
            Step::Unscaled => json!({ "gateway": { "autoscaling": null, "replicas": 4 } }),
        };
        let patch = Patch::Merge(json!({ "spec": spec }));
        let params = PatchParams::default();
        all.patch(FEED, &params, &patch).await.unwrap();
    }

    /// Waits until the write was made whose answer is kept back.
    async fn held(&self, step: Step, number: usize, before: usize) {
        let held = tokio::time::timeout(HELD_WITHIN, self.gate.held()).await;
        let written = || self.gate.written().split_off(before);
        assert!(
            held.is_ok(),
            "{}, {step:?}: no write {number} within {HELD_WITHIN:?}: {:?}",
            self.namespace,
            written()
        );
    }

    fn start(&mut self) {
        let kubeconfig = self.gate.kubeconfig(self.server.folder());
        let start = Start {
            kubeconfig: &kubeconfig,
            folder: self.server.folder(),
            namespace: &self.namespace,
            watched: Some(&self.namespace),
            // Nobody hears the shards that go on.
            more: &["--shard-linger", "1s"],
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
            let by = replicas_by(object);
            let meta = object["metadata"].as_object_mut().unwrap();
            meta.insert("replicas by".to_owned(), by);
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

/// Waits until the operator has done a step; of a feed that goes somebody has to run its Job.
async fn reached(client: &Client, namespace: &str, step: Step) {
    if step == Step::Deleted {
        purged(client, namespace).await;
        nothing_is_left(client, namespace).await;
        return;
    }
    looked_at(client, namespace, FEED).await;
    if step != Step::Shrunk {
        return;
    }
    let what = format!("the end of shards in {namespace}");
    wait::until(&what, HELD_WITHIN, async || {
        let left = parts(client, namespace, FEED).await.into_keys();
        let left: Vec<String> = left.filter(|part| part.contains("-shard-")).collect();
        let stays = |part: &String| part.ends_with("-shard-0");
        assert!(left.iter().any(stays), "{left:?}");
        Ok(left.iter().all(stays).then_some(()))
    })
    .await
    .unwrap();
}

/// Who says how many pods a Deployment has.
fn replicas_by(object: &Value) -> Value {
    let managers = object["metadata"]["managedFields"].as_array();
    let says = |manager: &&Value| !manager["fieldsV1"]["f:spec"]["f:replicas"].is_null();
    let names = managers.into_iter().flatten().filter(says);
    let names: BTreeSet<&str> = names.filter_map(|by| by["manager"].as_str()).collect();
    json!(names)
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
