//! What is wanted of a feed, applied: only what differs, in an order in which a change does no harm.

use std::time::Duration;

use kube::ResourceExt;
use kube::core::DynamicObject;
use serde_json::Value;
use tokio::time::Instant;
use wire::Assignment;

use super::context::{Error, Memory};
use super::fleet::Fleet;
use super::ledger::{Changes, Key, hash};
use super::pods::{is_going, is_of};
use super::reconcile::{Look, api};
use super::refusals::Refusals;
use super::rollout::{Rollout, There};
use super::standing::Standing;
use super::stores::Seen;
use super::writes::{Force, is_owned};
use crate::ValidFeed;
use crate::build::names::{self, Component, GENERATION_ANNOTATION, MADE_FROM_ANNOTATION};
use crate::status::Workload;
use crate::validate::Replicas;

/// What takes longer than this is told from what does not.
const SLOW: Duration = Duration::from_secs(5);

/// What became of an object.
enum Applied {
    /// It stands so now.
    As(Standing),
    /// Somebody else's object has its name.
    Taken,
}

/// One pass over what is wanted of a feed.
pub(super) struct Pass<'a> {
    pub(super) valid: &'a ValidFeed,
    pub(super) seen: &'a Seen,
    pub(super) assignment: &'a Assignment,
    /// What the API server refuses.
    pub(super) refusals: Refusals,
    /// The feed that an upgrade of this one waits for, if it does.
    pub(super) waits_for: Option<String>,
    gateway: Key,
    rollout: Rollout,
    /// Whether the assignment was refused.
    has_no_file: bool,
}

impl<'a> Pass<'a> {
    pub(super) fn new(
        valid: &'a ValidFeed,
        seen: &'a Seen,
        assignment: &'a Assignment,
        refusals: Refusals,
    ) -> Self {
        Self {
            valid,
            seen,
            assignment,
            refusals,
            waits_for: None,
            gateway: Key {
                kind: "Deployment".to_owned(),
                name: names::component(&valid.identity, Component::Gateway),
            },
            rollout: Rollout::default(),
            has_no_file: false,
        }
    }

    /// Whether pods would run by what somebody else has written, or by an assignment that is not there.
    fn is_blocked(&self, memory: &Memory) -> bool {
        self.has_no_file || memory.ledger.taken().any(|key| key.kind == "ConfigMap")
    }

    /// Whether the gateways' name is somebody else's, or may be.
    fn is_gateway_anothers(&self, memory: &Memory) -> bool {
        let is_ours = self.seen.there.contains_key(&self.gateway);
        memory.ledger.taken().any(|key| *key == self.gateway)
            || (self.is_blocked(memory) && !is_ours)
    }
}

