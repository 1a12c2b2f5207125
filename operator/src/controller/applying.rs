//! What is wanted of a feed, applied: only what differs, in an order in which a change does no harm.

use kube::ResourceExt;
use serde_json::Value;
use wire::Assignment;

use super::context::{Error, Memory};
use super::fleet::Fleet;
use super::ledger::{Key, Version, hash};
use super::pods::{is_going, is_of};
use super::reconcile::{Look, api};
use super::rollout::{Rollout, There};
use super::stores::Seen;
use super::writes::Force;
use crate::ValidFeed;
use crate::build::names::{self, Component, GENERATION_ANNOTATION, MADE_FROM_ANNOTATION};
use crate::status::Workload;
use crate::validate::Replicas;

/// What became of an object.
enum Applied {
    /// It is of that version now.
    As(Version),
    /// Somebody else's object has its name.
    Taken,
}

impl Look<'_> {
    /// Gives the feed that an upgrade of this one waits for, if it does.
    pub(super) async fn apply(
        &self,
        valid: &ValidFeed,
        mut objects: Vec<Value>,
        seen: &Seen,
        assignment: &Assignment,
        memory: &mut Memory,
    ) -> Result<Option<String>, Error> {
        let gateway = Key {
            kind: "Deployment".to_owned(),
            name: names::component(&valid.identity, Component::Gateway),
        };
        sign(&mut objects, &gateway);
        let linger_s = i64::try_from(self.context.linger.as_secs()).unwrap_or(i64::MAX);
        let changes = memory
            .ledger
            .poll_changes(&objects, &seen.versions, self.now_s, linger_s);
        self.handle_progress(&objects, seen, memory);
        let mut waits_for = None;
        let mut rollout = Rollout::default();
        for (at, object) in objects.iter().enumerate() {
            let key = Key::of(object);
            if key.kind == "Deployment" && is_blocked(memory) {
                // Its pods would run by what somebody else has written.
                continue;
            }
            let may = self.may_apply(&mut rollout, object, seen, memory, &mut waits_for);
            if !may || !changes.apply.contains(&at) {
                continue;
            }
            let Applied::As(version) = self.apply_one(&key, object, seen).await? else {
                memory.ledger.handle_taken(key, self.now_s);
                continue;
            };
            memory.ledger.handle_applied(object, version);
            if key.kind == "ConfigMap" {
                memory.assignment = Some(assignment.clone());
            }
        }
        self.scale(valid, &gateway, &objects, seen, memory).await?;
        for key in changes.delete {
            self.writes
                .delete(&key)
                .await
                .map_err(api("delete what is not wanted any more"))?;
            memory.ledger.handle_deleted(&key);
        }
        Ok(waits_for)
    }

    async fn apply_one(&self, key: &Key, object: &Value, seen: &Seen) -> Result<Applied, Error> {
        let is_ours = seen.versions.contains_key(key);
        let applied = match (&key.kind[..], is_ours) {
            ("ConfigMap", true) => self.writes.apply(&over(object, seen), Force::Yes).await,
            ("ConfigMap", false) => self.writes.create(object).await,
            (_, true) => self.writes.apply(object, Force::Yes).await,
            (_, false) => self.writes.apply(object, Force::No).await,
        };
        let source = match applied {
            Ok(version) => return Ok(Applied::As(version)),
            Err(source) => source,
        };
        let may_be_anothers = match &source {
            // A conflict, or fields that cannot be changed.
            kube::Error::Api(status) => !is_ours && [409, 422].contains(&status.code),
            _ => false,
        };
        let uid = self.feed.uid().unwrap_or_default();
        if may_be_anothers
            && self
                .writes
                .is_anothers(key, &uid)
                .await
                .map_err(api("look whose object has a name"))?
        {
            return Ok(Applied::Taken);
        }
        // What was watched is behind.
        let doing = if key.kind == "ConfigMap" {
            "apply the assignment"
        } else {
            "apply an object"
        };
        Err(Error::Api { doing, source })
    }

    /// Whether it is a workload's turn, and its feed's; others have none to wait for.
    fn may_apply(
        &self,
        rollout: &mut Rollout,
        object: &Value,
        seen: &Seen,
        memory: &Memory,
        waits_for: &mut Option<String>,
    ) -> bool {
        let key = Key::of(object);
        if key.kind != "Deployment" {
            return true;
        }
        let there = there(&key, seen);
        let wanted = made_from(object);
        if !rollout.handle_next(there, wanted) {
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
                *waits_for = Some(other);
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
        valid: &ValidFeed,
        gateway: &Key,
        objects: &[Value],
        seen: &Seen,
        memory: &mut Memory,
    ) -> Result<(), Error> {
        let Replicas::Fixed(replicas) = valid.gateway.replicas else {
            return Ok(());
        };
        if is_blocked(memory) || memory.ledger.taken().any(|key| key == gateway) {
            return Ok(());
        }
        let mut deployments = seen.deployments.iter();
        let there = deployments.find(|deployment| deployment.name_any() == gateway.name);
        let there = there.and_then(|there| there.spec.as_ref()?.replicas);
        if there == Some(replicas) {
            return Ok(());
        }
        if there.is_some_and(|there| there > replicas) {
            self.mark_gateways(seen, memory).await?;
        }
        let scaled = self.writes.scale(&gateway.name, replicas).await;
        let version = scaled.map_err(api("say how many gateways there are"))?;
        if let Some(object) = objects.iter().find(|object| Key::of(object) == *gateway) {
            memory.ledger.handle_applied(object, version);
        }
        Ok(())
    }

    /// Pods that run are told of another assignment: their kubelet reads it at once then, and within minutes otherwise.
    pub(super) async fn refresh_files(
        &self,
        seen: &Seen,
        assignment: &Assignment,
    ) -> Result<(), Error> {
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
}

/// Whether the assignment's name is somebody else's.
fn is_blocked(memory: &Memory) -> bool {
    memory.ledger.taken().any(|key| key.kind == "ConfigMap")
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
    let key = Key::of(object);
    let mut maps = seen.config_maps.iter();
    let there = maps.find(|map| map.name_any() == key.name);
    let mut object = object.clone();
    if let Some(version) = there.and_then(|there| there.resource_version()) {
        object["metadata"]["resourceVersion"] = Value::String(version);
    }
    object
}
