use runtime::telemetry::new_trace;
use wire::{Scope, Topic};

use super::*;
use crate::tests::Stream;

const SHORT: &str = "kline:1m:BTC-USDT";
const LONG: &str = "kline:binance-spot:1m:BTC-USDT";

/// A hub in which one connection listens to each of the topic's names.
fn hub() -> Hub {
    let mut hub = Hub::new(8, 500);
    let mut stream = Stream::new(SHORT);
    stream.epoch = 0;
    let bar = stream.open();
    hub.learn(&bar.topic, &bar.instrument, bar.interval);
    for (conn, name) in [SHORT, LONG].into_iter().enumerate() {
        let topic: Topic = name.parse().unwrap();
        let id = hub.find(&topic).unwrap();
        hub.listen(u32::try_from(conn).unwrap(), id);
    }
    hub
}

fn sampled(bar: Bar) -> BarMessage {
    BarMessage::new(&Scope::new("test", "eu").unwrap(), bar).with_trace(Some(new_trace()))
}

/// Hands a bar to hub and traces, and gives the texts that clients are sent of it: by its own name and by the other.
fn give(hub: &mut Hub, traced: &mut Traced, message: &BarMessage) -> Vec<Bytes> {
    let taken = if message.bar.closed {
        hub.handle_close(&message.bar, &message.json)
    } else {
        hub.handle_open(0, &message.bar, &message.json)
    };
    traced.wait(hub, message, taken, message.trace.unwrap());
    hub.texts_of(&message.bar)
}

#[test]
fn the_first_write_under_either_name_ends_the_wait() {
    for name in [0, 1] {
        let (mut hub, mut traced) = (hub(), Traced::default());
        let mut stream = Stream::new(SHORT);
        for bar in [stream.open(), stream.close()] {
            let texts = give(&mut hub, &mut traced, &sampled(bar));
            assert_eq!(texts.len(), 2);
            assert!(!traced.is_empty());
            traced.handle_written(1, &[Bytes::from_static(b"{}")], false);
            assert!(!traced.is_empty(), "another text");
            traced.handle_written(1, &[texts[name].clone()], false);
            assert!(traced.is_empty());
            traced.handle_written(2, &texts, false);
        }
    }
}

#[test]
fn a_bar_that_is_not_shown_is_not_waited_for() {
    let (mut hub, mut traced) = (hub(), Traced::default());
    let mut stream = Stream::new(SHORT);
    let (old, new) = (stream.open(), stream.open());
    give(&mut hub, &mut traced, &sampled(new));
    traced = Traced::default();
    give(&mut hub, &mut traced, &sampled(old));
    assert!(traced.is_empty(), "stale");
}

#[test]
fn what_nobody_is_sent_is_forgotten() {
    let (mut hub, mut traced) = (hub(), Traced::default());
    let mut stream = Stream::new(SHORT);
    for at in 0..2 * TEXTS_MAX {
        give(&mut hub, &mut traced, &sampled(stream.open()));
        assert!(traced.young.texts.len() <= TEXTS_MAX + 1, "{at}");
    }
    traced.handle_time(GENERATION_MS - 1);
    assert!(!traced.young.waiting.is_empty());
    traced.handle_time(GENERATION_MS);
    assert!(traced.young.waiting.is_empty() && !traced.is_empty());
    traced.handle_time(2 * GENERATION_MS);
    assert!(traced.is_empty());
}

#[test]
fn a_bar_without_a_trace_or_without_a_tracer_is_not_waited_for() {
    let (mut hub, mut traced) = (hub(), Traced::default());
    let mut stream = Stream::new(SHORT);
    let message = sampled(stream.open());
    traced.handle_taken(&mut hub, &message, Taken::Shown);
    let message = message.with_trace(None);
    traced.handle_taken(&mut hub, &message, Taken::Shown);
    assert!(traced.is_empty());
}
