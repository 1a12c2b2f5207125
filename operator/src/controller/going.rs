//! A feed that is deleted: one step of its going.

use kube::ResourceExt;

use super::context::{Error, Memory};
use super::deletion::{FINALIZER, Step};
use super::pods::remains;
use super::reconcile::{Ended, Look, Next, api, release};
use super::writes::Force;
use crate::build::purge_job;
use crate::validate::validate_removal;

impl Look<'_> {
    /// Nothing is remembered of one that is let go.
    pub(super) async fn delete(&self, memory: &mut Memory) -> Result<Ended, Error> {
        let meta = &self.feed.metadata;
        let mut finalizers = self.feed.finalizers().iter();
        if !finalizers.any(|finalizer| finalizer == FINALIZER) {
            return Ok(Ended::Gone);
        }
        let valid = match validate_removal(self.feed) {
            Ok(valid) => valid,
            Err(error) => {
                let left = format!("it cannot be told what it has on NATS: {error}");
                return release(&self.writes, meta, Some(&left)).await;
            }
        };
        let identity = &valid.identity;
        let mut remains = remains(identity, &self.context.stores.of(identity));
        if valid.is_purged() && memory.going.poll_listing(self.now_s) {
            let made = self.writes.deployments(&identity.name, &identity.uid).await;
            remains.workloads = made.map_err(api("look what was made of it"))?;
            memory.going.handle_listed();
        }
        match memory.going.poll(&remains, valid.is_purged(), self.now_s) {
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
