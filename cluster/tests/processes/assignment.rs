//! Assignments that cannot be taken: kept out and counted, while the one before stays in force.

use std::fs;

use cluster::wait::PATIENCE;
use cluster::{Checker, NatsServer, Persistence, http};
use serde_json::{Value, json};
use wire::Topic;

use crate::support::{Feed, Place, assignment, built, goes_on, topics};

/// The good one with a change.
fn changed(feed: &Feed, generation: u64, change: impl FnOnce(&mut Value)) -> Vec<u8> {
    let mut value: Value = serde_json::from_str(&assignment(feed.exchange, generation)).unwrap();
    change(&mut value);
    value.to_string().into_bytes()
}

fn instruments(value: &mut Value) -> &mut Vec<Value> {
    value["sources"][0]["instruments"].as_array_mut().unwrap()
}

/// It is refused for this reason, once, and what was in force stays so.
async fn refuse(feed: &mut Feed, reason: &str, text: &[u8], says: &str) {
    let name = format!("assignment_refused_total{{reason=\"{reason}\"}}");
    let before = feed.marketdata.metric(&name).await;
    feed.place.replace("assignment.json", text);
    feed.marketdata.metric_is(&name, before + 1).await;
    let lines = feed.marketdata.lines("the one before stays in force");
    let line = lines.last().unwrap();
    assert!(
        line.contains(says) && line.contains("generation=5"),
        "{says:?}: {line}"
    );
    assert_eq!(feed.marketdata.metric("assignment_generation").await, 5);
    assert_eq!(feed.marketdata.get("/readyz").await.0, 200);
}

#[tokio::test]
async fn what_cannot_be_taken_is_kept_out() {
    if !built() {
        return;
    }
    let mut feed = Feed::start().await;
    let client = feed.client();
    goes_on(&client).await;
    let good = assignment(feed.exchange, 5);
    let no_symbol = changed(&feed, 6, |it| {
        instruments(it)[0]["symbol"] = json!("btc*usdt");
    });
    let no_shard = changed(&feed, 6, |it| instruments(it)[0]["shard"] = json!(7));
    let twice = changed(&feed, 6, |it| {
        let first = instruments(it)[0].clone();
        instruments(it).push(first);
    });
    let later_format = changed(&feed, 6, |it| it["version"] = json!(2));
    for (text, says) in [
        (&b""[..], "EOF"),
        (b"{", "EOF"),
        (b"\xff\xfe\x00", "line 1"),
        (&good.as_bytes()[..good.len() - 1], "EOF"),
        (&no_symbol, "BASE-QUOTE"),
        (&no_shard, "on shard 7"),
        (&twice, "listed twice"),
        (&later_format, "write version 1"),
    ] {
        refuse(&mut feed, "malformed", text, says).await;
    }
    let stale = changed(&feed, 4, |it| instruments(it).truncate(1));
    refuse(&mut feed, "stale", &stale, "generation 4 is older than 5").await;
    let conflicting = changed(&feed, 5, |it| instruments(it).truncate(1));
    refuse(
        &mut feed,
        "conflicting",
        &conflicting,
        "generation 5 is in force",
    )
    .await;
    let intervals = changed(&feed, 6, |it| it["intervals"] = json!(["1s", "1m"]));
    refuse(
        &mut feed,
        "intervals",
        &intervals,
        "the intervals are not those",
    )
    .await;
    let venue = changed(&feed, 6, |it| it["sources"][0]["venue"] = json!("nowhere"));
    refuse(&mut feed, "unusable", &venue, "nowhere").await;
    // Told and counted once, however often it is looked at.
    fs::remove_file(&feed.assignment).unwrap();
    let gone = "assignment_refused_total{reason=\"unreadable\"}";
    feed.marketdata.metric_is(gone, 1).await;
    goes_on(&client).await;
    assert_eq!(feed.marketdata.metric(gone).await, 1);
    // The same in other words is no change; a later one is.
    let pretty: Value = serde_json::from_str(&good).unwrap();
    feed.place
        .replace("assignment.json", format!("{pretty:#}").as_bytes());
    goes_on(&client).await;
    let more = changed(&feed, 6, |it| {
        instruments(it).push(json!({"symbol": "SOL-USDT", "shard": 0}));
    });
    feed.place.replace("assignment.json", &more);
    feed.marketdata.metric_is("assignment_generation", 6).await;
    let topic: Topic = "kline:1s:SOL-USDT".parse().unwrap();
    let sol = Checker::start(
        "sol",
        feed.gateway.listen,
        vec![topic.to_string()],
        Persistence::Stays,
    );
    let topics = [topic];
    let wait = sol.wait_for_closes(&topics, sol.now(), 2, PATIENCE);
    wait.await.unwrap();
    goes_on(&client).await;
    let refused = feed.marketdata.lines("assignment refused").len();
    assert_eq!(refused, 8 + 4 + 1, "each once");
}

