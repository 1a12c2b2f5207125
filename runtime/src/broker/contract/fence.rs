//! Cases of the fence: every commit replaces the checkpoints that its sender knows, or is refused whole.
#![expect(
    clippy::expect_used,
    reason = "a contract suite fails by panicking, and its literals are valid"
)]

use super::bars::{BTC_1M, BTC_1S, Bus, ETH_1S, USD_1S, shown_close};
use super::closes::check_log;
use crate::broker::{CommitError, Committed};

const FENCED: Result<Committed, CommitError> = Err(CommitError::Fenced);

pub(super) async fn a_stale_expectation_is_refused_whole(bus: Bus) {
    let first = bus.close(BTC_1S, 1, 1);
    let taken = bus.commit_with([], [bus.write(BTC_1S, 0, "1")]).await;
    let taken = taken.expect("taken").checkpoints[0];
    let held = bus
        .commit_with(&[first], [bus.write(BTC_1S, taken, "2")])
        .await;
    let held = held.expect("committed").checkpoints[0];
    assert!(held > taken);
    let second = [bus.close(BTC_1S, 2, 1)];
    // The one before, none, and ones that nobody has written yet.
    for expect in [taken, 0, held + 1, held + 1_000] {
        let refused = bus.commit_with(second.clone(), [bus.write(BTC_1S, expect, "x")]);
        assert_eq!(refused.await, FENCED, "{expect}");
    }
    // One stale checkpoint takes the closes of the others with it, wherever it stands.
    let both = [bus.close(ETH_1S, 1, 1), bus.close(BTC_1S, 2, 1)];
    let (stale, good) = (bus.write(BTC_1S, taken, "x"), bus.write(ETH_1S, 0, "x"));
    for writes in [[stale.clone(), good.clone()], [good, stale]] {
        assert_eq!(bus.commit_with(both.clone(), writes).await, FENCED);
    }
    assert_eq!(bus.stored(&[ETH_1S]).await, [None]);
    check_log(&bus, &[(BTC_1S, 1)]).await;
    let goes_on = bus.commit_with(second.clone(), [bus.write(BTC_1S, held, "3")]);
    goes_on.await.expect("committed");
    check_log(&bus, &[(BTC_1S, 1), (BTC_1S, 2)]).await;
}

pub(super) async fn what_is_there_is_not_made_anew(bus: Bus) {
    let write = bus.write(BTC_1S, 0, "mine");
    bus.commit_with([], [write.clone()]).await.expect("made");
    assert_eq!(bus.commit_with([], &[write]).await, FENCED);
    let other = bus.write(BTC_1S, 0, "other");
    assert_eq!(bus.commit_with([], &[other]).await, FENCED);
    let stored = bus.stored(&[BTC_1S]).await;
    assert_eq!(stored[0].as_ref().expect("there").json, "mine");
}

pub(super) async fn of_two_owners_one_wins_each_time(bus: Bus) {
    const ROUNDS: u64 = 15;
    // Each reads the same checkpoint and then commits the next close over it, at once.
    let mut wins = [0, 0];
    for close_no in 1..=ROUNDS {
        let stands = bus.stored(&[BTC_1S]).await;
        let stands = stands[0].as_ref().map_or(0, |stored| stored.sequence);
        let commit = async |epoch: u64, says: &'static str| {
            let closes = [bus.close(BTC_1S, close_no, epoch)];
            bus.commit_with(closes.clone(), [bus.write(BTC_1S, stands, says)])
                .await
        };
        let outcomes = tokio::join!(commit(1, "one"), commit(2, "two"));
        let winner = match outcomes {
            (Ok(_), FENCED) => 0,
            (FENCED, Ok(_)) => 1,
            both => panic!("{both:?}"),
        };
        wins[winner] += 1;
        let stored = bus.stored(&[BTC_1S]).await;
        let says = ["one", "two"][winner];
        assert_eq!(stored[0].as_ref().expect("there").json, says);
    }
    assert_eq!(wins[0] + wins[1], ROUNDS);
    let log = bus.whole_log().await;
    let numbers = log.iter().map(|close| shown_close(close).1);
    assert!(numbers.eq(1..=ROUNDS), "one close of each number");
}

