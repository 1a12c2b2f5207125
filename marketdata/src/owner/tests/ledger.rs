//! The ledger.

use std::sync::Arc;

use super::support::*;
use crate::owner::*;

/// Commits whose outcome is not known.
mod outcome;

struct Process {
    ledger: Ledger,
    states: States,
    events: Vec<LedgerEvent>,
}

impl Process {
    fn new(owner: &str, generation: u64, bases: &[&str], options: Options) -> Self {
        let mut ledger = Ledger::new(me(owner), options);
        let assigned = assigned(generation, bases, &[]);
        ledger.handle_assignment(0, &assigned).unwrap();
        Self {
            ledger,
            states: States::default(),
            events: Vec::new(),
        }
    }

    fn close(&mut self, base: &str, interval: &str, number: i64, rev: u32) -> Accepted {
        let close = close(interval, number, rev);
        self.ledger
            .handle_close(&instrument(base), close, &mut self.states)
    }

    fn poll(&mut self, now_ms: u64) -> Option<LedgerCommand> {
        while let Some(event) = self.ledger.poll_event() {
            self.events.push(event);
        }
        self.ledger.poll_command(now_ms, true, &mut self.states)
    }

    /// Carries out what is asked until nothing is.
    fn run(&mut self, now_ms: u64, log: &mut Log) {
        while let Some(command) = self.poll(now_ms) {
            match command {
                LedgerCommand::Read {
                    ticket,
                    instruments,
                } => self
                    .ledger
                    .handle_checkpoints(now_ms, ticket, log.read(&instruments)),
                LedgerCommand::Commit { ticket, batch } => {
                    let outcome = log.commit(&batch);
                    self.ledger.handle_commit(now_ms, ticket, outcome);
                }
            }
        }
    }

    /// The commit that is asked now.
    fn commit(&mut self, now_ms: u64) -> (u64, Arc<Batch>) {
        match self.poll(now_ms) {
            Some(LedgerCommand::Commit { ticket, batch }) => (ticket, batch),
            other => panic!("{other:?}"),
        }
    }

    fn restored(&self) -> usize {
        let restore = |event: &&LedgerEvent| matches!(event, LedgerEvent::Restore { .. });
        self.events.iter().filter(restore).count()
    }
}

fn assigned(generation: u64, mine: &[&str], others: &[&str]) -> Assigned {
    let all = |bases: &[&str]| bases.iter().map(|base| instrument(base)).collect();
    Assigned {
        generation,
        mine: all(mine),
        others: all(others),
    }
}

fn owner(log: &mut Log) -> Process {
    let mut a = Process::new("a", 5, &["BTC"], Options::default());
    a.ledger.handle_granted(0, 100);
    a.run(0, log);
    a
}

#[test]
fn closes_are_numbered_and_committed_with_the_state_after_them() {
    let mut log = Log::default();
    let mut a = owner(&mut log);
    assert_eq!(a.ledger.may_publish(&instrument("BTC")), Some(100));
    assert_eq!(a.close("BTC", "1s", 59, 0), Accepted::Pending);
    assert_eq!(a.close("BTC", "1m", 0, 0), Accepted::Pending);
    assert_eq!(a.close("BTC", "1s", 60, 0), Accepted::Pending);
    assert_eq!(a.close("BTC", "1s", 59, 1), Accepted::Pending);
    assert_eq!(a.close("BTC", "1s", 60, 0), Accepted::Settled, "again");
    assert_eq!(a.close("ETH", "1s", 60, 0), Accepted::Unknown);
    a.run(1, &mut log);
    assert_eq!(
        log.closes,
        ["1s/59.0#1", "1m/0.0#1", "1s/60.0#2", "1s/59.1#3"]
    );
    let stored = log.checkpoints[&instrument("BTC")]
        .checkpoint
        .clone()
        .unwrap();
    assert_eq!(
        (stored.epoch, stored.generation, stored.commit_no),
        (100, 5, 2)
    );
    assert_eq!(stored.series.unwrap().get(), "1");
    assert!(a.ledger.is_drained());
}

