//! The lease.

use crate::owner::*;

fn lease() -> Lease {
    Lease::new("a".to_owned(), Options::default())
}

fn value(owner: &str, claim: u64, nonce: u64) -> LeaseValue {
    LeaseValue {
        owner: owner.to_owned(),
        claim,
        ttl_ms: 3_000,
        released: false,
        nonce,
    }
}

/// Asks at this time, expecting a read.
fn read(lease: &mut Lease, now_ms: u64, entry: Option<(u64, LeaseValue)>) {
    assert_eq!(
        lease.poll_command(now_ms, 500, true, 0),
        Some(LeaseCommand::Read),
        "at {now_ms}"
    );
    let entry = entry.map(|(revision, value)| (revision, Some(value)));
    lease.handle_answer(now_ms, LeaseAnswer::Read(entry));
}

/// Asks at this time, expecting a write; gives its claim, what it expects, its nonce, and whether it releases.
fn write(lease: &mut Lease, now_ms: u64) -> (u64, u64, u64, bool) {
    match lease.poll_command(now_ms, 500, true, 0) {
        Some(LeaseCommand::Write { value, expect }) => {
            (value.claim, expect, value.nonce, value.released)
        }
        other => panic!("at {now_ms}: {other:?}"),
    }
}

#[test]
fn an_absent_lease_is_taken_and_renewed() {
    let mut lease = lease();
    read(&mut lease, 0, None);
    assert_eq!(write(&mut lease, 0), (500, 0, 1, false));
    assert!(
        lease.poll_command(5_000, 500, true, 0).is_none(),
        "one at a time"
    );
    lease.handle_answer(100, LeaseAnswer::Written(7));
    assert_eq!(lease.poll_event(), Some(LeaseEvent::Granted(500)));
    assert!(lease.poll_command(999, 600, true, 0).is_none());
    assert_eq!(write(&mut lease, 1_000), (500, 7, 2, false));
    lease.handle_answer(1_100, LeaseAnswer::Written(8));
    assert_eq!(lease.poll_event(), None);
    // From the sending, not from the answer.
    assert!(lease.is_held(3_999) && !lease.is_held(4_000));
}

#[test]
fn anothers_lease_is_taken_when_its_revision_is_old() {
    let mut lease = lease();
    read(&mut lease, 0, Some((3, value("b", 900, 1))));
    read(&mut lease, 500, Some((4, value("b", 900, 2))));
    for now_ms in (1_000..3_500).step_by(500) {
        read(&mut lease, now_ms, Some((4, value("b", 900, 2))));
    }
    assert_eq!(lease.wake_at_ms(true), Some(3_500));
    // Its claim is above the last one, though our clock is behind.
    assert_eq!(write(&mut lease, 3_500), (901, 4, 1, false));
    lease.handle_answer(3_510, LeaseAnswer::Conflict);
    // Refused: nothing is written before it is read again, however late that is.
    read(&mut lease, 9_000, Some((5, value("b", 900, 3))));
    assert!(lease.poll_command(9_001, 500, true, 0).is_none());
}

#[test]
fn a_released_lease_is_taken_at_once_and_later_by_who_is_not_level() {
    let released = LeaseValue {
        released: true,
        ..value("b", 900, 9)
    };
    let mut level = lease();
    read(&mut level, 0, Some((3, released.clone())));
    assert_eq!(write(&mut level, 0).0, 901);
    let mut behind = lease();
    read(&mut behind, 0, Some((3, released.clone())));
    assert_eq!(behind.poll_command(1, 500, false, 0), None);
    for now_ms in (500..5_000).step_by(500) {
        let asked = behind.poll_command(now_ms, 500, false, 0);
        assert_eq!(asked, Some(LeaseCommand::Read), "at {now_ms}");
        let entry = Some((3, Some(released.clone())));
        behind.handle_answer(now_ms, LeaseAnswer::Read(entry));
    }
    let asked = behind.poll_command(5_000, 500, false, 0);
    assert!(
        matches!(asked, Some(LeaseCommand::Write { .. })),
        "{asked:?}"
    );
}

#[test]
fn a_write_is_recognised_when_its_answer_was_lost() {
    let mut lease = lease();
    read(&mut lease, 0, None);
    let (claim, _, nonce, _) = write(&mut lease, 0);
    lease.handle_answer(700, LeaseAnswer::Unavailable);
    assert_eq!(lease.poll_event(), None);
    read(&mut lease, 1_200, Some((7, value("a", claim, nonce))));
    assert_eq!(lease.poll_event(), Some(LeaseEvent::Granted(claim)));
    assert!(
        lease.is_held(2_999) && !lease.is_held(3_000),
        "from when it was sent"
    );
    // A renewal whose answer is lost: the next one conflicts with it, and it is found to be ours.
    let (_, _, nonce, _) = write(&mut lease, 1_200);
    lease.handle_answer(1_900, LeaseAnswer::Unavailable);
    read(&mut lease, 2_400, Some((8, value("a", claim, nonce))));
    assert_eq!(lease.poll_event(), None);
    assert!(lease.is_held(4_199));
}

#[test]
fn who_cannot_reach_the_lease_goes_on_and_who_sees_it_in_other_hands_steps_down() {
    let mut lease = lease();
    read(&mut lease, 0, None);
    write(&mut lease, 0);
    lease.handle_answer(0, LeaseAnswer::Written(1));
    lease.poll_event();
    write(&mut lease, 1_000);
    for now_ms in (1_500..20_000).step_by(1_000) {
        lease.handle_answer(now_ms, LeaseAnswer::Unavailable);
        let asked = lease.poll_command(now_ms + 500, 500, true, 0);
        assert_eq!(asked, Some(LeaseCommand::Read));
    }
    assert_eq!((lease.claim(), lease.is_held(19_000)), (Some(500), false));
    let entry = Some((9, Some(value("b", 901, 1))));
    lease.handle_answer(20_000, LeaseAnswer::Read(entry));
    assert_eq!(lease.poll_event(), Some(LeaseEvent::Lost));
    assert_eq!(lease.claim(), None);
}

#[test]
fn a_claim_is_raised_by_compare_and_set() {
    let mut lease = lease();
    read(&mut lease, 0, None);
    write(&mut lease, 0);
    lease.handle_answer(0, LeaseAnswer::Written(1));
    lease.poll_event();
    lease.handle_outclaimed(800);
    assert_eq!(lease.wake_at_ms(true), Some(0));
    assert_eq!(write(&mut lease, 10), (801, 1, 2, false));
    lease.handle_answer(20, LeaseAnswer::Written(2));
    assert_eq!(lease.poll_event(), Some(LeaseEvent::Granted(801)));
}

#[test]
fn a_stop_gives_it_back() {
    let mut lease = lease();
    read(&mut lease, 0, None);
    write(&mut lease, 0);
    lease.handle_answer(0, LeaseAnswer::Written(1));
    lease.handle_stop();
    assert_eq!(
        write(&mut lease, 1_000).3,
        false,
        "kept while there is something to commit"
    );
    lease.handle_answer(1_000, LeaseAnswer::Written(2));
    lease.handle_release();
    assert_eq!(write(&mut lease, 1_001).3, true);
    assert!(!lease.is_done());
    lease.handle_answer(1_002, LeaseAnswer::Written(3));
    assert!(lease.is_done());
    let text = value("a", 1, 2).encode();
    assert_eq!(LeaseValue::decode(&text), Some(value("a", 1, 2)));
    assert_eq!(LeaseValue::decode(b"{}"), None);
}
