//! The contract, and what only the bus in memory promises.

use std::sync::Arc;

use wire::{
    Bar, Candle, Completeness, Instrument, Interval, Price, Scope, SubjectFilter, Symbol, Topic,
    Venue,
};

use super::*;
use crate::broker::{Bus, Closed, Drained, commit_alone, contract};

fn broker(closes_max: usize, subjects_max: usize) -> MemoryBroker {
    MemoryBroker::new(Options {
        closes_max,
        subjects_max,
    })
}

fn message(symbol: &str, closed: bool, close_no: u64) -> BarMessage {
    let instrument = Instrument::new(
        Venue::new("coinbase").unwrap(),
        Symbol::new(symbol).unwrap(),
    );
    let bar = Bar {
        topic: Topic::long(&instrument, Interval::S1),
        instrument,
        interval: Interval::S1,
        start_ms: 1_000 * close_no.cast_signed(),
        candle: Candle::flat(Price::parse(b"1").unwrap()),
        closed,
        rev: 0,
        completeness: Completeness::Quiet,
        close_no,
        epoch: 1,
        seq: close_no,
        event_time_ms: 0,
        publish_time_ms: 0,
    };
    BarMessage::new(&scope(), bar)
}

fn scope() -> Scope {
    Scope::new("test", "eu").unwrap()
}

#[tokio::test]
async fn passes_the_contract() {
    let make = async |_, closes_max| Arc::new(broker(closes_max, 10)) as Arc<dyn Bus>;
    contract::run(contract::Retention::Overall, make).await;
}

#[tokio::test]
async fn a_log_can_be_made_anew() {
    let bus = Arc::new(broker(20, 10));
    let renewed = Arc::clone(&bus);
    let renew = async || renewed.make_log_anew();
    contract::run_renewal(scope(), bus, renew).await;
}

#[tokio::test]
async fn a_dropped_subscription_is_freed() {
    let bus = broker(10, 10);
    let open = SubjectFilter::all(Kind::Open, &scope());
    let closes = SubjectFilter::all(Kind::Committed, &scope());
    let first = bus.subscribe_open(open.clone()).await.unwrap();
    let second = bus.subscribe_open(open).await.unwrap();
    let reader = bus
        .subscribe_closes(closes, CloseStart::Next)
        .await
        .unwrap();
    assert_eq!((bus.open_subscribers(), bus.close_subscribers()), (2, 1));
    drop(first);
    assert_eq!((bus.open_subscribers(), bus.close_subscribers()), (1, 1));
    drop((second, reader));
    assert_eq!((bus.open_subscribers(), bus.close_subscribers()), (0, 0));
}

#[tokio::test]
async fn further_subjects_are_refused_whole() {
    let bus = broker(10, 2);
    let open = |symbol| message(symbol, false, 1);
    bus.publish_open(&[open("A-USD"), open("A-USD")])
        .await
        .unwrap();
    let refused = bus
        .publish_open(&[message("A-USD", false, 2), open("B-USD"), open("C-USD")])
        .await;
    assert_eq!(refused, Err(PublishError::TooManySubjects { max: 2 }));
    let all = SubjectFilter::all(Kind::Open, &scope());
    let last = bus.last_open(&all).await.unwrap();
    assert_eq!(last.len(), 1);
    assert_eq!(last[0].bar.seq, 1);
    bus.publish_open(&[open("B-USD")]).await.unwrap();

    let close = |symbol| message(symbol, true, 1);
    commit_alone(&bus, &[close("A-USD"), close("B-USD")])
        .await
        .unwrap();
    let refused = commit_alone(&bus, &[message("A-USD", true, 2), close("C-USD")]).await;
    assert_eq!(refused, Err(CommitError::TooManySubjects { max: 2 }));
    commit_alone(&bus, &[message("A-USD", true, 2)])
        .await
        .unwrap();
}

#[tokio::test]
async fn all_that_was_committed_outlives_the_bus() {
    let bus = broker(10, 10);
    let open = SubjectFilter::all(Kind::Open, &scope());
    let closes = SubjectFilter::all(Kind::Committed, &scope());
    let mut watcher = bus.subscribe_open(open).await.unwrap();
    let reader = bus.subscribe_closes(closes, CloseStart::First).await;
    let mut reader = reader.unwrap();
    bus.publish_open(&[message("A-USD", false, 1)])
        .await
        .unwrap();
    let sent = [message("A-USD", true, 1), message("A-USD", true, 2)];
    commit_alone(&bus, &sent).await.unwrap();
    drop(bus);
    let (mut bars, mut closes) = (Vec::new(), Vec::new());
    assert_eq!(watcher.drain(&mut bars).await, Ok(()));
    assert_eq!(watcher.drain(&mut bars).await, Err(Closed));
    assert_eq!(reader.drain(10, &mut closes).await, Ok(Drained::Closes));
    assert_eq!(reader.drain(10, &mut closes).await, Err(Closed));
    assert_eq!((bars.len(), closes.len()), (1, 2));
}

#[test]
fn a_message_is_one_of_its_subject() {
    let sent = message("A-USD", true, 7);
    let read = BarMessage::decode(sent.subject.clone(), sent.json.clone()).unwrap();
    assert_eq!((&read.bar, &read.json), (&sent.bar, &sent.json));
    let others = [
        message("B-USD", true, 7).subject,
        message("A-USD", false, 7).subject,
    ];
    for other in others {
        let error = BarMessage::decode(other.clone(), sent.json.clone()).unwrap_err();
        assert!(error.to_string().contains(&other.to_string()), "{error}");
    }
    assert!(BarMessage::decode(sent.subject.clone(), "{".into()).is_err());
}