/// The good one, with a symbol more that this venue has not.
fn with_unknown(feed: &Feed, generation: u64, coinbase: bool, rest: &str) -> Vec<u8> {
    let exchange = feed.exchange;
    changed(feed, generation, |it| {
        if !coinbase {
            it["sources"][0]["endpoints"]["rest"] = json!(rest);
            instruments(it).push(json!({"symbol": "NOSUCH-USDT", "shard": 0}));
            return;
        }
        it["sources"].as_array_mut().unwrap().push(json!({
            "venue": "coinbase",
            "endpoints": {"ws": format!("ws://{exchange}/coinbase"), "rest": rest},
            "instruments": [{"symbol": "NOSUCH-USD", "shard": 0}, {"symbol": "BTC-USD", "shard": 0}],
        }));
    })
}

#[tokio::test]
async fn symbols_that_a_venue_has_not_are_kept_out() {
    if !built() {
        return;
    }
    let mut feed = Feed::start().await;
    let client = feed.client();
    goes_on(&client).await;
    let exchange = feed.exchange;
    let unknown = "unknown_symbols";
    let binance = with_unknown(&feed, 6, false, &format!("http://{exchange}/binance-spot"));
    refuse(&mut feed, unknown, &binance, "binance-spot/NOSUCH-USDT").await;
    let coinbase = with_unknown(&feed, 6, true, &format!("http://{exchange}/coinbase"));
    refuse(&mut feed, unknown, &coinbase, "coinbase/NOSUCH-USD").await;
    goes_on(&client).await;
    // Another that is had is taken under the same number.
    let more = changed(&feed, 6, |it| {
        instruments(it).push(json!({"symbol": "SOL-USDT", "shard": 0}));
    });
    feed.place.replace("assignment.json", &more);
    feed.marketdata.metric_is("assignment_generation", 6).await;
    goes_on(&client).await;
}

/// One that was delisted since must not keep a process from starting.
#[tokio::test]
async fn at_the_start_unknown_symbols_are_taken_and_told() {
    if !built() {
        return;
    }
    let mut feed = Feed::start().await;
    let client = feed.client();
    goes_on(&client).await;
    let rest = format!("http://{}/binance-spot", feed.exchange);
    let text = with_unknown(&feed, 6, false, &rest);
    let path = feed.place.replace("other.json", &text);
    // Another process of the shard, with nothing in force.
    let mut other = feed.place.marketdata(&feed.nats.url(), &path, &[]);
    other.ready().await;
    let unknown = "assignment_unknown_symbols_total";
    other.metric_is(unknown, 1).await;
    let told = other.lines("the first assignment is taken as it is");
    assert!(told[0].contains("binance-spot/NOSUCH-USDT"), "{told:?}");
    assert_eq!(other.metric("assignment_generation").await, 6);
    let refused = "assignment_refused_total{reason=\"unknown_symbols\"}";
    assert_eq!(other.metric(refused).await, 0);
    // The first refuses the same, as long as nobody has put it into force.
    refuse(&mut feed, "unknown_symbols", &text, "NOSUCH-USDT").await;
    // It goes, and the other takes over.
    feed.marketdata = other;
    goes_on(&client).await;
}

