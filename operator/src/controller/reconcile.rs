//! One feed, from what is wanted to what is said of it: validate, plan, build, apply, observe, say.

use kube::ResourceExt;
use kube::core::error_boundary::InvalidObject;
use serde_json::Value;
use wire::Assignment;

use super::context::{Context, Error, Memory};
use super::deletion::{self, FINALIZER, Step};
use super::ledger::{Key, hash};
use super::pods::{gateways, is_going, is_of, remains};
use super::rollout::{Rollout, There};
use super::stores::Seen;
use super::writes::Writes;
use crate::build::names::{
    self, ASSIGNMENT_KEY, Component, GENERATION_ANNOTATION, MADE_FROM_ANNOTATION,
};
use crate::build::{build, purge_job};
use crate::spec::{MarketFeed, MarketFeedStatus};
use crate::status::{Observed, Said, Scaling, Trouble, Workload};
use crate::validate::{Replicas, validate};
use crate::{ValidFeed, plan, status};

/// When to look again, if nothing happens before.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Next {
    /// As usual.
    Usual,
    /// Soon: something is waited for that tells nobody.
    Soon,
}

/// Gateways that are asked until one answers.
const ASKED_MAX: usize = 2;

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
    let uid = feed.uid().unwrap_or_default();
    // One feed is looked at once at a time.
    let mut memory = context.take(&uid);
    let look = Look {
        feed,
        context,
        writes: Writes {
            client: &context.client,
            namespace: feed.metadata.namespace.as_deref().unwrap_or_default(),
        },
        now_s: now_s(),
    };
    let outcome = if feed.metadata.deletion_timestamp.is_some() {
        look.delete().await
    } else {
        look.keep(&mut memory).await
    };
    if !matches!(outcome, Ok(None)) {
        context.with(|memories| memories.insert(uid, memory));
    }
    outcome.map(|next| next.unwrap_or(Next::Usual))
}

/// Says once of an object that it cannot be read. Others are not held up by it.
///
/// # Errors
/// When the API server does not take it.
pub async fn undecodable(invalid: &InvalidObject, context: &Context) -> Result<(), Error> {
    let meta = &invalid.metadata;
    let uid = meta.uid.clone().unwrap_or_default();
    let mut memory = context.take(&uid);
    if memory.undecodable.as_ref() == Some(&invalid.error) {
        context.with(|memories| memories.insert(uid, memory));
        return Ok(());
    }
    let writes = Writes {
        client: &context.client,
        namespace: meta.namespace.as_deref().unwrap_or_default(),
    };
    let said = status::undecodable(&invalid.error, meta.generation.unwrap_or_default(), now_s());
    let name = meta.name.as_deref().unwrap_or_default();
    let told = writes.status_of_undecodable(name, &said).await;
    if told.is_ok() {
        memory.undecodable = Some(invalid.error.clone());
    }
    context.with(|memories| memories.insert(uid, memory));
    told.map_err(api("say that it cannot be read"))
}

fn api(doing: &'static str) -> impl FnOnce(kube::Error) -> Error {
    move |source| Error::Api { doing, source }
}

fn now_s() -> i64 {
    k8s_openapi::jiff::Timestamp::now().as_second()
}

/// One look at a feed.
struct Look<'a> {
    feed: &'a MarketFeed,
    context: &'a Context,
    writes: Writes<'a>,
    now_s: i64,
}

