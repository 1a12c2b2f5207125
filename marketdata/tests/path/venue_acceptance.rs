//! The acceptance list of `docs/venues.md`, each number for each venue. What goes wrong on a live connection
//! (numbers 13 and 14) is in `faults.rs`, over the same three venues.

use std::collections::BTreeSet;

use crate::support::{World, generate, sim, symbol};
use exchange_sim::{Kind, Play};
use marketdata::budget::Budget;
use marketdata::venue::{
    self, DecodeError, Event, Harm, InstrumentIndex, Symbols, binance_spot, coinbase,
    coinbase_advanced,
};
use proptest::prelude::*;
use runtime::broker::Broker as _;
use wire::subject::Kind as SubjectKind;
use wire::{Completeness, Side, SubjectFilter, Symbol, Trade};

/// A venue with the texts that the list needs. `LISTED[0]` is the instrument of its trade.
struct Case {
    venue: Box<dyn venue::Venue>,
    /// One live trade, of [`trade`]'s values, whose taker bought.
    bought: String,
    /// The same, whose taker sold.
    sold: String,
    /// An earlier trade, where the venue sends any.
    earlier: Option<String>,
    /// Several trades in one frame, where the venue sends such.
    several: Option<String>,
    /// A tick, of [`TICK_MS`].
    tick: &'static str,
    /// What acknowledges the first request, for the first instrument.
    acknowledged: &'static str,
    refused: &'static str,
    unknown: &'static str,
}

const LISTED: [&str; 2] = ["BTC-USD", "ETH-USD"];
const FIRST: InstrumentIndex = InstrumentIndex(0);
const TICK_MS: i64 = 1_789_470_114_000;

fn listed() -> Vec<Symbol> {
    LISTED.map(symbol).into()
}

fn trade(taker: Side) -> Trade {
    Trade {
        id: 3_735_683_259,
        time_ms: 1_723_161_255_342,
        price: "61837.63".parse().unwrap(),
        size: "0.00000001".parse().unwrap(),
        taker,
    }
}

fn cases() -> [Case; 3] {
    [binance_case(), coinbase_case(), advanced_case()]
}

fn binance_case() -> Case {
    let text = |maker: bool| {
        format!(
            r#"{{"stream":"btcusd@trade","data":{{"e":"trade","E":1723161255343,"s":"BTCUSD","t":3735683259,"p":"61837.63000000","q":"0.00000001","T":1723161255342,"m":{maker},"M":true}}}}"#
        )
    };
    Case {
        venue: Box::new(binance_spot::BinanceSpot::new(&listed()).unwrap()),
        bought: text(false),
        sold: text(true),
        earlier: None,
        several: None,
        tick: r#"{"stream":"ethusd@kline_1s","data":{"e":"kline","E":1789470114000,"s":"ETHUSD","k":{"t":1682244927000,"x":true}}}"#,
        acknowledged: r#"{"result":null,"id":1}"#,
        refused: r#"{"code":2,"msg":"Invalid request: too many parameters"}"#,
        unknown: r#"{"stream":"btcusd@news","data":{"e":"news","E":1,"s":"BTCUSD","x":{"y":[1,2]}}}"#,
    }
}

fn coinbase_case() -> Case {
    let text = |kind: &str, maker: &str| {
        format!(
            r#"{{"type":"{kind}","trade_id":3735683259,"maker_order_id":"27fff20b-af29-4f45-8744-56dd1ef57dc0","taker_order_id":"1da6ce16-c8da-4732-9f71-6049f4c6aaf8","side":"{maker}","size":"0.00000001","price":"61837.63","product_id":"BTC-USD","sequence":333938798,"time":"2024-08-08T23:54:15.342999Z"}}"#
        )
    };
    Case {
        venue: Box::new(coinbase::Coinbase::new(&listed()).unwrap()),
        bought: text("match", "sell"),
        sold: text("match", "buy"),
        earlier: Some(text("last_match", "sell")),
        several: None,
        tick: r#"{"type":"heartbeat","last_trade_id":1,"product_id":"BTC-USD","sequence":1,"time":"2026-09-15T11:01:54.000000Z"}"#,
        acknowledged: r#"{"type":"subscriptions","channels":[{"name":"matches","product_ids":["BTC-USD"]}]}"#,
        refused: r#"{"type":"error","message":"Failed to subscribe","reason":"BTC-USD is not a valid product"}"#,
        unknown: r#"{"type":"news","product_id":"BTC-USD","time":5,"side":[],"price":{}}"#,
    }
}

