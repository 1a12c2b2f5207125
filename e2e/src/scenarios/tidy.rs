//! The cluster is put right after a scenario that failed, and one that was given is left as it was found.

use anyhow::{Result, bail};
use cluster::wait::{self, PATIENCE};
use serde_json::{Value, json};

use super::feed::SETTLE_MAX;
use super::place::{Place, SYSTEM};
use crate::Kubectl;

/// What namespaces are known by that scenarios have made.
const MARK: &str = "marketfeed.dev/e2e";

const DEFINITION: &str = "marketfeeds.marketfeed.dev";

/// Feeds by their namespaces, and a word for those that have none left.
const FEEDS: [&str; 5] = ["get", "marketfeeds", "-A", "--no-headers", "-o"];
const COLUMNS: &str = "custom-columns=:.metadata.namespace,:.metadata.name";

impl Place {
    /// After a scenario that failed: what it had taken away is there again, and no feed is left of it. The next one begins anew.
    ///
    /// # Errors
    /// When that cannot be done.
    pub async fn recover(&mut self) -> Result<()> {
        self.shared = None;
        if self.cluster.is_own() {
            self.api_server_again().await?;
            let nodes = self.kubectl().run(["get", "nodes", "-o", "name"]).await?;
            let uncordon = ["uncordon"].into_iter().chain(nodes.split_whitespace());
            self.kubectl().run(uncordon).await?;
        }
        let namespaces = self.namespaces().await?;
        if namespaces.iter().any(|name| name == SYSTEM) {
            // Whatever the release is now: feeds that are deleted need its operator.
            self.installed = false;
            self.install().await?;
        }
        self.delete_feeds(&namespaces).await
    }

    async fn api_server_again(&self) -> Result<()> {
        let answers = async || {
            let get = ["get", "--raw", "/readyz", "--request-timeout=5s"];
            Ok(self.kubectl().try_run(get).await?.ok.then_some(()))
        };
        if answers().await?.is_some() {
            return Ok(());
        }
        // One that runs and does not answer is of no use; one that does not run cannot be killed.
        let _ = self.cluster.kill("kube-apiserver").await;
        self.cluster.restart("kube-apiserver").await?;
        wait::until("the API server", PATIENCE, answers).await
    }

    /// A cluster that was given: what an earlier run has left is removed, and who works in it is told from it.
    ///
    /// # Errors
    /// When there is something of somebody else's that scenarios would touch.
    pub(super) async fn take_over(&mut self) -> Result<()> {
        // With a release of ours the definition came.
        let namespaces = self.namespaces().await?;
        self.had_definition =
            self.has_definition().await? && !namespaces.iter().any(|name| name == SYSTEM);
        self.clear().await?;
        if !self.has_definition().await? {
            return Ok(());
        }
        let feeds = self
            .kubectl()
            .run(FEEDS.into_iter().chain([COLUMNS]))
            .await?;
        if !feeds.trim().is_empty() {
            bail!(
                "the cluster carries feeds that are not of these scenarios, whose operator would look after them: {}",
                feeds.trim()
            );
        }
        Ok(())
    }

    /// Removes all that scenarios have made in a cluster that was given; nothing in one that was made here, which ends as a whole.
    ///
    /// # Errors
    /// When something cannot be removed.
    pub async fn clear(&mut self) -> Result<()> {
        if self.cluster.is_own() {
            return Ok(());
        }
        self.shared = None;
        let namespaces = self.namespaces().await?;
        if namespaces.is_empty() {
            return Ok(());
        }
        self.say(&format!("removing {}", namespaces.join(" ")));
        self.delete_feeds(&namespaces).await?;
        for namespace in &namespaces {
            let list = ["list", "--short", "--namespace", namespace];
            for release in self.helm.run(list).await?.split_whitespace() {
                let args = ["uninstall", release, "--namespace", namespace, "--wait"];
                // No feed is left that a hook would look after, and its program may be what does not work.
                let args = args.into_iter().chain(["--no-hooks"]);
                self.helm.run(args).await?;
            }
        }
        self.installed = false;
        let delete = ["delete", "namespace", "--timeout=240s"].into_iter();
        self.kubectl()
            .run(delete.chain(namespaces.iter().map(String::as_str)))
            .await?;
        if !self.had_definition {
            let delete = ["delete", "crd", DEFINITION, "--ignore-not-found"];
            self.kubectl().run(delete).await?;
        }
        Ok(())
    }

    /// Those that scenarios have made.
    async fn namespaces(&self) -> Result<Vec<String>> {
        let name = "custom-columns=:.metadata.name";
        let get = ["get", "namespaces", "-l", MARK, "--no-headers", "-o", name];
        let said = self.kubectl().run(get).await?;
        Ok(said.split_whitespace().map(str::to_owned).collect())
    }

    async fn has_definition(&self) -> Result<bool> {
        let get = ["get", "crd", DEFINITION, "--ignore-not-found", "-o", "name"];
        Ok(!self.kubectl().run(get).await?.trim().is_empty())
    }

    /// All feeds in these namespaces; those that nobody looks after any more without what an operator does at their end.
    async fn delete_feeds(&self, namespaces: &[String]) -> Result<()> {
        if !self.has_definition().await? {
            return Ok(());
        }
        let feeds = self
            .kubectl()
            .run(FEEDS.into_iter().chain([COLUMNS]))
            .await?;
        for line in feeds.lines() {
            let mut words = line.split_whitespace();
            let (Some(namespace), Some(feed)) = (words.next(), words.next()) else {
                continue;
            };
            if !namespaces.iter().any(|name| name == namespace) {
                continue;
            }
            let of = ["marketfeed", feed, "-n", namespace];
            let delete = ["delete", "--ignore-not-found", "--timeout=100s"];
            let deleted = self.kubectl().try_run(delete.into_iter().chain(of));
            let deleted = deleted.await?;
            if !deleted.ok {
                self.say(&format!(
                    "{namespace}/{feed} is removed without its operator: {}",
                    deleted.err.trim()
                ));
                let free = json!({ "metadata": { "finalizers": null } }).to_string();
                let patch = ["patch", "--type=merge", "-p", &free];
                self.kubectl().try_run(patch.into_iter().chain(of)).await?;
                self.kubectl().run(delete.into_iter().chain(of)).await?;
            }
        }
        Ok(())
    }
}

/// A namespace of scenarios; one that is there already must be. One that is being removed is waited for.
///
/// # Errors
/// When there is one of that name that scenarios have not made.
pub(super) async fn make_namespace(kubectl: &Kubectl, name: &str) -> Result<()> {
    wait::until("the end of a namespace", SETTLE_MAX, async || {
        let get = ["get", "namespace", name, "--ignore-not-found", "-o", "json"];
        let said = kubectl.run(get).await?;
        if said.trim().is_empty() {
            let metadata = json!({ "name": name, "labels": { MARK: "true" } });
            let namespace =
                json!({ "apiVersion": "v1", "kind": "Namespace", "metadata": metadata });
            kubectl.apply(&namespace.to_string()).await?;
            return Ok(Some(()));
        }
        let there: Value = serde_json::from_str(&said)?;
        if there["metadata"]["labels"][MARK] != "true" {
            bail!("there is a namespace {name} that is not of these scenarios");
        }
        let is_going = !there["metadata"]["deletionTimestamp"].is_null();
        Ok((!is_going).then_some(()))
    })
    .await
}
