//! Where scenarios run: a cluster, what is installed in it, and the feed that several of them look at.

use std::path::{Path, PathBuf};
use std::time::Instant;

use anyhow::{Context, Result, bail};
use serde_json::Value;

use super::feed::{Feed, Wanted};
use super::pods::{self, Pod};
use super::tidy::make_namespace;
use crate::helm::Helm;
use crate::{Cluster, Kubectl};

/// The namespace and the name of the release that looks after all feeds.
pub(crate) const SYSTEM: &str = "marketfeed-system";
const RELEASE: &str = "marketfeed";

/// The namespace of the feed that several scenarios look at.
pub(crate) const FEEDS: &str = "e2e";

/// The made-up market of its simulator: what `examples/simulator.yaml` carries, and some that it does not.
pub(crate) const MARKET: &str = "BTC-USDT,ETH-USDT,SOL-USDT,coinbase:BTC-USD,XRP-USDT,ADA-USDT,DOGE-USDT,\
    coinbase:ETH-USD";

/// An image, and the archive that it comes in; without one its nodes find it by themselves.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Image {
    /// As `localhost/marketfeed`.
    pub repository: String,
    /// As `0.1.0`.
    pub tag: String,
    /// An archive of OCI.
    pub archive: Option<PathBuf>,
}

impl Image {
    /// As a pod names it.
    #[must_use]
    pub fn name(&self) -> String {
        format!("{}:{}", self.repository, self.tag)
    }
}

/// What scenarios are made of.
#[derive(Debug, Clone)]
pub struct Stock {
    /// The checkout: its chart and its examples are what is tried.
    pub root: PathBuf,
    /// This checkout's image.
    pub image: Image,
    /// `nats-server`'s.
    pub nats: Image,
    /// That of a release that writes other bars; without it there is no rollout.
    pub later: Option<Image>,
    /// Where logs of failures go.
    pub folder: PathBuf,
}

impl Stock {
    pub(crate) fn chart(&self) -> PathBuf {
        self.root.join("charts/marketfeed")
    }
}

/// Tells people what is being done.
pub type Say = Box<dyn Fn(&str) + Send + Sync>;

/// A cluster with what the scenarios have put in it so far.
pub struct Place {
    pub(crate) cluster: Cluster,
    pub(crate) helm: Helm,
    pub(crate) stock: Stock,
    say: Say,
    /// The release is there.
    pub(super) installed: bool,
    /// The definition of MarketFeeds was there before this: it stays.
    pub(super) had_definition: bool,
    /// The feed that several scenarios look at; none where the last of them may have broken it.
    pub(super) shared: Option<Feed>,
}

impl Place {
    /// In a cluster that nobody else works in; its images are loaded here.
    ///
    /// # Errors
    /// When a node does not take an image, there is no `helm`, or a given cluster has something of somebody else's that scenarios
    /// would touch.
    pub async fn prepare(cluster: Cluster, stock: Stock, say: Say) -> Result<Self> {
        let helm = Helm::find(cluster.kubeconfig())?;
        let mut place = Self {
            cluster,
            helm,
            stock,
            say,
            installed: false,
            had_definition: false,
            shared: None,
        };
        if !place.cluster.is_own() {
            place.take_over().await?;
        }
        let started = Instant::now();
        let Stock {
            image, nats, later, ..
        } = &place.stock;
        for image in [Some(image), Some(nats), later.as_ref()] {
            if let Some(archive) = image.and_then(|image| image.archive.as_ref()) {
                place.cluster.load(archive).await?;
            }
        }
        place.say(&format!("images loaded, {}", secs(started)));
        Ok(place)
    }

    /// A line for people.
    pub(crate) fn say(&self, line: &str) {
        (self.say)(line);
    }

    pub(crate) fn kubectl(&self) -> &Kubectl {
        self.cluster.kubectl()
    }

    /// `helm install --wait` of the chart as a first try has it: with NATS and the simulator.
    pub(crate) async fn install(&mut self) -> Result<()> {
        if self.installed {
            return Ok(());
        }
        let started = Instant::now();
        self.upgrade(&self.stock.chart()).await?;
        self.installed = true;
        self.say(&format!("helm install --wait, {}", secs(started)));
        Ok(())
    }

