//! Cases of closes.
#![expect(
    clippy::expect_used,
    reason = "a contract suite fails by panicking, and its literals are valid"
)]

use futures_util::FutureExt;
use wire::Symbol;
use wire::subject::Kind;

use super::CLOSES_MAX;
use super::bars::{BTC_1M, BTC_1S, Bus, ETH_1S, USD_1S, shown_close, take};
use crate::broker::{
    BATCH_MAX, CloseStart, Closed, CommitError, Drained, SequencedClose, SubscribeError, WrongKind,
};

fn shown(closes: &[SequencedClose]) -> Vec<(u64, String, u64)> {
    let line = |close: &SequencedClose| {
        let (of, close_no) = shown_close(close);
        (close.sequence, of, close_no)
    };
    closes.iter().map(line).collect()
}

fn numbers(closes: &[SequencedClose]) -> Vec<u64> {
    closes.iter().map(|close| shown_close(close).1).collect()
}

/// Shows that the log holds exactly these closes of all topics.
async fn check_log(bus: &Bus, expect: &[(u64, &str, u64)]) {
    let end = bus.commit(&[]).await;
    assert_eq!(
        end,
        expect.last().map_or(0, |(sequence, ..)| *sequence),
        "end of the log"
    );
    if expect.is_empty() {
        return;
    }
    let mut reader = bus.read(CloseStart::First).await;
    let closes = take(&mut *reader, expect.len(), 1_000).await;
    let expect: Vec<_> = expect
        .iter()
        .map(|(sequence, of, close_no)| (*sequence, (*of).to_owned(), *close_no))
        .collect();
    assert_eq!(shown(&closes), expect);
}

pub(super) async fn a_reader_gets_all_in_order_with_sequences(bus: Bus) {
    let mut reader = bus.read(CloseStart::Next).await;
    let batch = [
        bus.close(BTC_1S, 1, 1),
        bus.close(ETH_1S, 1, 1),
        bus.close(BTC_1S, 2, 1),
        bus.close(BTC_1M, 1, 1),
    ];
    assert_eq!(bus.commit(&batch).await, 4);
    assert_eq!(bus.commit(&[bus.close(ETH_1S, 2, 1)]).await, 5);
    let closes = take(&mut *reader, 5, 2).await;
    let expect = [
        (1, BTC_1S, 1),
        (2, ETH_1S, 1),
        (3, BTC_1S, 2),
        (4, BTC_1M, 1),
        (5, ETH_1S, 2),
    ];
    assert_eq!(
        shown(&closes),
        expect.map(|(sequence, of, close_no)| (sequence, of.to_owned(), close_no))
    );
    let texts = closes.iter().map(|close| &close.message.json);
    assert!(texts.zip(&batch).all(|(got, sent)| *got == sent.json));
    check_log(&bus, &expect).await;
}

pub(super) async fn a_batch_is_all_or_nothing(bus: Bus) {
    assert_eq!(bus.commit(&[bus.close(BTC_1S, 1, 2)]).await, 1);
    // The last of each batch is wrong; nothing of the batch may stay, not even in the numbers.
    let breaks = [bus.close(BTC_1S, 2, 2), bus.close(BTC_1S, 4, 2)];
    let fenced = [bus.close(ETH_1S, 1, 9), bus.close(BTC_1S, 2, 1)];
    let open = [bus.close(BTC_1S, 2, 9), bus.open(BTC_1S, (1, 1, 1))];
    for batch in [&breaks, &fenced, &open] {
        bus.refused(batch).await;
    }
    check_log(&bus, &[(1, BTC_1S, 1)]).await;
    // Had the epochs 9 stayed, these would be fenced off.
    let good = [bus.close(BTC_1S, 2, 2), bus.close(ETH_1S, 1, 2)];
    assert_eq!(bus.commit(&good).await, 3);
    check_log(&bus, &[(1, BTC_1S, 1), (2, BTC_1S, 2), (3, ETH_1S, 1)]).await;
}

