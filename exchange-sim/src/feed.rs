//! Plays one venue's source: waits for the gate, paces the steps, and lets the venue's clock tick between them.

use std::sync::Arc;

use tokio::time::Instant;

use crate::exchange::Exchange;
use crate::market::EventKind;
use crate::pace::{Pacer, Seconds};
use crate::source::Source;

/// Seconds that the clock goes on after a recording's end: one more than the usual reorder window of two, and
/// far less than a minute, so that no bar is closed that the recording does not hold whole.
const TAIL_S: u32 = 3;

/// A source that never waits (full speed, nobody connected) lets others run after this many steps.
const STEPS_PER_YIELD: u32 = 256;

/// Runs until the source ends; recordings are read in this task, a buffer at a time.
pub(crate) async fn run(exchange: Arc<Exchange>, mut source: Box<dyn Source>) {
    exchange.started().await;
    let begin_ns = source.handle_start(jiff::Timestamp::now().as_millisecond());
    let mut clock = Clock {
        pacer: Pacer::new(exchange.speed),
        begun: Instant::now(),
        last_ns: i64::MIN,
    };
    if let Some(begin_ns) = begin_ns {
        clock.pacer.due_after(begin_ns);
    }
    let mut seconds = Seconds::default();
    let mut error = None;
    let mut steps = 0u32;
    while let Some(step) = source.next_step() {
        let step = match step {
            Ok(step) => step,
            Err(fault) => {
                tracing::error!(venue = exchange.kind.name(), error = %fault, "the recording ends here");
                error = Some(fault.to_string());
                break;
            }
        };
        while let Some((second_ms, at_ns)) = seconds.before(&step) {
            clock.wait_until(at_ns).await;
            exchange
                .publish(|market| Some(market.handle_second(second_ms)))
                .await;
        }
        clock.wait_until(step.at_ns).await;
        exchange.publish(|market| market.handle_step(step)).await;
        steps = steps.wrapping_add(1);
        if steps.is_multiple_of(STEPS_PER_YIELD) {
            tokio::task::yield_now().await;
        }
    }
    let end_ms = exchange.with_market(crate::market::Market::clock_ms);
    for second_ms in end_ms
        .into_iter()
        .flat_map(|end_ms| seconds.after(end_ms, TAIL_S))
    {
        exchange
            .publish(|market| Some(market.handle_second(second_ms)))
            .await;
    }
    exchange.end(error);
}

/// Waits by the server's clock.
struct Clock {
    pacer: Pacer,
    begun: Instant,
    last_ns: i64,
}

impl Clock {
    async fn wait_until(&mut self, at_ns: i64) {
        // A tick may lie a little before the step that came last; it is played now.
        self.last_ns = self.last_ns.max(at_ns);
        if let Some(after) = self.pacer.due_after(self.last_ns) {
            tokio::time::sleep_until(self.begun + after).await;
        }
    }
}

/// Announces that the venue goes away, as Binance does before it closes its connections.
pub(crate) async fn announce_shutdown(exchange: &Exchange) {
    exchange
        .publish(|market| {
            let event = market.handle_shutdown();
            debug_assert_eq!(event.kind, EventKind::Shutdown);
            Some(event)
        })
        .await;
}
