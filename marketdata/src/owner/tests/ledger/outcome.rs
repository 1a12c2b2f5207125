//! Commits whose outcome is not known.

use super::*;

#[test]
fn an_unknown_outcome_is_read_before_anything_is_sent_again() {
    for happened in [false, true] {
        let mut log = Log::default();
        let mut a = owner(&mut log);
        a.close("BTC", "1s", 1, 0);
        let (ticket, batch) = a.commit(1);
        if happened {
            log.commit(&batch);
        }
        a.ledger.handle_commit(2, ticket, CommitOutcome::Unknown);
        a.close("BTC", "1s", 2, 0);
        assert_eq!(a.poll(2), None, "not at once");
        a.run(60, &mut log);
        a.run(200, &mut log);
        assert_eq!(log.closes, ["1s/1.0#1", "1s/2.0#2"], "happened: {happened}");
        let is_fenced = |event: &LedgerEvent| matches!(event, LedgerEvent::Fenced { .. });
        assert!(!a.events.iter().any(is_fenced), "nobody has overtaken it");
        // A late copy is refused by the log.
        assert_eq!(log.commit(&batch), CommitOutcome::Fenced);
    }
}

/// Checkpoints are read one by one, and a commit may come between: it happened as a whole all the same.
#[test]
fn a_commit_that_shows_as_a_half_is_read_again() {
    let mut log = Log::default();
    let mut a = Process::new("a", 5, &["BTC", "ETH"], Options::default());
    a.ledger.handle_granted(0, 100);
    a.run(0, &mut log);
    a.close("BTC", "1s", 1, 0);
    a.close("ETH", "1s", 1, 0);
    let (ticket, batch) = a.commit(1);
    assert_eq!(batch.parts.len(), 2);
    let both = batch.parts.iter().map(|part| part.instrument.clone());
    let both: Vec<_> = both.collect();
    let before = log.read(&both).unwrap();
    log.commit(&batch);
    a.ledger.handle_commit(2, ticket, CommitOutcome::Unknown);
    let Some(LedgerCommand::Read { ticket, .. }) = a.poll(100) else {
        panic!("nothing is read")
    };
    let after = log.read(&both).unwrap();
    let skewed = vec![before[0].clone(), after[1].clone()];
    a.ledger.handle_checkpoints(100, ticket, Some(skewed));
    a.run(1_000, &mut log);
    let is_fenced = |event: &LedgerEvent| matches!(event, LedgerEvent::Fenced { .. });
    assert!(!a.events.iter().any(is_fenced), "nobody has overtaken it");
    assert_eq!(log.closes, ["1s/1.0#1", "1s/1.0#1"]);
    assert_eq!(a.ledger.counts().committed, 2);
    assert!(a.ledger.is_drained());
}

#[test]
fn the_same_batch_is_sent_until_its_outcome_is_known() {
    let mut log = Log::default();
    let mut a = owner(&mut log);
    a.close("BTC", "1s", 1, 0);
    let (ticket, first) = a.commit(1);
    a.ledger
        .handle_commit(2, ticket, CommitOutcome::Unavailable);
    a.close("BTC", "1s", 2, 0);
    let (ticket, second) = a.commit(100);
    assert_eq!(first, second);
    // An old ticket is nobody's.
    a.ledger
        .handle_commit(100, ticket - 1, CommitOutcome::Fenced);
    // The first copy gets there before the second.
    log.commit(&first);
    a.ledger.handle_commit(101, ticket, log.commit(&second));
    a.run(102, &mut log);
    assert_eq!(log.closes, ["1s/1.0#1", "1s/2.0#2"]);
    assert_eq!(a.ledger.counts().fenced, 1);
}
