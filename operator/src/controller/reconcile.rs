//! One feed, from what is wanted to what is said of it: validate, plan, build, apply, observe, say.

use k8s_openapi::api::core::v1::ObjectReference;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use kube::core::DynamicObject;
use kube::core::error_boundary::InvalidObject;
use kube::{Resource, ResourceExt};
use tokio::time::Instant;
use wire::Assignment;

use super::applying::Pass;
use super::context::{Context, Error, Memory, Word};
use super::deletion::FINALIZER;
use super::pods::is_perhaps_ending;
use super::refusals::Refusals;
use super::standing::version;
use super::stores::Seen;
use super::writes::Writes;
use crate::build::build;
use crate::build::names::{self, ASSIGNMENT_KEY};
use crate::spec::{MarketFeed, MarketFeedStatus};
use crate::status::{Said, State, transitions};
use crate::validate::{Invalid, validate, validate_removal};
use crate::{ValidFeed, plan, status};

/// When to look again, if nothing happens before.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Next {
    /// As usual.
    Usual,
    /// Soon: something is waited for that tells nobody.
    Soon,
}

/// How long a status that the definition has not all fields of is not said again, in seconds: it may be a newer one by then.
const CUT_SHORT_FOR_S: i64 = 300;

/// How a look ended that did not fail.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Ended {
    /// It is looked at again then.
    Again(Next),
    /// It cannot run as it is.
    Refused,
    /// It is let go: nothing is remembered of it.
    Gone,
}

/// Looks at a feed once.
///
/// # Errors
/// When the API server does not do what is asked of it.
pub async fn reconcile(feed: &MarketFeed, context: &Context) -> Result<Next, Error> {
    context
        .stores
        .wait_until_read()
        .await
        .map_err(|_| Error::Unwatched)?;
    let started = Instant::now();
    let uid = feed.uid().unwrap_or_default();
    // One feed is looked at once at a time.
    let mut memory = context.take(&uid);
    let caught_up = caught_up(feed, &memory);
    let look = Look {
        feed: caught_up.as_ref().unwrap_or(feed),
        context,
        writes: context.writes(feed.metadata.namespace.as_deref().unwrap_or_default()),
        now_s: context.now_s(),
    };
    let ended = if feed.metadata.deletion_timestamp.is_some() {
        look.delete(&mut memory).await
    } else {
        look.keep(&mut memory).await
    };
    context.handle_look(&ended, started.elapsed());
    if matches!(ended, Ok(Ended::Gone)) {
        context.forget(&uid, &memory);
    } else {
        context.keep(uid, memory);
    }
    ended.map(|ended| match ended {
        Ended::Again(next) => next,
        Ended::Refused | Ended::Gone => Next::Usual,
    })
}

/// Says once of an object that it cannot be read, and lets it go when it is deleted. Others are not held up by it.
///
/// # Errors
/// When the API server does not take it.
pub async fn undecodable(invalid: &InvalidObject, context: &Context) -> Result<(), Error> {
    let started = Instant::now();
    let meta = &invalid.metadata;
    let uid = meta.uid.clone().unwrap_or_default();
    let mut memory = context.take(&uid);
    let writes = context.writes(meta.namespace.as_deref().unwrap_or_default());
    let ended = if meta.deletion_timestamp.is_some() {
        let left = "it cannot be read, and so it cannot be told what it has on NATS";
        release(&writes, meta, Some(left)).await
    } else {
        tell(invalid, context, &writes, &mut memory).await
    };
    context.handle_look(&ended, started.elapsed());
    if matches!(ended, Ok(Ended::Gone)) {
        context.forget(&uid, &memory);
    } else {
        context.note_ready(&mut memory, State::Bad);
        context.keep(uid, memory);
    }
    ended.map(|_| ())
}

/// What was said of it is asked for: it cannot be read from what is watched. It is asked once for each thing that is wrong.
async fn tell(
    invalid: &InvalidObject,
    context: &Context,
    writes: &Writes<'_>,
    memory: &mut Memory,
) -> Result<Ended, Error> {
    if memory.undecodable.as_ref() == Some(&invalid.error) {
        return Ok(Ended::Refused);
    }
    let meta = &invalid.metadata;
    let name = meta.name.as_deref().unwrap_or_default();
    let found = writes.find_feed(name).await;
    let found = found.map_err(api("look what was said of it"))?;
    let before = found.and_then(|found| said_of(&found));
    let said = Said {
        status: before.as_ref(),
        generation: meta.generation.unwrap_or_default(),
        version: None,
    };
    let status = status::undecodable(&invalid.error, &said, context.now_s());
    let conditions = before.as_ref().map(|before| &before.conditions);
    if conditions != Some(&status.conditions) {
        writes
            .status_of_unreadable(name, &status)
            .await
            .map_err(api("say that it cannot be read"))?;
        let before = conditions.map_or(&[][..], |before| &before[..]);
        let feed = ObjectReference {
            api_version: Some(MarketFeed::api_version(&()).into_owned()),
            kind: Some(MarketFeed::kind(&()).into_owned()),
            name: meta.name.clone(),
            namespace: meta.namespace.clone(),
            uid: meta.uid.clone(),
            ..ObjectReference::default()
        };
        for transition in transitions(before, &status.conditions) {
            context.tell(&feed, transition).await;
        }
    }
    memory.undecodable = Some(invalid.error.clone());
    Ok(Ended::Refused)
}

