//! A feed on an API server, and controllers that look at it. Each look sees all that is there, as if it had been watched.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Debug;
use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use k8s_openapi::serde::de::DeserializeOwned;
use kube::Resource;
use kube::runtime::reflector::store::Writer;
use kube::runtime::reflector::{self, Store};
use kube::runtime::watcher::Event;
use operator::build::Release;
use operator::controller::{Ask, Context, Error, Kinds, Next, ShardAnswer, Stores, reconcile};
use operator::spec::MarketFeed;
use runtime::telemetry::Metrics;
use serde_json::{Value, json};
use tokio::sync::Barrier;
use wire::api::FeedReport;

use super::api::Api;

pub(crate) const FEED: &str = "/apis/marketfeed.dev/v1alpha1/namespaces/market/marketfeeds/crypto";

const FEEDS: &str = "/apis/marketfeed.dev/v1alpha1/namespaces/market/marketfeeds";

/// Pods that say what they are to say, and nothing at first. Its clones say the same.
#[derive(Clone, Default)]
pub(crate) struct Pods(Arc<Mutex<Says>>);

#[derive(Default)]
pub(crate) struct Says {
    /// What gateways hear.
    pub(crate) feed: Option<FeedReport>,
    /// What the process at an address is to its shard.
    pub(crate) shards: BTreeMap<String, ShardAnswer>,
    /// How many clients the gateway at an address has.
    pub(crate) connections: BTreeMap<String, u64>,
    /// Whether gateways have a connection to NATS.
    pub(crate) bus_ready: Option<bool>,
    /// How many questions there were, but for what gateways hear.
    pub(crate) questions: usize,
    /// Gateways that do not answer.
    pub(crate) silent: BTreeSet<String>,
    /// Gateways that were asked what they hear.
    pub(crate) asked: Vec<String>,
    /// Where gateways wait for each other before they answer.
    pub(crate) meeting: Option<Arc<Barrier>>,
}

impl Pods {
    pub(crate) fn say(&self, change: impl FnOnce(&mut Says)) {
        change(&mut self.0.lock().unwrap());
    }

    pub(crate) fn questions(&self) -> usize {
        std::mem::take(&mut self.0.lock().unwrap().questions)
    }
}

#[async_trait]
impl Ask for Pods {
    async fn feed(&self, address: &str) -> Option<FeedReport> {
        let meeting = self.0.lock().unwrap().meeting.clone();
        if let Some(meeting) = meeting {
            meeting.wait().await;
        }
        let mut says = self.0.lock().unwrap();
        says.asked.push(address.to_owned());
        let answers = !says.silent.contains(address);
        says.feed.clone().filter(|_| answers)
    }

    async fn shard(&self, address: &str) -> Option<ShardAnswer> {
        let mut says = self.0.lock().unwrap();
        says.questions += 1;
        says.shards.get(address).cloned()
    }

    async fn connections(&self, address: &str) -> Option<u64> {
        let mut says = self.0.lock().unwrap();
        says.questions += 1;
        says.connections.get(address).copied()
    }

    async fn bus_ready(&self, _: &str) -> Option<bool> {
        self.0.lock().unwrap().bus_ready
    }
}

pub(crate) struct Scene {
    pub(crate) api: Api,
    pub(crate) pods: Pods,
    /// How long shards that are not wanted go on, at least and at most.
    pub(crate) linger: (Duration, Duration),
    /// Now, in Unix seconds; it stands still.
    now_s: Arc<AtomicI64>,
    /// What feeds run that pin no image.
    pub(crate) image: String,
}

/// One process of the operator, with what it remembers.
pub(crate) struct Operator {
    context: Context,
    fill: Box<dyn Fn()>,
    shown: Metrics,
}

impl Scene {
    /// A feed of two shards; `spec` has other parts of its spec.
    pub(crate) fn new(spec: &Value) -> Self {
        let scene = Self {
            api: Api::default(),
            pods: Pods::default(),
            linger: (Duration::ZERO, Duration::ZERO),
            now_s: Arc::new(AtomicI64::new(1_800_000_000)),
            image: "marketfeed:test".to_owned(),
        };
        scene.put_feed("crypto");
        scene.respec(spec);
        scene
    }

    /// Time passes.
    pub(crate) fn pass(&self, seconds: i64) {
        self.now_s.fetch_add(seconds, Ordering::Relaxed);
    }

    /// Another feed beside it, or the same once more.
    pub(crate) fn put_feed(&self, name: &str) {
        let object = json!({
            "apiVersion": "marketfeed.dev/v1alpha1",
            "kind": "MarketFeed",
            "metadata": { "name": name, "namespace": "market" },
            "spec": {
                "sources": [{ "venue": "binance-spot", "symbols": ["BTC-USDT", "ETH-USDT", "SOL-USDT", "XRP-USDT"] }],
                "marketdata": { "shards": 2 },
                "nats": { "urls": ["nats://nats:4222"] },
            },
        });
        self.api.put(&format!("{FEEDS}/{name}"), object);
    }

    /// Somebody applies other parts of the spec.
    pub(crate) fn respec(&self, spec: &Value) {
        self.api.change(FEED, |object| {
            for (name, value) in spec.as_object().unwrap() {
                object["spec"][name] = value.clone();
            }
        });
    }

