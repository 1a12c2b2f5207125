//! A feed that is deleted: one step of its going.

use kube::ResourceExt;

use super::context::Error;
use super::deletion::{self, FINALIZER, Step};
use super::pods::remains;
use super::reconcile::{Ended, Look, Next, api, release};
use super::writes::Force;
use crate::build::purge_job;
use crate::validate::validate;

impl Look<'_> {
    /// Nothing is remembered of one that is let go.
    pub(super) async fn delete(&self) -> Result<Ended, Error> {
        let meta = &self.feed.metadata;
        let mut finalizers = self.feed.finalizers().iter();
        if !finalizers.any(|finalizer| finalizer == FINALIZER) {
            return Ok(Ended::Gone);
        }
        let Ok(valid) = validate(self.feed) else {
            let left = "it cannot be told what it has on NATS";
            return release(&self.writes, meta, Some(left)).await;
        };
        let remains = remains(&valid.identity, &self.context.stores.of(&valid.identity));
        let since = meta
            .deletion_timestamp
            .as_ref()
            .map_or(self.now_s, |since| since.0.as_second());
        match deletion::poll(
            &remains,
            valid.is_purged(),
            self.now_s.saturating_sub(since),
        ) {
            Step::Delete(keys) => {
                for key in keys {
                    self.writes
                        .delete(&key)
                        .await
                        .map_err(api("delete a workload"))?;
                }
                Ok(Ended::Again(Next::Soon))
            }
            Step::Purge => {
                let job = serde_json::to_value(purge_job(&valid, &self.context.release))?;
                match self.writes.apply(&job, Force::No).await {
                    Ok(_) => Ok(Ended::Again(Next::Soon)),
                    Err(kube::Error::Api(status)) if is_terminating(&status) => {
                        let left = "its namespace goes too, and nothing can be started in it";
                        release(&self.writes, meta, Some(left)).await
                    }
                    Err(source) => Err(Error::Api {
                        doing: "start the purge",
                        source,
                    }),
                }
            }
            Step::Wait => Ok(Ended::Again(Next::Soon)),
            Step::Release(left) => release(&self.writes, meta, left.as_deref()).await,
        }
    }
}

fn is_terminating(status: &kube::core::Status) -> bool {
    let causes = status.details.iter().flat_map(|details| &details.causes);
    causes
        .into_iter()
        .any(|cause| cause.reason == "NamespaceTerminating")
}