    /// The same with another chart.
    pub(crate) async fn upgrade(&self, chart: &Path) -> Result<()> {
        let mut values = self.values();
        let market = format!("{{{MARKET}}}");
        values.extend([
            ("simulator.enabled".to_owned(), "true".to_owned()),
            ("simulator.generate".to_owned(), market),
            ("nats.enabled".to_owned(), "true".to_owned()),
            // For `helm test`, which is run when it is there.
            ("test.feed".to_owned(), "demo".to_owned()),
            ("test.namespace".to_owned(), FEEDS.to_owned()),
            // A second release looks after that one.
            (
                "operator.exceptNamespaces".to_owned(),
                format!("{{{},{}}}", super::second::WATCHED, super::second::HOME),
            ),
        ]);
        if self.cluster.is_own() {
            // Their node stays when the other one is drained.
            let node = "nodeSelector.kubernetes\\.io/hostname";
            values.push((format!("nats.{node}"), "node0".to_owned()));
            values.push((format!("simulator.{node}"), "node0".to_owned()));
        }
        self.helm_install(RELEASE, SYSTEM, chart, &values).await
    }

    /// The values by which a release runs the images that are tried.
    pub(crate) fn values(&self) -> Vec<(String, String)> {
        let Stock { image, nats, .. } = &self.stock;
        let value = |name: &str, value: &str| (name.to_owned(), value.to_owned());
        vec![
            value("image.repository", &image.repository),
            value("image.tag", &image.tag),
            value("nats.image.repository", &nats.repository),
            value("nats.image.tag", &nats.tag),
        ]
    }

    /// `helm upgrade --install --wait` of a chart.
    pub(crate) async fn helm_install(
        &self,
        release: &str,
        namespace: &str,
        chart: &Path,
        values: &[(String, String)],
    ) -> Result<()> {
        make_namespace(self.kubectl(), namespace).await?;
        let mut args = vec!["upgrade".to_owned(), "--install".to_owned()];
        args.extend([release.to_owned(), chart.display().to_string()]);
        args.extend(["--namespace".to_owned(), namespace.to_owned()]);
        args.extend(["--wait", "--timeout=150s"].map(str::to_owned));
        for (name, value) in values {
            args.extend(["--set".to_owned(), format!("{name}={value}")]);
        }
        self.helm.run(args).await.map(drop)
    }

    /// `helm test`, and what its pod said last.
    pub(crate) async fn helm_test(&self) -> Result<String> {
        let test = ["test", RELEASE, "--namespace", SYSTEM, "--timeout=90s"];
        self.helm.run(test).await?;
        let pod = format!("{RELEASE}-test-live-bar");
        let said = self.kubectl().run(["logs", "-n", SYSTEM, &pod]).await?;
        // Helm leaves what a test ran, also when the release goes.
        let delete = ["delete", "pod", "-n", SYSTEM, &pod];
        self.kubectl().run(delete).await?;
        Ok(said.lines().last().unwrap_or_default().to_owned())
    }

    /// `helm uninstall --wait` of the release that looks after all feeds.
    pub(crate) async fn uninstall(&mut self) -> Result<()> {
        let args = ["uninstall", RELEASE, "--namespace", SYSTEM, "--wait"];
        self.helm.run(args).await?;
        self.installed = false;
        Ok(())
    }

    /// The release stays after all, as docs/installing.md says it: Helm takes one whose removal was refused for one that is being
    /// removed, and upgrades it only after it was told otherwise.
    pub(crate) async fn stay(&self) -> Result<()> {
        let of = [RELEASE, "--namespace", SYSTEM];
        let history = ["history", "--output", "json"].into_iter().chain(of);
        let history: Value = serde_json::from_str(&self.helm.run(history).await?)?;
        let newest = history.as_array().and_then(|revisions| revisions.last());
        let revision = newest.and_then(|newest| newest["revision"].as_u64());
        let revision = revision.with_context(|| format!("no revision in {history}"))?;
        let revision = revision.to_string();
        let back = [
            "rollback",
            RELEASE,
            &revision,
            "--namespace",
            SYSTEM,
            "--wait",
        ];
        self.helm.run(back).await?;
        self.upgrade(&self.stock.chart()).await
    }

