//! The permissions that the documents give, upheld by a real server.

use std::fmt::Write as _;

use futures_util::FutureExt;
use runtime::broker::nats::governance::{Permissions, permissions};
use runtime::broker::nats::{NatsBroker, NatsError, Party, purge};
use runtime::broker::{
    Broker, CloseStart, CommitError, LeaseError, Leases, ReadError, commit_alone,
};
use wire::subject::Kind;
use wire::{Scope, ShardId, Subject};

use crate::feed::{Feed, next, until_ready, within};
use crate::server::{Raw, Servers, program};

/// One user for each party of each feed, called `<feed>-<party>`.
fn users(feeds: &[&str]) -> String {
    let mut text = "authorization { users: [\n".to_owned();
    for feed in feeds {
        let scope = Scope::new(feed, "eu").unwrap();
        for party in Party::ALL {
            let permissions = permissions(&scope, party);
            // Both spellings are used, so that both are known to be right.
            let written = match party {
                Party::Publisher => format!("permissions: {}", permissions.to_json()),
                _ => permissions.to_config(),
            };
            let user = format!("{feed}-{}", party.as_str());
            writeln!(text, "{{ user: \"{user}\", password: pw, {written} }}").unwrap();
        }
    }
    text + "] }"
}

fn words(feed: &str, party: Party) -> String {
    let user = format!("--nats-user {feed}-{} --nats-password pw", party.as_str());
    format!("--nats-replicas 1 {user}")
}

async fn ready(feed: &Feed, party: Party) -> NatsBroker {
    let broker = feed.begun(party, &words(feed.scope.env.as_str(), party));
    until_ready(&broker).await;
    broker
}

#[tokio::test]
async fn each_party_can_do_its_work_and_no_other() {
    let Some(program) = program() else { return };
    let servers = Servers::one(&program, &users(&["a", "b"]));
    // Each counts what it is refused by itself.
    let [feed, of_gateway, of_history] = [0; 3].map(|_| Feed::new("a", &servers.urls()));
    let publisher = ready(&feed, Party::Publisher).await;
    let gateway = ready(&of_gateway, Party::Gateway).await;
    let history = ready(&of_history, Party::History).await;
    let mut onlooker = Onlooker::begin(&servers);

    // The publisher commits, publishes, holds leases, reads its checkpoints.
    let mut watcher = gateway.subscribe_open(feed.all(Kind::Open)).await.unwrap();
    let mut readers = Vec::new();
    for broker in [&gateway, &history, &publisher] {
        readers.push(feed.read(broker, CloseStart::Next).await);
    }
    let closes = [feed.close("A-USD", 1), feed.close("A-USD", 2)];
    commit_alone(&publisher, &closes).await.unwrap();
    publisher
        .publish_open(&[feed.open("A-USD", 1)])
        .await
        .unwrap();
    let lease = publisher.write_lease(&feed.scope, ShardId(0), "x".into(), 0);
    let revision = lease.await.unwrap();
    let lease = publisher.lease(&feed.scope, ShardId(0)).await.unwrap();
    assert_eq!(lease.unwrap().revision, revision);
    // Readers read, by subscription and by stretch.
    for reader in &mut readers {
        for close_no in 1..=2 {
            let close = within("a close", next(&mut **reader)).await;
            assert_eq!(close.message.bar.close_no, close_no);
        }
    }
    let mut bars = Vec::new();
    within("a bar", watcher.drain(&mut bars)).await.unwrap();
    assert_eq!(bars[0].bar.seq, 1);
    within("the last values", async {
        while gateway
            .last_open(&feed.all(Kind::Open))
            .await
            .unwrap()
            .is_empty()
        {
            tokio::task::yield_now().await;
        }
    })
    .await;
    for broker in [&gateway, &history] {
        let replay = broker.closes_after(&closes[0].subject, 0, 10).await;
        assert_eq!(replay.unwrap().closes.len(), 2);
    }
    onlooker.check(&closes[0].subject);
    check_refusals(&of_gateway, &gateway).await;
    check_refusals(&of_history, &history).await;
    assert!(!feed.metrics.encode().unwrap().contains(PERMISSION));
    // Nothing of what was refused is there.
    let replay = publisher.closes_after(&closes[0].subject, 2, 10).await;
    assert_eq!(replay.unwrap().newest, Some(2));
    assert!(within_reach(&mut *watcher).is_none());
}

fn within_reach(watcher: &mut dyn runtime::broker::OpenSubscription) -> Option<usize> {
    let mut bars = Vec::new();
    let _ = watcher.drain(&mut bars).now_or_never()?;
    Some(bars.len())
}

