//! The removal of a feed.

use std::time::Duration;

use runtime::broker::commit_alone;
use runtime::broker::nats::{NatsError, Party, PurgeError, purge};

use crate::feed::Feed;
use crate::server::{Servers, program, raw_publish};

const LIMIT: Duration = Duration::from_secs(20);

#[tokio::test]
async fn a_feed_is_removed_once_and_only_by_its_owner() {
    let Some(program) = program() else { return };
    let servers = Servers::one(&program, "");
    let url = &servers.urls()[0];
    let (feed, other) = (
        Feed::new("gone", &servers.urls()),
        Feed::new("stays", &servers.urls()),
    );
    let words = "--nats-replicas 1 --nats-owner uid-1";
    let broker = feed.ready(words).await;
    commit_alone(&broker, &[feed.close("A-USD", 1)])
        .await
        .unwrap();
    drop(broker);
    other.ready(words).await;
    let foreign = feed.options(Party::Purge, "--nats-owner uid-2");
    let refused = purge(&feed.scope, &foreign, LIMIT).await;
    let Err(PurgeError::Nats(NatsError::OwnedByOther { owner, ours, .. })) = refused else {
        panic!("{refused:?}");
    };
    assert_eq!((owner.as_str(), ours.as_str()), ("uid-1", "uid-2"));
    assert_eq!(streams(url).len(), 6);
    let options = feed.options(Party::Purge, "--nats-owner uid-1");
    let purged = purge(&feed.scope, &options, LIMIT).await.unwrap();
    assert_eq!(
        purged.streams,
        [
            "MF_gone_eu_OPEN",
            "KV_MF_gone_eu_LEASES",
            "MF_gone_eu_CLOSES"
        ]
    );
    // Again: nothing is left, and the other feed is as it was.
    let again = purge(&feed.scope, &options, LIMIT).await.unwrap();
    assert!(again.streams.is_empty());
    let mut left = streams(url);
    left.sort();
    assert_eq!(
        left,
        [
            "KV_MF_stays_eu_LEASES",
            "MF_stays_eu_CLOSES",
            "MF_stays_eu_OPEN"
        ]
    );
    // The feed begins anew.
    feed.ready(words).await;
}

#[tokio::test]
async fn a_purge_that_cannot_be_done_says_so_in_time() {
    let Some(program) = program() else { return };
    let mut servers = Servers::one(&program, "");
    let feed = Feed::new("away", &servers.urls());
    servers.kill(0);
    let options = feed.options(Party::Purge, "");
    let refused = purge(&feed.scope, &options, Duration::from_secs(1)).await;
    assert!(matches!(refused, Err(PurgeError::Unavailable { .. })));
}

fn streams(url: &str) -> Vec<String> {
    let answer = raw_publish(url, "$JS.API.STREAM.NAMES", "");
    let answer: serde_json::Value = serde_json::from_str(&answer).unwrap();
    let names = answer["streams"].as_array().cloned().unwrap_or_default();
    names
        .iter()
        .map(|name| name.as_str().unwrap().to_owned())
        .collect()
}