/// The status of an object whose spec cannot be read, if that can be.
fn said_of(found: &DynamicObject) -> Option<MarketFeedStatus> {
    serde_json::from_value(found.data.get("status")?.clone()).ok()
}

pub(super) fn api(doing: &'static str) -> impl FnOnce(kube::Error) -> Error {
    move |source| Error::Api { doing, source }
}

/// One look at a feed.
pub(super) struct Look<'a> {
    pub(super) feed: &'a MarketFeed,
    pub(super) context: &'a Context,
    pub(super) writes: Writes<'a>,
    pub(super) now_s: i64,
}

impl Look<'_> {
    async fn keep(&self, memory: &mut Memory) -> Result<Ended, Error> {
        let said = self.said();
        memory.undecodable = None;
        memory.is_asked |= self.is_changed();
        let valid = match validate(self.feed) {
            Ok(valid) => valid,
            Err(error) => return self.refuse(&error, memory).await,
        };
        let mut seen = self.context.stores.of(&valid.identity);
        let is_sign = is_perhaps_ending(&seen);
        if self.is_ending(&valid.identity, is_sign, memory).await {
            return self.give_up().await;
        }
        hold(&self.writes, &self.feed.metadata, valid.is_purged()).await?;
        seen.adopt(|key, uid| memory.ledger.is_applied(key, uid));
        if !seen.leftovers.is_empty() {
            let mut leftovers: Vec<String> =
                seen.leftovers.iter().map(ToString::to_string).collect();
            leftovers.sort();
            let waiting = status::succeeding(&leftovers, &said, self.now_s);
            self.say(&waiting, memory).await?;
            return Ok(Ended::Again(Next::Soon));
        }
        let in_force = in_force(&valid, &seen, memory);
        let assignment = self.plan(&valid, in_force.as_ref())?;
        let objects = build(&valid, &assignment, &self.context.release).to_json()?;
        let mut pass = Pass::new(&valid, &seen, &assignment, Refusals::after(memory.failed));
        self.apply(objects, &mut pass, memory).await?;
        if pass.refusals.is_ending() {
            memory.ending.handle_answer(true, self.now_s);
            return self.give_up().await;
        }
        self.refresh_files(&mut pass, memory).await?;
        let mut observed = self.observe(&valid, &seen, &assignment, memory).await;
        observed.waits_for = pass.waits_for.take();
        observed.refused = pass.refusals.told();
        observed.taken = memory.ledger.taken().map(ToString::to_string).collect();
        let judged = status::judge(
            &valid,
            &assignment,
            &observed,
            &said,
            &mut memory.patience,
            self.now_s,
        );
        self.say(&judged, memory).await?;
        self.mark_pods(&valid, &seen, &observed, memory).await?;
        pass.refusals.end()?;
        Ok(Ended::Again(Next::Usual))
    }

    /// One that cannot run as it is. It may have run before, and is kept then until it is deleted, or its namespace is.
    async fn refuse(&self, error: &Invalid, memory: &mut Memory) -> Result<Ended, Error> {
        if let Ok(known) = validate_removal(self.feed) {
            let seen = self.context.stores.of(&known.identity);
            let is_sign = is_perhaps_ending(&seen);
            if self.is_ending(&known.identity, is_sign, memory).await {
                return self.give_up().await;
            }
        }
        let refused = status::refused(error, &self.said(), self.now_s);
        self.say(&refused, memory).await?;
        Ok(Ended::Refused)
    }

    /// Whether its user has changed it since something was said of it.
    fn is_changed(&self) -> bool {
        let said = self.feed.status.as_ref();
        let spoken_of = said.and_then(|status| status.observed_generation);
        spoken_of != self.feed.metadata.generation
    }

    /// Goes on from the newest assignment that is known. Where none is left, its number is still above any that was: the
    /// processes and the log take no lower one.
    fn plan(&self, valid: &ValidFeed, in_force: Option<&Assignment>) -> Result<Assignment, Error> {
        let said = self
            .feed
            .status
            .as_ref()
            .and_then(|status| status.assignment.as_ref());
        let floor = said
            .and_then(|said| u64::try_from(said.generation).ok())
            .unwrap_or(0);
        Ok(plan::assignment_above(valid, in_force, floor)?)
    }

    pub(super) fn said(&self) -> Said<'_> {
        Said {
            status: self.feed.status.as_ref(),
            generation: self.feed.metadata.generation.unwrap_or_default(),
            version: Some(env!("CARGO_PKG_VERSION")),
        }
    }

    /// Nothing is sent that says what was said.
    pub(super) async fn say(
        &self,
        status: &MarketFeedStatus,
        memory: &mut Memory,
    ) -> Result<(), Error> {
        self.context.note_ready(memory, status::readiness(status));
        let is_cut_short = |word: &Word| {
            let lately = |at_s| self.now_s.saturating_sub(at_s) < CUT_SHORT_FOR_S;
            word.cut_short_s.is_some_and(lately) && word.status == *status
        };
        if self.feed.status.as_ref() == Some(status)
            || memory.word.as_ref().is_some_and(is_cut_short)
        {
            return Ok(());
        }
        let name = self.feed.name_any();
        let said = self.writes.status(&name, status).await;
        let (version, lacking) = said.map_err(api("say how it is"))?;
        if !lacking.is_empty() {
            tracing::warn!(
                feed = name,
                namespace = self.writes.namespace,
                fields = lacking.join(", "),
                "the definition in the cluster is older than this operator, and has not all fields of the status: \
                 apply crds/ of this release"
            );
        }
        memory.word = Some(Word {
            status: status.clone(),
            version,
            cut_short_s: (!lacking.is_empty()).then_some(self.now_s),
        });
        let before = self.feed.status.iter();
        let before: Vec<_> = before
            .flat_map(|status| status.conditions.clone())
            .collect();
        for transition in transitions(&before, &status.conditions) {
            self.context
                .tell(&self.feed.object_ref(&()), transition)
                .await;
        }
        Ok(())
    }
}