impl Look<'_> {
    async fn keep(&self, memory: &mut Memory) -> Result<Option<Next>, Error> {
        let said = self.said();
        let valid = match validate(self.feed) {
            Ok(valid) => valid,
            Err(error) => {
                self.say(&status::refused(&error, &said, self.now_s))
                    .await?;
                return Ok(Some(Next::Usual));
            }
        };
        self.hold(valid.is_purged()).await?;
        let seen = self.context.stores.of(&valid.identity);
        let assignment = self.plan(&valid, &seen, memory)?;
        let objects = build(&valid, &assignment, &self.context.release).to_json()?;
        self.apply(&valid, objects, &seen, &assignment, memory)
            .await?;
        self.refresh_files(&seen, &assignment).await?;
        let observed = self.observe(&valid, &seen).await;
        let judged = status::judge(
            &valid,
            &assignment,
            &observed,
            &said,
            &mut memory.patience,
            self.now_s,
        );
        self.say(&judged).await?;
        Ok(Some(Next::Usual))
    }

    /// Goes on from the newest assignment that is known. Where none is left, its number is still above any that was: the
    /// processes and the log take no lower one.
    fn plan(&self, valid: &ValidFeed, seen: &Seen, memory: &Memory) -> Result<Assignment, Error> {
        let name = names::assignment(&valid.identity);
        let map = seen.config_maps.iter().find(|map| map.name_any() == name);
        let text = map.and_then(|map| map.data.as_ref()?.get(ASSIGNMENT_KEY));
        let watched = text.and_then(|text| Assignment::parse(text.as_bytes()).ok());
        let known = watched.into_iter().chain(memory.assignment.clone());
        let newest = known.max_by_key(Assignment::generation);
        let said = self
            .feed
            .status
            .as_ref()
            .and_then(|status| status.assignment.as_ref());
        let floor = said
            .and_then(|said| u64::try_from(said.generation).ok())
            .unwrap_or(0);
        Ok(plan::assignment_above(valid, newest.as_ref(), floor)?)
    }

    async fn apply(
        &self,
        valid: &ValidFeed,
        mut objects: Vec<Value>,
        seen: &Seen,
        assignment: &Assignment,
        memory: &mut Memory,
    ) -> Result<(), Error> {
        let gateway = names::component(&valid.identity, Component::Gateway);
        let gateway = Key {
            kind: "Deployment".to_owned(),
            name: gateway,
        };
        for object in &mut objects {
            let key = Key::of(object);
            if key == gateway {
                // Their number has an owner of its own.
                if let Some(spec) = object["spec"].as_object_mut() {
                    spec.remove("replicas");
                }
            }
            if key.kind == "Deployment" {
                let made_from = format!("{:016x}", hash(object));
                object["metadata"]["annotations"][MADE_FROM_ANNOTATION] = Value::String(made_from);
            }
        }
        let linger_s = i64::try_from(self.context.linger.as_secs()).unwrap_or(i64::MAX);
        let changes = memory
            .ledger
            .poll_changes(&objects, &seen.versions, self.now_s, linger_s);
        let mut rollout = Rollout::default();
        for (at, object) in objects.iter().enumerate() {
            let may = may_apply(&mut rollout, object, seen);
            if !may || !changes.apply.contains(&at) {
                continue;
            }
            let key = Key::of(object);
            let version = if key.kind == "ConfigMap" {
                let version = self.apply_assignment(object, seen).await?;
                memory.assignment = Some(assignment.clone());
                version
            } else {
                self.writes
                    .apply(object)
                    .await
                    .map_err(api("apply an object"))?
            };
            memory.ledger.handle_applied(object, version);
        }
        if let Replicas::Fixed(replicas) = valid.gateway.replicas {
            let there = seen
                .deployments
                .iter()
                .find(|deployment| deployment.name_any() == gateway.name);
            let as_wanted = there.is_some_and(|there| {
                there.spec.as_ref().and_then(|spec| spec.replicas) == Some(replicas)
            });
            if !as_wanted {
                let scaled = self.writes.scale(&gateway.name, replicas).await;
                let version = scaled.map_err(api("say how many gateways there are"))?;
                if let Some(object) = objects.iter().find(|object| Key::of(object) == gateway) {
                    memory.ledger.handle_applied(object, version);
                }
            }
        }
        for key in changes.delete {
            self.writes
                .delete(&key)
                .await
                .map_err(api("delete what is not wanted any more"))?;
            memory.ledger.handle_deleted(&key);
        }
        Ok(())
    }

    /// Only over the one that was gone on from: two operators at a time would write two of one number.
    async fn apply_assignment(&self, object: &Value, seen: &Seen) -> Result<u64, Error> {
        let key = Key::of(object);
        let there = seen
            .config_maps
            .iter()
            .find(|map| map.name_any() == key.name);
        let mut object = object.clone();
        if let Some(version) = there.and_then(|there| there.resource_version()) {
            object["metadata"]["resourceVersion"] = Value::String(version);
        }
        self.writes
            .apply(&object)
            .await
            .map_err(api("apply the assignment"))
    }

    /// Pods that run are told of another assignment: their kubelet reads it at once then, and within minutes otherwise.
    async fn refresh_files(&self, seen: &Seen, assignment: &Assignment) -> Result<(), Error> {
        let generation = assignment.generation().to_string();
        for pod in seen
            .pods
            .iter()
            .filter(|pod| is_of(pod, Component::Marketdata))
        {
            if pod.annotations().get(GENERATION_ANNOTATION) == Some(&generation) || is_going(pod) {
                continue;
            }
            let told = self
                .writes
                .annotate_pod(&pod.name_any(), GENERATION_ANNOTATION, &generation)
                .await;
            told.map_err(api("tell a pod of the assignment"))?;
        }
        Ok(())
    }

    async fn observe(&self, valid: &ValidFeed, seen: &Seen) -> Observed {
        let workload = |name: &str, wanted: i32| {
            let found = seen
                .deployments
                .iter()
                .find(|there| there.name_any() == name);
            let none = Workload {
                wanted,
                ready: 0,
                settled: false,
            };
            found.map_or(none, |deployment| Workload::of(deployment))
        };
        let replicas = match &valid.gateway.replicas {
            Replicas::Fixed(replicas) => *replicas,
            Replicas::Autoscaled(autoscaling) => autoscaling.min_replicas,
        };
        let identity = &valid.identity;
        let shards = (0..valid.shards.get()).map(|shard| {
            workload(
                &names::shard(identity, wire::ShardId(shard)),
                1 + valid.standbys,
            )
        });
        let mut troubles: Vec<Trouble> = seen
            .pods
            .iter()
            .filter_map(|pod| Trouble::of(pod, self.now_s))
            .collect();
        troubles.sort_by(|a, b| a.pod.cmp(&b.pod));
        let scaling = match valid.gateway.replicas {
            Replicas::Autoscaled(_) => seen
                .autoscalers
                .first()
                .map(|autoscaler| Scaling::of(autoscaler)),
            Replicas::Fixed(_) => None,
        };
        let mut report = None;
        for address in gateways(&seen.pods).into_iter().take(ASKED_MAX) {
            report = self.context.ask.ask(&address).await;
            if report.is_some() {
                break;
            }
        }
        Observed {
            gateway: workload(&names::component(identity, Component::Gateway), replicas),
            shards: shards.collect(),
            scaling,
            report,
            troubles,
        }
    }

    /// Is kept until its streams are removed, if they are to be.
    async fn hold(&self, is_purged: bool) -> Result<(), Error> {
        let mut finalizers = self.feed.finalizers().to_vec();
        let is_held = finalizers.iter().any(|finalizer| finalizer == FINALIZER);
        if is_held == is_purged {
            return Ok(());
        }
        if is_purged {
            finalizers.push(FINALIZER.to_owned());
        } else {
            finalizers.retain(|finalizer| finalizer != FINALIZER);
        }
        self.writes
            .finalizers(self.feed, &finalizers)
            .await
            .map_err(api("set the finalizer"))
    }

    /// `None` when it is let go: nothing is remembered of it then.
    async fn delete(&self) -> Result<Option<Next>, Error> {
        if !self
            .feed
            .finalizers()
            .iter()
            .any(|finalizer| finalizer == FINALIZER)
        {
            return Ok(None);
        }
        let Ok(valid) = validate(self.feed) else {
            return self
                .release(Some("it cannot be told what it has on NATS"))
                .await;
        };
        let remains = remains(&valid.identity, &self.context.stores.of(&valid.identity));
        let since = self
            .feed
            .metadata
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
                Ok(Some(Next::Soon))
            }
            Step::Purge => {
                let job = serde_json::to_value(purge_job(&valid, &self.context.release))?;
                match self.writes.apply(&job).await {
                    Ok(_) => Ok(Some(Next::Soon)),
                    Err(kube::Error::Api(status)) if is_terminating(&status) => {
                        self.release(Some(
                            "its namespace goes too, and nothing can be started in it",
                        ))
                        .await
                    }
                    Err(source) => Err(Error::Api {
                        doing: "start the purge",
                        source,
                    }),
                }
            }
            Step::Wait => Ok(Some(Next::Soon)),
            Step::Release(left) => self.release(left.as_deref()).await,
        }
    }

    async fn release(&self, left: Option<&str>) -> Result<Option<Next>, Error> {
        if let Some(left) = left {
            tracing::warn!(feed = self.feed.name_any(), left, "a feed is let go");
        }
        match self.hold(false).await {
            Err(Error::Api {
                source: kube::Error::Api(status),
                ..
            }) if status.is_not_found() => Ok(None),
            outcome => outcome.map(|()| None),
        }
    }

    fn said(&self) -> Said<'_> {
        Said {
            status: self.feed.status.as_ref(),
            generation: self.feed.metadata.generation.unwrap_or_default(),
            version: Some(env!("CARGO_PKG_VERSION")),
        }
    }

    /// Nothing is sent that says what was said.
    async fn say(&self, status: &MarketFeedStatus) -> Result<(), Error> {
        if self.feed.status.as_ref() == Some(status) {
            return Ok(());
        }
        self.writes
            .status(&self.feed.name_any(), status)
            .await
            .map_err(api("say how it is"))
    }
}

/// Whether it is a workload's turn; others have none to wait for.
fn may_apply(rollout: &mut Rollout, object: &Value, seen: &Seen) -> bool {
    let Key { kind, name } = Key::of(object);
    if kind != "Deployment" {
        return true;
    }
    let wanted = &object["metadata"]["annotations"][MADE_FROM_ANNOTATION];
    let found = seen
        .deployments
        .iter()
        .find(|there| there.name_any() == name);
    let there = found.map(|there| There {
        made_from: there
            .annotations()
            .get(MADE_FROM_ANNOTATION)
            .map(String::as_str),
        settled: Workload::of(there).settled,
    });
    rollout.handle_next(there, wanted.as_str().unwrap_or_default())
}

fn is_terminating(status: &kube::core::Status) -> bool {
    let causes = status.details.iter().flat_map(|details| &details.causes);
    causes
        .into_iter()
        .any(|cause| cause.reason == "NamespaceTerminating")
}
