//! The three servers, and what they cost.

use std::time::Duration;

use anyhow::{Context, Result};
use clap::Parser;
use cluster::NatsCluster;
use runtime::broker::nats::{NatsArgs, NatsBroker, NatsState, Party};
use runtime::telemetry::Metrics;
use tokio::time::timeout;
use wire::Scope;

use crate::cpu;

/// How long it may take until a broker can be used.
const READY_MAX: Duration = Duration::from_secs(30);

/// How long an election may take.
const LEADER_MAX: Duration = Duration::from_secs(20);

/// Where both sides connect: neither to the server that leads the log, nor both to one, so that every message has to
/// pass from server to server.
#[derive(Debug, Clone)]
pub(crate) struct Places {
    pub(crate) publisher: String,
    pub(crate) receiver: String,
    /// Which server leads the log, for the report.
    pub(crate) leader: String,
}

impl Places {
    /// By the leader of the stream that takes this subject.
    pub(crate) async fn find(cluster: &NatsCluster, subject: &str) -> Result<Self> {
        let streams = cluster.streams().await;
        let takes = |subjects: &[String]| subjects.iter().any(|taken| taken.starts_with(subject));
        let log = streams.iter().find(|stream| takes(&stream.subjects));
        let log = log.with_context(|| format!("no stream takes {subject}"))?;
        let leader = cluster.stream_leader(&log.name, LEADER_MAX).await?;
        let nodes = cluster.nodes();
        let after = |by: usize| nodes[(leader + by) % nodes.len()].url();
        Ok(Self {
            publisher: after(1),
            receiver: after(2),
            leader: nodes[leader].name().to_owned(),
        })
    }
}

/// CPU seconds that each server has used so far.
pub(crate) fn cpu_s(cluster: &NatsCluster) -> Result<Vec<f64>> {
    let of = |node: &cluster::NatsServer| {
        let pid = node
            .pid()
            .with_context(|| format!("{} has ended", node.name()))?;
        cpu::process_s(pid)
    };
    cluster.nodes().iter().map(of).collect()
}

/// The product's broker at this server, once it can be used.
pub(crate) async fn connect(url: &str, scope: &Scope, party: Party) -> Result<NatsBroker> {
    #[derive(Parser)]
    struct Args {
        #[command(flatten)]
        nats: NatsArgs,
    }
    let args = Args::try_parse_from(["bench", "--nats-url", url])?;
    let options = args.nats.options(party)?;
    let broker = NatsBroker::connect(scope.clone(), options, &Metrics::new());
    let mut states = broker.state();
    let ready = states.wait_for(|state| matches!(state, NatsState::Ready | NatsState::Failed(_)));
    let state = timeout(READY_MAX, ready).await;
    let state = state.with_context(|| format!("the bus at {url} did not get ready"))??;
    if let NatsState::Failed(error) = &*state {
        return Err(error.clone().into());
    }
    drop(state);
    Ok(broker)
}

/// Makes the feed's streams, as its first publisher does.
pub(crate) async fn prepare(cluster: &NatsCluster, scope: &Scope) -> Result<()> {
    let urls = cluster.urls().join(",");
    let broker = connect(&urls, scope, Party::Publisher).await?;
    broker.drain().await;
    cluster.level(LEADER_MAX).await
}
