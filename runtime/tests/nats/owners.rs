//! Streams that become another owner's while a publisher is at work.

use runtime::broker::nats::{NatsBroker, NatsError, Party, purge};
use runtime::broker::{
    Broker, CheckpointSubject, CheckpointWrite, CloseStart, Closed, Commit, CommitError,
    LeaseError, Leases, ReadError, commit_alone,
};
use serde_json::{Value, json};
use wire::ShardId;

use crate::feed::{Feed, next, until_ready, within};
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

/// Asks the server as an administrator does; with nothing but the question where there is no body.
fn ask(servers: &Servers, what: &str, feed: &Feed, body: Option<&Value>) -> Value {
    let name = format!("$JS.API.{what}.MF_{}_eu_CLOSES", feed.scope.env);
    let body = body.map(Value::to_string).unwrap_or_default();
    let answer = raw_publish(&servers.urls()[0], &name, &body);
    let answer: Value = serde_json::from_str(&answer).unwrap();
    assert_eq!(answer["error"], Value::Null, "{what}");
    answer
}

/// Which log it is and what is in it.
fn log(servers: &Servers, feed: &Feed) -> Value {
    let answer = ask(servers, "STREAM.INFO", feed, None);
    let state = &answer["state"];
    json!([answer["created"], state["messages"], state["last_seq"]])
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

#[tokio::test]
async fn no_lease_is_begun_in_anothers_bucket() {
    let Some(program) = program() else { return };
    let servers = Servers::one(&program, "");
    let feed = Feed::new("lease", &servers.urls());
    let ours = feed.ready(OURS).await;
    let theirs = make_anew(&feed, "uid-1", THEIRS).await;
    let (scope, shard) = (&feed.scope, ShardId(0));
    let refused = ours.write_lease(scope, shard, "{}".into(), 0).await;
    assert!(matches!(refused, Err(LeaseError::Denied(_))), "{refused:?}");
    check_failed(&ours, &feed).await;
    assert_eq!(theirs.lease(scope, shard).await, Ok(None));
}

#[tokio::test]
async fn settings_that_are_changed_end_nobody_who_is_at_work() {
    let Some(program) = program() else { return };
    let mut servers = Servers::one(&program, "");
    let feed = Feed::new("settings", &servers.urls());
    let ours = feed.ready(OURS).await;
    let first = ours.commit(&commit(&feed, "A-USD", 1, 0)).await.unwrap();
    let mut config = ask(&servers, "STREAM.INFO", &feed, None)["config"].take();
    config["max_msgs_per_subject"] = json!(77);
    ask(&servers, "STREAM.UPDATE", &feed, Some(&config));
    // In this session, where the log is looked at for another reason, and in the next one.
    ours.commit(&commit(&feed, "B-USD", 1, 0)).await.unwrap();
    servers.kill(0);
    servers.restart(0);
    within("the look of the next session", async {
        while !feed.counted("broker_errors_total{what=\"streams\",error=\"other_settings\"} 1") {
            tokio::task::yield_now().await;
        }
    })
    .await;
    until_ready(&ours).await;
    let next = commit(&feed, "A-USD", 2, first.checkpoints[0]);
    ours.commit(&next).await.unwrap();
    let read = ours
        .checkpoints(&[next.checkpoints[0].subject.clone()])
        .await;
    assert_eq!(read.unwrap().len(), 1);
    // Who starts now is told.
    let starts = Feed::of(feed.scope.clone(), &servers.urls());
    let refused = starts.begun(Party::Publisher, OURS);
    let error = within("a failure", refused.failed()).await;
    assert!(
        error.to_string().contains("max_msgs_per_subject is 77"),
        "{error}"
    );
}

#[tokio::test]
async fn a_reader_without_a_consumer_reads_nothing_of_another_log() {
    let Some(program) = program() else { return };
    let servers = Servers::one(&program, "");
    let feed = Feed::new("taken", &servers.urls());
    let ours = feed.ready(OURS).await;
    let mut config = ask(&servers, "STREAM.INFO", &feed, None)["config"].take();
    // There is room for one consumer, and somebody has it.
    config["max_consumers"] = json!(1);
    let make = |config: &Value| {
        ask(&servers, "STREAM.DELETE", &feed, None);
        ask(&servers, "STREAM.CREATE", &feed, Some(config));
        let stream = &config["name"];
        let taken = json!({ "stream_name": stream, "config": { "durable_name": "taken", "ack_policy": "none" } });
        let api = format!(
            "$JS.API.CONSUMER.DURABLE.CREATE.{}.taken",
            stream.as_str().unwrap()
        );
        raw_publish(&servers.urls()[0], &api, &taken.to_string())
    };
    let made = make(&config);
    assert!(!made.contains("error"), "{made}");
    commit_alone(&ours, &[feed.close("A-USD", 1)])
        .await
        .unwrap();
    let mut reader = feed.read(&ours, CloseStart::First).await;
    let close = within("a close", next(&mut *reader)).await;
    assert_eq!(close.message.bar.close_no, 1);
    let first_seq = config["first_seq"].as_u64().unwrap();
    config["first_seq"] = json!(first_seq + 1_000);
    make(&config);
    let closes = [feed.close("A-USD", 1), feed.close("A-USD", 2)];
    commit_alone(&ours, &closes).await.unwrap();
    let mut into = Vec::new();
    let drained = within("the end", reader.drain(10, &mut into)).await;
    assert_eq!(drained, Err(Closed));
    assert!(into.is_empty(), "{into:?}");
}
