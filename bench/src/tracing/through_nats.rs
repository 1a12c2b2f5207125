//! Publishing and receiving through three servers as fast as it goes. The publisher keeps a few rounds ahead of the
//! receiver at most, so that no bar is lost and the two of them set the pace together.

use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use cluster::NatsCluster;
use runtime::broker::Broker;
use runtime::broker::nats::Party;
use runtime::telemetry::BusCall;
use tokio::sync::{oneshot, watch};
use tokio::time::timeout;
use wire::subject::{Kind, SubjectFilter};

use super::{BATCH_LEN, NATS_BARS, Share, collector, joined, load};
use crate::bus::block_on;
use crate::bus::market::Market;
use crate::bus::servers::{self, Places};
use crate::cpu;

/// Rounds that are sent and not received.
const AHEAD_MAX: u64 = 4;

/// How long the other side may take for a round.
const ROUND_MAX: Duration = Duration::from_secs(30);

/// What one run came to.
pub(super) struct Through {
    /// From the first bar's making to the last one's receipt.
    pub(super) wall_s: f64,
    pub(super) publisher_s: f64,
    pub(super) receiver_s: f64,
    pub(super) servers_s: f64,
    pub(super) spans_sent: u64,
    pub(super) spans_dropped: u64,
}

/// The publisher's side of it.
struct Published {
    cpu_s: f64,
    wall_s: f64,
    servers_s: f64,
    /// Sent and dropped.
    spans: (u64, u64),
}

/// The receiver's side of it.
struct Taken {
    cpu_s: f64,
    /// Sent and dropped.
    spans: (u64, u64),
}

/// Some runs of each share, the shares in turn, all through the same servers.
pub(super) fn run(shares: &[Share], runs: usize) -> Result<Vec<Vec<Through>>> {
    let scope = load::market(0)?.scope;
    let (cluster, places) = block_on(async {
        let cluster = NatsCluster::start().await?;
        servers::prepare(&cluster, &scope).await?;
        let places = Places::find(&cluster, "bar.").await?;
        Ok((cluster, places))
    })?;
    let mut all: Vec<Vec<Through>> = shares.iter().map(|_| Vec::new()).collect();
    for run in 0..runs {
        for (at, share) in shares.iter().enumerate() {
            let epoch = (run * shares.len() + at + 1) as u64;
            let market = load::market(epoch)?;
            let through = collector::beside(*share, |endpoint| {
                once(&cluster, &places, &market, *share, endpoint)
            });
            let through = through.with_context(|| format!("tracing {}", share.name))?;
            all[at].push(through);
        }
    }
    Ok(all)
}

fn once(
    cluster: &NatsCluster,
    places: &Places,
    market: &Market,
    share: Share,
    endpoint: Option<&str>,
) -> Result<Through> {
    // The newest round of which every bar has come.
    let (tell, seen) = watch::channel(0);
    let (ready, is_ready) = oneshot::channel();
    let (publisher, receiver) = thread::scope(|scope| {
        let publisher = scope.spawn(move || {
            block_on(async {
                is_ready.await.context("the receiver did not get ready")?;
                publish(cluster, &places.publisher, market, share, endpoint, seen).await
            })
        });
        let receiver = scope.spawn(move || {
            block_on(receive(
                &places.receiver,
                market,
                share,
                endpoint,
                ready,
                tell,
            ))
        });
        (joined(publisher), joined(receiver))
    });
    let publisher = publisher.context("the publisher")?;
    let receiver = receiver.context("the receiver")?;
    Ok(Through {
        wall_s: publisher.wall_s,
        publisher_s: publisher.cpu_s,
        receiver_s: receiver.cpu_s,
        servers_s: publisher.servers_s,
        spans_sent: publisher.spans.0 + receiver.spans.0,
        spans_dropped: publisher.spans.1 + receiver.spans.1,
    })
}

async fn publish(
    cluster: &NatsCluster,
    url: &str,
    market: &Market,
    share: Share,
    endpoint: Option<&str>,
    mut seen: watch::Receiver<u64>,
) -> Result<Published> {
    let broker = servers::connect(url, &market.scope, Party::Publisher).await?;
    let traces = collector::start(endpoint, share)?;
    let servers_before: f64 = servers::cpu_s(cluster)?.iter().sum();
    let (begun, before) = (Instant::now(), cpu::thread_s());
    let rounds = NATS_BARS / BATCH_LEN;
    let mut until = async |round: u64| {
        let waited = timeout(ROUND_MAX, seen.wait_for(|seen| seen + AHEAD_MAX >= round)).await;
        waited
            .context("the receiver lacks bars")?
            .context("the receiver has ended")?;
        Ok(())
    };
    load::send(market, &broker, &traces.tracer(), rounds, &mut until).await?;
    until(rounds as u64 + AHEAD_MAX).await?;
    let (cpu_s, wall_s) = (cpu::thread_s() - before, begun.elapsed().as_secs_f64());
    let servers_after: f64 = servers::cpu_s(cluster)?.iter().sum();
    broker.drain().await;
    Ok(Published {
        cpu_s,
        wall_s,
        servers_s: servers_after - servers_before,
        spans: traces.stop().await?,
    })
}

/// What a gateway's intake does with open bars, until the last round has come.
async fn receive(
    url: &str,
    market: &Market,
    share: Share,
    endpoint: Option<&str>,
    ready: oneshot::Sender<()>,
    tell: watch::Sender<u64>,
) -> Result<Taken> {
    let broker = servers::connect(url, &market.scope, Party::Gateway).await?;
    let filter = SubjectFilter::all(Kind::Open, &market.scope);
    let mut bars = broker.subscribe_open(filter).await?;
    let traces = collector::start(endpoint, share)?;
    let tracer = traces.tracer();
    let _ = ready.send(());
    let before = cpu::thread_s();
    let mut messages = Vec::new();
    let last = (NATS_BARS / BATCH_LEN) as u64;
    while *tell.borrow() < last {
        let drained = timeout(ROUND_MAX, bars.drain(&mut messages)).await;
        drained.context("bars do not come")??;
        let receipt = BusCall::receive(&tracer, &mut messages);
        let ends = messages
            .iter()
            .filter(|message| market.is_last_of_turn(&message.bar));
        if let Some(round) = ends.map(|message| message.bar.seq).max() {
            tell.send_replace(round);
        }
        receipt.end(&tracer, &broker, &messages, None);
        messages.clear();
    }
    let cpu_s = cpu::thread_s() - before;
    broker.drain().await;
    Ok(Taken {
        cpu_s,
        spans: traces.stop().await?,
    })
}
