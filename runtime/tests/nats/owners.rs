//! Streams that become another owner's while a publisher is at work.

use runtime::broker::nats::{NatsBroker, NatsError, Party, purge};
use runtime::broker::{
    Broker, CheckpointSubject, CheckpointWrite, Commit, CommitError, ReadError, commit_alone,
};

use crate::feed::{Feed, until_ready, within};
use crate::server::{Servers, program, raw_publish};

const OURS: &str = "--nats-replicas 1 --nats-owner uid-1";
const THEIRS: &str = "--nats-replicas 1 --nats-owner uid-2";

/// A close of the symbol, in the place of the checkpoint that has this sequence.
fn commit(feed: &Feed, symbol: &str, close_no: u64, expect: u64) -> Commit {
    Commit {
        closes: vec![feed.close(symbol, close_no)],
        checkpoints: vec![CheckpointWrite {
            subject: CheckpointSubject::new(&feed.scope, &feed.instrument(symbol)),
            expect,
            json: "{}".into(),
        }],
    }
}

/// Removes the feed as its owner of that id, and begins it anew as the other.
async fn make_anew(feed: &Feed, owner: &str, words: &str) -> NatsBroker {
    let options = feed.options(Party::Purge, &format!("--nats-owner {owner}"));
    let limit = std::time::Duration::from_secs(20);
    purge(&feed.scope, &options, limit).await.unwrap();
    feed.ready(words).await
}

/// Which log it is and what is in it.
fn log(servers: &Servers, feed: &Feed) -> serde_json::Value {
    let name = format!("$JS.API.STREAM.INFO.MF_{}_eu_CLOSES", feed.scope.env);
    let answer = raw_publish(&servers.urls()[0], &name, "");
    let answer: serde_json::Value = serde_json::from_str(&answer).unwrap();
    let state = &answer["state"];
    serde_json::json!([answer["created"], state["messages"], state["last_seq"]])
}

async fn check_failed(broker: &NatsBroker, feed: &Feed) {
    let error = within("a failure", broker.failed()).await;
    let expect = NatsError::OwnedByOther {
        stream: format!("MF_{}_eu_CLOSES", feed.scope.env),
        owner: "uid-2".to_owned(),
        ours: "uid-1".to_owned(),
    };
    assert_eq!(error, expect);
    // It is the end of all else too, at once.
    let refused = broker.publish_open(&[feed.open("A-USD", 9)]).await;
    assert!(refused.is_err());
    let refused = broker.commit(&commit(feed, "A-USD", 9, 9)).await;
    assert!(
        matches!(&refused, Err(CommitError::Unavailable(why)) if why.contains("uid-2")),
        "{refused:?}"
    );
}

#[tokio::test]
async fn a_checkpoint_of_one_log_is_none_of_the_next() {
    let Some(program) = program() else { return };
    let servers = Servers::one(&program, "");
    let feed = Feed::new("again", &servers.urls());
    let ours = feed.ready(OURS).await;
    let first = ours.commit(&commit(&feed, "A-USD", 1, 0)).await.unwrap();
    // The other does all that we did: the same places, were logs to begin alike.
    let theirs = make_anew(&feed, "uid-1", THEIRS).await;
    theirs.commit(&commit(&feed, "A-USD", 1, 0)).await.unwrap();
    let before = log(&servers, &feed);
    let next = commit(&feed, "A-USD", 2, first.checkpoints[0]);
    let refused = ours.commit(&next).await;
    assert_eq!(refused, Err(CommitError::Fenced));
    // Whoever is fenced reads by whom.
    let subjects = [next.checkpoints[0].subject.clone()];
    let read = ours.checkpoints(&subjects).await;
    assert!(matches!(read, Err(ReadError::Denied(_))), "{read:?}");
    check_failed(&ours, &feed).await;
    assert_eq!(log(&servers, &feed), before);
    assert!(theirs.is_ready());
}

#[tokio::test]
async fn an_instrument_is_not_begun_in_anothers_log() {
    let Some(program) = program() else { return };
    let servers = Servers::one(&program, "");
    let feed = Feed::new("begun", &servers.urls());
    let ours = feed.ready(OURS).await;
    let theirs = make_anew(&feed, "uid-1", THEIRS).await;
    let before = log(&servers, &feed);
    let refused = ours.commit(&commit(&feed, "A-USD", 1, 0)).await;
    assert!(
        matches!(refused, Err(CommitError::Denied(_))),
        "{refused:?}"
    );
    check_failed(&ours, &feed).await;
    assert_eq!(log(&servers, &feed), before);
    assert!(theirs.is_ready());
}

#[tokio::test]
async fn each_session_looks_whose_the_streams_are() {
    let Some(program) = program() else { return };
    let mut servers = Servers::one(&program, "");
    let feed = Feed::new("later", &servers.urls());
    let ours = feed.ready(OURS).await;
    drop(make_anew(&feed, "uid-1", THEIRS).await);
    assert!(ours.is_ready());
    let before = log(&servers, &feed);
    servers.kill(0);
    servers.restart(0);
    check_failed(&ours, &feed).await;
    assert_eq!(log(&servers, &feed), before);
}

#[tokio::test]
async fn a_log_that_its_owner_made_anew_is_gone_on_with() {
    let Some(program) = program() else { return };
    let servers = Servers::one(&program, "");
    let feed = Feed::new("same", &servers.urls());
    let ours = feed.ready(OURS).await;
    let first = ours.commit(&commit(&feed, "A-USD", 1, 0)).await.unwrap();
    make_anew(&feed, "uid-1", OURS).await;
    let next = commit(&feed, "A-USD", 1, first.checkpoints[0]);
    assert_eq!(ours.commit(&next).await, Err(CommitError::Fenced));
    commit_alone(&ours, &next.closes).await.unwrap();
    until_ready(&ours).await;
}
