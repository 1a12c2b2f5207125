//! Many feeds: what one costs the API server, what all of them cost the operator, that it is silent afterwards, and that they and
//! their pods fit in the memory that the chart gives it.

use std::collections::BTreeMap;
use std::time::Duration;

use cluster::wait::{self, PATIENCE};
use e2e::{AuditLog, Entry, Mark};
use kube::api::{DynamicObject, ListParams};
use kube::{Client, ResourceExt};
use serde_json::json;
use tokio::time::Instant;

use super::operator::{Start, Used, is_built};
use super::support::{
    ACCOUNT, SYSTEM, api, default_account, feed, make, make_namespace, parts, reason, root, server,
};

/// How many feeds there are, unless the variable says another number: `cargo xtask e2e --all` has a thousand.
const FEEDS: usize = 100;
const VARIABLE: &str = "E2E_FEEDS";

/// Requests of a feed beyond one for each of its children.
const BEYOND_CHILDREN: usize = 4;

/// Requests that are of no feed: what is watched is listed once, and once more where a watch could not go on.
const LISTS_MAX: usize = 2 * WATCHED;

/// Kinds that the operator watches: MarketFeeds, the kinds of their parts, and pods.
const WATCHED: usize = 9;

/// So long nothing may be written once it is silent, and so long it takes at most until it is.
const SILENT_FOR: Duration = Duration::from_secs(30);
const SILENT_WITHIN: Duration = Duration::from_secs(90);

/// Longer than the operator's pause between two looks at a feed, and than it waits before it calls something bad.
const PAUSE: Duration = Duration::from_secs(12);

#[tokio::test]
async fn many_feeds_cost_little_and_then_nothing() {
    if !is_built() {
        return;
    }
    let Some(server) = server().await else {
        return;
    };
    let number = std::env::var(VARIABLE).map_or(FEEDS, |number| number.parse().unwrap());
    let client = server.client().await.unwrap();
    let names: Vec<String> = (0..number).map(|nth| format!("f{nth:04}")).collect();
    make_namespace(&client, "many").await;
    for name in &names {
        make(&client, &feed("many", name, &json!({}))).await;
    }
    let account = server.kubeconfig_of(SYSTEM, ACCOUNT).await.unwrap();
    let audit = server.audit();
    let begun = audit.mark().unwrap();
    let started = Instant::now();
    let operator = Start::everywhere(&account, server.folder()).start();
    // Each takes part of a second of two cores.
    let bound =
        Duration::from_secs(60) + Duration::from_millis(500) * u32::try_from(number).unwrap();
    all_looked_at(&client, &names, bound).await;
    let took = started.elapsed();
    let converged = Used::by(&operator);

    let requests = by_feed(&audit.since(begun).unwrap());
    let mut most = 0;
    for name in &names {
        let children = parts(&client, "many", name).await.len();
        let asked = &requests[name];
        assert!(
            asked.len() <= children + BEYOND_CHILDREN,
            "{children} children: {asked:?}"
        );
        most = most.max(asked.len());
    }
    let of_none = of_no_feed(&audit.since(begun).unwrap());
    assert!(of_none.len() <= LISTS_MAX, "{of_none:?}");
    println!(
        "measured: {number} feeds in {:.1} s: at most {most} requests each; the operator took {:.2} s of CPU and {} MiB",
        took.as_secs_f64(),
        converged.cpu_s,
        converged.resident_max >> 20,
    );
    let silent = silence(&audit).await;
    let before = Used::by(&operator);
    no_write(&audit, silent).await;
    let after = Used::by(&operator);
    println!(
        "measured: then no write for {} s; the operator took {:.2} s of CPU in that time and has {} MiB",
        SILENT_FOR.as_secs(),
        after.cpu_s - before.cpu_s,
        after.resident >> 20,
    );

    make_pods(&client, &names).await;
    told_of_the_assignment(&client, names.len()).await;
    let with_pods = Used::by(&operator);
    println!(
        "measured: with {PODS} pods each it has {} MiB, and had {} MiB at most",
        with_pods.resident >> 20,
        with_pods.resident_max >> 20,
    );
    let limit = memory_limit();
    assert!(
        with_pods.resident_max < limit,
        "{} bytes of {limit} that the chart gives it",
        with_pods.resident_max
    );
}

/// Pods of each feed: two gateways, a shard's owner and its standby.
const PODS: usize = 4;

