//! `marketfeed-marketdata purge`.

use cluster::checker::{Entry, Violation};
use cluster::wait::PATIENCE;
use cluster::{Checker, NatsServer};
use wire::Topic;

use crate::support::{Ended, Feed, MARKETDATA, Place, built, goes_on, streams, topics, words};

async fn purge(place: &Place, nats: &NatsServer, more: &str) -> Ended {
    let line = format!("purge --env it --log off --nats-url {} {more}", nats.url());
    place.ends(MARKETDATA, &words(&line)).await
}

#[tokio::test]
async fn a_feed_is_removed_and_begins_anew() {
    if !built() {
        return;
    }
    let mut feed = Feed::start().await;
    goes_on(&feed.client()).await;
    let before = streams(feed.nats.address()).await;
    let names: Vec<_> = before.keys().map(String::as_str).collect();
    let ours = [
        "KV_MF_it_local_LEASES",
        "MF_it_local_CLOSES",
        "MF_it_local_OPEN",
    ];
    assert_eq!(names, ours);
    let ended = feed.marketdata.process.terminate(PATIENCE).await.unwrap();
    assert_eq!(ended.code(), Some(0));

    let before = streams(feed.nats.address()).await;
    let foreign = purge(&feed.place, &feed.nats, "--nats-owner somebody").await;
    foreign.check_alone(
        3,
        &[
            "belongs to \"it\", not to \"somebody\"",
            "nothing was changed",
        ],
    );
    let other = purge(&feed.place, &feed.nats, "--region elsewhere").await;
    assert_eq!((other.code, other.stderr.as_str()), (Some(0), ""));
    assert_eq!(streams(feed.nats.address()).await, before);

    let line = format!(
        "purge --env it --region elsewhere --nats-url {}",
        feed.nats.url()
    );
    let other = feed.place.ends(MARKETDATA, &words(&line)).await;
    assert_eq!((other.code, other.stderr.lines().count()), (Some(0), 1));
    for part in ["WARN", "NATS has nothing of this feed", "it", "elsewhere"] {
        assert!(other.stderr.contains(part), "{other:?}");
    }

    // The second time there is nothing left to do.
    for _ in 0..2 {
        let ended = purge(&feed.place, &feed.nats, "").await;
        assert_eq!((ended.code, ended.stderr.as_str()), (Some(0), ""));
        assert!(streams(feed.nats.address()).await.is_empty());
    }
    feed.marketdata.process.restart().unwrap();
    feed.marketdata.ready().await;
    goes_on(&feed.client()).await;
}

#[tokio::test]
async fn a_purge_without_nats_gives_up_in_time() {
    if !built() {
        return;
    }
    let (place, mut nats) = (Place::new(), NatsServer::start().await.unwrap());
    nats.kill().unwrap();
    let ended = purge(&place, &nats, "--within 1s").await;
    // Not refused: the same command may do it later.
    ended.check_alone(1, &["not done within 1 s", "Connection refused"]);
}

/// The closes of a topic by the owners' epochs, each with a new log: what came of the log before, and of this one.
fn parted(client: &Checker, topic: &Topic) -> (Vec<Entry>, Vec<Entry>) {
    let entries = client.look(|ledger| ledger.of(topic).to_vec());
    let first = entries.first().map(|entry| entry.epoch);
    entries
        .into_iter()
        .partition(|entry| Some(entry.epoch) == first)
}

#[tokio::test]
async fn gateways_and_their_clients_outlive_a_purge() {
    if !built() {
        return;
    }
    let mut feed = Feed::start().await;
    let client = feed.client();
    goes_on(&client).await;
    goes_on(&client).await;
    let ended = feed.marketdata.process.terminate(PATIENCE).await.unwrap();
    assert_eq!(ended.code(), Some(0));
    let ended = purge(&feed.place, &feed.nats, "").await;
    assert_eq!((ended.code, ended.stderr.as_str()), (Some(0), ""));
    let purged = client.now();
    feed.marketdata.process.restart().unwrap();
    feed.marketdata.ready().await;
    // More than the old log had, so that nothing could be told by lengths.
    let topics = topics();
    let wait = client.wait_for_closes(&topics, purged, 8, PATIENCE);
    wait.await.unwrap();
    for topic in &topics {
        let (old, new) = parted(&client, topic);
        let rises = |entries: &[Entry], first: u64| {
            let numbers = entries.iter().map(|entry| entry.close_no);
            numbers.eq((first..).take(entries.len()))
        };
        assert!(rises(&old, old[0].close_no), "{old:?}");
        assert!(rises(&new, 1), "not all closes of the new log: {new:?}");
        assert!(new[0].epoch > old[0].epoch && new[0].start_ms >= old[old.len() - 1].end_ms);
    }
    // That the numbers began again and time has passed is all that there is to say, once a topic.
    let told = |violation: &Violation| {
        let is_new = matches!(violation, Violation::CloseNo { got: 1, .. });
        is_new
            || matches!(violation, Violation::Start { expected_ms, got_ms, .. } if got_ms > expected_ms)
    };
    let violations = client.violations();
    assert!(violations.iter().all(told), "{violations:?}");
    assert!(violations.len() <= 2 * topics.len(), "{violations:?}");
    assert_eq!(client.subscriptions(), 1);
    // Who comes now finds nothing amiss.
    goes_on(&feed.client()).await;
    assert_eq!(feed.gateway.metric("broker_close_breaks_total").await, 0);
    assert_eq!(
        feed.gateway
            .lines("the log of closes was made anew: its topics")
            .len(),
        1
    );
}