impl Look<'_> {
    /// Applies what is to be. What the API server refuses of it, and whom it waits for, is then said in the pass.
    pub(super) async fn apply(
        &self,
        mut objects: Vec<Value>,
        pass: &mut Pass<'_>,
        memory: &mut Memory,
    ) -> Result<(), Error> {
        sign(&mut objects, &pass.gateway);
        let seen = pass.seen;
        let is_over = memory.handed_over == Some(pass.assignment.generation());
        let linger = self.context.linger(is_over);
        let changes = memory
            .ledger
            .poll_changes(&objects, &seen.there, self.now_s, linger);
        self.handle_progress(&objects, seen, memory);
        let waits = Instant::now();
        let _turn = match changes == Changes::default() {
            true => None,
            false => self.context.turn().await,
        };
        let is_old = waits.elapsed() > SLOW;
        for (at, object) in objects.iter().enumerate() {
            let is_due = changes.apply.contains(&at);
            let (asked, refused) = (Instant::now(), pass.refusals.count());
            self.apply_next(object, is_due, pass, memory).await?;
            if pass.refusals.count() > refused && asked.elapsed() > SLOW {
                // A webhook that is waited for in vain would be for each of them, and others wait for their turn.
                return Ok(());
            }
        }
        self.scale(&objects, pass, memory).await?;
        // What is not wanted by an assignment that was refused may be what runs; and what was not wanted before a long wait may be
        // wanted by now.
        if pass.is_blocked(memory) || is_old {
            return Ok(());
        }
        for key in changes.delete {
            self.delete_one(&key, pass, memory).await?;
        }
        Ok(())
    }

    async fn apply_next(
        &self,
        object: &Value,
        is_due: bool,
        pass: &mut Pass<'_>,
        memory: &mut Memory,
    ) -> Result<(), Error> {
        let key = Key::of(object);
        if key.kind == "Deployment" && pass.is_blocked(memory) {
            return Ok(());
        }
        if key.kind == "HorizontalPodAutoscaler" && pass.is_gateway_anothers(memory) {
            // It would scale what is somebody else's.
            if pass.seen.there.contains_key(&key) {
                self.delete_one(&key, pass, memory).await?;
            }
            return Ok(());
        }
        let may = self.may_apply(object, pass, memory);
        if !may || !is_due {
            return Ok(());
        }
        let applied = self.apply_one(&key, object, pass.seen).await;
        let Some(applied) = pass.refusals.handle(&key.to_string(), applied)? else {
            pass.has_no_file |= key.kind == "ConfigMap";
            if key.kind == "Deployment" {
                let uid = self.feed.uid().unwrap_or_default();
                self.context
                    .fleet(|fleet| fleet.handle_refused(&uid, self.now_s));
            }
            return Ok(());
        };
        let Applied::As(standing) = applied else {
            memory.ledger.handle_taken(key, self.now_s);
            return Ok(());
        };
        memory.ledger.handle_applied(object, standing);
        if key == pass.gateway {
            // It may have been made anew.
            memory.scaled = None;
        }
        if key.kind == "ConfigMap" {
            memory.assignment = Some(pass.assignment.clone());
        }
        Ok(())
    }

    async fn delete_one(
        &self,
        key: &Key,
        pass: &mut Pass<'_>,
        memory: &mut Memory,
    ) -> Result<(), Error> {
        let deleted = self.writes.delete(key).await;
        let deleted = deleted.map_err(api("delete what is not wanted any more"));
        if pass.refusals.handle(&key.to_string(), deleted)?.is_some() {
            memory.ledger.handle_deleted(key);
        }
        Ok(())
    }

    async fn apply_one(&self, key: &Key, object: &Value, seen: &Seen) -> Result<Applied, Error> {
        let doing = if key.kind == "ConfigMap" {
            "apply the assignment"
        } else {
            "apply an object"
        };
        let is_ours = seen.there.contains_key(key);
        let applied = match (&key.kind[..], is_ours) {
            ("ConfigMap", true) => self.writes.apply(&over(object, seen), Force::Yes).await,
            ("ConfigMap", false) => self.writes.create(object).await,
            (_, true) => self.writes.apply(object, Force::Yes).await,
            (_, false) => self.writes.apply(object, Force::No).await,
        };
        let source = match applied {
            Ok(standing) => return Ok(Applied::As(standing)),
            Err(source) => source,
        };
        let may_be_anothers = match &source {
            // A conflict, or fields that cannot be changed.
            kube::Error::Api(status) => !is_ours && [409, 422].contains(&status.code),
            _ => false,
        };
        if !may_be_anothers {
            return Err(Error::Api { doing, source });
        }
        let found = self.writes.find(key).await;
        let found = found.map_err(api("look whose object has a name"))?;
        let uid = self.feed.uid().unwrap_or_default();
        match found {
            Some(found) if !is_owned(&found, &uid) => Ok(Applied::Taken),
            // It is ours, and not watched: somebody has changed its labels, or what is watched is behind.
            Some(_) if key.kind != "ConfigMap" => {
                let applied = self.writes.apply(object, Force::Yes).await;
                applied.map(Applied::As).map_err(api(doing))
            }
            Some(found) => {
                if !is_watched(&found, object) {
                    let labelled = self.writes.label(object).await;
                    labelled.map_err(api("label the assignment again"))?;
                }
                // What it says has to be known before it is written over.
                Err(Error::Api { doing, source })
            }
            None => Err(Error::Api { doing, source }),
        }
    }

    /// Whether it is a workload's turn, and its feed's; others have none to wait for.
    fn may_apply(&self, object: &Value, pass: &mut Pass<'_>, memory: &Memory) -> bool {
        let key = Key::of(object);
        if key.kind != "Deployment" {
            return true;
        }
        let there = there(&key, pass.seen);
        let wanted = made_from(object);
        if !pass.rollout.handle_next(there, wanted) {
            return false;
        }
        // One that does not run as it is has no clients to spare.
        let is_upgrade =
            there.is_some_and(|there| there.made_from != Some(wanted) && there.settled);
        if !is_upgrade || memory.is_asked {
            return true;
        }
        let uid = self.feed.uid().unwrap_or_default();
        let name = format!("{}/{}", self.writes.namespace, self.feed.name_any());
        let wish = |fleet: &mut Fleet| fleet.handle_wish(&uid, &name, self.now_s);
        match self.context.fleet(wish) {
            Ok(()) => true,
            Err(other) => {
                pass.waits_for = Some(other);
                false
            }
        }
    }

    /// How far its workloads are, for those who wait.
    fn handle_progress(&self, objects: &[Value], seen: &Seen, memory: &mut Memory) {
        let workloads = objects
            .iter()
            .filter(|object| Key::of(object).kind == "Deployment");
        let (mut all, mut progress) = (true, 0_u64);
        for object in workloads {
            let there = there(&Key::of(object), seen);
            let as_wanted = there.filter(|there| there.made_from == Some(made_from(object)));
            let settled = as_wanted.is_some_and(|there| there.settled);
            all &= settled;
            let updated = as_wanted.map_or(0, |there| u64::from(there.updated));
            // Of which settled ones weigh more than any number of pods.
            progress += updated + if settled { 1 << 32 } else { 0 };
        }
        if all {
            memory.is_asked = false;
        }
        let uid = self.feed.uid().unwrap_or_default();
        let progress = (!all).then_some(progress);
        self.context
            .fleet(|fleet| fleet.handle_progress(&uid, progress, self.now_s));
    }

    /// Says how many gateways there are, where no autoscaler does.
    async fn scale(
        &self,
        objects: &[Value],
        pass: &mut Pass<'_>,
        memory: &mut Memory,
    ) -> Result<(), Error> {
        let Replicas::Fixed(replicas) = pass.valid.gateway.replicas else {
            return Ok(());
        };
        let (gateway, seen) = (pass.gateway.clone(), pass.seen);
        let is_there = seen.there.contains_key(&gateway) || memory.ledger.is_known(&gateway);
        if pass.is_blocked(memory) || pass.is_gateway_anothers(memory) || !is_there {
            return Ok(());
        }
        let mut deployments = seen.deployments.iter();
        let there = deployments.find(|deployment| deployment.name_any() == gateway.name);
        let there = there.and_then(|there| there.spec.as_ref()?.replicas);
        let seen_version = seen.there.get(&gateway).map_or(0, |there| there.version);
        let is_said = |(of, version): (i32, u64)| of == replicas && seen_version < version;
        if there == Some(replicas) || memory.scaled.is_some_and(is_said) {
            return Ok(());
        }
        if there.is_some_and(|there| there > replicas) {
            self.mark_gateways(seen, memory).await?;
        }
        let scaled = self.writes.scale(&gateway.name, replicas).await;
        let scaled = scaled.map_err(api("say how many gateways there are"));
        let standing = pass.refusals.handle(&gateway.to_string(), scaled)?;
        let object = objects.iter().find(|object| Key::of(object) == gateway);
        if let (Some(object), Some(standing)) = (object, standing) {
            memory.scaled = Some((replicas, standing.version));
            memory.ledger.handle_scaled(object, &standing);
        }
        Ok(())
    }

    /// Pods that run are told of another assignment: their kubelet reads it at once then, and within minutes otherwise. Not
    /// before it is written: their kubelet would read the old one, and they would not be told once more.
    pub(super) async fn refresh_files(
        &self,
        pass: &mut Pass<'_>,
        memory: &Memory,
    ) -> Result<(), Error> {
        if pass.is_blocked(memory) {
            return Ok(());
        }
        let generation = pass.assignment.generation().to_string();
        for pod in pass
            .seen
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
            let told = told.map_err(api("tell a pod of the assignment"));
            let pod = format!("Pod {}", pod.name_any());
            pass.refusals.handle(&pod, told)?;
        }
        Ok(())
    }
}