#[test]
fn a_take_over_fences_the_owner_before_and_goes_on_from_its_numbers() {
    let mut log = Log::default();
    let mut a = owner(&mut log);
    a.close("BTC", "1s", 1, 0);
    a.run(1, &mut log);
    let mut b = Process::new("b", 5, &["BTC"], Options::default());
    b.run(1, &mut log);
    assert_eq!(b.restored(), 1, "a new process goes on from the checkpoint");
    b.close("BTC", "1s", 2, 0);
    b.close("BTC", "1s", 3, 0);
    a.close("BTC", "1s", 2, 0);
    a.run(2, &mut log);
    b.ledger.handle_granted(3, 100);
    b.run(3, &mut log);
    assert_eq!(
        b.ledger.may_publish(&instrument("BTC")),
        None,
        "a claim is no lower than ours"
    );
    b.ledger.handle_granted(3, 101);
    b.run(3, &mut log);
    assert_eq!(b.restored(), 1, "its own state reaches back");
    assert_eq!(b.ledger.may_publish(&instrument("BTC")), Some(101));
    a.close("BTC", "1s", 3, 0);
    a.run(4, &mut log);
    assert!(a.events.contains(&LedgerEvent::SteppedDown));
    assert_eq!(a.ledger.may_publish(&instrument("BTC")), None);
    assert_eq!(log.closes, ["1s/1.0#1", "1s/2.0#2", "1s/3.0#3"]);
}

#[test]
fn more_than_one_commit_can_hold_goes_in_sections_each_with_its_own_state() {
    let options = Options {
        batch_max: 3,
        ..Options::default()
    };
    let mut log = Log::default();
    let mut a = Process::new("a", 5, &["BTC", "ETH"], options);
    a.ledger.handle_granted(0, 100);
    a.run(0, &mut log);
    for number in 1..=5 {
        a.close("BTC", "1s", number, 0);
    }
    assert_eq!(a.states.0, 2, "taken when they were full");
    a.close("ETH", "1s", 1, 0);
    let (ticket, batch) = a.commit(1);
    assert_eq!(batch.len(), 3);
    let states = |log: &Log| {
        let stored = log.checkpoints[&instrument("BTC")].checkpoint.clone();
        stored.unwrap().series.unwrap().get().to_owned()
    };
    let outcome = log.commit(&batch);
    a.ledger.handle_commit(1, ticket, outcome);
    assert_eq!((log.closes.len(), states(&log)), (2, "1".to_owned()));
    a.run(2, &mut log);
    assert_eq!(log.closes.len(), 6);
}

#[test]
fn a_standby_drops_what_is_committed_and_is_restored_where_it_kept_too_little() {
    let options = Options {
        batch_max: 4,
        ..Options::default()
    };
    let mut log = Log::default();
    let mut a = owner(&mut log);
    a.close("BTC", "1s", 1, 0);
    a.run(1, &mut log);
    let mut b = Process::new("b", 5, &["BTC"], options);
    b.run(1, &mut log);
    for number in 2..4 {
        assert_eq!(b.close("BTC", "1s", number, 0), Accepted::Pending);
        a.close("BTC", "1s", number, 0);
    }
    a.run(2, &mut log);
    b.run(6_000, &mut log);
    assert_eq!((b.ledger.pending_len(), b.restored()), (0, 1));
    for number in 4..6 {
        assert_eq!(b.close("BTC", "1s", number, 0), Accepted::Pending);
    }
    assert_eq!(b.close("BTC", "1s", 3, 1), Accepted::Settled);
    assert_eq!(
        b.close("BTC", "1s", 6, 0),
        Accepted::Lost,
        "more than a commit holds"
    );
    b.run(12_000, &mut log);
    assert_eq!((b.ledger.pending_len(), b.restored()), (0, 2));
    // What does not follow is not kept either.
    assert_eq!(b.close("BTC", "1s", 7, 0), Accepted::Lost);
    b.run(18_000, &mut log);
    assert_eq!(b.restored(), 3);
}

/// An owner has committed two bars and stopped; its standby has closed the first.
fn behind(log: &mut Log) -> Process {
    let mut a = owner(log);
    a.close("BTC", "1s", 1, 0);
    a.run(1, log);
    let mut b = Process::new("b", 5, &["BTC"], Options::default());
    b.run(1, log);
    b.ledger.handle_level(1, &instrument("BTC"), Level::Filling);
    for (process, to) in [(&mut a, 3), (&mut b, 2)] {
        for number in 2..=to {
            process.close("BTC", "1s", number, 0);
        }
    }
    a.run(2, log);
    b.ledger.handle_granted(1_000, 101);
    b.run(1_000, log);
    let blocked = LedgerEvent::Blocked {
        instrument: instrument("BTC"),
        block: Block::Behind,
    };
    assert!(b.events.contains(&blocked));
    assert_eq!(b.ledger.may_publish(&instrument("BTC")), None);
    b
}

