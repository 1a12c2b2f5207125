//! Plays one venue's source: waits for the gate, paces the steps, and lets the venue's clock tick between them.

use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;

use crate::exchange::Exchange;
use crate::market::EventKind;
use crate::pace::{Pacer, Seconds};
use crate::source::Source;

/// Seconds that the clock goes on after a recording's end: one more than the usual reorder window of two, and
/// far less than a minute, so that no bar is closed that the recording does not hold whole.
const TAIL_S: u32 = 3;

/// How often a venue whose source is over says so by its clock.
const IDLE_EVERY: Duration = Duration::from_secs(1);

/// A connector gives a feed up whose clock stands still, and the shortest patience that we know of is ten seconds:
/// every fifth of the idle messages, the clock moves by the least it can. A second then takes 83 minutes.
const IDLE_PER_CREEP: u64 = 5;

/// A source that never waits (full speed, nobody connected) lets others run after this many steps.
const STEPS_PER_YIELD: u32 = 256;

/// Plays the source, then keeps its connections from falling silent, until it is dropped.
pub(crate) async fn run(exchange: Arc<Exchange>, source: Box<dyn Source>) {
    play(&exchange, source).await;
    for tick in 1u64.. {
        tokio::time::sleep(IDLE_EVERY).await;
        let creep_ms = i64::from(tick.is_multiple_of(IDLE_PER_CREEP));
        exchange
            .publish(|market| Some(market.handle_idle(creep_ms)))
            .await;
    }
}