    /// The feed that several scenarios look at, settled and with a client; made where there is none. Who breaks it does not put it
    /// back.
    pub(crate) async fn take_feed(&mut self) -> Result<Feed> {
        self.install().await?;
        let feed = match self.shared.take() {
            Some(feed) => feed,
            None => Feed::create(self, Wanted::new(FEEDS)).await?.0,
        };
        feed.settle().await?;
        Ok(feed)
    }

    /// It is as it was: the next scenario may look at it.
    pub(crate) fn put_back(&mut self, feed: Feed) {
        self.shared = Some(feed);
    }

    /// There is none any more.
    pub(crate) async fn drop_feed(&mut self) -> Result<()> {
        if let Some(feed) = self.shared.take() {
            feed.delete().await?;
        }
        Ok(())
    }

    /// The pods of a feed.
    pub(crate) async fn pods(&self, namespace: &str, feed: &str) -> Result<Vec<Pod>> {
        let label = format!("marketfeed.dev/feed={feed}");
        let list = self
            .kubectl()
            .json(["get", "pods", "-n", namespace, "-l", &label])
            .await?;
        Ok(pods::read(&list))
    }

    /// What a pod answers to a GET; by way of the API server, as it does in any cluster.
    pub(crate) async fn ask(
        &self,
        namespace: &str,
        pod: &str,
        port: u16,
        path: &str,
    ) -> Result<String> {
        let path = format!("/api/v1/namespaces/{namespace}/pods/{pod}:{port}/proxy{path}");
        self.kubectl().run(["get", "--raw", &path]).await
    }

    /// Names of the streams of a release's NATS that have `part` in them, in order.
    pub(crate) async fn streams(&self, nats: &Nats, part: &str) -> Result<Vec<String>> {
        let path = "/jsz?accounts=1&streams=1&config=1";
        let said = self.ask(&nats.namespace, &nats.pod(0), 8222, path).await?;
        let said: Value = serde_json::from_str(&said).context("NATS said no JSON")?;
        let streams = cluster::nats::streams(&said).into_iter();
        let names = streams.map(|stream| stream.name);
        let mut names: Vec<_> = names.filter(|name| name.contains(part)).collect();
        // The server tells them in no order.
        names.sort();
        Ok(names)
    }

    /// The administrator's kubeconfig.
    #[must_use]
    pub fn kubeconfig(&self) -> &Path {
        self.cluster.kubeconfig()
    }

    /// Ends the cluster, if it was made for this.
    ///
    /// # Errors
    /// When something of it cannot be ended.
    pub fn stop(self) -> Result<()> {
        self.cluster.stop()
    }
}

/// The NATS of a release of the chart.
#[derive(Debug, Clone)]
pub(crate) struct Nats {
    pub(crate) namespace: String,
    /// The beginning of its pods' names, and its Service's name.
    name: String,
    /// How many servers there are.
    pub(crate) servers: u32,
}

impl Nats {
    /// That of the release that looks after all feeds.
    pub(crate) fn first() -> Self {
        Self::of(RELEASE, SYSTEM, 1)
    }

    pub(crate) fn of(release: &str, namespace: &str, servers: u32) -> Self {
        Self {
            namespace: namespace.to_owned(),
            name: full_name(release, "nats"),
            servers,
        }
    }

    pub(crate) fn pod(&self, server: u32) -> String {
        format!("{}-{server}", self.name)
    }

    pub(crate) fn url(&self) -> String {
        format!("nats://{}.{}.svc:4222", self.name, self.namespace)
    }
}

/// What the chart calls a part of a release.
pub(crate) fn full_name(release: &str, part: &str) -> String {
    if release.contains("marketfeed") {
        format!("{release}-{part}")
    } else {
        format!("{release}-marketfeed-{part}")
    }
}

/// Seconds since then, for people.
pub(crate) fn secs(since: Instant) -> String {
    format!("{:.1} s", since.elapsed().as_secs_f64())
}

/// An error in place of a list that should be empty.
pub(crate) fn none(what: &str, found: &[impl std::fmt::Display]) -> Result<()> {
    if found.is_empty() {
        return Ok(());
    }
    let found: Vec<String> = found.iter().map(ToString::to_string).collect();
    bail!("{what}: {}", found.join("; "));
}
