//! Two releases at once: texts of an older and of a newer one on the bus, and a take-over from a newer one.

use cluster::checker::Ledger;
use cluster::nats::request;
use cluster::wait::{self, PATIENCE};
use cluster::{Checker, NatsServer, Persistence};
use serde_json::{Value, json};
use wire::{Completeness, Topic};

use crate::support::{CLOSES, Feed, LEASES, Place, built, goes_on, last};

/// What each release writes, with a symbol that nobody else publishes.
const WRITTEN: [&str; 3] = [
    include_str!("../../../wire/tests/golden/bar-older.json"),
    include_str!("../../../wire/tests/golden/bar-closed.json"),
    include_str!("../../../wire/tests/golden/bar-newer.json"),
];

const LEASE: &str = "$KV.MF_it_local_LEASES.shard-0";

/// The close of a minute by its number, as one of the releases writes it.
fn close(close_no: u64) -> String {
    let written = WRITTEN[usize::try_from(close_no).unwrap() % WRITTEN.len()];
    let mut bar: Value = serde_json::from_str(written).unwrap();
    let start = 1_723_161_240_000 + close_no * 60_000;
    bar["topic"] = json!("kline:1m:XRP-USDT");
    bar["symbol"] = json!("XRP-USDT");
    bar["interval"] = json!("1m");
    bar["start"] = json!(start);
    bar["end"] = json!(start + 60_000);
    bar["close_no"] = json!(close_no);
    bar["rev"] = json!(0);
    bar.to_string()
}

/// Publishes closes up to this number, each once the log has the one before.
async fn publish_to(nats: &NatsServer, from: u64, to: u64) {
    for close_no in from..=to {
        let subject = "bar.it.local.binance-spot.1m.XRP-USDT";
        let ack = request(nats.address(), subject, &close(close_no)).await;
        assert_eq!(ack.unwrap()["stream"], CLOSES);
    }
}

async fn has(client: &Checker, topic: &Topic, close_no: u64) {
    let come = |ledger: &Ledger| {
        let last = ledger.of(topic).last();
        last.is_some_and(|last| last.close_no >= close_no)
    };
    let what = format!("close {close_no} at {}", client.name());
    let come = async || Ok(client.look(come).then_some(()));
    wait::until(&what, PATIENCE, come).await.unwrap();
}

#[tokio::test]
async fn closes_of_three_releases_reach_clients_once_and_in_order() {
    if !built() {
        return;
    }
    let place = Place::new();
    let nats = NatsServer::start().await.unwrap();
    // It makes the streams, and has nothing to publish.
    let _publisher = place.marketdata(&nats.url(), &place.path("none.json"), &[]);
    let mut gateway = place.gateway(&nats.url(), &["--ring", "8"]);
    gateway.ready().await;
    let topic: Topic = "kline:1m:XRP-USDT".parse().unwrap();
    publish_to(&nats, 1, 1).await;
    let client = |name, persistence| {
        Checker::start(name, gateway.listen, vec![topic.to_string()], persistence)
    };
    let stays = client("the one that stays", Persistence::Stays);
    let returns = client("the one that returns", Persistence::Returns);
    for client in [&stays, &returns] {
        let subscribed = async || Ok((client.subscriptions() > 0).then_some(()));
        wait::until("a subscription", PATIENCE, subscribed)
            .await
            .unwrap();
    }
    publish_to(&nats, 2, 20).await;
    has(&returns, &topic, 20).await;
    // What it missed is longer than the gateway's memory, so that it comes from the log.
    gateway.process.pause().unwrap();
    returns.drop_connection();
    publish_to(&nats, 21, 60).await;
    gateway.process.resume().unwrap();
    for client in [&stays, &returns] {
        has(client, &topic, 60).await;
        assert_eq!(client.violations(), []);
        client.look(|ledger| {
            let numbers: Vec<u64> = ledger
                .of(&topic)
                .iter()
                .map(|entry| entry.close_no)
                .collect();
            // The first may be the one before its subscription.
            assert!(numbers[0] <= 2, "{numbers:?}");
            assert_eq!(numbers, (numbers[0]..=60).collect::<Vec<_>>());
            for entry in ledger.of(&topic) {
                let expect = match entry.close_no % 3 {
                    // A word that this release does not know must not pass as whole.
                    2 => Completeness::Unknown,
                    _ => Completeness::Complete,
                };
                assert_eq!(entry.completeness, expect, "{entry:?}");
            }
        });
    }
    assert_eq!(stays.subscriptions(), 1);
    assert_eq!(
        stays.look(|stays| returns.look(|returns| stays.differences(returns))),
        []
    );
    assert_eq!(
        gateway.metric("broker_garbage_total{kind=\"close\"}").await,
        0
    );
    assert_eq!(gateway.metric("broker_close_breaks_total").await, 0);
}

