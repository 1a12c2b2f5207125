//! A shard of instruments: how they are split changes no byte; what a tick costs; what is given out.

use std::collections::BTreeMap;

use marketdata::aggregate::{Config, Engine, FeedIndex, SeriesIndex};
use proptest::collection::vec;
use proptest::prelude::*;
use wire::{Bar, Instrument, Symbol, Topic, Venue};

use crate::support::{DAY_MS, config, interval, trade};

fn instrument(n: usize) -> Instrument {
    let venue = Venue::new(Venue::BINANCE_SPOT).unwrap();
    Instrument::new(venue, Symbol::new(&format!("S{n}-USDT")).unwrap())
}

/// Engines over which instruments are dealt in turn, all of them on one connection.
struct Shards {
    engines: Vec<(Engine, FeedIndex)>,
    /// What each topic got, encoded, with its own number.
    topics: BTreeMap<Topic, Vec<Vec<u8>>>,
}

impl Shards {
    fn new(config: &Config, engines: usize, instruments: usize) -> Self {
        let make = |_| {
            let mut engine = Engine::new(config.clone());
            let feed = engine.add_feed();
            (engine, feed)
        };
        let mut engines: Vec<_> = (0..engines).map(make).collect();
        let count = engines.len();
        for n in 0..instruments {
            let (engine, feed) = &mut engines[n % count];
            engine.add(instrument(n), *feed);
        }
        Self {
            engines,
            topics: BTreeMap::new(),
        }
    }

    fn of(&mut self, n: usize) -> (&mut Engine, SeriesIndex) {
        let count = self.engines.len();
        let engine = &mut self.engines[n % count].0;
        let index = engine.indices().nth(n / count).unwrap();
        (engine, index)
    }

    fn drain(&mut self) {
        for (engine, _) in &mut self.engines {
            while let Some((index, closed)) = engine.poll_close() {
                let instrument = engine.instrument(index).clone();
                let topic = Topic::long(&instrument, closed.interval);
                let got = self.topics.entry(topic.clone()).or_default();
                let bar = Bar {
                    topic,
                    instrument,
                    interval: closed.interval,
                    start_ms: closed.start_ms,
                    candle: closed.candle,
                    closed: true,
                    rev: 0,
                    completeness: closed.completeness,
                    close_no: got.len() as u64 + 1,
                    epoch: 0,
                    seq: 0,
                    event_time_ms: 0,
                    publish_time_ms: 0,
                };
                got.push(bar.encode());
            }
            while engine.poll_event().is_some() {}
        }
    }
}

/// Something that happens to an instrument or, as `None`, to the connection.
type Step = (Option<usize>, i64, bool);

fn play(config: &Config, engines: usize, instruments: usize, steps: &[Step]) -> Shards {
    let mut shards = Shards::new(config, engines, instruments);
    for (engine, feed) in &mut shards.engines {
        engine.handle_feed_up(*feed, Some(DAY_MS));
    }
    let mut ids = vec![100; instruments];
    let mut at = 0;
    for &(whom, wait, odd) in steps {
        at += wait;
        match whom {
            Some(n) => {
                let n = n % instruments;
                // Now and then an id is left out.
                ids[n] += if odd { 2 } else { 1 };
                let (engine, index) = shards.of(n);
                engine.handle_trade(index, &trade(ids[n], at), DAY_MS + at);
            }
            None => {
                for (engine, feed) in &mut shards.engines {
                    if odd {
                        engine.handle_feed_down(*feed);
                        engine.handle_feed_up(*feed, Some(DAY_MS + at + 300));
                    } else {
                        engine.handle_clock(*feed, DAY_MS + at);
                    }
                }
            }
        }
        shards.drain();
    }
    shards
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn splitting_over_engines_changes_no_byte(
        steps in vec(
            (proptest::option::weighted(0.7, 0..7usize), 0..1_500i64, proptest::bool::weighted(0.05)),
            1..200,
        ),
        instruments in 1..8usize,
    ) {
        let config = config("1s 1m");
        let one = play(&config, 1, instruments, &steps);
        for engines in 2..5 {
            let split = play(&config, engines, instruments, &steps);
            prop_assert_eq!(&split.topics, &one.topics);
        }
    }
}

