//! Servers that are killed while bars go through them.

use runtime::broker::nats::{NatsBroker, Party};
use runtime::broker::{
    Broker, CheckpointSubject, CheckpointWrite, CloseStart, Commit, CommitError, OpenSubscription,
};
use tokio::sync::watch;
use wire::subject::Kind;

use crate::feed::{Feed, next, until_ready};
use crate::server::{Servers, program};

const SYMBOLS: [&str; 2] = ["A-USD", "B-USD"];

/// Closes of each topic that must come through between two faults.
const STRIDE: u64 = 40;

/// Commits one close of each symbol after the other as an owner does, until it is told to stop; gives the last
/// `close_no`.
async fn publish(broker: &NatsBroker, feed: &Feed, stop: watch::Receiver<bool>) -> u64 {
    let subjects = SYMBOLS.map(|of| CheckpointSubject::new(&feed.scope, &feed.instrument(of)));
    let mut expect = [0, 0];
    let mut unknown = 0;
    for close_no in 1.. {
        let bars = SYMBOLS.map(|of| feed.open(of, close_no));
        // At most once: it may not reach anybody.
        let _ = broker.publish_open(&bars).await;
        let says = close_no.to_string();
        let write = |at: usize| CheckpointWrite {
            subject: subjects[at].clone(),
            expect: expect[at],
            json: says.clone().into(),
        };
        let commit = Commit {
            closes: SYMBOLS.map(|of| feed.close(of, close_no)).to_vec(),
            checkpoints: (0..2).map(write).collect(),
        };
        expect = loop {
            match broker.commit(&commit).await {
                Ok(committed) => break [committed.checkpoints[0], committed.checkpoints[1]],
                Err(CommitError::Unavailable(_)) => tokio::task::yield_now().await,
                Err(CommitError::Unknown(_) | CommitError::Fenced) => {
                    unknown += 1;
                    if let Some(stands) = committed_after_all(broker, &subjects, &says).await {
                        break stands;
                    }
                }
                Err(error) => panic!("{error}"),
            }
        };
        if *stop.borrow() {
            println!("{unknown} commits of {close_no} were unknown at first");
            return close_no;
        }
    }
    unreachable!("the numbers do not end")
}

/// After an unknown outcome the checkpoints tell.
async fn committed_after_all(
    broker: &NatsBroker,
    subjects: &[CheckpointSubject; 2],
    says: &str,
) -> Option<[u64; 2]> {
    // They are read one by one: a commit that comes between shows as a half of it, for once.
    let mut halves = 0;
    loop {
        let Ok(stored) = broker.checkpoints(subjects).await else {
            continue;
        };
        let ours = |at: usize| {
            let stored = stored[at].as_ref()?;
            (stored.json == says).then_some(stored.sequence)
        };
        match [ours(0), ours(1)] {
            [Some(first), Some(second)] => return Some([first, second]),
            [None, None] => return None,
            half => assert!(halves < 20, "half a commit: {half:?}"),
        }
        halves += 1;
    }
}

/// Reads every close and checks that each topic's come one by one, until the last one.
async fn read(
    broker: &NatsBroker,
    feed: &Feed,
    progress: watch::Sender<u64>,
    mut last: watch::Receiver<Option<u64>>,
) {
    let mut reader = feed.read(broker, CloseStart::First).await;
    let mut counts = [0; 2];
    let mut sequence = 0;
    while last.borrow().is_none_or(|last| counts != [last; 2]) {
        let close = tokio::select! {
            close = next(&mut *reader) => close,
            // The end was set after the last close had come.
            _ = last.changed() => continue,
        };
        assert!(close.sequence > sequence);
        sequence = close.sequence;
        let symbol = close.message.bar.instrument.symbol.as_str();
        let at = SYMBOLS.iter().position(|of| *of == symbol).unwrap();
        counts[at] += 1;
        assert_eq!(close.message.bar.close_no, counts[at], "{symbol}");
        progress.send_replace(counts[0].min(counts[1]));
    }
}

/// Watches open bars; they never go backwards. Ends when it has seen the last ones.
async fn look_on(watcher: &mut dyn OpenSubscription, mut last: watch::Receiver<Option<u64>>) {
    let mut newest = std::collections::BTreeMap::new();
    let all_seen = |newest: &std::collections::BTreeMap<String, u64>, last: Option<u64>| {
        last.is_some_and(|last| newest.len() == 2 && newest.values().all(|seq| *seq >= last))
    };
    while !all_seen(&newest, *last.borrow()) {
        let mut bars = Vec::new();
        tokio::select! {
            drained = watcher.drain(&mut bars) => drained.unwrap(),
            _ = last.changed() => continue,
        }
        for bar in bars {
            let symbol = bar.bar.instrument.symbol.to_string();
            let before = newest.insert(symbol.clone(), bar.bar.seq);
            assert!(before < Some(bar.bar.seq), "{symbol} {before:?}");
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_loss_of_each_server_loses_and_doubles_nothing() {
    let Some(program) = program() else { return };
    let mut servers = Servers::three(&program);
    let feed = Feed::new("faults", &servers.urls());
    // Closes come a thousand times as fast as they do, so that the log must reach back as far.
    let words = "--nats-replicas 3 --nats-closes-per-topic 1000000";
    let publisher = feed.ready(words).await;
    let gateway = feed.begun(Party::Gateway, "");
    until_ready(&gateway).await;
    let mut watcher = gateway.subscribe_open(feed.all(Kind::Open)).await.unwrap();
    let (stop, stopped) = watch::channel(false);
    let (progress, mut progressed) = watch::channel(0);
    let (give_last, last) = watch::channel(None);

    let faults = async {
        let mut advance = async || {
            let from = *progressed.borrow();
            let target = from + STRIDE;
            progressed.wait_for(|at| *at >= target).await.unwrap();
        };
        for node in 0..3 {
            advance().await;
            servers.kill(node);
            let begun = std::time::Instant::now();
            // The others go on without it, and with it again.
            advance().await;
            println!("{} ms without server {node}", begun.elapsed().as_millis());
            servers.restart(node);
            advance().await;
        }
        stop.send_replace(true);
    };
    let publish = async {
        let end = publish(&publisher, &feed, stopped).await;
        give_last.send_replace(Some(end));
        // Open bars are owed at most once; an owner sends them again from time to time.
        for again in 1.. {
            let bars = SYMBOLS.map(|of| feed.open(of, end + again));
            let _ = publisher.publish_open(&bars).await;
            tokio::time::sleep(std::time::Duration::from_millis(50)).await;
        }
    };
    let readers = async {
        tokio::join!(
            read(&gateway, &feed, progress, last.clone()),
            look_on(&mut *watcher, last.clone()),
        );
    };
    let all = async {
        tokio::select! {
            ((), ()) = async { tokio::join!(readers, faults) } => {}
            () = publish => {}
        }
    };
    let ended = tokio::time::timeout(std::time::Duration::from_secs(180), all).await;
    assert!(ended.is_ok(), "it hangs: {:?}", publisher.state().borrow());
}
