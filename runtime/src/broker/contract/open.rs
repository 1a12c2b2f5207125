//! Cases of open bars.
#![expect(
    clippy::expect_used,
    reason = "a contract suite fails by panicking, and its literals are valid"
)]

use std::collections::BTreeMap;

use futures_util::FutureExt;
use wire::subject::Kind;
use wire::{Scope, Symbol, Venue};

use super::bars::{BTC_1M, BTC_1S, Bus, ETH_1S, USD_1S, drain_open, drain_to, shown_open};
use crate::broker::{BarMessage, Closed, PublishError, SubscribeError, WrongKind};

pub(super) async fn a_subscriber_gets_the_last_values_then_what_comes(bus: Bus) {
    bus.publish(&[bus.open(BTC_1S, (1, 1, 1)), bus.open(ETH_1S, (1, 1, 1))])
        .await;
    bus.publish(&[bus.open(BTC_1S, (1, 1, 2))]).await;
    let expect = [
        (BTC_1S.to_owned(), (1, 1, 2)),
        (ETH_1S.to_owned(), (1, 1, 1)),
    ];
    // A bus between processes may be a moment behind; a wrong one never gets there.
    loop {
        let last = bus.broker.last_open(&bus.all(Kind::Open)).await;
        let mut last: Vec<_> = last.expect("read").iter().map(shown_open).collect();
        last.sort();
        if last == expect {
            break;
        }
        tokio::task::yield_now().await;
    }

    let mut watcher = bus.watch().await;
    let marker = bus.open(USD_1S, (1, 1, 1));
    bus.publish(std::slice::from_ref(&marker)).await;
    let mut seen = drain_to(&marker, &mut *watcher).await;
    seen.sort();
    assert_eq!(seen, expect);
    bus.publish(&[bus.open(BTC_1S, (1, 1, 3))]).await;
    assert_eq!(
        drain_open(&mut *watcher).await,
        [(BTC_1S.to_owned(), (1, 1, 3))]
    );
}

pub(super) async fn an_overtaken_bar_never_replaces_a_newer_one(bus: Bus) {
    let mut watcher = bus.watch().await;
    let newest = (5, 3, 10);
    bus.publish(&[bus.open(BTC_1S, newest)]).await;
    assert_eq!(
        drain_open(&mut *watcher).await,
        [(BTC_1S.to_owned(), newest)]
    );
    // An earlier bar of a newer owner, an older owner of the same bar, an older message, the same.
    for old in [(4, 9, 99), (5, 2, 99), (5, 3, 9), newest] {
        bus.publish(&[bus.open(BTC_1S, old)]).await;
    }
    let marker = bus.open(ETH_1S, (1, 1, 1));
    bus.publish(std::slice::from_ref(&marker)).await;
    assert_eq!(drain_to(&marker, &mut *watcher).await, []);
    let mut later = bus.watch().await;
    assert_eq!(
        drain_to(&marker, &mut *later).await,
        [(BTC_1S.to_owned(), newest)]
    );
    // Later by seq, by epoch and by start, in this order of weight.
    for next in [(5, 3, 11), (5, 4, 1), (6, 1, 1)] {
        bus.publish(&[bus.open(BTC_1S, next)]).await;
        assert_eq!(drain_open(&mut *watcher).await, [(BTC_1S.to_owned(), next)]);
    }
}

pub(super) async fn a_slow_subscriber_gets_the_newest_only(bus: Bus) {
    let mut watcher = bus.watch().await;
    for seq in 1..=500 {
        bus.publish(&[bus.open(BTC_1S, (1, 1, seq)), bus.open(ETH_1S, (1, 1, seq))])
            .await;
    }
    let marker = bus.open(USD_1S, (1, 1, 1));
    bus.publish(std::slice::from_ref(&marker)).await;
    let seen = drain_to(&marker, &mut *watcher).await;
    let newest: BTreeMap<_, _> = seen.iter().cloned().collect();
    let expect = [BTC_1S, ETH_1S].map(|of| (of.to_owned(), (1, 1, 500)));
    assert_eq!(newest, BTreeMap::from(expect));
    // A bus may have handed over a part before; it must not have queued them all.
    assert!(seen.len() < 1_000, "{} messages queued", seen.len());
}

pub(super) async fn filters_choose_by_venue_interval_and_symbol(bus: Bus) {
    let topics = [BTC_1S, BTC_1M, ETH_1S, USD_1S];
    let marker = "coinbase/1m/BTC-USDT";
    let bars: Vec<BarMessage> = topics.iter().map(|of| bus.open(of, (1, 1, 1))).collect();
    let all = bus.all(Kind::Open);
    let (mut venue, mut interval, mut symbol) = (all.clone(), all.clone(), all.clone());
    venue.venue = Some(Venue::new("coinbase").expect("a venue"));
    interval.interval = Some("1m".parse().expect("an interval"));
    symbol.symbol = Some(Symbol::new("BTC-USDT").expect("a symbol"));
    let mut one = symbol.clone();
    one.interval = interval.interval;
    let cases = [
        (all, vec![BTC_1M, BTC_1S, ETH_1S, USD_1S]),
        (venue, vec![USD_1S]),
        (interval, vec![BTC_1M]),
        (symbol, vec![BTC_1M, BTC_1S]),
        (one, vec![BTC_1M]),
    ];
    let mut watchers = Vec::new();
    for (filter, expect) in cases {
        watchers.push((bus.watch_some(filter).await, expect));
    }
    bus.publish(&bars).await;
    // Every filter above matches the marker.
    let marker = bus.open(marker, (1, 1, 1));
    bus.publish(std::slice::from_ref(&marker)).await;
    for (mut watcher, expect) in watchers {
        let mut seen = drain_to(&marker, &mut *watcher).await;
        seen.sort();
        let seen: Vec<&str> = seen.iter().map(|(of, _)| of.as_str()).collect();
        assert_eq!(seen, expect);
    }
}

