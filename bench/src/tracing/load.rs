//! What a shard does with the open bars of its turns.

use anyhow::Result;
use runtime::broker::{BarMessage, Broker};
use runtime::telemetry::{BusCall, Tracer, new_trace};

use super::SYMBOLS;
use crate::bus::market::Market;

/// A thousand topics, whose bars are sent in rounds.
pub(super) fn market(epoch: u64) -> Result<Market> {
    Market::new(SYMBOLS, epoch)
}

/// Sends so many rounds of all topics, numbered from 1: one call of the bus each. `turn` waits before each until it
/// may go.
pub(super) async fn send(
    market: &Market,
    broker: &dyn Broker,
    tracer: &Tracer,
    rounds: usize,
    mut turn: impl AsyncFnMut(u64) -> Result<()>,
) -> Result<()> {
    let mut sampler = tracer.sampler(fastrand::Rng::with_seed(1));
    let topics = market.topics_len();
    let mut batch: Vec<BarMessage> = Vec::with_capacity(topics);
    for round in 0..rounds {
        turn(round as u64 + 1).await?;
        for n in round * topics..(round + 1) * topics {
            let trace = sampler.handle_frame().then(new_trace);
            batch.push(market.open(n, 0).with_trace(trace));
        }
        let call = BusCall::publish(tracer, &mut batch);
        let sent = broker.publish_open(&batch).await;
        call.end(tracer, broker, &batch, None);
        sent?;
        batch.clear();
        tokio::task::yield_now().await;
    }
    Ok(())
}