/// What a reader's credentials must not do. It has been refused nothing before.
async fn check_refusals(feed: &Feed, reader: &NatsBroker) {
    assert!(!feed.metrics.encode().unwrap().contains(PERMISSION));
    // Core NATS does not answer; it shows as a permission that is missing.
    let _ = reader.publish_open(&[feed.open("A-USD", 9)]).await;
    within("the refusal of an open bar", async {
        while !feed.counted(&format!("{PERMISSION} 1")) {
            tokio::task::yield_now().await;
        }
    })
    .await;
    let refused = commit_alone(reader, &[feed.close("A-USD", 3)]).await;
    assert!(
        matches!(refused, Err(CommitError::Denied(_))),
        "{refused:?}"
    );
    let lease = reader.write_lease(&feed.scope, ShardId(0), "y".into(), 0);
    assert!(matches!(lease.await, Err(LeaseError::Denied(_))));
}

/// A watcher, as `nats sub` is one.
struct Onlooker(Raw);

impl Onlooker {
    fn begin(servers: &Servers) -> Self {
        let mut raw = Raw::connect(&servers.urls()[0], "a-watcher", "pw");
        raw.send("SUB kline.a.eu.> 1");
        raw.send("SUB _INBOX.mf.a.eu.watcher.x 2");
        assert_eq!(raw.says(), [""; 0]);
        Self(raw)
    }

    /// It has seen two closes and an open bar, and can do nothing more.
    fn check(&mut self, of: &Subject) {
        let closed = of.to_string().replacen("bar.", "kline.", 1);
        let mut seen = [0; 3].map(|_| self.0.message());
        seen.sort();
        let (closed, open) = (format!("{closed}.closed"), format!("{closed}.open"));
        assert_eq!(seen, [closed.clone(), closed, open]);
        let scope = Scope::new("a", "eu").unwrap();
        for party in Party::ALL {
            let Permissions { publish, subscribe } = permissions(&scope, party);
            for subject in publish {
                check_publish(&mut self.0, &exact(&subject));
            }
            for subject in subscribe {
                if !subject.starts_with("kline.") && party != Party::Watcher {
                    check_subscribe(&mut self.0, &subject);
                }
            }
        }
        for subject in ["bar.a.eu.>", "ckpt.a.eu.>", "$KV.MF_a_eu_LEASES.>", ">"] {
            check_subscribe(&mut self.0, subject);
        }
    }
}

/// A subject that the pattern lets through.
fn exact(pattern: &str) -> String {
    let tokens = pattern.split('.').map(|token| match token {
        "*" | ">" => "x",
        token => token,
    });
    tokens.collect::<Vec<_>>().join(".")
}

fn check_publish(raw: &mut Raw, subject: &str) {
    raw.publish(subject);
    let expect = format!("'Permissions Violation for Publish to \"{subject}\"'");
    assert_eq!(raw.says(), [expect]);
}

fn check_subscribe(raw: &mut Raw, subject: &str) {
    raw.send(&format!("SUB {subject} 9"));
    let expect = format!("'Permissions Violation for Subscription to \"{subject}\"'");
    assert_eq!(raw.says(), [expect]);
}

const PERMISSION: &str = "broker_errors_total{what=\"connection\",error=\"permission\"}";

#[tokio::test]
async fn nobody_reads_or_removes_another_feed() {
    let Some(program) = program() else { return };
    let servers = Servers::one(&program, &users(&["a", "b"]));
    let (a, b) = (
        Feed::new("a", &servers.urls()),
        Feed::new("b", &servers.urls()),
    );
    let publisher = ready(&a, Party::Publisher).await;
    commit_alone(&publisher, &[a.close("A-USD", 1)])
        .await
        .unwrap();
    ready(&b, Party::Publisher).await;
    // The other feed's credentials on this feed's streams: not even their existence is told.
    for party in [Party::Publisher, Party::Gateway, Party::History] {
        let stranger = a.begun(party, &words("b", party));
        let error = within("a failure", stranger.failed()).await;
        assert!(matches!(error, NatsError::Denied(_)), "{error}");
    }
    let limit = std::time::Duration::from_secs(5);
    let options = a.options(Party::Purge, &words("b", Party::Purge));
    let refused = purge(&a.scope, &options, limit).await;
    assert!(refused.unwrap_err().to_string().contains("do not allow"));
    // Nor may a gateway of this feed remove its streams.
    let options = a.options(Party::Gateway, &words("a", Party::Gateway));
    let refused = purge(&a.scope, &options, limit).await;
    assert!(refused.unwrap_err().to_string().contains("do not allow"));
    // Within a broker, another feed's subjects are refused before they are asked for.
    let subject: Subject = a.close("A-USD", 1).subject;
    let gateway = ready(&b, Party::Gateway).await;
    let read = gateway.closes_after(&subject, 0, 1).await;
    assert!(matches!(read, Err(ReadError::Denied(_))));
    let still_there = publisher.closes_after(&subject, 0, 1).await.unwrap();
    assert_eq!(still_there.closes.len(), 1);
    // Its own purge does it.
    let options = a.options(Party::Purge, &words("a", Party::Purge));
    let purged = purge(&a.scope, &options, limit).await.unwrap();
    assert_eq!(purged.streams.len(), 3);
}

