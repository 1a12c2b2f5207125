//! A feed that is deleted: one step of its going.

use super::context::{Error, Memory};
use super::deletion::{PATIENCE_S, Step, awaited};
use super::pods::remains;
use super::reconcile::{Ended, Look, Next, api, is_held, release};
use super::refusals::is_terminating;
use super::writes::{Force, try_create};
use crate::ValidFeed;
use crate::build::{names, purge_job};
use crate::status;
use crate::validate::{Identity, validate_removal};

/// Why what a feed has on NATS may be left there, where it goes with its namespace.
const NAMESPACE_GOES: &str = "its namespace goes too, and nothing can be started in it";

/// How far a step has brought it.
enum Went {
    /// It waits for that.
    On(&'static str),
    /// It is to be let go; with what may be left behind, if anything.
    Over(Option<String>),
}

impl Look<'_> {
    /// Nothing is remembered of one that is let go, and nothing is said of it any more.
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
        let (ended, message) = match self.go_on(&valid, memory).await {
            Ok(Went::Over(left)) => return release(&self.writes, meta, left.as_deref()).await,
            Ok(Went::On(awaited)) => {
                memory.going.handle_looked(None);
                let message = format!("it is deleted, and waits for {awaited}");
                (Ok(Ended::Again(Next::Soon)), message)
            }
            Err(error) => {
                let words = words(&error);
                let message = format!(
                    "it is deleted, and its streams cannot be removed from NATS yet: {words}; it is let go without that {PATIENCE_S} s \
                     after its deletion was seen"
                );
                memory.going.handle_looked(Some(words));
                (Err(error), message)
            }
        };
        let status = status::going(message, &self.said(), self.now_s);
        if let Err(error) = self.say(&status, memory).await {
            // It goes all the same.
            tracing::debug!(%error, "it cannot be said what a deletion waits for");
        }
        ended
    }

    /// The next step of one of which it is known what it has.
    async fn go_on(&self, valid: &ValidFeed, memory: &mut Memory) -> Result<Went, Error> {
        let identity = &valid.identity;
        let mut remains = remains(identity, &self.context.stores.of(identity));
        if valid.is_purged() && memory.going.poll_listing(self.now_s) {
            let made = self.writes.deployments(&identity.name, &identity.uid).await;
            remains.workloads = made.map_err(api("look what was made of it"))?;
            memory.going.handle_listed();
        }
        let step = memory.going.poll(&remains, valid.is_purged(), self.now_s);
        let awaited = awaited(&remains, &step);
        match step {
            Step::Delete(keys) => {
                for key in keys {
                    let deleted = self.writes.delete(&key).await;
                    deleted.map_err(api("delete a workload"))?;
                }
            }
            Step::Purge => {
                let job = serde_json::to_value(purge_job(valid, &self.context.release))?;
                match self.writes.apply(&job, Force::No).await {
                    Err(kube::Error::Api(status)) if is_terminating(&status) => {
                        return Ok(Went::Over(Some(NAMESPACE_GOES.to_owned())));
                    }
                    made => made.map_err(api("start the purge"))?,
                };
            }
            Step::Wait => {}
            Step::Release(left) => return Ok(Went::Over(left)),
        }
        Ok(Went::On(awaited))
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
            let name = names::assignment(identity);
            match try_create(self.writes.client, self.writes.namespace, &name).await {
                Err(kube::Error::Api(status)) if is_terminating(&status) => {
                    memory.ending.handle_answer(true, self.now_s);
                }
                // It may be made, or is there, or is refused by who is asked after that.
                Ok(()) | Err(kube::Error::Api(_)) => {
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
            return Ok(Ended::Again(Next::Usual));
        }
        // This very look may have held it.
        Ok(Ended::Again(Next::Soon))
    }
}

/// The API server's words, where it has any.
fn words(error: &Error) -> String {
    match error {
        Error::Api {
            doing,
            source: kube::Error::Api(status),
        } => format!("{doing}: {}", status.message),
        other => other.to_string(),
    }
}