fn advanced_case() -> Case {
    let one = |id: u64, maker: &str| {
        format!(
            r#"{{"product_id":"BTC-USD","trade_id":"{id}","price":"61837.63","size":"0.00000001","time":"2024-08-08T23:54:15.342999Z","side":"{maker}"}}"#
        )
    };
    let frame = |kind: &str, trades: &str| {
        format!(
            r#"{{"channel":"market_trades","timestamp":"2024-08-08T23:54:15.343192913Z","sequence_num":136,"events":[{{"type":"{kind}","trades":[{trades}]}}]}}"#
        )
    };
    let id = trade(Side::Buy).id;
    let several: Vec<String> = [id + 2, id + 1, id].map(|id| one(id, "SELL")).into();
    Case {
        venue: Box::new(coinbase_advanced::CoinbaseAdvanced::new(&listed()).unwrap()),
        bought: frame("update", &one(id, "SELL")),
        sold: frame("update", &one(id, "BUY")),
        earlier: Some(frame("snapshot", &one(id, "SELL"))),
        several: Some(frame("update", &several.join(","))),
        tick: r#"{"channel":"heartbeats","timestamp":"2026-09-15T11:01:54.000999999Z","sequence_num":35,"events":[{"heartbeat_counter":41691}]}"#,
        acknowledged: r#"{"channel":"subscriptions","timestamp":"2026-08-09T21:05:48.228846629Z","sequence_num":2,"events":[{"subscriptions":{"market_trades":["BTC-USD"]}}]}"#,
        refused: r#"{"type":"error","message":"failed to subscribe: BTC-USD"}"#,
        unknown: r#"{"channel":"news","timestamp":"2026-08-09T21:05:48.228846629Z","sequence_num":2,"events":{"a":1}}"#,
    }
}

impl Case {
    fn decode(&self, frame: &[u8]) -> (Vec<Event>, Result<(), DecodeError>) {
        let mut events = Vec::new();
        let result = self.venue.decode(frame, &mut events);
        (events, result)
    }

    fn events(&self, frame: &str) -> Vec<Event> {
        let (events, result) = self.decode(frame.as_bytes());
        assert_eq!(result, Ok(()), "{frame}");
        events
    }

    fn trades(&self, frame: &str) -> Vec<Trade> {
        live(&self.events(frame))
    }
}

fn live(events: &[Event]) -> Vec<Trade> {
    let live = |event: &Event| match event {
        Event::Trade {
            instrument: FIRST,
            trade,
            ..
        } => Some(*trade),
        _ => None,
    };
    events.iter().filter_map(live).collect()
}

fn clock(events: &[Event]) -> Vec<i64> {
    let clock = |event: &Event| match event {
        Event::Clock { venue_ms } => Some(*venue_ms),
        _ => None,
    };
    events.iter().filter_map(clock).collect()
}

#[test]
fn n01_spelling() {
    for case in cases() {
        let symbols: &Symbols = case.venue.symbols();
        for index in symbols.indices() {
            assert_eq!(symbols.find(symbols.spelled(index)), Some(index));
        }
        let name = case.venue.name().parse().unwrap();
        let twice = [symbol("BTC-USD"), symbol("BTC-USD")];
        assert!(venue::adapter(&name, &twice).is_err());
        assert!(venue::adapter(&name, &[]).is_err());
        assert_eq!(
            venue::adapter(&name, &listed()).unwrap().name(),
            name.as_str()
        );
    }
    assert!(venue::adapter(&"mars".parse().unwrap(), &listed()).is_err());
}

#[test]
fn n02_exact_trades_and_n03_the_takers_side() {
    for case in cases() {
        assert_eq!(case.trades(&case.bought), [trade(Side::Buy)]);
        assert_eq!(case.trades(&case.sold), [trade(Side::Sell)]);
    }
}

#[test]
fn n04_order() {
    for several in cases().iter().filter_map(|case| {
        let several = case.several.as_deref()?;
        Some(case.trades(several))
    }) {
        let ids: Vec<u64> = several.iter().map(|trade| trade.id).collect();
        let first = trade(Side::Buy).id;
        assert_eq!(ids, [first, first + 1, first + 2]);
    }
}

