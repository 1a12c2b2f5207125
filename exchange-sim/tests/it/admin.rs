//! The gate and the admin endpoint.

use exchange_sim::{Kind, StartWhen};

use crate::support::{Sim, generate, json, max};

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
        assert!(
            json(&body)["error"]["message"].is_string(),
            "{query}: {body}"
        );
    };
    check("", 400).await;
    check(
        "venue=binance-spot&symbol=BTC-USDT&interval=1m&start=x",
        400,
    )
    .await;
    check("venue=kraken&symbol=BTC-USDT&interval=1m", 400).await;
    check("venue=binance-spot&symbol=ETH-USDT&interval=1m", 404).await;
    check("venue=binance-spot&symbol=btc&interval=1m", 400).await;
    check("venue=binance-spot&symbol=BTC-USDT&interval=7m", 400).await;
    assert_eq!(sim.get("/kraken/ws").await.0, 404);
    sim.stop().await;
}
