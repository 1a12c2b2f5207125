//! A feed that is deleted: one step of its going.

use super::context::{Error, Memory};
use super::deletion::Step;
use super::pods::remains;
use super::reconcile::{Ended, Look, Next, api, is_held, release};
use super::refusals::is_terminating;
use super::writes::Force;
use crate::build::{names, purge_job};
use crate::validate::{Identity, validate_removal};

/// Why what a feed has on NATS may be left there, where it goes with its namespace.
const NAMESPACE_GOES: &str = "its namespace goes too, and nothing can be started in it";

impl Look<'_> {
    /// Nothing is remembered of one that is let go.
    pub(super) async fn delete(&self, memory: &mut Memory) -> Result<Ended, Error> {
        let meta = &self.feed.metadata;
        if !is_held(meta) {
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
        if valid.is_purged() && self.is_ending(identity, true, memory).await {
            return release(&self.writes, meta, Some(NAMESPACE_GOES)).await;
        }
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
                        release(&self.writes, meta, Some(NAMESPACE_GOES)).await
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

    /// Whether the feed's namespace is being removed. The API server is asked where there is a sign of it: it refuses then to
    /// make anything, and says why.
    pub(super) async fn is_ending(
        &self,
        identity: &Identity,
        is_sign: bool,
        memory: &mut Memory,
    ) -> bool {
        if memory.ending.poll_question(is_sign, self.now_s) {
            match self.writes.try_create(&names::assignment(identity)).await {
                Err(kube::Error::Api(status)) if is_terminating(&status) => {
                    memory.ending.handle_answer(true, self.now_s);
                }
                // It may be made, or is there.
                Ok(()) => memory.ending.handle_answer(false, self.now_s),
                Err(kube::Error::Api(status)) if status.is_already_exists() => {
                    memory.ending.handle_answer(false, self.now_s);
                }
                Err(error) => {
                    tracing::debug!(%error, "it cannot be told whether the namespace is being removed");
                }
            }
        }
        memory.ending.is_certain()
    }

    /// A feed whose namespace is being removed: it goes with it, and so does all that it has. Nothing is done for it any more
    /// but that nothing waits for it.
    pub(super) async fn give_up(&self) -> Result<Ended, Error> {
        let meta = &self.feed.metadata;
        if is_held(meta) {
            release(&self.writes, meta, Some(NAMESPACE_GOES)).await?;
        }
        Ok(Ended::Again(Next::Usual))
    }
}
