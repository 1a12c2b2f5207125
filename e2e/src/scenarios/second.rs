//! A second release, of one namespace that is not its own, beside the first; and one of its three NATS servers is lost.

use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use cluster::wait::{self, PATIENCE};
use serde_json::{Value, json};

use super::Measured;
use super::feed::{ELECTION_MAX, Feed, GAP_MAX, UNTOUCHED_MAX, Wanted};
use super::place::{MARKET, Nats, Place, secs};
use super::pods::{self, Pod};
use super::process;
use super::tidy::make_namespace;

/// Its name, and where it is.
pub(super) const SECOND: &str = "second";
pub(super) const NAMESPACE: &str = "e2e-second";

/// The namespace that it looks after.
pub(super) const WATCHED: &str = "e2e-watched";

/// One that an operator looks after which is in it.
pub(super) const HOME: &str = "e2e-home";

/// How long those may take to go: pods have half a minute, gateways 50 s.
const GONE_MAX: Duration = Duration::from_secs(120);

/// What an operator keeps a feed by, so that its streams go with it.
const FINALIZER: &str = "marketfeed.dev/purge";

/// How long a server may take to be ready again.
const SERVER_MAX: Duration = Duration::from_secs(120);

/// Its NATS.
pub(super) fn nats() -> Nats {
    Nats::of(SECOND, NAMESPACE, 3)
}

/// Installed where it is not.
pub(super) async fn install(place: &mut Place) -> Result<()> {
    place.install().await?;
    // Its rights are in there.
    make_namespace(place.kubectl(), WATCHED).await?;
    let mut values = place.values();
    let mut value = |name: &str, value: &str| values.push((name.to_owned(), value.to_owned()));
    value("operator.watchNamespace", WATCHED);
    value("crds.enabled", "false");
    value("nats.enabled", "true");
    value("nats.replicas", "3");
    value("simulator.enabled", "true");
    value("simulator.generate", &format!("{{{MARKET}}}"));
    let chart = place.stock.chart();
    place.helm_install(SECOND, NAMESPACE, &chart, &values).await
}

/// A spec by which a feed is on its NATS and at its simulator.
pub(super) fn spec(place: &Place) -> Result<Value> {
    let object = Wanted::new(WATCHED).object(place)?;
    let simulator = super::place::full_name(SECOND, "exchange-sim");
    let mut sources = object["spec"]["sources"].clone();
    for source in sources.as_array_mut().into_iter().flatten() {
        let venue = source["venue"].as_str().unwrap_or_default();
        let host = format!("{simulator}.{NAMESPACE}.svc:9100/{venue}");
        source["endpoints"] =
            json!({ "ws": format!("ws://{host}"), "rest": format!("http://{host}") });
    }
    let nats = nats();
    Ok(json!({
        "sources": sources,
        "nats": { "urls": [nats.url()], "replicas": nats.servers },
    }))
}

/// Its own operator alone looks after its feed, and the namespace with the feed in it can be deleted.
pub(super) async fn beside(place: &mut Place) -> Measured {
    install(place).await?;
    let first = place.take_feed().await?;
    let since = first.client.now();
    let audit = place.cluster.audit().context("there is no audit log")?;
    let mark = audit.mark()?;
    let wanted = Wanted::new(WATCHED).with(&spec(place)?);
    let (feed, _) = Feed::create(place, wanted).await?;
    feed.settle().await?;
    feed.closes(2, PATIENCE).await?;
    let mut writers: Vec<String> = audit
        .since(mark)?
        .into_iter()
        .filter(|entry| entry.is_write() && entry.namespace == WATCHED)
        .map(|entry| entry.user)
        .filter(|user| user.ends_with("-operator"))
        .collect();
    writers.sort();
    writers.dedup();
    let own = format!(
        "system:serviceaccount:{NAMESPACE}:{}",
        super::place::full_name(SECOND, "operator")
    );
    ensure!(writers == [own], "its feed was written by {writers:?}");
    let told = feed.check()?;
    let gone = namespace_goes(place, WATCHED).await?;
    let home = home_goes(place).await?;
    first.closes(2, PATIENCE).await?;
    let late = first.late_since(since, UNTOUCHED_MAX)?;
    let measured = vec![
        format!("only its own operator wrote in the namespace that it looks after; {told}"),
        format!(
            "that namespace was gone {gone} after its deletion, one with its operator in it {home} after"
        ),
        format!("the first release's feed: {late}; {}", first.check()?),
    ];
    place.put_back(first);
    Ok(measured)
}

/// A namespace goes with an operator and its feed in it: there is nobody then who looks after that one.
async fn home_goes(place: &Place) -> Result<String> {
    let mut values = place.values();
    values.push(("operator.watchNamespace".to_owned(), HOME.to_owned()));
    values.push(("crds.enabled".to_owned(), "false".to_owned()));
    let chart = place.stock.chart();
    place.helm_install("home", HOME, &chart, &values).await?;
    let wanted = Wanted::new(HOME).with(&spec(place)?);
    let (feed, _) = Feed::create(place, wanted).await?;
    feed.settle().await?;
    drop(feed);
    namespace_goes(place, HOME).await
}