fn taken(b: &Process) -> Option<bool> {
    b.events.iter().find_map(|event| match event {
        LedgerEvent::Taken { restores, .. } => Some(*restores),
        _ => None,
    })
}

#[test]
fn who_is_about_to_close_what_is_committed_takes_it_then_with_its_own_state() {
    let mut log = Log::default();
    let mut b = behind(&mut log);
    assert_eq!(b.close("BTC", "1s", 3, 0), Accepted::Settled);
    // At once, without a clock.
    b.run(1_000, &mut log);
    assert_eq!((taken(&b), b.restored()), (Some(false), 1));
    b.close("BTC", "1s", 4, 0);
    b.run(1_001, &mut log);
    assert_eq!(log.closes.last().unwrap(), "1s/4.0#4");
}

#[test]
fn an_engine_that_goes_on_from_the_checkpoint_after_all_closes_again() {
    let mut log = Log::default();
    let mut b = behind(&mut log);
    b.close("BTC", "1s", 3, 0);
    b.close("BTC", "1s", 4, 0);
    // Taken, and not acted on yet.
    while taken(&b).is_none() {
        let command = b.poll(1_000).unwrap();
        match command {
            LedgerCommand::Read {
                ticket,
                instruments,
            } => b
                .ledger
                .handle_checkpoints(1_000, ticket, log.read(&instruments)),
            LedgerCommand::Commit { ticket, batch } => {
                b.ledger.handle_commit(1_000, ticket, log.commit(&batch));
                b.events.extend(b.ledger.poll_event());
            }
        }
    }
    b.ledger.handle_restored(&instrument("BTC"));
    assert_eq!(b.ledger.pending_len(), 0);
    b.run(1_001, &mut log);
    assert_eq!(log.closes.last().unwrap(), "1s/3.0#3");
    assert_eq!(b.close("BTC", "1s", 4, 0), Accepted::Pending);
    b.run(1_002, &mut log);
    assert_eq!(log.closes.last().unwrap(), "1s/4.0#4");
}

#[test]
fn who_stays_behind_goes_on_from_the_checkpoint_after_a_while() {
    let wait_ms = Options::default().behind_wait_ms;
    let mut log = Log::default();
    let mut b = behind(&mut log);
    b.run(999 + wait_ms, &mut log);
    assert_eq!(taken(&b), None);
    let wake_ms = b.ledger.wake_at_ms().unwrap();
    assert!((1_000 + wait_ms..1_400 + wait_ms).contains(&wake_ms));
    b.run(wake_ms, &mut log);
    assert_eq!(taken(&b), Some(true));
    assert_eq!(b.close("BTC", "1s", 4, 0), Accepted::Pending);
    // Without a feed that is up, there is nothing to wait for.
    let mut log = Log::default();
    let mut b = behind(&mut log);
    b.ledger
        .handle_level(1_001, &instrument("BTC"), Level::Away);
    b.run(1_250, &mut log);
    assert_eq!(taken(&b), Some(true));
}

#[test]
fn a_moved_instrument_goes_on_at_its_old_owner_until_that_is_fenced() {
    let mut log = Log::default();
    let mut a = Process::new("a", 5, &["BTC", "ETH"], Options::default());
    a.ledger.handle_granted(0, 100);
    a.run(0, &mut log);
    let change = a
        .ledger
        .handle_assignment(1, &assigned(6, &["ETH"], &["BTC"]));
    change.unwrap();
    assert!(
        a.ledger
            .handle_assignment(1, &assigned(5, &["BTC"], &[]))
            .is_err()
    );
    a.close("BTC", "1s", 1, 0);
    a.run(1, &mut log);
    assert_eq!(log.closes, ["1s/1.0#1"]);
    let other = Identity {
        shard: wire::ShardId(1),
        ..me("p")
    };
    let mut p = Process::new("p", 6, &["BTC"], Options::default());
    p.ledger = Ledger::new(other, Options::default());
    p.ledger
        .handle_assignment(1, &assigned(6, &["BTC"], &[]))
        .unwrap();
    p.ledger.handle_granted(1, 50);
    p.run(1, &mut log);
    assert_eq!(
        p.ledger.may_publish(&instrument("BTC")),
        None,
        "not level yet"
    );
    p.ledger.handle_level(1, &instrument("BTC"), Level::Filling);
    assert!(p.ledger.is_level(), "whole or not");
    p.run(1, &mut log);
    assert_eq!(
        p.ledger.may_publish(&instrument("BTC")),
        None,
        "not whole yet"
    );
    p.ledger.handle_level(2, &instrument("BTC"), Level::Whole);
    p.run(2, &mut log);
    assert_eq!(p.ledger.may_publish(&instrument("BTC")), Some(101));
    a.close("BTC", "1s", 2, 0);
    a.close("ETH", "1s", 2, 0);
    a.run(3, &mut log);
    a.run(100, &mut log);
    assert_eq!(log.closes, ["1s/1.0#1", "1s/2.0#1"], "ETH goes on");
    let released = LedgerEvent::Released {
        instrument: instrument("BTC"),
    };
    assert!(a.events.contains(&released) && !a.events.contains(&LedgerEvent::SteppedDown));
}