/// Whether it has the labels by which what is wanted is watched.
fn is_watched(found: &DynamicObject, wanted: &Value) -> bool {
    let labels = wanted["metadata"]["labels"].as_object();
    let mut labels = labels.into_iter().flatten();
    labels.all(|(key, value)| found.labels().get(key).map(String::as_str) == value.as_str())
}

/// Says on each workload what it is made from.
fn sign(objects: &mut [Value], gateway: &Key) {
    for object in objects {
        let key = Key::of(object);
        if key == *gateway {
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
}

fn made_from(object: &Value) -> &str {
    object["metadata"]["annotations"][MADE_FROM_ANNOTATION]
        .as_str()
        .unwrap_or_default()
}

fn there<'a>(key: &Key, seen: &'a Seen) -> Option<There<'a>> {
    let mut deployments = seen.deployments.iter();
    let found = deployments.find(|there| there.name_any() == key.name)?;
    let workload = Workload::of(found);
    Some(There {
        made_from: found
            .annotations()
            .get(MADE_FROM_ANNOTATION)
            .map(String::as_str),
        settled: workload.settled,
        updated: u32::try_from(workload.updated).unwrap_or(0),
    })
}

/// The assignment, only over the one that was gone on from: two operators at a time would write two of one number.
fn over(object: &Value, seen: &Seen) -> Value {
    let mut object = object.clone();
    if let Some(there) = seen.there.get(&Key::of(&object)) {
        object["metadata"]["resourceVersion"] = Value::String(there.version.to_string());
    }
    object
}
