//! When nothing of a feed is on its way to be otherwise. What the operator says of it is not written anew while it stays the same,
//! so that it may be from before whatever was done to the feed: its pods are looked at too.

use anyhow::{Context, Result};
use cluster::wait::{self, PATIENCE};

use super::{Feed, SETTLE_MAX, condition};
use crate::scenarios::pods::{self, Pod};

impl Feed {
    /// Waits until the operator says that it is ready and done, and all pods that are wanted are there, ready, and no others.
    pub(crate) async fn settle(&self) -> Result<()> {
        let mut lacks = Vec::new();
        let settled = wait::until("a feed that is settled", SETTLE_MAX, async || {
            lacks = self.unsettled().await?;
            Ok(lacks.is_empty().then_some(()))
        })
        .await;
        match settled {
            Ok(()) => Ok(()),
            Err(error) => {
                let said = self.in_words().await;
                Err(error).with_context(|| format!("{}: {said}", lacks.join("; ")))
            }
        }
    }

    /// What is not yet as it should be.
    async fn unsettled(&self) -> Result<Vec<String>> {
        let object = self.object().await?;
        for (kind, status) in [("Progressing", "False"), ("Ready", "True")] {
            let is_so = condition(&object, kind).is_some_and(|found| found["status"] == status);
            if !is_so {
                return Ok(vec![format!("{kind} is not {status}")]);
            }
        }
        let label = format!("marketfeed.dev/feed={}", self.name);
        let get = ["get", "deployments,pods", "-n", &self.namespace, "-l"];
        let list = self.kubectl.json(get.into_iter().chain([&*label])).await?;
        Ok(pods::unsettled(&list))
    }

    /// Waits until it is seen that a pod is not what it was: it was started again, is being removed, or is gone.
    pub(crate) async fn sees_changed(&self, pod: &Pod) -> Result<()> {
        let what = format!("a change of {}", pod.name);
        wait::until(&what, PATIENCE, async || {
            let label = format!("marketfeed.dev/feed={}", self.name);
            let get = ["get", "pods", "-n", &self.namespace, "-l", &label];
            let now = pods::read(&self.kubectl.json(get).await?);
            let now = now.into_iter().find(|now| now.uid == pod.uid);
            let is_same = now.is_some_and(|now| now.restarts == pod.restarts && !now.is_going);
            Ok((!is_same).then_some(()))
        })
        .await
    }

    /// Takes an object away that no pod needs, and waits until the operator has put it back: it looks after the feed just now.
    pub(crate) async fn is_looked_after(&self) -> Result<()> {
        let budget = format!("{}-gateway", self.name);
        let of = ["poddisruptionbudget", &budget, "-n", &self.namespace];
        self.kubectl.run(["delete"].into_iter().chain(of)).await?;
        wait::until("a budget that was deleted", PATIENCE, async || {
            let get = ["get"].into_iter().chain(of);
            Ok(self.kubectl.try_run(get).await?.ok.then_some(()))
        })
        .await
    }
}
