//! `marketfeed-marketdata purge`.

use cluster::NatsServer;
use cluster::wait::PATIENCE;

use crate::support::{Ended, Feed, MARKETDATA, Place, built, goes_on, streams, words};

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
