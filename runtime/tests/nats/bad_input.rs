//! What can be wrong with NATS, and what is said then.

use std::io::{Read, Write};
use std::net::TcpListener;

use futures_util::FutureExt;
use runtime::broker::nats::{NatsError, NatsState, Party};
use runtime::broker::{
    Broker, CloseStart, CommitError, PublishError, SequencedClose, SubscribeError, commit_alone,
};
use wire::subject::Kind;

use crate::feed::{Feed, next, until_ready, within};
use crate::server::{Servers, program, raw_publish};

const USERS: &str = "authorization { users: [ { user: good, password: pw } ] }";

#[tokio::test]
async fn unreachable_at_the_start_is_waited_for() {
    let Some(program) = program() else { return };
    let mut servers = Servers::one(&program, "");
    let feed = Feed::new("late", &servers.urls());
    servers.kill(0);
    let broker = feed.begun(Party::Publisher, "--nats-replicas 1");
    let mut states = broker.state();
    let state = within("an error", states.wait_for(has_error)).await;
    let NatsState::Connecting { error: Some(error) } = state.unwrap().clone() else {
        panic!("no error");
    };
    assert!(error.contains("nats://127.0.0.1:"), "{error}");
    assert!(!broker.is_ready());
    // Nothing is kept for later, and nothing waits for ever.
    let sent = broker.publish_open(&[feed.open("A-USD", 1)]).await;
    assert!(
        matches!(sent, Err(PublishError::Unavailable(_))),
        "{sent:?}"
    );
    let committed = commit_alone(&broker, &[feed.close("A-USD", 1)]).await;
    assert!(matches!(committed, Err(CommitError::Unavailable(_))));
    let read = broker.subscribe_closes(feed.all(Kind::Committed), CloseStart::First);
    assert!(matches!(
        read.await.err(),
        Some(SubscribeError::Unavailable(_))
    ));
    servers.restart(0);
    until_ready(&broker).await;
    commit_alone(&broker, &[feed.close("A-USD", 1)])
        .await
        .unwrap();
    let last = broker.last_open(&feed.all(Kind::Open)).await.unwrap();
    assert!(last.is_empty(), "the bar of before was kept: {last:?}");
}

fn has_error(state: &NatsState) -> bool {
    matches!(state, NatsState::Connecting { error: Some(_) })
}

#[tokio::test]
async fn wrong_credentials_are_the_end() {
    let Some(program) = program() else { return };
    let servers = Servers::one(&program, USERS);
    let feed = Feed::new("creds", &servers.urls());
    for words in ["", "--nats-user good --nats-password bad", "--nats-token t"] {
        let broker = feed.begun(Party::Publisher, words);
        let error = within("a failure", broker.failed()).await;
        assert!(matches!(error, NatsError::Credentials(_)), "{error}");
        assert!(error.to_string().contains("credentials are refused"));
        assert_eq!(*broker.state().borrow(), NatsState::Failed(error));
    }
    feed.ready("--nats-replicas 1 --nats-user good --nats-password pw")
        .await;
}

#[tokio::test]
async fn a_server_that_is_too_old_is_named() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = format!("nats://{}", listener.local_addr().unwrap());
    let old = std::thread::spawn(move || {
        let (mut stream, _) = listener.accept().unwrap();
        let info = r#"INFO {"server_id":"X","version":"2.9.25","proto":1,"max_payload":1048576,"headers":true}"#;
        stream.write_all(format!("{info}\r\n").as_bytes()).unwrap();
        let mut heard = [0; 4_096];
        // CONNECT and PING.
        let _ = stream.read(&mut heard).unwrap();
        stream.write_all(b"PONG\r\n").unwrap();
        // Until the client hangs up.
        while stream.read(&mut heard).is_ok_and(|length| length > 0) {}
    });
    let feed = Feed::new("old", std::slice::from_ref(&address));
    let broker = feed.begun(Party::Gateway, "");
    let error = within("a failure", broker.failed()).await;
    let server = address;
    let version = "2.9.25".to_owned();
    assert_eq!(error, NatsError::ServerTooOld { server, version });
    let text = error.to_string();
    assert!(text.contains("is 2.9.25; version 2.12 or later"), "{text}");
    drop(broker);
    old.join().unwrap();
}