/// What a standby refuses while another process of the shard has it in force would keep it from taking over for ever.
#[tokio::test]
async fn what_another_process_has_in_force_is_taken_after_all() {
    if !built() {
        return;
    }
    let mut feed = Feed::start().await;
    let client = feed.client();
    goes_on(&client).await;
    let path = feed
        .place
        .replace("other.json", assignment(feed.exchange, 5).as_bytes());
    let mut standby = feed.place.marketdata(&feed.nats.url(), &path, &[]);
    standby.ready().await;
    let rest = format!("http://{}/binance-spot", feed.exchange);
    let denied = with_unknown(&feed, 6, false, &rest);
    feed.place.replace("other.json", &denied);
    let refused = "assignment_refused_total{reason=\"unknown_symbols\"}";
    standby.metric_is(refused, 1).await;
    assert_eq!(standby.metric("assignment_generation").await, 5);
    // The owner cannot ask, and takes it.
    let believed = with_unknown(&feed, 6, false, NOWHERE);
    feed.place.replace("assignment.json", &believed);
    feed.marketdata.metric_is("assignment_generation", 6).await;
    standby.metric_is("assignment_generation", 6).await;
    assert_eq!(standby.lines("assignment taken after all").len(), 1);
    assert_eq!(standby.metric(refused).await, 1);
    // The owner dies, and the standby is let in.
    feed.marketdata = standby;
    let active = "shard_role{shard=\"0\",role=\"active\"}";
    feed.marketdata.metric_is(active, 1).await;
    goes_on(&client).await;
}

/// Where nobody answers for the venues' listings.
const NOWHERE: &str = "http://127.0.0.1:9";

#[tokio::test]
async fn a_venue_that_cannot_be_asked_holds_up_no_assignment() {
    if !built() {
        return;
    }
    let mut feed = Feed::start().await;
    let client = feed.client();
    goes_on(&client).await;
    let binance = with_unknown(&feed, 6, false, NOWHERE);
    feed.place.replace("assignment.json", &binance);
    feed.marketdata.metric_is("assignment_generation", 6).await;
    assert_eq!(feed.marketdata.lines("new symbols are believed").len(), 1);
    let coinbase = with_unknown(&feed, 7, true, NOWHERE);
    feed.place.replace("assignment.json", &coinbase);
    // Coinbase refuses it; Binance takes every name, and nothing comes.
    let refused = "instruments_refused_total";
    let told = feed
        .marketdata
        .process
        .wait_for_line("instrument refused", PATIENCE);
    assert!(told.await.unwrap().contains("NOSUCH-USD"));
    assert_eq!(feed.marketdata.metric(refused).await, 1);
    let topic: Topic = "kline:1s:BTC-USD".parse().unwrap();
    let gateway = feed.gateway.listen;
    let other = Checker::start(
        "other",
        gateway,
        vec![topic.to_string()],
        Persistence::Stays,
    );
    let topics = [topic];
    let wait = other.wait_for_closes(&topics, other.now(), 2, PATIENCE);
    wait.await.unwrap();
    goes_on(&client).await;
    let (_, listed) = http::get(gateway, "/api/v1/topics").await.unwrap();
    assert!(
        listed.contains("BTC-USD") && !listed.contains("NOSUCH"),
        "{listed}"
    );
}

#[tokio::test]
async fn at_the_start_a_good_one_is_waited_for() {
    if !built() {
        return;
    }
    let place = Place::new();
    let nats = NatsServer::start().await.unwrap();
    let (_exchange, exchange) = place.exchange().await;
    let path = place.replace("assignment.json", b"{\"version\":1");
    let mut marketdata = place.marketdata(&nats.url(), &path, &[]);
    let mut gateway = place.gateway(&nats.url(), &[]);
    gateway.ready().await;
    for (text, reason) in [
        ("{\"version\":1", "malformed"),
        (
            &assignment(exchange, 9).replace("binance-spot", "nowhere")[..],
            "unusable",
        ),
    ] {
        place.replace("assignment.json", text.as_bytes());
        let counter = format!("assignment_refused_total{{reason=\"{reason}\"}}");
        marketdata.metric_is(&counter, 1).await;
        marketdata.unready(&["assignment"]).await;
        assert_eq!(marketdata.metric("assignment_generation").await, 0);
    }
    // Nothing was in force: an older one than those that were refused will do.
    place.replace("assignment.json", assignment(exchange, 5).as_bytes());
    marketdata.ready().await;
    let topics = topics().iter().map(ToString::to_string).collect();
    let client = Checker::start("it", gateway.listen, topics, Persistence::Stays);
    goes_on(&client).await;
}
