//! Cases of closes.
#![expect(
    clippy::expect_used,
    reason = "a contract suite fails by panicking, and its literals are valid"
)]

use futures_util::FutureExt;
use wire::Symbol;
use wire::subject::Kind;

use super::bars::{BTC_1M, BTC_1S, Bus, ETH_1S, USD_1S, shown_close, take};
use crate::broker::{
    BATCH_MAX, ClosePlace, CloseStart, Closed, CommitError, LogId, SequencedClose, SubscribeError,
    WrongKind,
};

pub(super) fn shown(closes: &[SequencedClose]) -> Vec<(String, u64)> {
    closes.iter().map(shown_close).collect()
}

fn lines(expect: &[(&str, u64)]) -> Vec<(String, u64)> {
    let line = |(of, close_no): &(&str, u64)| ((*of).to_owned(), *close_no);
    expect.iter().map(line).collect()
}

pub(super) fn numbers(closes: &[SequencedClose]) -> Vec<u64> {
    closes.iter().map(|close| shown_close(close).1).collect()
}

/// Shows that the log holds exactly these closes of all topics.
pub(super) async fn check_log(bus: &Bus, expect: &[(&str, u64)]) {
    assert_eq!(shown(&bus.whole_log().await), lines(expect));
}

pub(super) async fn a_reader_gets_all_in_order_with_sequences(bus: Bus) {
    let mut reader = bus.read(CloseStart::Next).await;
    let batch = [
        bus.close(BTC_1S, 1, 1),
        bus.close(ETH_1S, 1, 1),
        bus.close(BTC_1S, 2, 1),
        bus.close(BTC_1M, 1, 1),
    ];
    let first_end = bus.commit(&batch).await;
    let end = bus.commit(&[bus.close(ETH_1S, 2, 1)]).await;
    assert!(first_end < end);
    let closes = take(&mut *reader, 5, 2).await;
    let expect = [
        (BTC_1S, 1),
        (ETH_1S, 1),
        (BTC_1S, 2),
        (BTC_1M, 1),
        (ETH_1S, 2),
    ];
    assert_eq!(shown(&closes), lines(&expect));
    let sequences: Vec<u64> = closes.iter().map(|close| close.sequence).collect();
    // Checkpoints may take places between and after.
    assert!(sequences.is_sorted_by(|a, b| a < b), "{sequences:?}");
    assert!(sequences[3] <= first_end && first_end < sequences[4] && sequences[4] <= end);
    let texts = closes.iter().map(|close| &close.message.json);
    assert!(texts.zip(&batch).all(|(got, sent)| *got == sent.json));
    // An empty commit says where the log ends.
    assert_eq!(bus.commit(&[]).await, end);
    check_log(&bus, &expect).await;
}

pub(super) async fn a_batch_is_all_or_nothing(bus: Bus) {
    bus.commit(&[bus.close(BTC_1S, 1, 2)]).await;
    // The last message of each is wrong; nothing of it may stay.
    let open = [bus.close(BTC_1S, 2, 9), bus.open(BTC_1S, (1, 1, 1))];
    bus.refused(&open).await;
    let stands = bus.stored(&[BTC_1S]).await;
    let stands = stands[0].as_ref().expect("a checkpoint").sequence;
    let writes = [bus.write(BTC_1S, stands, "{}"), bus.write(ETH_1S, 1, "{}")];
    let closes = [bus.close(BTC_1S, 2, 2), bus.close(ETH_1S, 1, 2)];
    let refused = bus.commit_with(closes.clone(), writes).await;
    assert_eq!(refused, Err(CommitError::Fenced));
    check_log(&bus, &[(BTC_1S, 1)]).await;
    // The checkpoint that was right has not been replaced either.
    let writes = [bus.write(BTC_1S, stands, "{}"), bus.write(ETH_1S, 0, "{}")];
    bus.commit_with(closes, writes).await.expect("committed");
    check_log(&bus, &[(BTC_1S, 1), (BTC_1S, 2), (ETH_1S, 1)]).await;
}

pub(super) async fn a_long_batch_is_refused(bus: Bus) {
    // With its checkpoint it is one longer.
    let batch = bus.closes(BTC_1S, 1..=BATCH_MAX as u64);
    let expect = CommitError::BatchTooLong {
        len: BATCH_MAX + 1,
        max: BATCH_MAX,
    };
    assert_eq!(bus.refused(&batch).await, expect);
    check_log(&bus, &[]).await;
    bus.commit(&batch[1..]).await;
    let replay = bus.broker.closes_after(&batch[0].subject, 0, 1).await;
    assert_eq!(replay.expect("read").newest, Some(BATCH_MAX as u64));
}

