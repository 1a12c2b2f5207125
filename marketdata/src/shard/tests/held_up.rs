use runtime::broker::CheckpointWrite;

use super::*;
use crate::repair::{RepairRequest, ToRepairer};
use crate::route::Place;

/// As many ticks, a second apart by both clocks; then a stop.
async fn tick(inbox: mpsc::Sender<Input>, seconds: i64, shutdown: Shutdown) {
    for second in 1..=seconds {
        let venue_ms = T0 + second * 1_000;
        let tick = Input::Clock { feed: 0, venue_ms };
        if inbox.send(tick).await.is_err() {
            return;
        }
        tokio::time::sleep(Duration::from_secs(1)).await;
    }
    shutdown.trigger();
}

fn up(series: u32) -> Input {
    Input::Up {
        series,
        venue_ms: T0,
    }
}

/// Where the first series' holes are asked for.
fn ask() -> (Ask, mpsc::Receiver<ToRepairer>) {
    let (requests, asked) = mpsc::channel(8);
    let ask = Ask {
        place: Place {
            shard: 0,
            series: 0,
        },
        instrument: crate::venue::InstrumentIndex(0),
        requests,
    };
    (ask, asked)
}

#[tokio::test(start_paused = true)]
async fn who_fills_the_holes_of_what_is_released_is_let_go() {
    let (_inbox_in, inbox) = mpsc::channel(8);
    let (ask, mut asked) = ask();
    let symbols = ["BTC-USDT"];
    let (mut shard, ..) = shard_of(&symbols, vec![ask], Vec::new(), inbox, WhenFull::DropNewest);
    let first = shard.control.recv().await.unwrap();
    shard.handle_control(first);
    assert_eq!(asked.try_recv(), Err(mpsc::error::TryRecvError::Empty));
    let (taken, _) = oneshot::channel();
    shard.handle_control(Control {
        change: ShardChange {
            generation: 1,
            ..ShardChange::default()
        },
        asks: Vec::new(),
        taken,
    });
    shard.act_on_events();
    // It drops what it was asked for, and then nobody is left to ask.
    let released = ToRepairer::Released(Place {
        shard: 0,
        series: 0,
    });
    assert_eq!(asked.try_recv(), Ok(released));
    let gone = mpsc::error::TryRecvError::Disconnected;
    assert_eq!(asked.try_recv(), Err(gone));
}

/// Where there is no room to say so, it is said later.
#[test]
fn what_is_released_is_told_when_there_is_room() {
    let (ask, mut asked) = ask();
    let place = ask.place;
    let request = RepairRequest {
        instrument: ask.instrument,
        place,
        missing: crate::aggregate::Missing {
            from_id: 1,
            to_id: 2,
            after_ms: 0,
            before_ms: 0,
        },
    };
    while ask.requests.try_send(ToRepairer::Fill(request)).is_ok() {}
    let mut repairs = Repairs::default();
    repairs.handle_asks(vec![ask]);
    repairs.handle_released(place.series);
    let mut told = Vec::new();
    for _ in 0..9 {
        told.push(asked.try_recv().unwrap());
        repairs.tell_released();
    }
    assert_eq!(told[..8], [ToRepairer::Fill(request); 8]);
    assert_eq!(told[8], ToRepairer::Released(place));
    let gone = mpsc::error::TryRecvError::Disconnected;
    assert_eq!(asked.try_recv(), Err(gone));
}

#[tokio::test(start_paused = true)]
async fn a_free_lease_is_taken_at_once_though_something_is_still_being_fetched() {
    let (inbox_in, inbox) = mpsc::channel(64);
    let (ask, mut asked) = ask();
    let symbols = ["BTC-USDT"];
    let (mut shard, broker, scope) =
        shard_of(&symbols, vec![ask], Vec::new(), inbox, WhenFull::DropNewest);
    let identity = Identity {
        owner: "b".to_owned(),
        shard: ShardId(0),
    };
    let options = owner::Options {
        unlevel_wait_ms: 60_000,
        ..owner::Options::default()
    };
    shard.owner = Owner::new(identity, options);
    shard.context.carriage.handle_subscribed(0);
    // The owner before is gone, and its lease lasts for a while.
    let value = owner::LeaseValue {
        owner: "a".to_owned(),
        claim: 7,
        ttl_ms: 3_000,
        released: false,
        nonce: 1,
    };
    let value = Bytes::from(value.encode());
    broker
        .write_lease(&scope, ShardId(0), value, 0)
        .await
        .unwrap();
    for input in [up(0), trade(0, 1), trade(0, 5)] {
        inbox_in.try_send(input).unwrap();
    }
    let (shutdown, status) = (
        shard.context.shutdown.clone(),
        shard.context.status.subscribe(),
    );
    let (end, ()) = tokio::join!(shard.run(), tick(inbox_in, 8, shutdown));
    assert_eq!(end, Ok(()));
    // It was asked for, and nobody has answered.
    let ToRepairer::Fill(request) = asked.try_recv().unwrap() else {
        panic!("nothing was released")
    };
    assert_eq!(request.missing.from_id, 2);
    assert!(status.borrow().as_ref().unwrap().is_level);
    assert!(broker.committed.load(Ordering::Relaxed) > 0);
}

