//! Binance spot, as a raw client sees it.

use exchange_sim::{Kind, Options, StartWhen};
use serde_json::Value;

use crate::support::{Sim, generate, json, max};

#[tokio::test]
async fn binance_streams_and_rest_agree() {
    let sim = Sim::start(
        generate(
            &[
                (Kind::BinanceSpot, "BTC-USDT"),
                (Kind::BinanceSpot, "ETH-USDT"),
            ],
            3_000,
        ),
        max,
    )
    .await;
    let mut client = sim.connect("/binance-spot/ws").await;
    client
        .send(r#"{"method":"SUBSCRIBE","params":["btcusdt@trade","btcusdt@kline_1m"],"id":1}"#)
        .await;
    assert_eq!(client.text().await, r#"{"result":null,"id":1}"#);
    sim.ended(Kind::BinanceSpot).await;
    let last = sim
        .get("/binance-spot/api/v3/historicalTrades?symbol=BTCUSDT&limit=1")
        .await
        .2;
    let last_id = json(&last)[0]["id"].as_u64().unwrap();
    let texts = client.texts_until(&format!("\"t\":{last_id},")).await;
    let trades: Vec<_> = texts
        .iter()
        .map(|t| json(t))
        .filter(|t| t["e"] == "trade")
        .collect();
    let first_id = trades[0]["t"].as_u64().unwrap();
    for (expect, trade) in (first_id..).zip(&trades) {
        assert_eq!(trade["t"], expect);
    }

    pages_hold(&sim, &trades).await;
    aggregates_hold(&sim, first_id).await;
    klines_hold(&sim, &texts).await;
    sim.stop().await;
}

/// Pages of historicalTrades hold the same trades as the stream.
async fn pages_hold(sim: &Sim, trades: &[Value]) {
    let mut from = trades[0]["t"].as_u64().unwrap();
    let last_id = trades[trades.len() - 1]["t"].as_u64().unwrap();
    let mut paged = Vec::new();
    while from <= last_id {
        let path = format!(
            "/binance-spot/api/v3/historicalTrades?symbol=BTCUSDT&fromId={from}&limit=1000"
        );
        let (status, head, body) = sim.get(&path).await;
        assert_eq!(status, 200);
        assert!(head.contains("x-mbx-used-weight-1m"), "{head}");
        let page = json(&body);
        paged.extend(page.as_array().unwrap().clone());
        from = paged.last().unwrap()["id"].as_u64().unwrap() + 1;
    }
    assert_eq!(paged.len(), trades.len());
    for (paged, trade) in paged.iter().zip(trades) {
        assert_eq!(
            (&paged["id"], &paged["price"], &paged["qty"]),
            (&trade["t"], &trade["p"], &trade["q"])
        );
        assert_eq!(
            (&paged["time"], &paged["isBuyerMaker"]),
            (&trade["T"], &trade["m"])
        );
    }
}

/// So do the aggregates, without a hole, and some are of several trades.
async fn aggregates_hold(sim: &Sim, first_id: u64) {
    let (_, _, body) = sim
        .get("/binance-spot/api/v3/aggTrades?symbol=BTCUSDT&fromId=1&limit=1000")
        .await;
    let aggregates = json(&body);
    let aggregates = aggregates.as_array().unwrap();
    assert_eq!(aggregates[0]["f"], first_id);
    for pair in aggregates.windows(2) {
        assert_eq!(
            pair[1]["f"].as_u64().unwrap(),
            pair[0]["l"].as_u64().unwrap() + 1
        );
        assert_eq!(
            pair[1]["a"].as_u64().unwrap(),
            pair[0]["a"].as_u64().unwrap() + 1
        );
    }
    assert!(aggregates.iter().any(|a| a["f"] != a["l"]));
}

/// The closed klines that were pushed are those of REST.
async fn klines_hold(sim: &Sim, texts: &[String]) {
    let pushed: Vec<_> = texts
        .iter()
        .map(|t| json(t))
        .filter(|t| t["k"]["x"] == true)
        .collect();
    assert!(!pushed.is_empty());
    let (_, _, body) = sim
        .get("/binance-spot/api/v3/klines?symbol=BTCUSDT&interval=1m")
        .await;
    let rows = json(&body);
    for kline in &pushed {
        let k = &kline["k"];
        let row = rows
            .as_array()
            .unwrap()
            .iter()
            .find(|row| row[0] == k["t"])
            .unwrap();
        let fields = [
            &row[1], &row[2], &row[3], &row[4], &row[5], &row[6], &row[7], &row[8], &row[9],
            &row[10],
        ];
        assert_eq!(
            fields,
            [
                &k["o"], &k["h"], &k["l"], &k["c"], &k["v"], &k["T"], &k["q"], &k["n"], &k["V"],
                &k["Q"]
            ]
        );
    }
}

#[tokio::test]
async fn binance_rest_refuses_as_the_exchange_does() {
    let sim = Sim::start(generate(&[(Kind::BinanceSpot, "BTC-USDT")], 10), |_| {}).await;
    let check = async |path: &str, status: u16, code: i64| {
        let (got, _, body) = sim.get(&format!("/binance-spot/api/v3/{path}")).await;
        assert_eq!(
            (got, json(&body)["code"].as_i64().unwrap()),
            (status, code),
            "{path}"
        );
    };
    // The lowest time there is refuses nothing and breaks nothing: there are no rows before it.
    let lowest =
        "/binance-spot/api/v3/klines?symbol=BTCUSDT&interval=1m&endTime=-9223372036854775808";
    assert_eq!(sim.get(lowest).await.0, 200);
    check("klines?symbol=XXXUSDT&interval=1m", 400, -1121).await;
    check("klines?interval=1m", 400, -1102).await;
    check("klines?symbol=BTCUSDT&interval=7m", 400, -1120).await;
    check("historicalTrades?symbol=BTCUSDT&limit=x", 400, -1100).await;
    check("nothing", 404, -1000).await;
    check("ticker/price?symbol=XXXUSDT", 400, -1121).await;
    sim.stop().await;
}

#[tokio::test]
async fn binance_lists_every_symbol_with_its_last_price() {
    let symbols = ["BTC-USDT", "ETH-USDT"].map(|symbol| (Kind::BinanceSpot, symbol));
    let manually = |options: &mut Options| options.start_when = StartWhen::Manually;
    let sim = Sim::start(generate(&symbols, 10), manually).await;
    let path = "/binance-spot/api/v3/ticker/price";
    let rows = json(&sim.get(path).await.2);
    let names = rows.as_array().unwrap().iter().map(|row| &row["symbol"]);
    assert_eq!(names.collect::<Vec<_>>(), ["BTCUSDT", "ETHUSDT"]);
    // Before the first trade too there is one.
    let price: f64 = rows[0]["price"].as_str().unwrap().parse().unwrap();
    assert!(price > 0.0);
    let one = json(&sim.get(&format!("{path}?symbol=BTCUSDT")).await.2);
    assert_eq!(one, rows[0]);
    sim.stop().await;
}

#[tokio::test]
async fn binance_rest_over_budget_is_429_and_then_418() {
    let play = generate(&[(Kind::BinanceSpot, "BTC-USDT")], 10);
    let sim = Sim::start(play, |options| options.limits.rest_weight_per_minute = 100).await;
    let mut statuses = Vec::new();
    for _ in 0..16 {
        let path = "/binance-spot/api/v3/historicalTrades?symbol=BTCUSDT";
        let (status, head, _) = sim.get(path).await;
        assert_eq!(status != 200, head.contains("retry-after: "), "{head}");
        statuses.push(status);
    }
    // A weight of 25 each; ten refusals, and who goes on is banned.
    let expect = [vec![200; 4], vec![429; 10], vec![418; 2]].concat();
    assert_eq!(statuses, expect);
    sim.stop().await;
}
