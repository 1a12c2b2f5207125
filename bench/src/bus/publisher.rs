//! The owner's side: open bars and commits through the product's own broker, on one thread.

use std::time::Instant;

use anyhow::{Context, Result, ensure};
use runtime::broker::nats::{NatsBroker, Party};
use runtime::broker::{BarMessage, Broker, CheckpointWrite, Commit};
use tokio::time::{interval_at, sleep_until};

use super::latency::Latencies;
use super::market::{self, Market};
use super::pace::{CLOSES, Pace};
use super::servers;
use super::window::{Seat, Window};

/// Closes of one commit; each has its checkpoint with it.
const COMMIT_MAX: usize = runtime::broker::BATCH_MAX / 2;

/// What was sent within the window.
#[derive(Debug, Default)]
pub(crate) struct Sent {
    pub(crate) opens: usize,
    pub(crate) open_bytes: usize,
    pub(crate) closes: usize,
    /// Of closes and checkpoints.
    pub(crate) close_bytes: usize,
    /// From a close's making to the answer that it is committed.
    pub(crate) answered: Latencies,
    /// From the first to the last message of a commit and its answer.
    pub(crate) commits: Latencies,
    pub(crate) cpu_s: f64,
}

/// Publishes until the window is over.
pub(crate) async fn run(url: &str, market: &Market, opens: Pace, seat: Seat) -> Result<Sent> {
    let broker = servers::connect(url, &market.scope, Party::Publisher).await?;
    let expect = take(&broker, market).await?;
    let window = seat.begin().await?;
    let sides = tokio::join!(
        publish(&broker, market, opens, window),
        commit(&broker, market, expect, window),
        window.thread_cpu_s(),
    );
    let (opens, closes, cpu_s) = sides;
    let (opens, closes) = (opens?, closes?);
    broker.drain().await;
    Ok(Sent {
        opens: opens.opens,
        open_bytes: opens.open_bytes,
        cpu_s,
        ..closes
    })
}

/// Takes over every instrument. Gives the sequences of their checkpoints.
async fn take(broker: &NatsBroker, market: &Market) -> Result<Vec<u64>> {
    let count = market.symbols_len();
    let subjects: Vec<_> = (0..count).map(|at| market.checkpoint(at)).collect();
    let stored = broker.checkpoints(&subjects).await?;
    let stored = stored.iter().map(|stored| stored.as_ref());
    let mut expect: Vec<u64> = stored.map(|it| it.map_or(0, |it| it.sequence)).collect();
    let text = market::checkpoint_text();
    for first in (0..count).step_by(COMMIT_MAX) {
        let part = first..(first + COMMIT_MAX).min(count);
        let write = |at: usize| CheckpointWrite {
            subject: subjects[at].clone(),
            expect: expect[at],
            json: text.clone(),
        };
        let commit = Commit {
            closes: Vec::new(),
            checkpoints: part.clone().map(write).collect(),
        };
        let committed = broker.commit(&commit).await?;
        expect[part].copy_from_slice(&committed.checkpoints);
    }
    Ok(expect)
}

/// A shard's updates: bars are made when it is time, and the time of that is in them.
async fn publish(broker: &NatsBroker, market: &Market, pace: Pace, window: Window) -> Result<Sent> {
    let mut sent = Sent::default();
    let mut ticks = interval_at(window.begin.into(), pace.every);
    let mut batch: Vec<BarMessage> = Vec::with_capacity(pace.count);
    let mut next = 0;
    while window.to > Instant::now() {
        ticks.tick().await;
        let made = Instant::now();
        let stamp = window.stamp(made);
        batch.extend((next..next + pace.count).map(|n| market.open(n, stamp)));
        next += pace.count;
        let published = broker.publish_open(&batch).await;
        published.context("open bars were not published")?;
        if window.holds(made) {
            sent.opens += batch.len();
            sent.open_bytes += bytes(&batch);
        }
        batch.clear();
    }
    Ok(sent)
}

/// A shard's commits: one in flight, and what falls due meanwhile is in the next. A close counts from when it fell due.
async fn commit(
    broker: &NatsBroker,
    market: &Market,
    mut expect: Vec<u64>,
    window: Window,
) -> Result<Sent> {
    let mut sent = Sent::default();
    let text = market::checkpoint_text();
    let mut next = 0;
    loop {
        let due_at = CLOSES.due_at(next, window.begin);
        if due_at >= window.to {
            return Ok(sent);
        }
        sleep_until(due_at.into()).await;
        let due = CLOSES.due(window.begin, Instant::now()) - next;
        let part = next..next + due.min(COMMIT_MAX);
        let made = |n: usize| CLOSES.due_at(n, window.begin);
        let write = |n: usize| CheckpointWrite {
            subject: market.checkpoint(market.instrument_of(n)),
            expect: expect[market.instrument_of(n)],
            json: text.clone(),
        };
        let commit = Commit {
            closes: part
                .clone()
                .map(|n| market.close(n, window.stamp(made(n))))
                .collect(),
            checkpoints: part.clone().map(write).collect(),
        };
        let begun = Instant::now();
        let committed = broker.commit(&commit).await?;
        let answered = Instant::now();
        ensure!(
            committed.checkpoints.len() == part.len(),
            "a commit's answer lacks checkpoints"
        );
        for (n, sequence) in part.clone().zip(committed.checkpoints) {
            expect[market.instrument_of(n)] = sequence;
            if window.holds(made(n)) {
                sent.closes += 1;
                sent.answered.add(answered - made(n));
            }
        }
        if window.holds(made(next)) {
            sent.commits.add(answered - begun);
            sent.close_bytes += bytes(&commit.closes) + text.len() * part.len();
        }
        next = part.end;
    }
}

pub(crate) fn bytes(bars: &[BarMessage]) -> usize {
    bars.iter().map(|bar| bar.json.len()).sum()
}
