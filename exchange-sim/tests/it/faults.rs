//! Faults over real sockets: each does what it says, is counted, and leaves the truth alone.

use crate::support::{Client, Sim};
use exchange_sim::{Kind, Play, Speed};
use serde_json::Value;
use tokio_tungstenite::tungstenite::Message;

const TRADES: u64 = 200;

async fn sim() -> Sim {
    let play = Play::Generate {
        symbols: vec![(Kind::BinanceSpot, "BTC-USDT".parse().unwrap())],
        rate: 50,
        seed: 5,
        start_ms: Some(1_700_000_000_000),
        trades_max: Some(TRADES),
    };
    Sim::start(play, |options| options.speed = Speed::Max).await
}

async fn inject(sim: &Sim, fault: &str) {
    let (status, _, body) = sim.request("POST", "/admin/faults", fault).await;
    assert_eq!(status, 204, "{body}");
}

async fn strikes(sim: &Sim) -> u64 {
    let faults: Value = serde_json::from_str(&sim.get("/admin/faults").await.2).unwrap();
    faults["binance-spot"][0]["strikes"].as_u64().unwrap()
}

/// What the trade stream brings until its last trade (or its end), in the words of the test.
async fn play(fault: &str) -> (Vec<String>, u64, u64) {
    let sim = sim().await;
    inject(&sim, fault).await;
    let mut client = sim.connect("/binance-spot/ws/btcusdt@trade").await;
    let total = sim.ended(Kind::BinanceSpot).await.trades;
    let mut out = Vec::new();
    let mut next = None;
    let mut seen = 0;
    // The last trade is told by its count; a fault near the start shifts it by at most one.
    while seen + 1 < total {
        let Some(message) = receive(&mut client).await else {
            out.push("end".to_owned());
            break;
        };
        seen += 1;
        let text = match message {
            Message::Text(text) => text.to_string(),
            Message::Binary(_) => {
                out.push("binary".to_owned());
                next = next.map(|next| next + 1);
                continue;
            }
            Message::Close(frame) => {
                out.push(format!(
                    "close {}",
                    frame.map_or(0, |frame| frame.code.into())
                ));
                break;
            }
            other => panic!("{other:?}"),
        };
        let Ok(trade) = serde_json::from_str::<Value>(&text) else {
            out.push("not json".to_owned());
            next = next.map(|next| next + 1);
            continue;
        };
        let id = trade["t"].as_i64().unwrap_or_default();
        if let Some(next) = next
            && next != id
        {
            out.push(format!("{:+}", id - next));
        }
        next = Some(id + 1);
        if trade["p"].as_str().is_none_or(|price| price.len() > 40) {
            out.push(format!("price {}", trade["p"]));
        }
    }
    let strikes = strikes(&sim).await;
    sim.stop().await;
    (out, seen, strikes)
}

async fn receive(client: &mut Client) -> Option<Message> {
    client.message().await
}

