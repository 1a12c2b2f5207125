use std::time::Duration;

use runtime::backoff::Options;

use super::*;

const HOUR: u64 = 3_600_000;
const FIRST: ConnectionId = ConnectionId(0);
const SECOND: ConnectionId = ConnectionId(1);
const THIRD: ConnectionId = ConnectionId(2);

fn feed(seed: u64) -> Feed {
    let options = Options {
        base: Duration::from_millis(500),
        cap: Duration::from_secs(30),
    };
    let mut rng = fastrand::Rng::with_seed(seed);
    let backoff = Backoff::new(options, rng.fork());
    Feed::new(backoff, Some(24 * HOUR), &mut rng, 0)
}

fn commands(feed: &mut Feed) -> Vec<Command> {
    std::iter::from_fn(|| feed.poll_command()).collect()
}

/// Waits as the shell does, and gives the time and what is to be done then.
fn wait(feed: &mut Feed) -> (u64, Vec<Command>) {
    let at = feed.poll_timeout().unwrap();
    feed.handle_timeout(at);
    (at, commands(feed))
}

#[test]
fn the_first_connection_opens_at_once() {
    let mut feed = feed(1);
    assert_eq!(wait(&mut feed), (0, vec![Command::Open(FIRST)]));
    assert_eq!(feed.poll_timeout(), None);
}

#[test]
fn losses_are_met_with_longer_and_longer_random_waits() {
    let mut longest = 0;
    let mut different = std::collections::BTreeSet::new();
    for seed in 0..50 {
        let mut feed = feed(seed);
        let (mut now, _) = wait(&mut feed);
        for attempt in 0..12u32 {
            feed.handle_ended(now, ConnectionId(u64::from(attempt)));
            let (at, opened) = wait(&mut feed);
            assert_eq!(
                opened,
                [Command::Open(ConnectionId(u64::from(attempt) + 1))]
            );
            assert!(at - now <= (500u64 << attempt).min(30_000));
            longest = longest.max(at - now);
            if attempt == 3 {
                different.insert(at - now);
            }
            now = at;
        }
    }
    assert!(longest > 20_000, "{longest}");
    assert!(different.len() > 40, "no jitter: {different:?}");
}

#[test]
fn only_a_connection_that_worked_resets_the_backoff() {
    let mut feed = feed(1);
    wait(&mut feed);
    let mut now = 0;
    for attempt in 0..8 {
        feed.handle_live(now, ConnectionId(attempt));
        feed.handle_ended(now + 1_000, ConnectionId(attempt));
        now = wait(&mut feed).0;
    }
    assert_eq!(feed.backoff.attempts(), 8);
    feed.handle_live(now, ConnectionId(8));
    feed.handle_ended(now + WORKED_AFTER_MS, ConnectionId(8));
    assert_eq!(feed.backoff.attempts(), 1);
}

#[test]
fn a_connection_is_replaced_before_the_venue_ends_it_and_closed_after() {
    let mut moments = std::collections::BTreeSet::new();
    for seed in 0..20 {
        let mut feed = feed(seed);
        wait(&mut feed);
        feed.handle_live(1_000, FIRST);
        let (at, opened) = wait(&mut feed);
        assert_eq!(opened, [Command::Open(SECOND)]);
        assert!((23 * HOUR..24 * HOUR).contains(&at));
        moments.insert(at);
        // The old one stays until the new one is live.
        assert_eq!(feed.poll_timeout(), None);
        feed.handle_live(at + 900, SECOND);
        // And beside it for a while: it may have been sent what the new one was not.
        assert_eq!(commands(&mut feed), []);
        let closed = at + 900 + OVERLAP_MS;
        assert_eq!(wait(&mut feed), (closed, vec![Command::Close(FIRST)]));
        feed.handle_ended(closed + 50, FIRST);
        assert!(feed.poll_timeout().unwrap() > at + 22 * HOUR);
    }
    assert!(moments.len() > 15);
}

#[test]
fn an_announced_shutdown_moves_at_once() {
    let mut feed = feed(1);
    wait(&mut feed);
    feed.handle_live(1_000, FIRST);
    feed.handle_retire(5_000, FIRST);
    feed.handle_retire(5_001, FIRST);
    assert_eq!(wait(&mut feed), (5_000, vec![Command::Open(SECOND)]));
    feed.handle_retire(5_002, FIRST);
    assert_eq!(feed.poll_timeout(), None);
    // The old one is gone before the new one is live: the new one is on its way already.
    feed.handle_ended(5_500, FIRST);
    assert_eq!(feed.poll_timeout(), None);
    feed.handle_live(6_000, SECOND);
    assert_eq!(commands(&mut feed), []);
}

#[test]
fn a_successor_that_fails_leaves_the_old_one_in_place_and_is_tried_again() {
    let mut feed = feed(3);
    wait(&mut feed);
    feed.handle_live(1_000, FIRST);
    let (at, _) = wait(&mut feed);
    feed.handle_ended(at + 10, SECOND);
    assert!(commands(&mut feed).is_empty());
    let (again, opened) = wait(&mut feed);
    assert_eq!(opened, [Command::Open(THIRD)]);
    assert!(again >= at + 10);
    feed.handle_live(again, THIRD);
    assert_eq!(wait(&mut feed).1, [Command::Close(FIRST)]);
}

#[test]
fn strangers_change_nothing() {
    let mut feed = feed(1);
    wait(&mut feed);
    feed.handle_ended(1, ConnectionId(77));
    feed.handle_live(1, ConnectionId(77));
    feed.handle_retire(1, ConnectionId(77));
    assert_eq!(feed.poll_timeout(), None);
    assert!(commands(&mut feed).is_empty());
}