/// Makes the pods that the Deployments ask for, as there is no controller here that does.
async fn make_pods(client: &Client, names: &[String]) {
    make(client, &default_account("many")).await;
    for name in names {
        for (key, deployment) in parts(client, "many", name).await {
            if !key.starts_with("Deployment ") {
                continue;
            }
            let template = &deployment["spec"]["template"];
            let (_, workload) = key.split_once(' ').unwrap();
            for nth in 0..PODS / 2 {
                let mut pod = template.clone();
                pod["apiVersion"] = json!("v1");
                pod["kind"] = json!("Pod");
                pod["metadata"]["name"] = json!(format!("{workload}-{nth}"));
                pod["metadata"]["namespace"] = json!("many");
                make(client, &pod).await;
            }
        }
    }
}

/// Waits until the operator has seen them all: it tells those of shards of the assignment.
async fn told_of_the_assignment(client: &Client, shards: usize) {
    let pods = api(client, "many", ("", "v1", "Pod"));
    let of_shards = ListParams::default().labels("app.kubernetes.io/component=marketdata");
    wait::until("a word to each pod of a shard", PATIENCE * 4, async || {
        let found = pods.list(&of_shards).await?;
        let is_told = |pod: &&DynamicObject| {
            pod.annotations()
                .contains_key("marketfeed.dev/assignment-generation")
        };
        let told = found.iter().filter(is_told).count();
        Ok((told == shards * PODS / 2).then_some(()))
    })
    .await
    .unwrap();
}

/// The operator's limit of memory in the chart, in bytes.
fn memory_limit() -> u64 {
    let values = std::fs::read_to_string(root().join("charts/marketfeed/values.yaml")).unwrap();
    let values: serde_json::Value = serde_yaml_ng::from_str(&values).unwrap();
    let limit = values["operator"]["resources"]["limits"]["memory"].as_str();
    let mebibytes: u64 = limit.unwrap().trim_end_matches("Mi").parse().unwrap();
    mebibytes << 20
}

async fn all_looked_at(client: &Client, names: &[String], bound: Duration) {
    let mut left = names.to_vec();
    wait::until("a word on each feed", bound, async || {
        while let Some(name) = left.last() {
            if reason(client, "many", name, "Ready").await.is_none() {
                return Ok(None);
            }
            left.pop();
        }
        Ok(Some(()))
    })
    .await
    .unwrap();
}

/// What the operator asked for each feed: for the feed itself or for what begins with its name.
fn by_feed(entries: &[Entry]) -> BTreeMap<String, Vec<String>> {
    let mut found: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for entry in entries
        .iter()
        .filter(|entry| is_operators(entry) && entry.namespace == "many")
    {
        let Some(feed) = entry.name.get(..5) else {
            continue;
        };
        let asked = format!(
            "{} {} {} {}",
            entry.verb,
            entry.what(),
            entry.name,
            entry.code
        );
        found.entry(feed.to_owned()).or_default().push(asked);
    }
    found
}

/// What it asked besides, watches and Leases excepted: lists over all namespaces, and whatever has no name.
fn of_no_feed(entries: &[Entry]) -> Vec<String> {
    let of_none = |entry: &&Entry| {
        let is_feeds = entry.namespace == "many" && entry.name.starts_with('f');
        is_operators(entry) && entry.verb != "watch" && !is_feeds
    };
    let asked = entries.iter().filter(of_none);
    asked
        .map(|entry| format!("{} {} {}", entry.verb, entry.what(), entry.name))
        .collect()
}

fn is_operators(entry: &Entry) -> bool {
    entry.user == format!("system:serviceaccount:{SYSTEM}:{ACCOUNT}") && entry.resource != "leases"
}

/// Waits until there was no write for a pause, and gives where the log ended at its beginning.
pub(crate) async fn silence(audit: &AuditLog) -> Mark {
    let mut since = (audit.mark().unwrap(), Instant::now());
    wait::until("silence", SILENT_WITHIN, async || {
        let (entries, mark) = audit.read_on(since.0)?;
        if entries
            .iter()
            .any(|entry| is_operators(entry) && entry.is_write())
        {
            since = (mark, Instant::now());
        }
        Ok((since.1.elapsed() >= PAUSE).then_some(since.0))
    })
    .await
    .unwrap()
}

/// Fails at the first write of anybody, Leases excepted.
async fn no_write(audit: &AuditLog, mut from: Mark) {
    let until = Instant::now() + SILENT_FOR;
    wait::until("the end of a silent time", SILENT_FOR * 2, async || {
        let (entries, mark) = audit.read_on(from)?;
        from = mark;
        let written = entries
            .iter()
            .find(|entry| entry.is_write() && entry.resource != "leases");
        anyhow::ensure!(written.is_none(), "written: {written:?}");
        Ok((Instant::now() >= until).then_some(()))
    })
    .await
    .unwrap();
}