/// Plays until the source ends; recordings are read in this task, a buffer at a time.
async fn play(exchange: &Exchange, mut source: Box<dyn Source>) {
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
    let mut seconds = Seconds::new(source.summary().opening_ms);
    let mut error = None;
    let mut steps = 0u32;
    while let Some(step) = source.next_step() {
        let step = match step {
            Ok(step) => step,
            Err(fault) => {
                // Told to people when the recording was opened, and to programs by the progress.
                tracing::debug!(venue = exchange.kind.name(), error = %fault, "the recording ends here");
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::exchange::{Progress, StartWhen};
    use crate::market::{Event, Market};
    use crate::pace::Speed;
    use crate::source::generate::{Generator, Plan, symbols};
    use crate::venue::{Kind, Limits};

    fn plan() -> Plan {
        let symbols = symbols(3, "USDT");
        Plan {
            symbols,
            rate: 3,
            seed: 4,
            start_ms: 1_700_000_000_000,
            trades_max: Some(100),
        }
    }

    fn exchange(speed: Speed, start_when: StartWhen) -> (Arc<Exchange>, Generator) {
        let source = Generator::new(plan());
        let market = Market::new(Kind::BinanceSpot, &source.summary().listed, 1_000);
        let exchange = Exchange::new(
            market,
            Limits::default(),
            speed,
            start_when,
            Progress::default(),
        );
        (Arc::new(exchange), source)
    }

    /// Plays all of it under tokio's paused clock, and gives when (real milliseconds) each event came.
    async fn events(speed: Speed) -> Vec<(u128, Arc<Event>)> {
        let (exchange, source) = exchange(speed, StartWhen::Immediately);
        let mut seat = exchange.enter();
        let begun = Instant::now();
        let feed = play(&exchange, Box::new(source));
        let collect = async {
            let mut events = Vec::new();
            while let Some(event) = seat.mailbox.recv().await {
                events.push((begun.elapsed().as_millis(), event));
                if exchange.progress().borrow().ended && seat.mailbox.is_empty() {
                    break;
                }
            }
            events
        };
        let ((), events) = tokio::join!(feed, collect);
        events
    }

    #[tokio::test(start_paused = true)]
    async fn at_speed_one_each_event_comes_at_its_own_time() {
        let events = events(Speed::Times(1.0)).await;
        let first_ms = events[0].1.clock_ms;
        let seconds: Vec<_> = events
            .iter()
            .filter_map(|(at_ms, event)| match event.kind {
                EventKind::Second(second_ms) => Some((i64::try_from(*at_ms).unwrap(), second_ms)),
                _ => None,
            })
            .collect();
        assert!(seconds.len() > 20, "{}", seconds.len());
        assert!(
            seconds
                .windows(2)
                .all(|pair| pair[1].1 == pair[0].1 + 1_000),
            "no second is left out"
        );
        let (played, tail) = seconds.split_at(seconds.len() - 1 - TAIL_S as usize);
        for (at_ms, second_ms) in played {
            assert!(
                (at_ms - (second_ms - first_ms)).abs() <= 20,
                "{second_ms} came at {at_ms} ms"
            );
        }
        assert!(
            tail.windows(2).all(|pair| pair[1].0 == pair[0].0),
            "the tail comes at once"
        );
    }

    #[tokio::test(start_paused = true)]
    async fn at_full_speed_nothing_waits_and_the_events_are_the_same() {
        let (slow, fast) = (events(Speed::Times(1.0)).await, events(Speed::Max).await);
        assert!(fast.iter().all(|(at_ms, _)| *at_ms == 0));
        let kinds = |events: &[(u128, Arc<Event>)]| {
            events
                .iter()
                .map(|(_, e)| e.kind.clone())
                .collect::<Vec<_>>()
        };
        assert_eq!(kinds(&slow), kinds(&fast));
    }

    #[tokio::test(start_paused = true)]
    async fn when_the_source_is_over_its_clock_goes_on_showing_and_no_bar_changes() {
        let (exchange, source) = exchange(Speed::Times(100.0), StartWhen::Immediately);
        let symbol = source.summary().listed[0].symbol.clone();
        let bars = || {
            let truth = |market: &Market| market.truth(&symbol, wire::Interval::S1, None, None);
            exchange.with_market(truth).unwrap()
        };
        let mut seat = exchange.enter();
        let _feed = tokio::spawn(run(Arc::clone(&exchange), Box::new(source)));
        let mut progress = exchange.progress();
        progress.wait_for(|progress| progress.ended).await.unwrap();
        let (before, end_ms) = (bars(), exchange.with_market(Market::clock_ms).unwrap());
        let begun = Instant::now();
        let mut idle = Vec::new();
        while begun.elapsed() < Duration::from_secs(3_600) {
            let event = seat.mailbox.recv().await.unwrap();
            if let EventKind::Idle(second_ms) = event.kind {
                assert_eq!(second_ms, end_ms, "the last whole second, again");
                idle.push((begun.elapsed().as_secs(), event.clock_ms));
            }
        }
        assert!(idle.iter().map(|(at_s, _)| *at_s).eq(1..=3_600));
        let moved = |pair: &[(u64, i64)]| pair[1].1 - pair[0].1;
        assert!(idle.windows(2).all(|pair| (0..=1).contains(&moved(pair))));
        // Whoever gives up a clock that has not moved for ten seconds does not.
        assert!(idle.windows(6).all(|six| six[0].1 < six[5].1));
        assert_eq!(bars(), before);
    }

    #[tokio::test(start_paused = true)]
    async fn nothing_plays_before_the_gate_opens() {
        let (exchange, source) = exchange(Speed::Max, StartWhen::Manually);
        let mut feed = std::pin::pin!(play(&exchange, Box::new(source)));
        let waited = tokio::time::timeout(std::time::Duration::from_secs(3_600), &mut feed).await;
        assert!(waited.is_err() && exchange.with_market(Market::position) == 0);
        exchange.start();
        feed.await;
        assert!(exchange.progress().borrow().ended);
    }

    #[tokio::test(start_paused = true)]
    async fn in_real_time_a_reader_that_does_not_read_is_cut_and_the_others_go_on() {
        let symbols = symbols(1, "USDT");
        let plan = Plan {
            symbols,
            rate: 100,
            trades_max: Some(20_000),
            ..plan()
        };
        let source = Generator::new(plan);
        let market = Market::new(Kind::BinanceSpot, &source.summary().listed, 1_000);
        let (speed, limits) = (Speed::Times(1_000.0), Limits::default());
        let exchange = Exchange::new(
            market,
            limits,
            speed,
            StartWhen::Immediately,
            Progress::default(),
        );
        let exchange = Arc::new(exchange);
        let _idle = exchange.enter();
        play(&exchange, Box::new(source)).await;
        let progress = exchange.progress().borrow().clone();
        assert!(
            progress.ended && progress.connections == 0 && progress.trades >= 20_000,
            "{progress:?}"
        );
    }
}