pub(super) async fn a_break_in_close_no_is_refused(bus: Bus) {
    // A log that is younger than its topic begins where the topic is, but no number is 0.
    let zero = bus.close(ETH_1S, 0, 1);
    let topic = zero.bar.topic.clone();
    let refused = bus.refused(&[zero]).await;
    let expect = |expected, got| CommitError::CloseNo {
        topic: topic.clone(),
        expected,
        got,
    };
    assert_eq!(refused, expect(1, 0));
    bus.commit(&bus.closes(ETH_1S, 41..=43)).await;
    for got in [0, 42, 43, 45] {
        let refused = bus.refused(&[bus.close(ETH_1S, got, 1)]).await;
        assert_eq!(refused, expect(44, got));
    }
    // A new epoch goes on with the same numbers; another topic has its own.
    let refused = bus.refused(&[bus.close(ETH_1S, 1, 2)]).await;
    assert_eq!(refused, expect(44, 1));
    let good = [bus.close(ETH_1S, 44, 2), bus.close(BTC_1S, 1, 1)];
    assert_eq!(bus.commit(&good).await, 5);
    // The numbers outlive the closes.
    bus.commit(&bus.closes(BTC_1S, 2..=CLOSES_MAX as u64 + 5))
        .await;
    let refused = bus.refused(&[bus.close(ETH_1S, 1, 2)]).await;
    assert_eq!(refused, expect(45, 1));
}

pub(super) async fn a_fallen_epoch_is_fenced_off(bus: Bus) {
    bus.commit(&[bus.close(BTC_1S, 1, 5)]).await;
    let stale = bus.close(BTC_1S, 2, 4);
    let instrument = stale.bar.instrument.clone();
    let expect = CommitError::Fenced {
        instrument,
        epoch: 4,
        fence: 5,
    };
    // The fence is the instrument's, whatever the interval; it comes before the numbers.
    assert_eq!(bus.refused(&[stale]).await, expect);
    assert_eq!(bus.refused(&[bus.close(BTC_1M, 1, 4)]).await, expect);
    assert_eq!(bus.refused(&[bus.close(BTC_1S, 9, 4)]).await, expect);
    // Within a batch too.
    let falls = [bus.close(USD_1S, 1, 7), bus.close(USD_1S, 2, 6)];
    let refused = bus.refused(&falls).await;
    assert!(matches!(
        refused,
        CommitError::Fenced {
            epoch: 6,
            fence: 7,
            ..
        }
    ));
    // Others are not fenced off by it, and the owner goes on.
    let good = [
        bus.close(ETH_1S, 1, 1),
        bus.close(BTC_1S, 2, 5),
        bus.close(BTC_1M, 1, 6),
    ];
    assert_eq!(bus.commit(&good).await, 4);
    let refused = bus.refused(&[bus.close(BTC_1S, 3, 5)]).await;
    assert!(matches!(refused, CommitError::Fenced { fence: 6, .. }));
}

pub(super) async fn a_long_batch_is_refused(bus: Bus) {
    let batch = bus.closes(BTC_1S, 1..=BATCH_MAX as u64 + 1);
    let expect = CommitError::BatchTooLong {
        len: BATCH_MAX + 1,
        max: BATCH_MAX,
    };
    assert_eq!(bus.refused(&batch).await, expect);
    check_log(&bus, &[]).await;
    assert_eq!(bus.commit(&batch[..BATCH_MAX]).await, BATCH_MAX as u64);
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
    let expect = [(2, BTC_1S.to_owned(), 1), (4, BTC_1M.to_owned(), 1)];
    assert_eq!(shown(&closes), expect);
    bus.commit(&[bus.close(ETH_1S, 2, 1), bus.close(BTC_1S, 2, 1)])
        .await;
    let closes = take(&mut *reader, 1, 10).await;
    assert_eq!(shown(&closes), [(6, BTC_1S.to_owned(), 2)]);
}