#[tokio::test]
async fn streams_of_others_and_of_other_settings_are_left_alone() {
    let Some(program) = program() else { return };
    let servers = Servers::one(&program, "");
    let feed = Feed::new("mine", &servers.urls());
    let first = feed.ready("--nats-replicas 1 --nats-owner uid-1").await;
    let before = raw_publish(
        &servers.urls()[0],
        "$JS.API.STREAM.INFO.MF_mine_eu_CLOSES",
        "",
    );
    let other = feed.begun(Party::Publisher, "--nats-replicas 1 --nats-owner uid-2");
    let error = within("a failure", other.failed()).await;
    let expect = NatsError::OwnedByOther {
        stream: "MF_mine_eu_CLOSES".to_owned(),
        owner: "uid-1".to_owned(),
        ours: "uid-2".to_owned(),
    };
    assert_eq!(error, expect);
    // A reader that was told whose it is checks that too.
    let reader = feed.begun(Party::Gateway, "--nats-owner uid-2");
    assert_eq!(within("a failure", reader.failed()).await, expect);
    let words = "--nats-replicas 1 --nats-owner uid-1 --nats-closes-per-topic 7";
    let other = feed.begun(Party::Publisher, words);
    let error = within("a failure", other.failed()).await;
    let text = error.to_string();
    assert!(
        text.contains("MF_mine_eu_CLOSES exists with other settings")
            && text.ends_with("max_msgs_per_subject is 1000, not 7"),
        "{text}"
    );
    let after = raw_publish(
        &servers.urls()[0],
        "$JS.API.STREAM.INFO.MF_mine_eu_CLOSES",
        "",
    );
    let config = |answer: &str| {
        let answer: serde_json::Value = serde_json::from_str(answer).unwrap();
        answer["config"].clone()
    };
    assert_eq!(config(&before), config(&after));
    assert!(first.is_ready());
}

#[tokio::test]
async fn replicas_need_servers() {
    let Some(program) = program() else { return };
    let servers = Servers::one(&program, "");
    let feed = Feed::new("alone", &servers.urls());
    let broker = feed.begun(Party::Publisher, "");
    let error = within("a failure", broker.failed()).await;
    assert_eq!(error, NatsError::NotClustered { replicas: 3 });
    assert!(error.to_string().contains("--nats-replicas 1"));
}

#[tokio::test]
async fn a_reader_waits_for_the_publisher_that_makes_the_streams() {
    let Some(program) = program() else { return };
    let servers = Servers::one(&program, "");
    let feed = Feed::new("order", &servers.urls());
    let gateway = feed.begun(Party::Gateway, "");
    let mut states = gateway.state();
    within("an error", states.wait_for(has_error))
        .await
        .unwrap();
    let state = format!("{:?}", *states.borrow());
    assert!(state.contains("does not exist yet"), "{state}");
    let publisher = feed.ready("--nats-replicas 1").await;
    until_ready(&gateway).await;
    let mut reader = feed.read(&gateway, CloseStart::Next).await;
    commit_alone(&publisher, &[feed.close("A-USD", 1)])
        .await
        .unwrap();
    let close = within("a close", next(&mut *reader)).await;
    assert_eq!(close.message.bar.close_no, 1);
}