#[test]
fn n05_earlier_trades() {
    for case in cases() {
        let Some(earlier) = &case.earlier else {
            continue;
        };
        let events = case.events(earlier);
        let expect = Event::Reference {
            instrument: FIRST,
            trade: trade(Side::Buy),
        };
        assert!(events.contains(&expect) && live(&events).is_empty());
        assert!(!clock(&events).contains(&trade(Side::Buy).time_ms));
    }
}

#[test]
fn n06_a_clock() {
    for case in cases() {
        assert_eq!(clock(&case.events(case.tick)), [TICK_MS]);
        let trades = case.venue.trades_request(&[FIRST], 1);
        let clock = case.venue.clock_request(FIRST, 2);
        let asked = trades + &clock.unwrap_or_default();
        let ticks = ["kline_1s", "heartbeat"];
        assert!(ticks.iter().any(|tick| asked.contains(tick)), "{asked}");
    }
}

#[test]
fn n07_subscribing() {
    for case in cases() {
        let text = case.venue.trades_request(&[FIRST, InstrumentIndex(1)], 1);
        let lower = text.to_lowercase();
        for index in case.venue.symbols().indices() {
            let spelled = case.venue.symbols().spelled(index).to_lowercase();
            assert!(lower.contains(&spelled), "{text}");
        }
        assert!(serde_json::from_str::<serde_json::Value>(&text).is_ok());
        let events = case.events(case.acknowledged);
        let by_number = Event::Acknowledged { request: 1 };
        let by_name = Event::Subscribed { instrument: FIRST };
        assert!(events.contains(&by_number) || events.contains(&by_name));
        let limits = case.venue.limits();
        assert!(limits.symbols_per_request <= limits.symbols_per_connection);
    }
}

#[test]
fn n08_refusals() {
    for case in cases() {
        let events = case.events(case.refused);
        let refusals: Vec<_> = events
            .iter()
            .filter_map(|event| match event {
                Event::Refused {
                    instrument,
                    message,
                    ..
                } => Some((instrument, message)),
                _ => None,
            })
            .collect();
        let [(instrument, message)] = refusals[..] else {
            panic!("{events:?}");
        };
        assert!(!message.is_empty());
        let named = case.refused.contains("BTC-USD");
        assert_eq!(instrument.is_some(), named);
    }
}

/// Per venue, what it allows in a second. Binance's five include pongs.
#[test]
fn n09_pace() {
    for (case, allowed) in cases().iter().zip([5, 8, 8]) {
        let mut budget = Budget::new(case.venue.limits().messages, 0);
        let sent: Vec<u64> = (0..20_000)
            .filter(|now| budget.take(*now, 1).is_ok())
            .collect();
        let most = sent
            .iter()
            .map(|start| {
                sent.iter()
                    .filter(|at| (*start..start + 1_000).contains(at))
                    .count()
            })
            .max();
        assert!(most.unwrap() < allowed, "{}: {most:?}", case.venue.name());
    }
}

#[test]
fn n10_garbage_names_whom_it_harms() {
    for case in cases() {
        let check = |frame: &str, harm: &[Harm]| {
            let (events, result) = case.decode(frame.as_bytes());
            let error = result.expect_err(frame);
            assert!(harm.contains(&error.harm), "{frame}: {error:?}");
            assert!(live(&events).is_empty(), "{frame}");
        };
        let one = [Harm::One(FIRST)];
        let some = [Harm::One(FIRST), Harm::Any];
        for (from, to) in [
            ("61837.63", "-61837.63"),
            ("61837.63", "6e4"),
            ("61837.63", ""),
            ("61837.63", "0"),
            ("61837.63", "999999999999999999999999999999999999999999"),
            ("0.00000001", "0.00000000001"),
            ("0.00000001", "NaN"),
        ] {
            check(&case.bought.replace(from, to), &one);
        }
        let number = case.bought.contains("\"trade_id\":\"");
        let quoted = if number {
            "\"3735683259\""
        } else {
            "3735683259"
        };
        for to in ["null", "-5", "99999999999999999999999", "1.5", "\"x\""] {
            check(&case.bought.replace(quoted, to), &some);
        }
        for at in [1, case.bought.len() / 2, case.bought.len() - 1] {
            check(&case.bought[..at], &some);
        }
        for garbage in ["", "x", "null", "7", "\u{0}"] {
            check(garbage, &[Harm::Any]);
        }
        let other = case.bought.replace("BTC", "XRP");
        check(&other, &[Harm::None]);
    }
}