/// The feed with what was said of it last, where what is watched is behind that: else it would be said again, as of now.
fn caught_up(feed: &MarketFeed, memory: &Memory) -> Option<MarketFeed> {
    let word = memory.word.as_ref()?;
    let is_behind = version(&feed.metadata) < word.version;
    is_behind.then(|| MarketFeed {
        status: Some(word.status.clone()),
        ..feed.clone()
    })
}

/// The newest assignment that is known.
fn in_force(valid: &ValidFeed, seen: &Seen, memory: &Memory) -> Option<Assignment> {
    let name = names::assignment(&valid.identity);
    let map = seen.config_maps.iter().find(|map| map.name_any() == name);
    let text = map.and_then(|map| map.data.as_ref()?.get(ASSIGNMENT_KEY));
    let watched = text.and_then(|text| Assignment::parse(text.as_bytes()).ok());
    let known = watched.into_iter().chain(memory.assignment.clone());
    known.max_by_key(Assignment::generation)
}

/// A feed is kept until its streams are removed, if they are to be.
pub(super) async fn hold(
    writes: &Writes<'_>,
    meta: &ObjectMeta,
    is_purged: bool,
) -> Result<(), Error> {
    if is_held(meta) == is_purged {
        return Ok(());
    }
    let mut finalizers = meta.finalizers.clone().unwrap_or_default();
    if is_purged {
        finalizers.push(FINALIZER.to_owned());
    } else {
        finalizers.retain(|finalizer| finalizer != FINALIZER);
    }
    writes
        .finalizers(meta, &finalizers)
        .await
        .map_err(api("set the finalizer"))
}

/// Whether a feed is kept.
pub(super) fn is_held(meta: &ObjectMeta) -> bool {
    let mut finalizers = meta.finalizers.iter().flatten();
    finalizers.any(|finalizer| finalizer == FINALIZER)
}

/// Lets a feed go; with what may be left behind, if anything.
pub(super) async fn release(
    writes: &Writes<'_>,
    meta: &ObjectMeta,
    left: Option<&str>,
) -> Result<Ended, Error> {
    if let Some(left) = left {
        let feed = meta.name.as_deref().unwrap_or_default();
        tracing::warn!(feed, namespace = writes.namespace, left, "a feed is let go");
    }
    match hold(writes, meta, false).await {
        Err(Error::Api {
            source: kube::Error::Api(status),
            ..
        }) if status.is_not_found() => Ok(Ended::Gone),
        outcome => outcome.map(|()| Ended::Gone),
    }
}