pub(super) async fn a_commit_of_checkpoints_alone_takes_over(bus: Bus) {
    bus.commit(&[bus.close(BTC_1S, 1, 1), bus.close(ETH_1S, 1, 1)])
        .await;
    let of = [BTC_1S, ETH_1S];
    let stands = bus.stored(&of).await.into_iter();
    let stands: Vec<u64> = stands
        .map(|stored| stored.expect("there").sequence)
        .collect();
    let writes = [
        bus.write(ETH_1S, stands[1], "new owner"),
        bus.write(BTC_1S, stands[0], "new owner"),
    ];
    let taken = bus.commit_with([], writes).await.expect("taken");
    let [eth, btc] = taken.checkpoints[..] else {
        panic!("{taken:?}");
    };
    assert!(stands.iter().all(|before| *before < eth.min(btc)));
    assert!(eth < btc, "in their order");
    // The owner before is refused from now on, and the new one goes on.
    let next = [bus.close(BTC_1S, 2, 1)];
    let stale = bus.commit_with(next.clone(), [bus.write(BTC_1S, stands[0], "old owner")]);
    assert_eq!(stale.await, FENCED);
    let goes_on = bus.commit_with(next.clone(), [bus.write(BTC_1S, btc, "new owner")]);
    goes_on.await.expect("committed");
    check_log(&bus, &[(BTC_1S, 1), (ETH_1S, 1), (BTC_1S, 2)]).await;
}

pub(super) async fn closes_come_with_their_checkpoints(bus: Bus) {
    let closes = [bus.close(BTC_1S, 1, 1), bus.close(USD_1S, 1, 1)];
    let (btc, usd) = (bus.write(BTC_1S, 0, "{}"), bus.write(USD_1S, 0, "{}"));
    let expect = |of: &str, count| {
        Err(CommitError::Checkpoints {
            instrument: bus.checkpoint(of).instrument,
            count,
        })
    };
    let refused = bus.commit_with(closes.clone(), []).await;
    assert_eq!(refused, expect(BTC_1S, 0));
    let refused = bus.commit_with(closes.clone(), [btc.clone()]).await;
    assert_eq!(refused, expect(USD_1S, 0));
    let twice = [btc.clone(), btc.clone()];
    assert_eq!(bus.commit_with([], twice).await, expect(BTC_1S, 2));
    assert_eq!(bus.stored(&[BTC_1S, USD_1S]).await, [None, None]);
    check_log(&bus, &[]).await;
    // One checkpoint covers all intervals of its instrument.
    let closes = [bus.close(BTC_1S, 1, 1), bus.close(BTC_1M, 1, 1)];
    bus.commit_with(closes, &[btc, usd])
        .await
        .expect("committed");
    check_log(&bus, &[(BTC_1S, 1), (BTC_1M, 1)]).await;
}

pub(super) async fn checkpoints_read_back_in_order(bus: Bus) {
    assert!(bus.stored(&[]).await.is_empty());
    let writes = [bus.write(ETH_1S, 0, "eth"), bus.write(BTC_1S, 0, "btc")];
    let written = bus.commit_with([], writes).await.expect("written");
    let stored = bus.stored(&[BTC_1S, USD_1S, ETH_1S, BTC_1S]).await;
    let shown: Vec<_> = stored
        .iter()
        .map(|stored| stored.as_ref().map(|s| (s.sequence, s.json.clone())))
        .collect();
    let [eth, btc] = written.checkpoints[..] else {
        panic!("{written:?}");
    };
    let (eth, btc) = ((eth, "eth".into()), (btc, "btc".into()));
    assert_eq!(shown, [Some(btc.clone()), None, Some(eth), Some(btc)]);
}

pub(super) async fn a_repeated_commit_is_refused_and_the_checkpoints_tell(bus: Bus) {
    let closes = [bus.close(BTC_1S, 1, 1)];
    let writes = [bus.write(BTC_1S, 0, "epoch 1, commit 1")];
    let committed = bus
        .commit_with(closes.clone(), writes.clone())
        .await
        .expect("committed");
    // As somebody would who has not heard the answer.
    assert_eq!(
        bus.commit_with(closes.clone(), writes.clone()).await,
        FENCED
    );
    let stored = bus.stored(&[BTC_1S]).await;
    let stored = stored[0].as_ref().expect("there");
    assert_eq!(stored.json, "epoch 1, commit 1");
    assert_eq!(stored.sequence, committed.checkpoints[0]);
    check_log(&bus, &[(BTC_1S, 1)]).await;
}