/// A namespace goes with a feed in it, and with the rights by which its operator lets go of the feed.
async fn namespace_goes(place: &Place, namespace: &str) -> Result<String> {
    let started = Instant::now();
    let delete = ["delete", "namespace", namespace, "--wait=false"];
    place.kubectl().run(delete).await?;
    let mut kept = String::new();
    let gone = wait::until("the end of the namespace", GONE_MAX, async || {
        let path = "jsonpath={.metadata.name} {range .status.conditions[?(@.status==\"True\")]}{.message} {end}";
        let get = ["get", "namespace", namespace, "--ignore-not-found", "-o", path];
        let said = place.kubectl().try_run(get).await?;
        // Without the API server nothing is known.
        let is_gone = said.ok && said.out.is_empty();
        kept = said.out;
        Ok(is_gone.then_some(()))
    })
    .await;
    gone.with_context(|| format!("the namespace of a feed and its operator's rights: {kept}"))?;
    Ok(secs(started))
}

/// The process of the server that leads the closes is killed: its pod's removal, by force too, would let it hand over what it leads.
pub(super) async fn nats_lost(place: &mut Place) -> Measured {
    install(place).await?;
    // Looked after by the first release: of a feed that went with its namespace, streams are left under that one's name.
    let wanted = Wanted::new("e2e-lost").with(&spec(place)?);
    let (feed, _) = Feed::create(place, wanted).await?;
    let before = feed.pods(place).await?;
    let lost = leader(place, &feed).await?;
    let server = server(place, &lost).await?;
    let since = feed.client.now();
    process::kill(&server.uid, process::NATS).with_context(|| format!("cannot kill {lost}"))?;
    feed.closes(5, GAP_MAX).await?;
    comes_again(place, &server).await?;
    // All copies of the closes are there again.
    let leads = leader(place, &feed).await?;
    feed.settle().await?;
    feed.closes(3, PATIENCE).await?;
    feed.same_pods(place, &before).await?;
    let late = feed.late_since(since, ELECTION_MAX)?;
    let told = feed.check()?;
    feed.delete().await?;
    Ok(vec![
        format!("{lost}, which led, was killed with -9; {late}; then {leads} led"),
        told,
    ])
}

/// The server's container is another one, and ready.
async fn comes_again(place: &Place, before: &Pod) -> Result<()> {
    wait::until("the server again", SERVER_MAX, async || {
        let now = server(place, &before.name).await?;
        let is_another = now.uid == before.uid && now.restarts > before.restarts;
        Ok((is_another && now.is_ready).then_some(()))
    })
    .await
}

/// The pod of a server.
async fn server(place: &Place, pod: &str) -> Result<Pod> {
    let item = place.kubectl().json(["get", "pod", pod, "-n", NAMESPACE]);
    let list = json!({ "items": [item.await?] });
    let pod = pods::read(&list).into_iter().next();
    pod.with_context(|| format!("{list} is no pod"))
}

/// The pod of the server that leads the stream of closes.
async fn leader(place: &Place, feed: &Feed) -> Result<String> {
    let stream = format!("MF_{}-{}_local_CLOSES", feed.namespace, feed.name);
    let nats = nats();
    wait::until("a leader of the closes", PATIENCE, async || {
        let path = "/jsz?accounts=1&streams=1&config=1";
        for server in 0..nats.servers {
            // One that is being started does not answer.
            let Ok(said) = place.ask(NAMESPACE, &nats.pod(server), 8222, path).await else {
                continue;
            };
            let said: Value = serde_json::from_str(&said)?;
            let mut streams = cluster::nats::streams(&said).into_iter();
            let found = streams.find(|found| found.name == stream && found.is_whole());
            if let Some(leader) = found.and_then(|found| found.leader) {
                return Ok(Some(leader));
            }
        }
        Ok(None)
    })
    .await
}

/// The release that looks after all feeds goes while one is on another NATS, and comes again.
pub(super) async fn reinstall(place: &mut Place) -> Measured {
    install(place).await?;
    place.drop_feed().await?;
    let wanted = Wanted::new("e2e-apart").with(&spec(place)?);
    let (feed, _) = Feed::create(place, wanted).await?;
    let before = feed.pods(place).await?;
    let since = feed.client.now();
    place.uninstall().await?;
    let left = finalizers(&feed).await?;
    ensure!(left.is_empty(), "it left {left:?}");
    feed.closes(5, PATIENCE).await?;
    feed.same_pods(place, &before).await?;
    place.install().await?;
    feed.settle().await?;
    feed.is_looked_after().await?;
    feed.closes(3, PATIENCE).await?;
    wait::until("its finalizer", PATIENCE, async || {
        let all = finalizers(&feed).await?;
        Ok(all.iter().any(|held| held == FINALIZER).then_some(()))
    })
    .await?;
    feed.same_pods(place, &before).await?;
    let late = feed.late_since(since, UNTOUCHED_MAX)?;
    let told = feed.check()?;
    let part = format!("MF_{}-{}_", feed.namespace, feed.name);
    let streams = place.streams(&nats(), &part).await?;
    ensure!(streams.len() == 3, "its streams are {streams:?}");
    feed.delete().await?;
    // Each server hears of it by itself.
    wait::until("the end of its streams", PATIENCE, async || {
        let left = place.streams(&nats(), &part).await?;
        Ok(left.is_empty().then_some(()))
    })
    .await?;
    Ok(vec![format!(
        "{} pods stayed, {late}; then gone with {} streams; {told}",
        before.len(),
        streams.len()
    )])
}

/// What a feed is kept by.
async fn finalizers(feed: &Feed) -> Result<Vec<String>> {
    let object = feed.object().await?;
    let all = object["metadata"]["finalizers"].as_array();
    let names = all
        .into_iter()
        .flatten()
        .filter_map(|name| name.as_str().map(str::to_owned));
    Ok(names.collect())
}