#[tokio::test]
async fn each_fault_does_what_it_says_and_is_counted() {
    let check = async |fault: &str, expect: &[&str]| {
        let (out, _, strikes) = play(fault).await;
        assert_eq!(
            (out, strikes),
            (expect.iter().map(ToString::to_string).collect(), 1),
            "{fault}"
        );
    };
    check(r#"{"kind":"drop","after":10,"count":1}"#, &["+1"]).await;
    check(r#"{"kind":"duplicate","after":10}"#, &["-1"]).await;
    check(
        r#"{"kind":"reorder","params":{"window":2},"after":10}"#,
        &["+1", "-3", "+2"],
    )
    .await;
    check(r#"{"kind":"corrupt_json","after":10}"#, &["not json"]).await;
    check(r#"{"kind":"missing_field","after":10}"#, &["price null"]).await;
    check(
        r#"{"kind":"id_back","params":{"by":50},"after":60}"#,
        &["-50", "+50"],
    )
    .await;
    check(r#"{"kind":"binary","after":10}"#, &["binary"]).await;
    check(r#"{"kind":"disconnect","after":10}"#, &["end"]).await;
    check(
        r#"{"kind":"disconnect","params":{"code":1001},"after":10}"#,
        &["close 1001"],
    )
    .await;
    let (out, _, _) = play(r#"{"kind":"out_of_range","after":10}"#).await;
    assert!(out[0].starts_with("price \"9999999999"), "{out:?}");
    // A client that checks its text ends the connection itself.
    let (out, seen, _) = play(r#"{"kind":"invalid_utf8","after":10}"#).await;
    assert_eq!((out, seen), (vec!["end".to_owned()], 10));
}

#[tokio::test]
async fn an_answer_can_be_an_error() {
    let sim = sim().await;
    inject(&sim, r#"[{"kind":"error_ack"}]"#).await;
    let mut client = sim.connect("/binance-spot/ws").await;
    let subscribe = r#"{"method":"SUBSCRIBE","params":["ethusdt@trade"],"id":1}"#;
    client.send(subscribe).await;
    assert!(client.text().await.starts_with(r#"{"code":2"#));
    client.send(subscribe).await;
    assert_eq!(client.text().await, r#"{"result":null,"id":1}"#);
    sim.stop().await;
}

#[tokio::test]
async fn silence_keeps_the_socket() {
    let sim = sim().await;
    inject(
        &sim,
        r#"{"kind":"silence","params":{"ms":3600000},"after":20}"#,
    )
    .await;
    let mut client = sim.connect("/binance-spot/ws/btcusdt@trade").await;
    sim.ended(Kind::BinanceSpot).await;
    for _ in 0..20 {
        assert!(client.text().await.starts_with(r#"{"e":"trade""#));
    }
    client
        .send(r#"{"method":"LIST_SUBSCRIPTIONS","id":3}"#)
        .await;
    assert_eq!(
        client.text().await,
        r#"{"result":["btcusdt@trade"],"id":3}"#
    );
    sim.stop().await;
}

#[tokio::test]
async fn connections_are_refused_until_the_faults_end() {
    let sim = sim().await;
    inject(
        &sim,
        r#"{"kind":"refuse","params":{"ms":3600000},"venue":"binance-spot"}"#,
    )
    .await;
    let url = format!("ws://{}/binance-spot/ws", sim.address);
    let refused = tokio_tungstenite::connect_async(&url).await.unwrap_err();
    assert!(refused.to_string().contains("503"), "{refused}");
    assert_eq!(sim.get("/binance-spot/api/v3/ping").await.0, 503);
    assert_eq!(sim.request("DELETE", "/admin/faults", "").await.0, 204);
    tokio_tungstenite::connect_async(&url).await.unwrap();
    assert_eq!(sim.get("/binance-spot/api/v3/ping").await.0, 200);
    sim.stop().await;
}

#[tokio::test]
async fn the_truth_does_not_know_of_faults() {
    let (sound, faulty) = (sim().await, sim().await);
    inject(&faulty, r#"[{"kind":"drop","probability":0.5},{"kind":"time_jump","params":{"ms":5},"probability":0.5}]"#).await;
    let mut bars = Vec::new();
    for sim in [&sound, &faulty] {
        let _client = sim.connect("/binance-spot/ws/btcusdt@trade").await;
        sim.ended(Kind::BinanceSpot).await;
        let (symbol, interval) = ("BTC-USDT".parse().unwrap(), "1s".parse().unwrap());
        bars.push(
            sim.handle
                .truth(Kind::BinanceSpot, &symbol, interval, None, None)
                .unwrap(),
        );
    }
    assert!(!bars[0].is_empty() && bars[0] == bars[1]);
    for sim in [sound, faulty] {
        sim.stop().await;
    }
}

#[tokio::test]
async fn what_is_no_fault_is_refused_whole() {
    let sim = sim().await;
    let check = async |body: &str, expect: &str| {
        let (status, _, answer) = sim.request("POST", "/admin/faults", body).await;
        assert!(
            status == 400 && answer.contains(expect),
            "{body}: {status} {answer}"
        );
    };
    check("nonsense", "bad_fault").await;
    check(r#"[{"kind":"drop"},{"kind":"explode"}]"#, "explode").await;
    let faults: Value = serde_json::from_str(&sim.get("/admin/faults").await.2).unwrap();
    assert_eq!(faults["binance-spot"], serde_json::json!([]));
    sim.stop().await;
}
