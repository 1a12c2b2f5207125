//! Garbage on the bus: counted, dropped, and nobody's trouble.

use std::net::SocketAddr;

use cluster::wait::PATIENCE;
use cluster::{Checker, NatsServer, Persistence, ports};
use futures_util::{SinkExt, StreamExt};
use serde_json::{Value, json};
use tokio_tungstenite::tungstenite::Message;

use crate::support::{Feed, Place, assignment, built, goes_on, publish};

const CLOSED: &str = include_str!("../../../wire/tests/golden/bar-closed.json");
const OPEN: &str = include_str!("../../../wire/tests/golden/bar-open-quiet-long.json");

#[tokio::test]
async fn clients_see_nothing_of_it() {
    if !built() {
        return;
    }
    let mut feed = Feed::start().await;
    let client = feed.client();
    goes_on(&client).await;
    let long = "x".repeat(200_000);
    let cut = &CLOSED[..CLOSED.len() / 2];
    let contradicts = CLOSED.replace("\"count\":182", "\"count\":0");
    // A bar, and not the subject's: another symbol or interval, or open where closes are and the other way round.
    let garbage = [
        "",
        "nonsense",
        "\u{0}\u{7f}",
        "[]",
        "{}",
        "{\"op\":\"bar\"}",
        &long,
        cut,
        &contradicts,
        CLOSED,
        OPEN,
    ];
    let nats = feed.nats.address();
    let subjects = [
        ("close", "bar.it.local.binance-spot.1s.BTC-USDT"),
        ("close", "bar.it.local.nowhere.1s.BTC-USDT"),
        ("close", "bar.it.local.binance-spot.7s.BTC-USDT"),
        ("open", "kline.it.local.binance-spot.1s.BTC-USDT.open"),
        ("open", "kline.it.local.Nowhere.1s.btc.open"),
    ];
    for (_, subject) in subjects {
        for text in garbage {
            publish(nats, subject, text).await;
        }
    }
    for kind in ["close", "open"] {
        let of_kind = subjects.iter().filter(|(of, _)| *of == kind).count();
        let name = format!("broker_garbage_total{{kind=\"{kind}\"}}");
        let sent = (of_kind * garbage.len()) as u64;
        let counted = feed.gateway.metric_reaches(&name, sent).await;
        // What comes live and is kept as a last value too comes twice, in a reader's first seconds.
        let most = if kind == "open" { 2 * sent } else { sent };
        assert!(counted <= most, "{kind}: {counted} of {sent}");
    }
    goes_on(&client).await;
    assert_eq!(client.subscriptions(), 1);
    // The first, the second, the fourth, and so on.
    let told = feed.gateway.lines("garbage on the bus, dropped").len();
    assert!((2..20).contains(&told), "{told}");
    for process in [&mut feed.gateway, &mut feed.marketdata] {
        assert_eq!(process.get("/livez").await.0, 200);
        assert_eq!(process.get("/readyz").await.0, 200);
    }
    assert_eq!(feed.gateway.metric("broker_close_breaks_total").await, 0);
    // One that begins now meets all of it in the log and among the last values.
    let mut later = feed.place.gateway(&feed.nats.url(), &[]);
    later.ready().await;
    let topics = crate::support::topics()
        .iter()
        .map(ToString::to_string)
        .collect();
    let second =
        cluster::Checker::start("later", later.listen, topics, cluster::Persistence::Stays);
    goes_on(&second).await;
    assert_eq!(
        later.process.terminate(PATIENCE).await.unwrap().code(),
        Some(0)
    );
}