/// All that anybody does on a feed, and what nobody may do on any.
fn of_feed(feed: &str) -> (Vec<String>, Vec<String>) {
    let scope = Scope::new(feed, "eu").unwrap();
    let (mut publish, mut subscribe) = (Vec::new(), Vec::new());
    for party in Party::ALL {
        let permissions = permissions(&scope, party);
        publish.extend(permissions.publish.iter().map(|subject| exact(subject)));
        subscribe.extend(permissions.subscribe);
    }
    let (log, open) = (format!("MF_{feed}_eu_CLOSES"), format!("MF_{feed}_eu_OPEN"));
    let leases = format!("KV_MF_{feed}_eu_LEASES");
    for stream in [&log, &open, &leases] {
        for call in [
            "STREAM.MSG.GET",
            "STREAM.MSG.DELETE",
            "STREAM.PURGE",
            "STREAM.UPDATE",
            "STREAM.SNAPSHOT",
            "DIRECT.GET",
            "CONSUMER.CREATE",
            "CONSUMER.NAMES",
            "CONSUMER.LIST",
        ] {
            publish.push(format!("$JS.API.{call}.{stream}"));
        }
        publish.push(format!("$JS.API.CONSUMER.CREATE.{stream}.x"));
        publish.push(format!("$JS.API.CONSUMER.DURABLE.CREATE.{stream}.x"));
    }
    publish.push(format!("$JS.API.DIRECT.GET.{log}.bar.{feed}.eu.x.1s.A-USD"));
    publish.push(format!("$KV.MF_{feed}_eu_LEASES.0"));
    publish.push(format!("kline.{feed}.eu.x.1s.A-USD.closed"));
    let below = ["kline", "bar", "ckpt"].map(|word| format!("{word}.{feed}.eu.>"));
    subscribe.extend(below);
    subscribe.push(format!("$KV.MF_{feed}_eu_LEASES.>"));
    subscribe.push(format!("_INBOX.mf.{feed}.eu.>"));
    (publish, subscribe)
}

#[tokio::test]
async fn each_subject_of_another_feed_is_refused_by_itself() {
    let Some(program) = program() else { return };
    let servers = Servers::one(&program, &users(&["a", "b"]));
    // Both are there, so that nothing is refused for want of it.
    for feed in ["a", "b"] {
        let feed = Feed::new(feed, &servers.urls());
        let publisher = ready(&feed, Party::Publisher).await;
        commit_alone(&publisher, &[feed.close("A-USD", 1)])
            .await
            .unwrap();
    }
    let (publish, subscribe) = of_feed("a");
    for party in Party::ALL {
        let user = |feed: &str| format!("{feed}-{}", party.as_str());
        let mut stranger = Raw::connect(&servers.urls()[0], &user("b"), "pw");
        for subject in &publish {
            check_publish(&mut stranger, subject);
        }
        for subject in &subscribe {
            check_subscribe(&mut stranger, subject);
        }
        for subject in [
            "$JS.API.STREAM.NAMES",
            "$JS.API.STREAM.LIST",
            "$JS.API.INFO",
        ] {
            check_publish(&mut stranger, subject);
        }
        check_subscribe(&mut stranger, ">");
        check_subscribe(&mut stranger, "kline.*.eu.>");
        // What is a party's own is let through to it, so that the above is about whose it is.
        let mut own = Raw::connect(&servers.urls()[0], &user("a"), "pw");
        for subject in permissions(&Scope::new("a", "eu").unwrap(), party).subscribe {
            own.send(&format!("SUB {subject} 1"));
        }
        assert_eq!(own.says(), [""; 0]);
    }
}
