//! Cases of a log that is full.
#![expect(
    clippy::expect_used,
    reason = "a contract suite fails by panicking, and its literals are valid"
)]

use super::CLOSES_MAX;
use super::bars::{BTC_1S, Bus, ETH_1S, take};
use super::closes::numbers;
use crate::broker::{CloseStart, Drained};

const HELD: u64 = CLOSES_MAX as u64;

/// What the topic's closes above `after` are said to be: the first of them, what is missed, the newest.
async fn replay(bus: &Bus, after: u64) -> (Vec<u64>, Option<(u64, u64)>, Option<u64>) {
    let subject = bus.committed(BTC_1S);
    let replay = bus.broker.closes_after(&subject, after, 1).await;
    let replay = replay.expect("read");
    (numbers(&replay.closes), replay.missed, replay.newest)
}

pub(super) async fn a_reader_that_falls_off_is_told_what_it_lost(bus: Bus) {
    let mut reader = bus.read(CloseStart::First).await;
    bus.commit(&bus.closes(BTC_1S, 1..=2)).await;
    assert_eq!(numbers(&take(&mut *reader, 2, 10).await), [1, 2]);
    bus.commit(&bus.closes(BTC_1S, 3..=HELD + 7)).await;
    let mut into = Vec::new();
    let drained = reader.drain(10, &mut into).await.expect("not closed");
    assert_eq!(drained, Drained::Lagged { from: 3, to: 7 });
    assert!(into.is_empty());
    let closes = take(&mut *reader, CLOSES_MAX, 1_000).await;
    assert_eq!(numbers(&closes), Vec::from_iter(8..=HELD + 7));
    // One that resumes from too far back is told the same, down to a single close.
    for after in [4, 6] {
        let mut late = bus.read(bus.after(after).await).await;
        let drained = late.drain(10, &mut into).await.expect("not closed");
        let (from, to) = (after + 1, 7);
        assert_eq!(drained, Drained::Lagged { from, to });
    }
    let mut level = bus.read(bus.after(7).await).await;
    assert_eq!(numbers(&take(&mut *level, 1, 1).await), [8]);
    // The first that is held is no loss to who asks for that.
    let mut first = bus.read(CloseStart::First).await;
    assert_eq!(numbers(&take(&mut *first, 1, 1).await), [8]);
}

pub(super) async fn a_reader_that_falls_off_finds_the_oldest_of_its_topic(bus: Bus) {
    let mut reader = bus.read(CloseStart::First).await;
    bus.commit(&[bus.close(ETH_1S, 1, 1), bus.close(BTC_1S, 1, 1)])
        .await;
    let after = take(&mut *reader, 2, 10).await[1].sequence;
    drop(reader);
    bus.commit(&bus.closes(BTC_1S, 2..=HELD + 7)).await;
    // The other topic keeps what it has; this one goes on with its oldest, and nothing is said of the rest.
    for (from, expect) in [
        (bus.after(after).await, Vec::from_iter(8..=HELD + 7)),
        (
            CloseStart::First,
            [1].into_iter().chain(8..=HELD + 7).collect(),
        ),
    ] {
        let mut late = bus.read(from).await;
        let closes = take(&mut *late, expect.len(), 1_000).await;
        assert_eq!(numbers(&closes), expect);
    }
}

pub(super) async fn publishers_wait_for_no_reader_and_tell_it(bus: Bus) {
    let mut quick = bus.read(CloseStart::First).await;
    let mut slow = bus.read(CloseStart::First).await;
    outrun(&bus, &mut *quick).await;
    let lagged = slow.drain(10, &mut Vec::new()).await.expect("not closed");
    let (from, to) = (1, HELD * 4);
    assert_eq!(lagged, Drained::Lagged { from, to });
    let closes = take(&mut *slow, 1, 1).await;
    assert_eq!(numbers(&closes), [HELD * 4 + 1]);
}

pub(super) async fn publishers_wait_for_no_reader(bus: Bus) {
    let mut quick = bus.read(CloseStart::First).await;
    let mut slow = bus.read(CloseStart::First).await;
    outrun(&bus, &mut *quick).await;
    // It may have fetched some ahead; from there on it goes on with what is held, up to the end.
    let mut seen = Vec::new();
    while seen.last() != Some(&(HELD * 5)) {
        seen.extend(numbers(&take(&mut *slow, 1, 10).await));
    }
    assert!(seen.is_sorted_by(|a, b| a < b), "{seen:?}");
    assert!(seen.ends_with(&Vec::from_iter(HELD * 4 + 1..=HELD * 5)));
}

/// Commits many times what is held; nobody but `quick` reads, and every commit goes through.
async fn outrun(bus: &Bus, quick: &mut dyn crate::broker::CloseSubscription) {
    let gone = bus.read(CloseStart::First).await;
    for close_no in 1..=HELD * 5 {
        bus.commit(&[bus.close(BTC_1S, close_no, 1)]).await;
        assert_eq!(numbers(&take(quick, 1, 10).await), [close_no]);
    }
    drop(gone);
}

pub(super) async fn replay_says_what_has_aged_out(bus: Bus) {
    bus.commit(&bus.closes(BTC_1S, 1..=HELD + 5)).await;
    let newest = Some(HELD + 5);
    assert_eq!(replay(&bus, 0).await, (vec![6], Some((1, 5)), newest));
    assert_eq!(replay(&bus, 3).await, (vec![6], Some((4, 5)), newest));
    assert_eq!(replay(&bus, 5).await, (vec![6], None, newest));
    assert_eq!(replay(&bus, 17).await, (vec![18], None, newest));
    assert_eq!(replay(&bus, HELD + 5).await, (vec![], None, newest));
}

pub(super) async fn replay_says_what_has_aged_out_of_all(bus: Bus) {
    bus.commit(&bus.closes(BTC_1S, 1..=HELD + 5)).await;
    // Another topic pushes all of it out; the topic's number is still known.
    bus.commit(&bus.closes(ETH_1S, 1..=HELD)).await;
    let newest = Some(HELD + 5);
    assert_eq!(replay(&bus, 3).await, (vec![], Some((4, HELD + 5)), newest));
    assert_eq!(replay(&bus, HELD + 5).await, (vec![], None, newest));
}

pub(super) async fn other_topics_push_nothing_out(bus: Bus) {
    bus.commit(&[bus.close(BTC_1S, 1, 1)]).await;
    bus.commit(&bus.closes(ETH_1S, 1..=HELD * 3)).await;
    assert_eq!(replay(&bus, 0).await, (vec![1], None, Some(1)));
}