#[test]
fn n11_the_unknown() {
    for case in cases() {
        let events = case.events(case.unknown);
        assert!(events.contains(&Event::Ignored) && live(&events).is_empty());
        let more = case.bought.replacen('{', r#"{"news":{"a":[1,{}]},"#, 1);
        assert_eq!(case.trades(&more), [trade(Side::Buy)]);
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]

    #[test]
    fn n10_no_bytes_panic(bytes in proptest::collection::vec(any::<u8>(), 0..300)) {
        for case in cases() {
            let (events, _) = case.decode(&bytes);
            prop_assert!(live(&events).is_empty());
        }
    }

    /// A frame whose text is damaged is an error, or says what its text now says: every trade that comes out has
    /// the price and the size that stand in the frame.
    #[test]
    fn n10_damage_makes_no_trade_that_is_not_in_the_text(at in 0..1_000usize, with in b' '..127u8) {
        for case in cases() {
            let mut frame = case.bought.clone().into_bytes();
            let at = at % frame.len();
            frame[at] = with;
            let (events, _) = case.decode(&frame);
            let text = String::from_utf8(frame).unwrap();
            for trade in live(&events) {
                prop_assert!(text.contains(&trade.price.to_string()), "{text}");
                prop_assert!(text.contains(&trade.size.to_string()), "{text}");
                prop_assert!(text.contains(&trade.id.to_string()), "{text}");
            }
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn n12_the_whole_path() {
    let symbols = [
        (Kind::BinanceSpot, "BTC-USDT"),
        (Kind::BinanceSpot, "SHIB-USDT"),
        (Kind::BinanceSpot, "ETH-USDT"),
        (Kind::Coinbase, "BTC-USD"),
        (Kind::Coinbase, "ETH-USD"),
        (Kind::CoinbaseAdvanced, "BTC-USD"),
        (Kind::CoinbaseAdvanced, "SOL-USD"),
    ];
    const TRADES: u64 = 30_000;
    let mut world = World::start(generate(&symbols, 200, 3, TRADES), |options| {
        options.shards = 2.try_into().unwrap();
    })
    .await;
    world.finish().await;
    let counts = world.check();
    let progress = world.service.progress();
    assert_eq!(progress.added + progress.reference, world.made());
    assert_eq!(counts.get(&Completeness::Gap), None, "{counts:?}");
    assert!(counts[&Completeness::Unknown] <= 3 * symbols.len());
    // An open bar of each topic is on the bus, and knows the closes before it.
    let filter = SubjectFilter::all(SubjectKind::Open, &world.scope);
    let open = world.broker.last_open(&filter).await.unwrap();
    assert_eq!(open.len(), world.service.topics().len());
    for message in open {
        let closed = &world.bars[&message.bar.topic];
        assert!(message.bar.close_no > 0 && !closed.is_empty());
    }
    let topics: BTreeSet<_> = world.bars.keys().map(ToString::to_string).collect();
    // Coinbase lists BTC-USD first; its other venue has the long topic.
    assert!(topics.contains("kline:1s:BTC-USD"));
    assert!(topics.contains("kline:coinbase-advanced:1m:BTC-USD"));
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn n08_a_symbol_that_the_venue_does_not_carry_is_reported_and_the_others_go_on() {
    let play = Play::Generate {
        symbols: vec![
            (Kind::Coinbase, symbol("BTC-USD")),
            (Kind::Coinbase, symbol("ETH-USD")),
        ],
        rate: 100,
        seed: 1,
        start_ms: Some(1_723_161_570_000),
        trades_max: Some(1_000),
    };
    let world = World::start(sim(play), |options| {
        options.sources[0].symbols.push(symbol("GIBBERISH-USD"));
    })
    .await;
    let refused: Vec<bool> = world
        .service
        .carried()
        .iter()
        .map(|at| at.refused)
        .collect();
    assert_eq!(refused, [false, false, true]);
    world.stop().await;
}
