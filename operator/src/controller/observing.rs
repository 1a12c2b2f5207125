//! How a feed's parts are, and which of its pods matter most.

use std::collections::BTreeMap;

use futures_util::future::join_all;
use kube::ResourceExt;
use wire::Assignment;
use wire::api::FeedReport;

use super::context::{Error, Memory};
use super::pods::{gateway_pods, gateways, shard_pods};
use super::reconcile::{Look, api};
use super::stores::Seen;
use super::{costs, handover};
use crate::ValidFeed;
use crate::build::names::{self, Component, DELETION_COST_ANNOTATION};
use crate::status::{self, Observed, Scaling, Trouble, Workload};
use crate::validate::Replicas;

/// Pods of shards that go that are asked at one time.
const ASKED_AT_ONCE: usize = 32;

impl Look<'_> {
    pub(super) async fn observe(
        &self,
        valid: &ValidFeed,
        seen: &Seen,
        assignment: &Assignment,
        memory: &mut Memory,
    ) -> Observed {
        let workload = |name: &str, wanted: i32| {
            let found = seen
                .deployments
                .iter()
                .find(|there| there.name_any() == name);
            let none = Workload {
                wanted,
                ready: 0,
                settled: false,
                updated: 0,
            };
            found.map_or(none, |deployment| Workload::of(deployment))
        };
        let replicas = match &valid.gateway.replicas {
            Replicas::Fixed(replicas) => *replicas,
            Replicas::Autoscaled(autoscaling) => autoscaling.min_replicas,
        };
        let identity = &valid.identity;
        let mut gateway = workload(&names::component(identity, Component::Gateway), replicas);
        if let Replicas::Fixed(wanted) = valid.gateway.replicas {
            // The Deployment is made with Kubernetes' own number, and told ours by another write.
            gateway.wanted = wanted;
        }
        let shards = (0..valid.shards.get()).map(|shard| {
            workload(
                &names::shard(identity, wire::ShardId(shard)),
                1 + valid.standbys,
            )
        });
        let scaling = match valid.gateway.replicas {
            Replicas::Autoscaled(_) => seen
                .autoscalers
                .first()
                .map(|autoscaler| Scaling::of(autoscaler)),
            Replicas::Fixed(_) => None,
        };
        let (mut report, mut bus_ready) = (None, None);
        if let Some((address, heard)) = self.heard(seen, memory).await {
            let epochs = status::epochs(&heard, assignment);
            self.ask_owners(&epochs, seen, memory).await;
            if !status::is_anything_heard(&heard, assignment) {
                bus_ready = self.context.ask.bus_ready(&address).await;
            }
            report = Some(heard);
        }
        let shards: Vec<Workload> = shards.collect();
        let settled = shards.iter().all(|shard| shard.settled);
        let is_over = handover::is_all_there(report.as_ref(), assignment, settled)
            && self.is_nothing_left(seen, assignment).await;
        memory.handed_over = is_over.then(|| assignment.generation());
        Observed {
            gateway,
            shards,
            scaling,
            report,
            bus_ready,
            troubles: self.troubles(seen),
            owners: memory.owners.known(),
            ..Observed::default()
        }
    }

    /// Why pods do not run: what pods say of themselves is nearer to it than what their Deployments do.
    fn troubles(&self, seen: &Seen) -> Vec<Trouble> {
        let by_name = |troubles: &mut Vec<Trouble>| troubles.sort_by(|a, b| a.whose.cmp(&b.whose));
        let pods = seen.pods.iter();
        let mut troubles: Vec<Trouble> = pods
            .filter_map(|pod| Trouble::of(pod, self.now_s))
            .collect();
        by_name(&mut troubles);
        let deployments = seen.deployments.iter();
        let mut refused: Vec<Trouble> = deployments
            .filter_map(|deployment| Trouble::of_deployment(deployment))
            .collect();
        by_name(&mut refused);
        troubles.append(&mut refused);
        troubles
    }

    /// What the first gateway hears that answers, of some that are asked at the same time.
    async fn heard(&self, seen: &Seen, memory: &mut Memory) -> Option<(String, FeedReport)> {
        let asked = memory.slow.poll_asked(gateways(&seen.pods), self.now_s);
        let answers = asked.into_iter().map(async |address| {
            let report = self.context.ask.feed(&address).await;
            (address, report)
        });
        let mut first = None;
        for (address, report) in join_all(answers).await {
            memory
                .slow
                .handle_answer(&address, report.is_some(), self.now_s);
            first = first.or_else(|| Some((address, report?)));
        }
        first
    }

    /// Asks the pods of shards that are heard under an epoch of which it is not known whose it is.
    async fn ask_owners(&self, epochs: &BTreeMap<u16, u64>, seen: &Seen, memory: &mut Memory) {
        let pods = shard_pods(&seen.pods);
        let names = pods.iter().map(|pod| pod.name.clone()).collect();
        let asked = memory.owners.poll_questions(epochs, &names, self.now_s);
        let questions = pods.iter().filter(|pod| asked.contains(&pod.shard));
        let answers = questions.map(async |pod| {
            let answer = self.context.ask.shard(&pod.address).await;
            (pod.shard, pod.name.clone(), answer)
        });
        let answers = join_all(answers).await;
        for shard in asked {
            let of_shard = answers.iter().filter(|(of, ..)| *of == shard);
            let claims = of_shard.map(|(_, pod, answer)| (&pod[..], answer.as_ref()));
            let Some(epoch) = epochs.get(&shard) else {
                continue;
            };
            memory.owners.handle_answers(shard, *epoch, claims);
        }
    }

    /// Whether the pods of shards that are not wanted any more say that they have nothing left. In a steady feed there are none.
    async fn is_nothing_left(&self, seen: &Seen, assignment: &Assignment) -> bool {
        let mut pods = shard_pods(&seen.pods);
        pods.retain(|pod| pod.shard >= assignment.shards().get());
        for some in pods.chunks(ASKED_AT_ONCE) {
            let questions = some.iter().map(|pod| self.context.ask.shard(&pod.address));
            let answers = join_all(questions).await;
            let has_nothing =
                |answer: &Option<_>| handover::has_nothing(answer.as_ref(), assignment);
            if !answers.iter().all(has_nothing) {
                return false;
            }
        }
        true
    }

    /// Says on pods which of them are to go first when there are to be fewer: standbys, and the emptiest gateways.
    pub(super) async fn mark_pods(
        &self,
        valid: &ValidFeed,
        seen: &Seen,
        observed: &Observed,
        memory: &mut Memory,
    ) -> Result<(), Error> {
        let marks = shard_pods(&seen.pods).into_iter().filter_map(|pod| {
            // Of a shard whose owner is not known nothing is said.
            let owner = observed.owners.get(&pod.shard)?;
            let wanted = i32::from(*owner == pod.name);
            Some((pod.name, pod.cost, wanted))
        });
        let marks = memory.costs.poll_marks(marks, self.now_s);
        self.mark(marks).await?;
        let Replicas::Autoscaled(autoscaling) = &valid.gateway.replicas else {
            return Ok(());
        };
        let may_shrink = observed.gateway.wanted > autoscaling.min_replicas;
        if may_shrink && memory.costs.is_due(self.now_s) {
            self.mark_gateways(seen, memory).await?;
        }
        Ok(())
    }

    /// The same of the gateways alone, which are asked how many clients each has.
    pub(super) async fn mark_gateways(
        &self,
        seen: &Seen,
        memory: &mut Memory,
    ) -> Result<(), Error> {
        let pods = gateway_pods(&seen.pods);
        let answers = pods.iter().map(async |pod| {
            let connections = self.context.ask.connections(&pod.address).await?;
            Some((
                pod.name.clone(),
                pod.cost,
                costs::of_gateway(connections, pod.cost),
            ))
        });
        let answers = join_all(answers).await.into_iter().flatten();
        let marks = memory.costs.poll_marks(answers, self.now_s);
        self.mark(marks).await
    }

    async fn mark(&self, marks: Vec<(String, i32)>) -> Result<(), Error> {
        for (pod, cost) in marks {
            self.writes
                .annotate_pod(&pod, DELETION_COST_ANNOTATION, &cost.to_string())
                .await
                .map_err(api("say which pods go first"))?;
        }
        Ok(())
    }
}
