//! Recorded sessions come out byte for byte, whole, and add up to the exchange's own bars.

use crate::support::{Sim, json, recording as shared, replay};
use exchange_sim::{Kind, Speed, recording};

const BINANCE: [&str; 2] = [
    "binance-spot-btcusdt-2024-08-09/spot_btcusdt_20240808.gz",
    "binance-spot-btcusdt-2024-08-09/spot_btcusdt_20240809.gz",
];

fn recorded(paths: &[std::path::PathBuf], mark: &str) -> Vec<String> {
    let texts = paths.iter().flat_map(|path| {
        recording::open(path)
            .unwrap()
            .map(|entry| entry.unwrap().text)
    });
    texts.filter(|text| text.contains(mark)).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn binance_trades_come_byte_for_byte_and_add_up_to_the_exchanges_bars() {
    let Some(paths) = BINANCE
        .iter()
        .map(|name| shared(name))
        .collect::<Option<Vec<_>>>()
    else {
        return;
    };
    let sim = Sim::start(replay(Kind::BinanceSpot, &paths), |o| o.speed = Speed::Max).await;
    let mut client = sim
        .connect("/binance-spot/stream?streams=btcusdt@trade/btcusdt@kline_1s")
        .await;
    let expect = recorded(&paths, "@trade");
    assert_eq!(expect.len(), 19_904);
    let mut ticks = 0;
    for expect in &expect {
        let mut text = client.text().await;
        while text.contains("@kline_1s") {
            ticks += 1;
            text = client.text().await;
        }
        assert_eq!(&text, expect);
    }
    // 23:54:15 to 00:05:05, and the tail that passes the end.
    let last = client.texts_until("\"T\":1723161908999").await;
    assert_eq!(
        ticks + last.len(),
        1_723_161_909 - 1_723_161_256 + 1,
        "one kline a second: {:?}",
        last.last()
    );
    assert_eq!(sim.ended(Kind::BinanceSpot).await.trades, 19_904);

    truth_is_official(&sim, &paths[0].with_file_name("official-5m.csv"));
    sim.stop().await;
}

/// The 5m bars equal the exchange's own rows in all nine fields.
fn truth_is_official(sim: &Sim, official: &std::path::Path) {
    let interval = "5m".parse().unwrap();
    let bars = sim
        .handle
        .truth(
            Kind::BinanceSpot,
            &"BTC-USDT".parse().unwrap(),
            interval,
            None,
            None,
        )
        .unwrap();
    let official = std::fs::read_to_string(official).unwrap();
    for line in official.lines() {
        let fields: Vec<_> = line.split(',').collect();
        let bar = bars
            .iter()
            .find(|bar| bar.start.to_string() == fields[0])
            .unwrap();
        let ours = [
            bar.open.to_string(),
            bar.high.to_string(),
            bar.low.to_string(),
            bar.close.to_string(),
        ];
        let theirs: Vec<_> = fields[1..5]
            .iter()
            .map(|f| f.parse::<wire::Price>().unwrap().to_string())
            .collect();
        assert_eq!(ours.as_slice(), theirs);
        assert_eq!(bar.volume, fields[5].parse().unwrap());
        assert_eq!((bar.end - 1).to_string(), fields[6]);
        assert_eq!(bar.quote_volume, fields[7].parse().unwrap());
        assert_eq!(bar.count.to_string(), fields[8]);
        assert_eq!(bar.taker_buy_volume, fields[9].parse().unwrap());
        assert_eq!(bar.taker_buy_quote_volume, fields[10].parse().unwrap());
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_raw_connection_gets_the_inner_bytes_and_only_what_it_subscribed() {
    let Some(path) = shared(BINANCE[1]) else {
        return;
    };
    let paths = [path];
    let sim = Sim::start(replay(Kind::BinanceSpot, &paths), |o| o.speed = Speed::Max).await;
    let mut client = sim.connect("/binance-spot/ws/btcusdt@trade").await;
    client
        .send(r#"{"method":"SUBSCRIBE","params":["btcusdt@depth@100ms"],"id":1}"#)
        .await;
    let expect: Vec<_> = recorded(&paths, "@trade")
        .iter()
        .map(|text| inner(text))
        .collect();
    let mut trades = 0;
    let mut depth = 0;
    while trades < expect.len() {
        let text = client.text().await;
        if text.starts_with(r#"{"e":"trade""#) {
            assert_eq!(text, expect[trades]);
            trades += 1;
        } else if text.starts_with(r#"{"e":"depthUpdate""#) {
            depth += 1;
        } else {
            assert_eq!(text, r#"{"result":null,"id":1}"#);
        }
    }
    assert!(depth > 0);
    sim.stop().await;
}

fn inner(text: &str) -> String {
    let (_, data) = text.split_once(",\"data\":").unwrap();
    data[..data.len() - 1].to_owned()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn coinbase_matches_come_byte_for_byte_with_heartbeats_between() {
    let Some(path) = shared("coinbase-exchange-2021-04-17/ws.gz") else {
        return;
    };
    let paths = [path];
    let sim = Sim::start(replay(Kind::Coinbase, &paths), |o| o.speed = Speed::Max).await;
    let products: Vec<_> = sim
        .handle
        .symbols(Kind::Coinbase)
        .iter()
        .map(|s| format!("\"{s}\""))
        .collect();
    assert_eq!(products.len(), 10);
    let mut client = sim.connect("/coinbase").await;
    let products = products.join(",");
    client.send(&format!(r#"{{"type":"subscribe","product_ids":[{products}],"channels":["matches","heartbeat"]}}"#)).await;
    assert!(
        client
            .text()
            .await
            .starts_with(r#"{"type":"subscriptions""#)
    );
    let expect = recorded(&paths, "match\",\"trade_id\"");
    assert_eq!(expect.len(), 107);
    let mut heartbeats = 0;
    let mut times = std::collections::BTreeMap::new();
    for expect in &expect {
        let mut text = client.text().await;
        while text.contains("\"heartbeat\"") {
            heartbeats += 1;
            heartbeat_is_due(&json(&text), &times);
            text = client.text().await;
        }
        assert_eq!(&text, expect);
        let trade = json(expect);
        let product = trade["product_id"].to_string();
        times.insert(product, (trade["trade_id"].clone(), time_of(&trade)));
    }
    assert!(heartbeats > 0 && heartbeats % 10 == 0, "{heartbeats}");
    assert_eq!(sim.ended(Kind::Coinbase).await.trades, 107);
    sim.stop().await;
}

/// A made-up heartbeat may not claim a time before the trade that it names, nor before the recording, which begins
/// within 16:43:37.
fn heartbeat_is_due(
    heartbeat: &serde_json::Value,
    last: &std::collections::BTreeMap<String, (serde_json::Value, String)>,
) {
    let (id, trade_time) = &last[&heartbeat["product_id"].to_string()];
    let time = time_of(heartbeat);
    assert_eq!(&heartbeat["last_trade_id"], id);
    assert!(
        &time >= trade_time && time.as_str() > "2021-04-17T16:43:37.000000Z",
        "{heartbeat}"
    );
}

/// Its time, of which all have as many digits and so compare as texts.
fn time_of(message: &serde_json::Value) -> String {
    message["time"].as_str().unwrap().to_owned()
}