#[test]
fn what_waits_of_others_makes_room_for_what_is_ours() {
    let options = Options {
        pending_max: 10,
        ..Options::default()
    };
    let mut log = Log::default();
    let unreadable = StoredAt {
        sequence: 1,
        checkpoint: None,
    };
    for base in ["ETH", "SOL"] {
        log.checkpoints.insert(instrument(base), unreadable.clone());
    }
    log.sequence = 1;
    let mut a = Process::new("a", 5, &["BTC", "ETH", "SOL"], options);
    a.ledger.handle_granted(0, 100);
    a.run(0, &mut log);
    for number in 1..=5 {
        a.close("ETH", "1s", number, 0);
        a.close("SOL", "1s", number, 0);
    }
    assert_eq!((a.ledger.pending_len(), a.ledger.is_full()), (10, false));
    for number in 1..=10 {
        assert!(!a.ledger.is_full());
        assert_eq!(a.close("BTC", "1s", number, 0), Accepted::Pending);
        assert!(a.ledger.pending_len() <= 10);
    }
    // All of it is ours now.
    assert!(a.ledger.is_full());
    a.run(1, &mut log);
    assert!(!a.ledger.is_full());
    assert_eq!((log.closes.len(), a.ledger.pending_len()), (10, 0));
}

#[test]
fn what_leaves_is_released_though_its_commit_was_never_answered() {
    let mut log = Log::default();
    let mut a = owner(&mut log);
    a.close("BTC", "1s", 1, 0);
    let (ticket, batch) = a.commit(1);
    let change = a.ledger.handle_assignment(2, &assigned(6, &[], &["BTC"]));
    change.unwrap();
    assert_eq!(a.close("BTC", "1s", 9, 0), Accepted::Lost);
    a.ledger.handle_lease_lost(3);
    a.ledger.handle_commit(4, ticket, log.commit(&batch));
    a.run(4, &mut log);
    let released = LedgerEvent::Released {
        instrument: instrument("BTC"),
    };
    assert!(a.events.contains(&released));
}

#[test]
fn a_checkpoint_round_trips_and_garbage_takes_nothing() {
    let mut log = Log::default();
    let mut a = owner(&mut log);
    a.close("BTC", "1s", 1, 0);
    a.run(1, &mut log);
    let stored = log.checkpoints.get_mut(&instrument("BTC")).unwrap();
    let checkpoint = stored.checkpoint.clone().unwrap();
    let text = String::from_utf8(checkpoint.encode()).unwrap();
    let expect = r#"{"v":1,"owner":"a","shard":0,"generation":5,"claim":100,"epoch":100,"commit_no":2,"topics":[{"interval":"1s","next_start":2000,"close_no":1}],"series":1}"#;
    assert_eq!(text, expect);
    let newer = text.replace("\"v\":1", "\"v\":2,\"more\":[]");
    assert_eq!(Checkpoint::decode(newer.as_bytes()).unwrap(), checkpoint);
    assert!(Checkpoint::decode(b"{}").is_err());
    stored.checkpoint = None;
    let mut b = Process::new("b", 5, &["BTC"], Options::default());
    b.ledger.handle_granted(2, 101);
    b.run(2, &mut log);
    let blocked = LedgerEvent::Blocked {
        instrument: instrument("BTC"),
        block: Block::Unreadable,
    };
    assert!(b.events.contains(&blocked));
    assert_eq!(b.ledger.may_publish(&instrument("BTC")), None);
}