#[test]
fn every_topic_is_given_once_as_it_stands() {
    let mut engine = Engine::new(config("1m 1s 1m"));
    let feed = engine.add_feed();
    let index = engine.add(instrument(0), feed);
    engine.add(instrument(1), feed);
    engine.handle_feed_up(feed, Some(DAY_MS));
    let opens = |engine: &mut Engine| {
        let opens = std::iter::from_fn(|| engine.poll_open());
        let show = |(index, open): (SeriesIndex, marketdata::aggregate::OpenBar)| {
            let at = open.start_ms - DAY_MS;
            (index, open.interval.to_string(), at, open.candle.count)
        };
        opens.map(show).collect::<Vec<_>>()
    };
    assert_eq!(opens(&mut engine), [], "no price yet");
    engine.handle_trade(index, &trade(1, 100), DAY_MS + 100);
    engine.handle_trade(index, &trade(2, 200), DAY_MS + 200);
    let expect = [(index, "1s".into(), 0, 2), (index, "1m".into(), 0, 2)];
    assert_eq!(opens(&mut engine), expect);
    assert_eq!(opens(&mut engine), [], "nothing changed");
    engine.handle_clock(feed, DAY_MS + 900);
    assert_eq!(opens(&mut engine), [], "nothing changed by the clock alone");
    engine.handle_clock(feed, DAY_MS + 1_000);
    let expect = [(index, "1s".into(), 1_000, 0)];
    assert_eq!(opens(&mut engine), expect, "a new second began");
    engine.handle_republish();
    assert_eq!(opens(&mut engine).len(), 2);
    // What changes while some are given is given again.
    engine.handle_trade(index, &trade(3, 1_100), DAY_MS + 1_100);
    assert_eq!(engine.poll_open().unwrap().1.candle.count, 1);
    engine.handle_trade(index, &trade(4, 1_200), DAY_MS + 1_200);
    let expect = [
        (index, "1m".into(), 0, 4),
        (index, "1s".into(), 1_000, 2),
        (index, "1m".into(), 0, 4),
    ];
    assert_eq!(opens(&mut engine), expect);
}

#[test]
fn a_refused_tick_is_contradicted_by_the_next() {
    let mut engine = Engine::new(config("1h"));
    let feed = engine.add_feed();
    let index = engine.add(instrument(0), feed);
    engine.handle_feed_up(feed, Some(DAY_MS));
    engine.handle_trade(index, &trade(1, 100), DAY_MS + 100);
    for at in [43_200_000, 1_000, 43_200_010, 2_000, 43_200_020] {
        engine.handle_clock(feed, DAY_MS + at);
    }
    assert_eq!(engine.series(index).clock_ms(), Some(DAY_MS + 2_000));
    assert!(engine.poll_close().is_none());
}

#[test]
fn a_tick_that_closes_nothing_reaches_no_instrument() {
    let mut engine = Engine::new(config("1s 1m 1h 1d"));
    let feed = engine.add_feed();
    for n in 0..1_000 {
        let index = engine.add(instrument(n), feed);
        if n == 0 {
            engine.handle_feed_up(feed, Some(DAY_MS));
        }
        engine.handle_series_up(index, Some(DAY_MS));
        engine.handle_trade(index, &trade(1, 100), DAY_MS + 100);
    }
    // This one reaches all of them, and finds when the next must.
    engine.handle_clock(feed, DAY_MS + 2_000);
    while engine.poll_close().is_some() {}
    let clocks = |engine: &Engine| {
        let clocks = engine
            .indices()
            .map(|index| engine.series(index).clock_ms());
        clocks.max().flatten()
    };
    let before = clocks(&engine);
    engine.handle_clock(feed, DAY_MS + 2_999);
    assert_eq!(clocks(&engine), before);
    // It has not been forgotten: whoever is reached next hears of it first.
    let first = engine.indices().next().unwrap();
    engine.handle_trade(first, &trade(2, 2_500), DAY_MS + 2_500);
    assert_eq!(clocks(&engine), Some(DAY_MS + 2_999));
    engine.handle_clock(feed, DAY_MS + 3_000);
    assert_eq!(clocks(&engine), Some(DAY_MS + 3_000));
    let closed = std::iter::from_fn(|| engine.poll_close()).count();
    // The first's two trades prove that its next second was quiet.
    assert_eq!(closed, 1_001);
    let bytes = engine.size_in_memory() / 1_000;
    println!("{bytes} bytes a symbol, {} intervals", 4);
    assert!(bytes < 8_192);
    assert!(engine.series(first).open(interval("1d")).is_some());
}
