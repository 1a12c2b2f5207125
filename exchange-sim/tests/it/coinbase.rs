//! Coinbase Exchange and Coinbase Advanced Trade, as a raw client sees them.

use exchange_sim::{Kind, StartWhen};
use serde_json::Value;

use crate::support::{Sim, generate, json, max};

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

    let mut ids = all_ids(&sim).await;
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

    a_late_subscriber_is_told(&sim, ids[ids.len() - 1]).await;
    sim.stop().await;
}

/// The ids of all pages, newest first, by CB-AFTER.
async fn all_ids(sim: &Sim) -> Vec<u64> {
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
            return ids;
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
}

/// The last match comes first.
async fn a_late_subscriber_is_told(sim: &Sim, last_id: u64) {
    let mut late = sim.connect("/coinbase").await;
    late.send(r#"{"type":"subscribe","channels":[{"name":"matches","product_ids":["BTC-USD"]}]}"#)
        .await;
    late.text().await;
    let last = json(&late.text().await);
    assert_eq!(
        (&last["type"], last["trade_id"].as_u64()),
        (&Value::from("last_match"), Some(last_id))
    );
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