pub(super) async fn an_open_bar_is_refused(bus: Bus) {
    let expect = WrongKind {
        expected: Kind::Committed,
        got: Kind::Open,
    };
    let refused = bus.refused(&[bus.open(BTC_1S, (1, 1, 1))]).await;
    assert_eq!(refused, CommitError::Kind(expect));
    let filter = bus.all(Kind::Open);
    let refused = bus.broker.subscribe_closes(filter, CloseStart::Next).await;
    assert_eq!(refused.err(), Some(SubscribeError::Kind(expect)));
    let subject = bus.open(BTC_1S, (1, 1, 1)).subject;
    assert!(bus.broker.closes_after(&subject, 0, 1).await.is_err());
    check_log(&bus, &[]).await;
}

pub(super) async fn filters_choose_and_sequences_skip(bus: Bus) {
    let mut filter = bus.all(Kind::Committed);
    filter.symbol = Some(Symbol::new("BTC-USDT").expect("a symbol"));
    let mut reader = bus.read_some(filter, CloseStart::First).await;
    let batch = [
        bus.close(ETH_1S, 1, 1),
        bus.close(BTC_1S, 1, 1),
        bus.close(USD_1S, 1, 1),
        bus.close(BTC_1M, 1, 1),
    ];
    bus.commit(&batch).await;
    let closes = take(&mut *reader, 2, 10).await;
    assert_eq!(shown(&closes), lines(&[(BTC_1S, 1), (BTC_1M, 1)]));
    assert!(closes[0].sequence + 1 < closes[1].sequence);
    bus.commit(&[bus.close(ETH_1S, 2, 1), bus.close(BTC_1S, 2, 1)])
        .await;
    let closes = take(&mut *reader, 1, 10).await;
    assert_eq!(shown(&closes), lines(&[(BTC_1S, 2)]));
}

pub(super) async fn readers_begin_where_they_ask(bus: Bus) {
    bus.commit(&bus.closes(BTC_1S, 1..=3)).await;
    let sequences: Vec<u64> = take(&mut *bus.read(CloseStart::First).await, 3, 10)
        .await
        .iter()
        .map(|close| close.sequence)
        .collect();
    let mut readers = Vec::new();
    for (from, expect) in [
        (CloseStart::First, vec![1, 2, 3, 4]),
        (bus.after(0).await, vec![1, 2, 3, 4]),
        (bus.after(sequences[1]).await, vec![3, 4]),
        (bus.after(sequences[2]).await, vec![4]),
        (CloseStart::Next, vec![4]),
    ] {
        readers.push((bus.read(from).await, expect));
    }
    bus.commit(&[bus.close(BTC_1S, 4, 1)]).await;
    for (mut reader, expect) in readers {
        let closes = take(&mut *reader, expect.len(), 10).await;
        assert_eq!(numbers(&closes), expect);
    }
}

pub(super) async fn a_reader_resumes_by_sequence(bus: Bus) {
    let end = bus.commit(&bus.closes(BTC_1S, 1..=10)).await;
    let mut from = CloseStart::First;
    let mut seen = Vec::new();
    while seen.len() < 10 {
        // A new subscription each time, as after a restart.
        let mut reader = bus.read(from).await;
        let closes = take(&mut *reader, 1, 3).await;
        let last = closes.last().map_or(0, |close| close.sequence);
        let place = reader.place();
        // Between the last that was given and the next that comes.
        assert!((last..=end).contains(&place.sequence), "{last} {place:?}");
        from = CloseStart::After(place);
        seen.extend(numbers(&closes));
    }
    assert_eq!(seen, Vec::from_iter(1..=10));
    // One that has been given nothing has a place too: what comes is not lost to it.
    let place = bus.read(CloseStart::Next).await.place();
    bus.commit(&bus.closes(BTC_1S, 11..=12)).await;
    let mut reader = bus.read(CloseStart::After(place)).await;
    assert_eq!(numbers(&take(&mut *reader, 2, 10).await), [11, 12]);
}

pub(super) async fn a_place_in_another_log_is_refused(bus: Bus) {
    let last = bus.commit(&bus.closes(BTC_1S, 1..=3)).await;
    // Whatever its sequence: within the log, at its end, beyond it.
    for sequence in [0, 1, last, last + 1] {
        let log = LogId::new("another");
        let from = CloseStart::After(ClosePlace { log, sequence });
        let refused = bus.broker.subscribe_closes(bus.all(Kind::Committed), from);
        assert_eq!(refused.await.err(), Some(SubscribeError::OtherLog));
    }
}