pub(super) async fn scopes_and_kinds_do_not_mix(bus: Bus) {
    let other = Scope::new("contract", "us").expect("valid words");
    let foreign = BarMessage::new(&other, (*bus.open(BTC_1S, (9, 9, 9)).bar).clone());
    let mut watcher = bus.watch().await;
    bus.publish(&[foreign]).await;
    let marker = bus.open(BTC_1S, (1, 1, 1));
    bus.publish(std::slice::from_ref(&marker)).await;
    assert_eq!(drain_to(&marker, &mut *watcher).await, []);

    let refused = bus.broker.subscribe_open(bus.all(Kind::Committed)).await;
    let expect = WrongKind {
        expected: Kind::Open,
        got: Kind::Committed,
    };
    assert_eq!(refused.err(), Some(SubscribeError::Kind(expect)));
    let refused = bus.broker.last_open(&bus.all(Kind::Closed)).await;
    assert!(refused.is_err());
}

pub(super) async fn subscribers_are_independent(bus: Bus) {
    let mut quick = bus.watch().await;
    let mut slow = bus.watch().await;
    let gone = bus.watch().await;
    for seq in 1..=3 {
        bus.publish(&[bus.open(BTC_1S, (1, 1, seq))]).await;
        assert_eq!(
            drain_open(&mut *quick).await,
            [(BTC_1S.to_owned(), (1, 1, seq))]
        );
    }
    drop(gone);
    let marker = bus.open(ETH_1S, (1, 1, 1));
    bus.publish(std::slice::from_ref(&marker)).await;
    let seen = drain_to(&marker, &mut *slow).await;
    assert_eq!(seen.last(), Some(&(BTC_1S.to_owned(), (1, 1, 3))));
    assert_eq!(drain_to(&marker, &mut *quick).await, []);
}

pub(super) async fn a_dropped_drain_loses_nothing(bus: Bus) {
    let mut watcher = bus.watch().await;
    let mut lost = Vec::new();
    for seq in 1..=5 {
        // Polled once, so that it waits; then dropped, once before and once after the arrival.
        assert!(watcher.drain(&mut lost).now_or_never().is_none());
        let mut waiting = watcher.drain(&mut lost);
        assert!((&mut waiting).now_or_never().is_none());
        bus.publish(&[bus.open(BTC_1S, (1, 1, seq))]).await;
        drop(waiting);
        assert_eq!(
            drain_open(&mut *watcher).await,
            [(BTC_1S.to_owned(), (1, 1, seq))]
        );
    }
    assert!(lost.is_empty());
}

pub(super) async fn a_stream_never_goes_backwards_while_others_publish(bus: Bus) {
    const SEQ_MAX: u64 = 300;
    // Two owners publish the same bar at once, one of them fenced off; watchers come and go.
    let publish = async |epoch: u64| {
        for seq in 1..=SEQ_MAX {
            bus.publish(&[bus.open(BTC_1S, (1, epoch, seq))]).await;
            tokio::task::yield_now().await;
        }
    };
    let watch = async || {
        let mut newest = (0, 0, 0);
        while newest != (1, 2, SEQ_MAX) {
            let mut watcher = bus.watch().await;
            let mut snapshot_seen = (0, 0, 0);
            for _ in 0..3 {
                for (_, place) in drain_open(&mut *watcher).await {
                    assert!(place > snapshot_seen, "{place:?} after {snapshot_seen:?}");
                    (snapshot_seen, newest) = (place, place);
                }
                if newest == (1, 2, SEQ_MAX) {
                    break;
                }
            }
        }
    };
    tokio::join!(publish(1), publish(2), watch(), watch());
}

pub(super) async fn a_closed_bar_is_refused(bus: Bus) {
    let mut watcher = bus.watch().await;
    let bars = [bus.open(BTC_1S, (1, 1, 1)), bus.close(ETH_1S, 1, 1)];
    let refused = bus.broker.publish_open(&bars).await;
    let expect = WrongKind {
        expected: Kind::Open,
        got: Kind::Committed,
    };
    assert_eq!(refused, Err(PublishError::Kind(expect)));
    let marker = bus.open(USD_1S, (1, 1, 1));
    bus.publish(std::slice::from_ref(&marker)).await;
    assert_eq!(drain_to(&marker, &mut *watcher).await, []);
}

pub(super) async fn the_bus_ends(bus: Bus) {
    let mut watcher = bus.watch().await;
    let mut idle = bus.watch().await;
    bus.publish(&[bus.open(BTC_1S, (1, 1, 1))]).await;
    drain_open(&mut *idle).await;
    let mut into = Vec::new();
    let mut waiting = idle.drain(&mut into);
    assert!((&mut waiting).now_or_never().is_none());
    drop(bus);
    assert_eq!(waiting.await, Err(Closed));
    // What had arrived before the end is still handed over.
    let mut rest = Vec::new();
    while watcher.drain(&mut rest).await != Err(Closed) {}
    let rest: Vec<_> = rest.iter().map(shown_open).collect();
    assert!(
        [(BTC_1S.to_owned(), (1, 1, 1))].starts_with(&rest),
        "{rest:?}"
    );
    assert_eq!(watcher.drain(&mut Vec::new()).await, Err(Closed));
}