    pub(crate) fn operator(&self) -> Operator {
        let (config_maps, a) = kind(&self.api, "configmaps");
        let (services, b) = kind(&self.api, "services");
        let (deployments, c) = kind(&self.api, "deployments");
        let (budgets, d) = kind(&self.api, "poddisruptionbudgets");
        let (autoscalers, e) = kind(&self.api, "horizontalpodautoscalers");
        let (policies, f) = kind(&self.api, "networkpolicies");
        let (jobs, g) = kind(&self.api, "jobs");
        let (pods, h) = kind(&self.api, "pods");
        let stores: Stores = Kinds {
            config_maps,
            services,
            deployments,
            budgets,
            autoscalers,
            policies,
            jobs,
            pods,
        };
        let release = Release {
            image: self.image.clone(),
            namespace: "marketfeed-system".to_owned(),
        };
        let shown = Metrics::new();
        let now_s = Arc::clone(&self.now_s);
        let context = Context::new(
            self.api.client(),
            release,
            stores,
            Arc::new(self.pods.clone()),
        )
        .with_linger(self.linger.0, self.linger.1)
        .with_clock(move || now_s.load(Ordering::Relaxed))
        .with_metrics(shown.register(operator::metrics::Metrics::register));
        let fill = Box::new(move || {
            [&a, &b, &c, &d, &e, &f, &g, &h]
                .into_iter()
                .for_each(|fill| fill());
        });
        fill();
        Operator {
            context,
            fill,
            shown,
        }
    }

    pub(crate) fn feed(&self) -> Option<MarketFeed> {
        self.feed_of("crypto")
    }

    pub(crate) fn feed_of(&self, name: &str) -> Option<MarketFeed> {
        let mut feeds = self.api.all("marketfeeds");
        feeds.retain(|feed| feed["metadata"]["name"] == name);
        let feed = feeds.pop()?;
        Some(serde_json::from_value(feed).unwrap())
    }

    /// One look at another feed.
    pub(crate) async fn look_at(&self, operator: &Operator, name: &str) -> Result<Next, Error> {
        (operator.fill)();
        reconcile(&self.feed_of(name).unwrap(), &operator.context).await
    }

    /// One look, with all that is there in sight.
    pub(crate) async fn look(&self, operator: &Operator) -> Result<Next, Error> {
        (operator.fill)();
        self.look_behind(operator).await
    }

    /// One look, with what was in sight before.
    pub(crate) async fn look_behind(&self, operator: &Operator) -> Result<Next, Error> {
        reconcile(&self.feed().unwrap(), &operator.context).await
    }

    /// Looks until nothing is written any more, and says how often something was.
    pub(crate) async fn settle(&self, operator: &Operator) -> usize {
        self.api.writes();
        let mut written = 0;
        for _ in 0..10 {
            self.look(operator).await.unwrap();
            match self.api.writes().len() {
                0 => return written,
                some => written += some,
            }
        }
        panic!("it never settles");
    }

    /// The pods of all Deployments are as they say.
    pub(crate) fn settle_all_pods(&self) {
        for object in self.api.all("deployments") {
            self.settle_pods(object["metadata"]["name"].as_str().unwrap());
        }
    }

    /// The pods of a Deployment are as it says.
    pub(crate) fn settle_pods(&self, name: &str) {
        let path = format!("/apis/apps/v1/namespaces/market/deployments/{name}");
        self.api.change(&path, |object| {
            let count = object["spec"]["replicas"].as_i64().unwrap_or(1);
            object["status"] = json!({
                "replicas": count, "readyReplicas": count, "updatedReplicas": count, "availableReplicas": count,
                "observedGeneration": object["metadata"]["generation"],
            });
        });
    }

    /// Pods of a component run, as a cluster would make them. The names of those of a shard begin as its Deployment's.
    pub(crate) fn run_pod(&self, name: &str, component: &str, ip: &str) {
        let mut labels = json!({
            "marketfeed.dev/feed": "crypto",
            "app.kubernetes.io/component": component,
            "app.kubernetes.io/managed-by": "marketfeed-operator",
        });
        let shard = name.strip_prefix("crypto-shard-");
        if let Some((shard, _)) = shard.and_then(|rest| rest.split_once('-')) {
            labels["marketfeed.dev/shard"] = json!(shard);
        }
        let status = json!({ "podIP": ip, "conditions": [{ "type": "Ready", "status": "True" }] });
        let pod = json!({
            "apiVersion": "v1", "kind": "Pod",
            "metadata": { "name": name, "namespace": "market", "labels": labels },
            "spec": { "containers": [] }, "status": status,
        });
        self.api
            .put(&format!("/api/v1/namespaces/market/pods/{name}"), pod);
    }
}

impl Operator {
    pub(crate) fn context(&self) -> &Context {
        &self.context
    }

    /// A line of what its metrics say, without its name.
    #[track_caller]
    pub(crate) fn shown(&self, name: &str) -> String {
        let text = self.shown.encode().unwrap();
        let mut lines = text.lines();
        let found = lines.find_map(|line| line.strip_prefix(name)?.strip_prefix(' '));
        found
            .unwrap_or_else(|| panic!("no {name} in {text}"))
            .to_owned()
    }
}

type Fill = Box<dyn Fn()>;

/// A store, and what fills it with all that is there and has the label by which it is watched.
fn kind<K>(api: &Api, resource: &'static str) -> (Store<K>, Fill)
where
    K: Resource<DynamicType = ()> + Clone + Debug + DeserializeOwned + Send + Sync + 'static,
{
    let (store, writer): (Store<K>, Writer<K>) = reflector::store();
    let writer = Mutex::new(writer);
    let api = api.clone();
    let fill = move || {
        let mut writer = writer.lock().unwrap();
        writer.apply_watcher_event(&Event::Init);
        let ours = json!("marketfeed-operator");
        let mut objects = api.all(resource);
        objects
            .retain(|object| object["metadata"]["labels"]["app.kubernetes.io/managed-by"] == ours);
        for object in objects {
            writer.apply_watcher_event(&Event::InitApply(serde_json::from_value(object).unwrap()));
        }
        writer.apply_watcher_event(&Event::InitDone);
    };
    (store, Box::new(fill))
}