pub(super) async fn a_place_beyond_the_end_is_refused(bus: Bus) {
    let last = bus.commit(&bus.closes(BTC_1S, 1..=3)).await;
    let filter = bus.all(Kind::Committed);
    let after = last + 1;
    let from = bus.after(after).await;
    let refused = bus.broker.subscribe_closes(filter, from);
    let expect = SubscribeError::Ahead { after, last };
    assert_eq!(refused.await.err(), Some(expect));
}

pub(super) async fn a_dropped_drain_loses_nothing(bus: Bus) {
    let mut reader = bus.read(CloseStart::Next).await;
    let mut lost = Vec::new();
    for close_no in 1..=5 {
        // Polled once, so that it waits; then dropped, once before and once after the arrival.
        assert!(reader.drain(10, &mut lost).now_or_never().is_none());
        let mut waiting = reader.drain(10, &mut lost);
        assert!((&mut waiting).now_or_never().is_none());
        bus.commit(&[bus.close(BTC_1S, close_no, 1)]).await;
        drop(waiting);
        assert_eq!(numbers(&take(&mut *reader, 1, 10).await), [close_no]);
    }
    assert!(lost.is_empty());
}

pub(super) async fn a_waiting_reader_is_woken(bus: Bus) {
    let mut filter = bus.all(Kind::Committed);
    filter.symbol = Some(Symbol::new("ETH-USDT").expect("a symbol"));
    let mut reader = bus.read_some(filter, CloseStart::Next).await;
    let read = take(&mut *reader, 1, 10);
    let commit = async {
        // Of another topic first: the reader looks, finds nothing of its own and waits on.
        bus.commit(&[bus.close(BTC_1S, 1, 1)]).await;
        tokio::task::yield_now().await;
        bus.commit(&[bus.close(ETH_1S, 1, 1)]).await;
    };
    let (closes, ()) = tokio::join!(read, commit);
    assert_eq!(shown(&closes), lines(&[(ETH_1S, 1)]));
}

pub(super) async fn replay_of_one_topic(bus: Bus) {
    let subject = bus.committed(BTC_1S);
    let replay = async |after: u64, max: usize| {
        let replay = bus.broker.closes_after(&subject, after, max).await;
        let replay = replay.expect("read");
        (numbers(&replay.closes), replay.missed, replay.newest)
    };
    assert_eq!(replay(0, 10).await, (vec![], None, None));
    bus.commit(&[
        bus.close(BTC_1S, 1, 1),
        bus.close(ETH_1S, 1, 1),
        bus.close(BTC_1S, 2, 1),
        bus.close(BTC_1M, 1, 1),
        bus.close(BTC_1S, 3, 1),
    ])
    .await;
    assert_eq!(replay(0, 10).await, (vec![1, 2, 3], None, Some(3)));
    assert_eq!(replay(1, 10).await, (vec![2, 3], None, Some(3)));
    assert_eq!(replay(0, 2).await, (vec![1, 2], None, Some(3)));
    assert_eq!(replay(0, 0).await, (vec![], None, Some(3)));
    assert_eq!(replay(3, 10).await, (vec![], None, Some(3)));
    assert_eq!(replay(99, 10).await, (vec![], None, Some(3)));
    assert_eq!(replay(u64::MAX, 10).await, (vec![], None, Some(3)));
    let all = bus.broker.closes_after(&subject, 0, 10).await;
    let all: Vec<u64> = all
        .expect("read")
        .closes
        .iter()
        .map(|c| c.sequence)
        .collect();
    let logged = bus.whole_log().await;
    let of_topic = logged.iter().filter(|close| shown_close(close).0 == BTC_1S);
    assert!(of_topic.map(|close| close.sequence).eq(all));
}

pub(super) async fn the_bus_ends(bus: Bus) {
    let mut reader = bus.read(CloseStart::First).await;
    let mut idle = bus.read(CloseStart::First).await;
    bus.commit(&bus.closes(BTC_1S, 1..=2)).await;
    take(&mut *idle, 2, 10).await;
    let mut into = Vec::new();
    let mut waiting = idle.drain(10, &mut into);
    assert!((&mut waiting).now_or_never().is_none());
    drop(bus);
    assert_eq!(waiting.await, Err(Closed));
    // What had arrived before the end is still handed over, in order. A bus between processes may have had it on
    // the way.
    let mut rest = Vec::new();
    while reader.drain(1, &mut rest).await != Err(Closed) {}
    assert!([1, 2].starts_with(&numbers(&rest)), "{rest:?}");
    assert_eq!(reader.drain(10, &mut into).await, Err(Closed));
    assert!(into.is_empty());
}