/// A checkpoint of an owner that is gone, with this for a state.
fn left(scope: &Scope, symbol: &str, series: &str) -> CheckpointWrite {
    let instrument = Instrument::new("binance-spot".parse().unwrap(), symbol.parse().unwrap());
    let json = format!(
        r#"{{"v":1,"owner":"a","shard":0,"generation":0,"claim":7,"epoch":7,"commit_no":1,"topics":[{{"interval":"1s","next_start":{T0},"close_no":9}}],"series":{series}}}"#
    );
    CheckpointWrite {
        subject: CheckpointSubject::new(scope, &instrument),
        expect: 0,
        json: Bytes::from(json),
    }
}

#[tokio::test(start_paused = true)]
async fn checkpoints_that_cannot_be_read_hold_up_their_own_instruments_only() {
    let (inbox_in, inbox) = mpsc::channel(1_024);
    let symbols = ["BTC-USDT", "ETH-USDT", "SOL-USDT", "XRP-USDT"];
    let (mut shard, broker, scope) = shard_of(
        &symbols,
        Vec::new(),
        Vec::new(),
        inbox,
        WhenFull::DropNewest,
    );
    // Less than what two keep.
    let options = owner::Options {
        pending_max: 100,
        ..shard.context.options.ownership.owner()
    };
    let identity = Identity {
        owner: "b".to_owned(),
        shard: ShardId(0),
    };
    shard.owner = Owner::new(identity, options);
    // A state that is not one, and an envelope that is not.
    let unreadable = ["ETH-USDT", "SOL-USDT", "XRP-USDT"];
    let checkpoints = vec![
        left(&scope, "ETH-USDT", r#"{"lanes":7}"#),
        left(&scope, "SOL-USDT", "7"),
        CheckpointWrite {
            json: Bytes::from_static(b"{}"),
            ..left(&scope, "XRP-USDT", "null")
        },
    ];
    let before: Vec<CheckpointSubject> = checkpoints.iter().map(|it| it.subject.clone()).collect();
    let commit = Commit {
        closes: Vec::new(),
        checkpoints,
    };
    broker.bus.commit(&commit).await.unwrap();
    let stored = broker.checkpoints(&before).await.unwrap();
    for series in 0..4 {
        inbox_in.try_send(up(series)).unwrap();
        inbox_in.try_send(trade(series, 1)).unwrap();
    }
    let (shutdown, status) = (
        shard.context.shutdown.clone(),
        shard.context.status.subscribe(),
    );
    let (end, ()) = tokio::join!(shard.run(), tick(inbox_in, 300, shutdown));
    assert_eq!(end, Ok(()));
    let status = status.borrow().clone().unwrap();
    assert_eq!(
        status.blocked.get(&owner::Block::Unreadable),
        Some(&unreadable.len())
    );
    // Nobody has written over them, and what is readable goes on.
    assert_eq!(broker.checkpoints(&before).await.unwrap(), stored);
    assert!(broker.committed.load(Ordering::Relaxed) >= 297);
    assert!(status.pending <= 100 + 1, "{}", status.pending);
}

/// A standby that has refused an assignment learns from the log that another has it in force.
#[tokio::test(start_paused = true)]
async fn what_generation_the_log_shows_is_told() {
    let (inbox_in, inbox) = mpsc::channel(1_024);
    let symbols = ["BTC-USDT", "ETH-USDT", "SOL-USDT"];
    let (shard, broker, scope) = shard_of(
        &symbols,
        Vec::new(),
        Vec::new(),
        inbox,
        WhenFull::DropNewest,
    );
    let under = |symbol, generation: u64| {
        let write = left(&scope, symbol, "null");
        let json = String::from_utf8(write.json.to_vec()).unwrap();
        let bears = format!(r#""generation":{generation}"#);
        CheckpointWrite {
            json: json.replace(r#""generation":0"#, &bears).into(),
            ..write
        }
    };
    let commit = Commit {
        closes: Vec::new(),
        // The last one has none yet.
        checkpoints: vec![under("BTC-USDT", 9), under("ETH-USDT", 6)],
    };
    broker.bus.commit(&commit).await.unwrap();
    let (shutdown, status) = (
        shard.context.shutdown.clone(),
        shard.context.status.subscribe(),
    );
    let in_log = shard.context.options.in_log.clone();
    assert_eq!(in_log.newest(), 0);
    let (end, ()) = tokio::join!(shard.run(), tick(inbox_in, 8, shutdown));
    assert_eq!(end, Ok(()));
    assert_eq!(in_log.newest(), 9);
    let status = status.borrow().clone().unwrap();
    assert_eq!(status.blocked.get(&owner::Block::Generation), Some(&2));
}

#[tokio::test(start_paused = true)]
async fn a_stop_ends_though_the_bus_answers_nothing_any_more() {
    let (inbox_in, inbox) = mpsc::channel(64);
    let (shard, broker, _) = shard(Vec::new(), inbox, WhenFull::DropNewest);
    shard.context.carriage.handle_subscribed(0);
    for input in [up(0), trade(0, 1)] {
        inbox_in.try_send(input).unwrap();
    }
    let shutdown = shard.context.shutdown.clone();
    let begin = Instant::now();
    let ticks = async {
        let silence = async {
            tokio::time::sleep(Duration::from_secs(5)).await;
            broker.silent.store(true, Ordering::Relaxed);
        };
        tokio::join!(tick(inbox_in, 8, shutdown), silence);
    };
    let run = tokio::time::timeout(Duration::from_secs(60), shard.run());
    let (end, ()) = tokio::join!(run, ticks);
    assert_eq!(end, Ok(Ok(())), "it is not cut, and no failure");
    assert!(begin.elapsed() - Duration::from_secs(8) < crate::service::DRAIN_MAX);
    assert!(broker.committed.load(Ordering::Relaxed) > 0);
}
