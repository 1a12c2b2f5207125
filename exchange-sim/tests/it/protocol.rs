//! What a raw client sees of each venue: subscriptions, streams, REST, admin.

use crate::support::Sim;
use exchange_sim::{Kind, Options, Play, Speed, StartWhen};
use serde_json::Value;

/// A generated market of known length, that waits for its first subscriber.
fn generate(symbols: &[(Kind, &str)], trades: u64) -> Play {
    Play::Generate {
        symbols: symbols
            .iter()
            .map(|(kind, symbol)| (*kind, symbol.parse().unwrap()))
            .collect(),
        rate: 50,
        seed: 3,
        start_ms: Some(1_700_000_000_000),
        trades_max: Some(trades),
    }
}

fn max(options: &mut Options) {
    options.speed = Speed::Max;
}

fn json(text: &str) -> Value {
    serde_json::from_str(text).unwrap_or_else(|error| panic!("{error}: {text}"))
}

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

    // Pages of historicalTrades hold the same trades.
    let mut from = first_id;
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
    for (paged, trade) in paged.iter().zip(&trades) {
        assert_eq!(
            (&paged["id"], &paged["price"], &paged["qty"]),
            (&trade["t"], &trade["p"], &trade["q"])
        );
        assert_eq!(
            (&paged["time"], &paged["isBuyerMaker"]),
            (&trade["T"], &trade["m"])
        );
    }

    // So do the aggregates, without a hole, and fewer.
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

    // The closed klines that were pushed are those of REST.
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
    sim.stop().await;
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
    check("klines?symbol=XXXUSDT&interval=1m", 400, -1121).await;
    check("klines?interval=1m", 400, -1102).await;
    check("klines?symbol=BTCUSDT&interval=7m", 400, -1120).await;
    check("historicalTrades?symbol=BTCUSDT&limit=x", 400, -1100).await;
    check("nothing", 404, -1000).await;
    let info = json(
        &sim.get("/binance-spot/api/v3/exchangeInfo?symbol=BTCUSDT")
            .await
            .2,
    );
    assert_eq!(info["symbols"][0]["filters"][0]["tickSize"], "0.01000000");
    assert_eq!(info["symbols"][0]["baseAsset"], "BTC");

    // 6,000 a minute, of which some is spent: 429 with Retry-After comes, then 418.
    let mut statuses = Vec::new();
    for _ in 0..260 {
        let (status, head, _) = sim
            .get("/binance-spot/api/v3/historicalTrades?symbol=BTCUSDT")
            .await;
        assert_eq!(status != 200, head.contains("retry-after: "), "{head}");
        statuses.push(status);
    }
    assert!(
        statuses.contains(&200) && statuses.contains(&429),
        "{statuses:?}"
    );
    sim.stop().await;
}