#[tokio::test]
async fn garbage_is_counted_and_dropped() {
    let Some(program) = program() else { return };
    let servers = Servers::one(&program, "");
    let feed = Feed::new("garbage", &servers.urls());
    let broker = feed.ready("--nats-replicas 1").await;
    let mut watcher = broker.subscribe_open(feed.all(Kind::Open)).await.unwrap();
    let mut reader = feed.read(&broker, CloseStart::First).await;
    let url = &servers.urls()[0];
    // Not a bar, another instrument's bar, a subject that is no symbol; the streams keep them too.
    let other = String::from_utf8(feed.open("A-USD", 9).json.to_vec()).unwrap();
    for (subject, text) in [
        ("kline.garbage.eu.coinbase.1s.A-USD.open", "garbage"),
        ("kline.garbage.eu.coinbase.1s.B-USD.open", &other),
        ("kline.garbage.eu.coinbase.1s.nosymbol.open", &other),
    ] {
        raw_publish(url, subject, text);
    }
    let answer = raw_publish(url, "bar.garbage.eu.coinbase.1s.A-USD", "garbage");
    assert!(answer.contains("\"seq\""), "{answer}");
    broker.publish_open(&[feed.open("A-USD", 1)]).await.unwrap();
    commit_alone(&broker, &[feed.close("A-USD", 1)])
        .await
        .unwrap();
    let mut bars = Vec::new();
    within("a bar", watcher.drain(&mut bars)).await.unwrap();
    assert_eq!((bars.len(), bars[0].bar.seq), (1, 1));
    let close = within("a close", next(&mut *reader)).await;
    assert_eq!(close.message.bar.close_no, 1);
    assert!(reader.drain(1, &mut Vec::new()).now_or_never().is_none());
    assert!(feed.counted("broker_garbage_total{kind=\"close\"} 1"));
    // Live, and once more from the stream of last values for who came before it had them.
    let text = feed.metrics.encode().unwrap();
    let line = text
        .lines()
        .find(|line| line.contains("kind=\"open\"}") && line.contains("garbage"));
    let count: u64 = line.unwrap().rsplit(' ').next().unwrap().parse().unwrap();
    assert!((3..=6).contains(&count), "{count}");
}

#[tokio::test]
async fn garbage_between_closes_hides_none_of_them() {
    let Some(program) = program() else { return };
    let servers = Servers::one(&program, "");
    let feed = Feed::new("between", &servers.urls());
    let broker = feed.ready("--nats-replicas 1").await;
    let url = &servers.urls()[0];
    let garbage = || {
        let answer = raw_publish(url, "bar.between.eu.coinbase.1s.A-USD", "garbage");
        assert!(answer.contains("\"seq\""), "{answer}");
    };
    let subject = feed.close("A-USD", 1).subject;
    let read = async |after: u64| {
        let replay = broker.closes_after(&subject, after, 100).await.unwrap();
        let numbers = |close: &SequencedClose| close.message.bar.close_no;
        let closes: Vec<u64> = replay.closes.iter().map(numbers).collect();
        (closes, replay.missed, replay.newest)
    };
    let check = async |newest: u64| {
        for after in [0, 1, newest / 2, newest - 1, newest, newest + 1] {
            let expect: Vec<u64> = (after + 1..=newest).take(100).collect();
            let expect = (expect, None, Some(newest));
            assert_eq!(read(after).await, expect, "{after} of {newest}");
        }
    };
    garbage();
    // Nothing that was ever numbered.
    assert_eq!(read(0).await, (vec![], None, None));
    garbage();
    commit_alone(&broker, &[feed.close("A-USD", 1)])
        .await
        .unwrap();
    // The oldest is garbage; then the newest is too, and what lies between.
    check(1).await;
    for half in 0..40 {
        let closes = [half * 2 + 2, half * 2 + 3].map(|close_no| feed.close("A-USD", close_no));
        commit_alone(&broker, &closes).await.unwrap();
        garbage();
    }
    check(81).await;
    // More in a row than a page has.
    for _ in 0..600 {
        garbage();
    }
    check(81).await;
    commit_alone(&broker, &[feed.close("A-USD", 82)])
        .await
        .unwrap();
    check(82).await;
}
