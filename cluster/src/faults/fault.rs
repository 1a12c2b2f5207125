//! The fault itself: breaking and mending.

use std::time::Duration;

use anyhow::{Context, Result};

use super::plan::{Kind, Plan};
use crate::topology::{Member, Topology};
use crate::wait::{self, PATIENCE};

/// How long a process may take to end when it is asked to: more than any drain.
const END_MAX: Duration = Duration::from_secs(45);

/// Something that is broken and waits to be mended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Fault {
    /// A process is gone.
    Gone(Place),
    /// A process stands still.
    Paused(Place),
    /// A process is cut off from NATS.
    CutOff(Place),
    /// All processes of a shard are gone.
    Shard(usize),
    /// A NATS node is gone.
    Node(usize),
}

/// Which process.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Place {
    /// Of a shard, by its number.
    Marketdata(usize, usize),
    /// A gateway by its number.
    Gateway(usize),
}

impl Fault {
    /// Breaks what the plan says.
    ///
    /// # Errors
    /// When there is no owner or no leader to break, or it does not end when asked to.
    pub(super) async fn inject(topology: &mut Topology, plan: &Plan) -> Result<Self> {
        Ok(match plan.kind {
            Kind::Kill9Active => {
                let place = owner(topology, plan.shard).await?;
                place.of(topology).process().kill()?;
                Self::Gone(place)
            }
            Kind::TermActive => {
                let place = owner(topology, plan.shard).await?;
                place.of(topology).process().ask_to_stop()?;
                Self::Gone(place)
            }
            Kind::StopLongerThanLease => {
                let place = owner(topology, plan.shard).await?;
                place.of(topology).process().pause()?;
                Self::Paused(place)
            }
            Kind::PartitionOwner => {
                let place = owner(topology, plan.shard).await?;
                place.of(topology).link().cut();
                Self::CutOff(place)
            }
            Kind::Kill9Shard => {
                for nth in 0..topology.options().instances {
                    topology.marketdata(plan.shard, nth).process().kill()?;
                }
                Self::Shard(plan.shard)
            }
            Kind::KillNatsNode => Self::kill_node(topology, plan.node)?,
            Kind::KillNatsLeader => {
                let leader = leader_of_closes(topology).await?;
                Self::kill_node(topology, leader)?
            }
            Kind::RestartGateway => {
                let place = Place::Gateway(plan.gateway);
                place.of(topology).process().ask_to_stop()?;
                Self::Gone(place)
            }
        })
    }

    fn kill_node(topology: &mut Topology, node: usize) -> Result<Self> {
        topology.nats().node(node).kill()?;
        Ok(Self::Node(node))
    }

    /// Mends it; the topology is whole again when this returns.
    ///
    /// # Errors
    /// When a part does not come back.
    pub(super) async fn mend(self, topology: &mut Topology) -> Result<()> {
        match self {
            Self::Gone(place) => {
                let member = place.of(topology);
                if member.process().pid().is_some() {
                    member.process().ended(END_MAX).await?;
                }
                member.restart().await?;
            }
            Self::Paused(place) => place.of(topology).process().resume()?,
            Self::CutOff(place) => place.of(topology).link().heal(),
            Self::Shard(shard) => {
                for nth in 0..topology.options().instances {
                    topology.marketdata(shard, nth).restart().await?;
                }
            }
            Self::Node(node) => topology.nats().node(node).restart().await?,
        }
        topology.ready().await?;
        topology.nats().level(PATIENCE).await
    }
}

impl Place {
    fn of(self, topology: &mut Topology) -> &mut Member {
        match self {
            Self::Marketdata(shard, nth) => topology.marketdata(shard, nth),
            Self::Gateway(number) => topology.gateway(number),
        }
    }
}

/// The process that owns the shard, waited for.
async fn owner(topology: &mut Topology, shard: usize) -> Result<Place> {
    let what = format!("an owner of shard {shard}");
    let owns = async || topology.owner(shard).await;
    let nth = wait::until(&what, PATIENCE, owns).await?;
    Ok(Place::Marketdata(shard, nth))
}

/// The node that leads the stream of committed closes.
async fn leader_of_closes(topology: &mut Topology) -> Result<usize> {
    let streams = topology.nats().streams().await;
    let of_closes = |subjects: &[String]| subjects.iter().any(|it| it.starts_with("bar."));
    let stream = streams
        .into_iter()
        .find(|stream| of_closes(&stream.subjects));
    let stream = stream.context("no stream holds closes")?;
    topology.nats().stream_leader(&stream.name, PATIENCE).await
}