#[tokio::test]
async fn coinbase_streams_and_pages_agree() {
    let sim = Sim::start(generate(&[(Kind::Coinbase, "BTC-USD")], 2_500), max).await;
    let mut client = sim.connect("/coinbase").await;
    client
        .send(r#"{"type":"subscribe","product_ids":["GIBBERISH-USD"],"channels":["matches"]}"#)
        .await;
    assert_eq!(
        client.text().await,
        r#"{"type":"error","message":"Failed to subscribe","reason":"GIBBERISH-USD is not a valid product"}"#
    );
    client.send("{").await;
    assert_eq!(
        client.text().await,
        r#"{"type":"error","message":"Malformed JSON"}"#
    );
    client
        .send(
            r#"{"type":"subscribe","product_ids":["BTC-USD"],"channels":["matches","heartbeat"]}"#,
        )
        .await;
    let ack = r#"{"type":"subscriptions","channels":[{"name":"heartbeat","product_ids":["BTC-USD"]},{"name":"matches","product_ids":["BTC-USD"]}]}"#;
    assert_eq!(client.text().await, ack);
    sim.ended(Kind::Coinbase).await;

    // All pages, newest first, by CB-AFTER.
    let mut after = String::new();
    let mut ids = Vec::new();
    loop {
        let (status, head, body) = sim
            .get(&format!(
                "/coinbase/products/BTC-USD/trades?limit=1000{after}"
            ))
            .await;
        assert_eq!(status, 200);
        let page = json(&body);
        let page = page.as_array().unwrap();
        if page.is_empty() {
            assert!(!head.contains("cb-after"));
            break;
        }
        ids.extend(page.iter().map(|trade| trade["trade_id"].as_u64().unwrap()));
        assert!(
            head.contains(&format!("cb-after: {}\r\n", ids[ids.len() - 1])),
            "{head}"
        );
        assert!(
            head.contains(&format!("cb-before: {}", page[0]["trade_id"])),
            "{head}"
        );
        after = format!("&after={}", ids[ids.len() - 1]);
    }
    let texts = client
        .texts_until(&format!("\"match\",\"trade_id\":{},", ids[0]))
        .await;
    let matches: Vec<_> = texts
        .iter()
        .map(|t| json(t))
        .filter(|t| t["type"] == "match")
        .collect();
    ids.reverse();
    assert_eq!(
        matches
            .iter()
            .map(|m| m["trade_id"].as_u64().unwrap())
            .collect::<Vec<_>>(),
        ids
    );
    assert!(
        texts
            .iter()
            .any(|text| text.starts_with(r#"{"type":"heartbeat","last_trade_id":"#))
    );
    let before = ids[ids.len() - 3];
    let (_, _, body) = sim
        .get(&format!(
            "/coinbase/products/BTC-USD/trades?before={before}"
        ))
        .await;
    assert_eq!(json(&body).as_array().unwrap().len(), 2);

    // A late subscriber is told the last match first.
    let mut late = sim.connect("/coinbase").await;
    late.send(r#"{"type":"subscribe","channels":[{"name":"matches","product_ids":["BTC-USD"]}]}"#)
        .await;
    late.text().await;
    let last = json(&late.text().await);
    assert_eq!(
        (&last["type"], last["trade_id"].as_u64()),
        (&Value::from("last_match"), ids.last().copied())
    );
    sim.stop().await;
}

#[tokio::test]
async fn coinbase_candles_are_newest_first_and_bounded() {
    let sim = Sim::start(generate(&[(Kind::Coinbase, "BTC-USD")], 4_000), |options| {
        max(options);
        options.start_when = StartWhen::Immediately;
    })
    .await;
    sim.ended(Kind::Coinbase).await;
    let candles = "/coinbase/products/BTC-USD/candles";
    let (_, _, body) = sim.get(&format!("{candles}?granularity=60")).await;
    let rows = json(&body);
    let rows = rows.as_array().unwrap();
    let truth = sim
        .handle
        .truth(
            Kind::Coinbase,
            &"BTC-USD".parse().unwrap(),
            "1m".parse().unwrap(),
            None,
            None,
        )
        .unwrap();
    assert_eq!(rows.len(), truth.iter().filter(|bar| bar.count > 0).count());
    let newest = truth.iter().rfind(|bar| bar.count > 0).unwrap();
    assert_eq!(rows[0][0], newest.start / 1_000);
    let as_text = |n: usize| rows[0][n].to_string().parse::<f64>().unwrap();
    let bars = [&newest.low, &newest.high, &newest.open, &newest.close]
        .map(|p| p.to_string().parse::<f64>().unwrap());
    assert_eq!([as_text(1), as_text(2), as_text(3), as_text(4)], bars);
    let check = async |query: &str, status: u16, message: &str| {
        let (got, _, body) = sim.get(&format!("{candles}?{query}")).await;
        assert!(
            got == status && body.contains(message),
            "{query}: {got} {body}"
        );
    };
    check("granularity=61", 400, "Unsupported granularity").await;
    check(
        "granularity=60&start=1700000000&end=1700018000",
        400,
        "exceeds 300",
    )
    .await;
    check(
        "granularity=60&start=2023-11-14T22:13:20Z&end=2023-11-14T22:14:20Z",
        200,
        "1700000",
    )
    .await;
    check("granularity=60&start=yesterday", 400, "not a valid time").await;
    assert_eq!(sim.get("/coinbase/products/NO-USD/trades").await.0, 404);
    sim.stop().await;
}

#[tokio::test]
async fn advanced_numbers_every_message_and_sends_newest_first() {
    let sim = Sim::start(generate(&[(Kind::CoinbaseAdvanced, "BTC-USD")], 1_000), max).await;
    let mut client = sim.connect("/coinbase-advanced").await;
    client
        .send(r#"{"type":"subscribe","channel":"heartbeats"}"#)
        .await;
    client
        .send(r#"{"type":"subscribe","product_ids":["BTC-USD"],"channel":"market_trades"}"#)
        .await;
    sim.ended(Kind::CoinbaseAdvanced).await;
    let mut late = sim.connect("/coinbase-advanced").await;
    late.send(r#"{"type":"subscribe","product_ids":["BTC-USD"],"channel":"market_trades"}"#)
        .await;
    let snapshot = json(&late.text().await);
    let trades = snapshot["events"][0]["trades"].as_array().unwrap().clone();
    assert_eq!(
        (&snapshot["events"][0]["type"], trades.len()),
        (&Value::from("snapshot"), 100)
    );
    let id = |trade: &Value| trade["trade_id"].as_str().unwrap().parse::<u64>().unwrap();
    assert!(
        trades
            .windows(2)
            .all(|pair| id(&pair[0]) == id(&pair[1]) + 1),
        "newest first"
    );

    let texts = client
        .texts_until(&format!("\"trade_id\":\"{}\"", id(&trades[0])))
        .await;
    let mut ids = Vec::new();
    for (n, text) in texts.iter().enumerate() {
        let message = json(text);
        assert_eq!(message["sequence_num"], n, "{text}");
        if message["channel"] == "market_trades" {
            let trades = message["events"][0]["trades"].as_array().unwrap();
            ids.extend(trades.iter().rev().map(id));
        }
    }
    assert!(ids.windows(2).all(|pair| pair[1] == pair[0] + 1));
    assert!(
        texts
            .iter()
            .any(|text| text.starts_with(r#"{"channel":"heartbeats""#))
    );
    sim.stop().await;
}

#[tokio::test]
async fn the_gate_opens_when_it_should() {
    let symbols = [(Kind::Coinbase, "BTC-USD"), (Kind::Coinbase, "ETH-USD")];
    let subscribe = |id: &str| {
        format!(r#"{{"type":"subscribe","product_ids":["{id}"],"channels":["matches"]}}"#)
    };
    let sim = Sim::start(generate(&symbols, 100), |options| {
        max(options);
        options.start_when = StartWhen::AllSymbols;
    })
    .await;
    let (mut a, mut b) = (
        sim.connect("/coinbase").await,
        sim.connect("/coinbase").await,
    );
    a.send(&subscribe("BTC-USD")).await;
    a.text().await;
    assert!(
        !sim.handle
            .progress(Kind::Coinbase)
            .unwrap()
            .borrow()
            .started
    );
    b.send(&subscribe("ETH-USD")).await;
    sim.ended(Kind::Coinbase).await;
    sim.stop().await;

    let sim = Sim::start(generate(&symbols, 100), |options| {
        max(options);
        options.start_when = StartWhen::Manually;
    })
    .await;
    let mut client = sim.connect("/coinbase").await;
    client.send(&subscribe("BTC-USD")).await;
    client.text().await;
    assert!(
        !sim.handle
            .progress(Kind::Coinbase)
            .unwrap()
            .borrow()
            .started
    );
    assert_eq!(sim.request("POST", "/admin/start", "").await.0, 204);
    sim.ended(Kind::Coinbase).await;
    let status = json(&sim.get("/admin/status").await.2);
    assert_eq!(status["coinbase"]["ended"], true);
    sim.stop().await;
}

#[tokio::test]
async fn truth_by_http_is_the_handles() {
    let sim = Sim::start(
        generate(&[(Kind::BinanceSpot, "BTC-USDT")], 500),
        |options| {
            max(options);
            options.start_when = StartWhen::Immediately;
        },
    )
    .await;
    sim.ended(Kind::BinanceSpot).await;
    let (status, _, body) = sim
        .get("/admin/truth?venue=binance-spot&symbol=BTC-USDT&interval=1s")
        .await;
    let bars = sim.handle.truth(
        Kind::BinanceSpot,
        &"BTC-USDT".parse().unwrap(),
        "1s".parse().unwrap(),
        None,
        None,
    );
    let bars = bars.unwrap();
    assert_eq!(
        (status, json(&body)),
        (200, serde_json::json!({ "bars": bars }))
    );
    assert_eq!(
        bars.iter().map(|bar| bar.count).sum::<u64>(),
        sim.ended(Kind::BinanceSpot).await.trades
    );
    assert!(bars.windows(2).all(|pair| pair[0].end == pair[1].start));
    assert!(bars.iter().any(|bar| bar.completeness == "quiet"));
    let check = async |query: &str, status: u16| {
        let (got, _, body) = sim.get(&format!("/admin/truth?{query}")).await;
        assert_eq!(got, status, "{query}: {body}");
    };
    check("venue=kraken&symbol=BTC-USDT&interval=1m", 400).await;
    check("venue=binance-spot&symbol=ETH-USDT&interval=1m", 404).await;
    check("venue=binance-spot&symbol=btc&interval=1m", 400).await;
    check("venue=binance-spot&symbol=BTC-USDT&interval=7m", 400).await;
    assert_eq!(sim.get("/kraken/ws").await.0, 404);
    sim.stop().await;
}