/// The text as a later release might write it: with more fields in every object.
fn newer(value: &mut Value) {
    match value {
        Value::Object(fields) => {
            fields.values_mut().for_each(newer);
            let more = json!({"nested": [1, {"deep": null}]});
            fields.insert("a_field_of_a_later_release".to_owned(), more);
        }
        Value::Array(values) => values.iter_mut().for_each(newer),
        _ => {}
    }
}

fn checkpoint_of(symbol: &str) -> String {
    format!("ckpt.it.local.binance-spot.{symbol}")
}

#[tokio::test]
async fn who_takes_over_from_a_newer_release_goes_on_from_what_it_wrote() {
    if !built() {
        return;
    }
    let mut feed = Feed::start().await;
    let client = feed.client();
    goes_on(&client).await;
    feed.marketdata.process.kill().unwrap();
    let nats = feed.nats.address();
    let mut lease = last(&feed.nats, LEASES, LEASE).await;
    newer(&mut lease);
    lease["owner"] = json!("later-release");
    // By a clock that is an hour ahead of ours.
    let claim = lease["claim"].as_u64().unwrap() + 3_600_000;
    lease["claim"] = json!(claim);
    let ack = request(nats, LEASE, &lease.to_string()).await.unwrap();
    assert_eq!(ack["stream"], LEASES);
    let mut written = Vec::new();
    for symbol in ["BTC-USDT", "ETH-USDT"] {
        let mut checkpoint = last(&feed.nats, CLOSES, &checkpoint_of(symbol)).await;
        assert!(checkpoint["series"].is_object(), "{checkpoint}");
        newer(&mut checkpoint);
        checkpoint["v"] = json!(2);
        checkpoint["owner"] = json!("later-release");
        checkpoint["claim"] = json!(claim);
        checkpoint["epoch"] = json!(claim);
        let ack = request(nats, &checkpoint_of(symbol), &checkpoint.to_string()).await;
        assert_eq!(ack.unwrap()["stream"], CLOSES);
        written.push((symbol, checkpoint));
    }
    feed.marketdata.process.restart().unwrap();
    feed.marketdata.ready().await;
    // The client was there throughout: the numbers go on without a hole, and epochs rise.
    goes_on(&client).await;
    for (symbol, before) in written {
        let after = last(&feed.nats, CLOSES, &checkpoint_of(symbol)).await;
        assert_ne!(after["owner"], "later-release", "{after}");
        assert!(
            after["epoch"].as_u64() > before["epoch"].as_u64(),
            "{after}"
        );
        let close_no = |of: &Value| of["topics"][0]["close_no"].as_u64().unwrap();
        assert!(close_no(&after) > close_no(&before), "{after}");
    }
    let lease = last(&feed.nats, LEASES, LEASE).await;
    assert!(lease["claim"].as_u64() > Some(claim), "{lease}");
    for unread in ["cannot be read", "not taken"] {
        assert!(
            feed.marketdata.lines(unread).is_empty(),
            "{:?}",
            feed.marketdata.lines(unread)
        );
    }
}
