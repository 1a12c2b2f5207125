//! The gateway's side: what its intake takes, on one thread.

use std::collections::HashMap;
use std::time::Instant;

use anyhow::{Context, Result, ensure};
use runtime::broker::nats::Party;
use runtime::broker::{Broker, CloseStart, CloseSubscription, OpenSubscription, SequencedClose};
use tokio::time::sleep_until;
use wire::subject::{Kind, SubjectFilter};
use wire::{Bar, Subject};

use super::latency::Latencies;
use super::market::Market;
use super::servers;
use super::window::{LATE, Seat, Window};

/// Closes that a gateway takes at a time.
const TAKE_MAX: usize = 1_024;

/// What came, of what was made within the window.
#[derive(Debug, Default)]
pub(crate) struct Received {
    pub(crate) opens: Latencies,
    pub(crate) closes: Latencies,
    pub(crate) cpu_s: f64,
}

/// Receives until the window is over, and a little longer.
pub(crate) async fn run(url: &str, market: &Market, seat: Seat) -> Result<Received> {
    let broker = servers::connect(url, &market.scope, Party::Gateway).await?;
    let filter = |kind| SubjectFilter::all(kind, &market.scope);
    let mut opens = broker.subscribe_open(filter(Kind::Open)).await?;
    let closes = broker.subscribe_closes(filter(Kind::Committed), CloseStart::Next);
    let mut closes = closes.await?;
    let window = seat.begin().await?;
    let mut received = Received::default();
    let took = async {
        tokio::try_join!(
            take_opens(opens.as_mut(), window, &mut received.opens),
            take_closes(closes.as_mut(), window, &mut received.closes),
        )
    };
    let until = async {
        tokio::select! {
            took = took => took.map(|_| ()),
            () = sleep_until((window.to + LATE).into()) => Ok(()),
        }
    };
    let (took, cpu_s) = tokio::join!(until, window.thread_cpu_s());
    took?;
    broker.drain().await;
    Ok(Received { cpu_s, ..received })
}

async fn take_opens(
    opens: &mut dyn OpenSubscription,
    window: Window,
    ages: &mut Latencies,
) -> Result<()> {
    let mut messages = Vec::new();
    loop {
        let drained = opens.drain(&mut messages).await;
        drained.context("the subscription to open bars ended")?;
        let now = Instant::now();
        for message in messages.drain(..) {
            add(&message.bar, window, now, ages);
        }
    }
}

async fn take_closes(
    closes: &mut dyn CloseSubscription,
    window: Window,
    ages: &mut Latencies,
) -> Result<()> {
    let mut messages: Vec<SequencedClose> = Vec::new();
    let mut numbers: HashMap<Subject, u64> = HashMap::new();
    loop {
        let drained = closes.drain(TAKE_MAX, &mut messages).await;
        drained.context("the subscription to closes ended")?;
        let now = Instant::now();
        for SequencedClose { message, .. } in messages.drain(..) {
            let close_no = message.bar.close_no;
            let last = numbers.insert(message.subject, close_no);
            ensure!(
                last.is_none_or(|last| close_no == last + 1),
                "close {close_no} of a topic came after {last:?}"
            );
            add(&message.bar, window, now, ages);
        }
    }
}

pub(crate) fn add(bar: &Bar, window: Window, now: Instant, ages: &mut Latencies) {
    if let Some(age) = window.age(bar.publish_time_ms, now) {
        ages.add(age);
    }
}
