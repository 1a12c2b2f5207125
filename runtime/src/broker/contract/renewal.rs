//! The case of a log that is made anew.

use wire::subject::Kind;

use super::bars::{BTC_1S, Bus, take};
use super::closes::{check_log, numbers};
use crate::broker::{CloseStart, Closed, SubscribeError};

pub(super) async fn readers_of_the_old_log_are_told(bus: Bus, renew: impl AsyncFnOnce()) {
    bus.commit(&bus.closes(BTC_1S, 1..=3)).await;
    let mut reader = bus.read(CloseStart::First).await;
    // It has been given nothing of the old log.
    let mut idle = bus.read(CloseStart::Next).await;
    assert_eq!(numbers(&take(&mut *reader, 3, 10).await), [1, 2, 3]);
    renew().await;
    // Longer than the old one was, at once: by sequences nobody could tell.
    bus.commit(&bus.closes(BTC_1S, 1..=9)).await;
    for reader in [&mut reader, &mut idle] {
        let mut into = Vec::new();
        assert_eq!(reader.drain(10, &mut into).await, Err(Closed));
        assert!(into.is_empty(), "{into:?}");
        let from = CloseStart::After(reader.place());
        let refused = bus.broker.subscribe_closes(bus.all(Kind::Committed), from);
        assert_eq!(refused.await.err(), Some(SubscribeError::OtherLog));
    }
    let mut reader = bus.read(CloseStart::First).await;
    let closes = take(&mut *reader, 4, 4).await;
    assert_eq!(numbers(&closes), [1, 2, 3, 4]);
    // And the new one is resumed like any other.
    let mut rest = bus.read(CloseStart::After(reader.place())).await;
    assert_eq!(
        numbers(&take(&mut *rest, 5, 10).await),
        Vec::from_iter(5..=9)
    );
    let expect: Vec<(&str, u64)> = (1..=9).map(|close_no| (BTC_1S, close_no)).collect();
    check_log(&bus, &expect).await;
}