pub(super) async fn readers_begin_where_they_ask(bus: Bus) {
    bus.commit(&bus.closes(BTC_1S, 1..=3)).await;
    let mut readers = Vec::new();
    for (from, expect) in [
        (CloseStart::First, vec![1, 2, 3, 4]),
        (CloseStart::After(0), vec![1, 2, 3, 4]),
        (CloseStart::After(2), vec![3, 4]),
        (CloseStart::After(3), vec![4]),
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
    bus.commit(&bus.closes(BTC_1S, 1..=10)).await;
    let mut after = 0;
    let mut seen = Vec::new();
    while after < 10 {
        // A new subscription each time, as after a restart.
        let mut reader = bus.read(CloseStart::After(after)).await;
        let closes = take(&mut *reader, 1, 3).await;
        after = closes.last().map_or(after, |close| close.sequence);
        seen.extend(numbers(&closes));
    }
    assert_eq!(seen, Vec::from_iter(1..=10));
}

pub(super) async fn a_place_beyond_the_end_is_refused(bus: Bus) {
    bus.commit(&bus.closes(BTC_1S, 1..=3)).await;
    let filter = bus.all(Kind::Committed);
    let refused = bus.broker.subscribe_closes(filter, CloseStart::After(4));
    let expect = SubscribeError::Ahead { after: 4, last: 3 };
    assert_eq!(refused.await.err(), Some(expect));
}

pub(super) async fn a_reader_that_falls_off_is_told_what_it_lost(bus: Bus) {
    let held = CLOSES_MAX as u64;
    let mut reader = bus.read(CloseStart::First).await;
    bus.commit(&bus.closes(BTC_1S, 1..=2)).await;
    assert_eq!(numbers(&take(&mut *reader, 2, 10).await), [1, 2]);
    bus.commit(&bus.closes(BTC_1S, 3..=held + 7)).await;
    let mut into = Vec::new();
    let drained = reader.drain(10, &mut into).await.expect("not closed");
    assert_eq!(drained, Drained::Lagged { from: 3, to: 7 });
    assert!(into.is_empty());
    let closes = take(&mut *reader, CLOSES_MAX, 1_000).await;
    assert_eq!(numbers(&closes), Vec::from_iter(8..=held + 7));
    // One that resumes from too far back is told the same, down to a single close.
    for after in [4, 6] {
        let mut late = bus.read(CloseStart::After(after)).await;
        let drained = late.drain(10, &mut into).await.expect("not closed");
        let (from, to) = (after + 1, 7);
        assert_eq!(drained, Drained::Lagged { from, to });
    }
    let mut level = bus.read(CloseStart::After(7)).await;
    assert_eq!(numbers(&take(&mut *level, 1, 1).await), [8]);
    // The first that is held is no loss to who asks for that.
    let mut first = bus.read(CloseStart::First).await;
    assert_eq!(numbers(&take(&mut *first, 1, 1).await), [8]);
}

pub(super) async fn readers_are_independent_and_publishers_wait_for_none(bus: Bus) {
    let held = CLOSES_MAX as u64;
    let mut quick = bus.read(CloseStart::First).await;
    let mut slow = bus.read(CloseStart::First).await;
    let gone = bus.read(CloseStart::First).await;
    // Many times what is held; nobody but `quick` reads, and every commit goes through.
    for close_no in 1..=held * 5 {
        bus.commit(&[bus.close(BTC_1S, close_no, 1)]).await;
        assert_eq!(numbers(&take(&mut *quick, 1, 10).await), [close_no]);
    }
    drop(gone);
    let lagged = slow.drain(10, &mut Vec::new()).await.expect("not closed");
    let expect = Drained::Lagged {
        from: 1,
        to: held * 4,
    };
    assert_eq!(lagged, expect);
    let closes = take(&mut *slow, 1, 1).await;
    assert_eq!(numbers(&closes), [held * 4 + 1]);
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
    assert_eq!(shown(&closes), [(2, ETH_1S.to_owned(), 1)]);
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
    let all = bus
        .broker
        .closes_after(&subject, 0, 10)
        .await
        .expect("read");
    let sequences: Vec<u64> = all.closes.iter().map(|close| close.sequence).collect();
    assert_eq!(sequences, [1, 3, 5]);
}

pub(super) async fn replay_says_what_has_aged_out(bus: Bus) {
    let held = CLOSES_MAX as u64;
    let subject = bus.committed(BTC_1S);
    let replay = async |after: u64| {
        let replay = bus.broker.closes_after(&subject, after, 1).await;
        let replay = replay.expect("read");
        (numbers(&replay.closes), replay.missed, replay.newest)
    };
    bus.commit(&bus.closes(BTC_1S, 1..=held + 5)).await;
    let newest = Some(held + 5);
    assert_eq!(replay(0).await, (vec![6], Some((1, 5)), newest));
    assert_eq!(replay(3).await, (vec![6], Some((4, 5)), newest));
    assert_eq!(replay(5).await, (vec![6], None, newest));
    // Another topic pushes all of it out; the topic's number is still known.
    bus.commit(&bus.closes(ETH_1S, 1..=held)).await;
    assert_eq!(replay(3).await, (vec![], Some((4, held + 5)), newest));
    assert_eq!(replay(held + 5).await, (vec![], None, newest));
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
    // What had come before the end is still handed over.
    assert_eq!(numbers(&take(&mut *reader, 2, 1).await), [1, 2]);
    assert_eq!(reader.drain(10, &mut into).await, Err(Closed));
    assert_eq!(reader.drain(10, &mut into).await, Err(Closed));
    assert!(into.is_empty());
}