#[tokio::test]
async fn a_client_that_comes_back_gets_its_closes_past_all_of_it() {
    if !built() {
        return;
    }
    let (place, nats) = (Place::new(), NatsServer::start().await.unwrap());
    // Makes the log, and has no exchange that it could close a bar of.
    let nowhere = assignment(ports::free().unwrap(), 5);
    let file = place.replace("assignment.json", nowhere.as_bytes());
    let mut maker = place.marketdata(&nats.url(), &file, &[]);
    maker.ready().await;
    maker.process.terminate(PATIENCE).await.unwrap();
    let (topic, subject) = ("kline:1s:BTC-USDT", "bar.it.local.binance-spot.1s.BTC-USDT");
    let garbage = ["nonsense", CLOSED, OPEN];
    for text in garbage {
        publish(nats.address(), subject, text).await;
    }
    let (_exchange, exchange) = place.exchange().await;
    let file = place.replace("assignment.json", assignment(exchange, 6).as_bytes());
    let mut marketdata = place.marketdata(&nats.url(), &file, &[]);
    marketdata.ready().await;
    let mut gateway = place.gateway(&nats.url(), &[]);
    gateway.ready().await;
    let topics = crate::support::topics();
    let names = topics.iter().map(ToString::to_string).collect();
    let client = Checker::start("it", gateway.listen, names, Persistence::Stays);
    let wait = client.wait_for_closes(&topics, client.now(), 3, PATIENCE);
    wait.await.unwrap();
    // One that has just begun has had none of them: it asks the log, whose oldest message of the topic is garbage, and
    // the second time, until a close comes, the newest too.
    let mut later = place.gateway(&nats.url(), &[]);
    later.ready().await;
    for _ in 0..2 {
        assert_eq!(resumed(later.listen, topic, 1, 3).await, [2, 3, 4]);
        for text in garbage {
            publish(nats.address(), subject, text).await;
        }
    }
    assert_eq!(later.metric("ws_missed_total").await, 0);
    assert_eq!(client.violations(), []);
}

/// The first numbers that a client gets who has the closes up to `after`.
async fn resumed(gateway: SocketAddr, topic: &str, after: u64, count: usize) -> Vec<u64> {
    let read = async {
        let url = format!("ws://{gateway}/ws");
        let (mut socket, _) = tokio_tungstenite::connect_async(url).await.unwrap();
        let request = json!({"op": "subscribe", "topics": [topic], "after": {topic: after}});
        let request = Message::text(request.to_string());
        socket.send(request).await.unwrap();
        let mut numbers = Vec::new();
        while numbers.len() < count {
            let Message::Text(text) = socket.next().await.unwrap().unwrap() else {
                continue;
            };
            for line in text.as_str().lines() {
                let object: Value = serde_json::from_str(line).unwrap();
                assert!(object["op"] == "ok" || object["op"] == "bar", "{object}");
                let closed = object["closed"] == true && numbers.len() < count;
                numbers.extend(object["close_no"].as_u64().filter(|_| closed));
            }
        }
        numbers
    };
    tokio::time::timeout(PATIENCE, read).await.unwrap()
}

#[tokio::test]
async fn a_checkpoint_that_cannot_be_read_holds_up_its_own_instrument_only() {
    if !built() {
        return;
    }
    let mut feed = Feed::start().await;
    let client = feed.client();
    goes_on(&client).await;
    let subject = "ckpt.it.local.binance-spot.BTC-USDT";
    let garbage = "{\"no\":\"checkpoint\"}";
    publish(feed.nats.address(), subject, garbage).await;
    let told = feed
        .marketdata
        .process
        .wait_for_line("its checkpoint cannot be read", PATIENCE);
    assert!(told.await.unwrap().contains("BTC-USDT"));
    // The numbers of its closes are not known any more, and none is made up; the other one goes on.
    let other = [crate::support::topics().swap_remove(1)];
    let wait = client.wait_for_closes(&other, client.now(), 2, PATIENCE);
    wait.await.unwrap();
    assert_eq!(client.violations(), []);
    let stands = crate::support::last(&feed.nats, crate::support::CLOSES, subject).await;
    assert_eq!(stands.to_string(), garbage);
    assert_eq!(feed.marketdata.get("/readyz").await.0, 200);
}
