//! Made-up sessions through the whole path: what clients get is what the market was.

use crate::client::{Client, Closes, Feed};
use exchange_sim::market::truth::TrueBar;
use exchange_sim::{Kind, Play, Speed};
use standalone::market::Market;
use standalone::up::Options;
use wire::{Bar, Candle, Symbol};

const BEGIN_MS: i64 = 1_700_000_000_000;

fn options(seed: u64) -> Options {
    let symbols = [
        (Kind::BinanceSpot, "BTC-USDT"),
        (Kind::BinanceSpot, "SHIB-USDT"),
        (Kind::Coinbase, "BTC-USD"),
        (Kind::Coinbase, "ETH-USD"),
        (Kind::CoinbaseAdvanced, "BTC-USD"),
        (Kind::CoinbaseAdvanced, "SOL-USD"),
    ];
    let play = Play::Generate {
        symbols: symbols
            .map(|(venue, symbol)| (venue, Symbol::new(symbol).unwrap()))
            .to_vec(),
        rate: 100,
        seed,
        start_ms: Some(BEGIN_MS),
        trades_max: Some(6_000),
    };
    Options {
        intervals: ["1s", "1m"].map(|text| text.parse().unwrap()).to_vec(),
        ring_len: 4_000,
        ..Options::new(Market::Simulated {
            play,
            speed: Speed::Max,
        })
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn bars_equal_the_truth() {
    let feed = Feed::start(options(7)).await;
    let topics: Vec<_> = feed.handle.carried.list().topics;
    assert_eq!(topics.len(), 12);
    let mut client = Client::connect(feed.address).await;
    let names: Vec<String> = topics.iter().map(|entry| entry.topic.to_string()).collect();
    client
        .subscribe(&names.iter().map(String::as_str).collect::<Vec<_>>(), true)
        .await;
    for venue in Kind::ALL {
        feed.ended(venue).await;
    }

    // What is true once the markets have ended is what must arrive.
    let exchange = feed.handle.exchange.clone().unwrap();
    let mut closes = Closes::default();
    for entry in &topics {
        let venue = Kind::from_name(entry.venue.as_str()).unwrap();
        let truth = exchange
            .truth(venue, &entry.symbol, entry.interval, None, None)
            .unwrap();
        let name = entry.topic.to_string();
        // The last ones may still wait for stragglers: the venue's clock has stopped.
        let last_ms = exchange.progress(venue).unwrap().borrow().clock_ms.unwrap() - 2_000;
        let truth: Vec<_> = truth.into_iter().filter(|bar| bar.end <= last_ms).collect();
        while closes.of(&name).last().map(Bar::end_ms) < truth.last().map(|bar| bar.end) {
            closes.take(client.close().await);
        }
        check(&name, closes.of(&name), &truth);
    }
    feed.stop().await;
}

/// Every bar is the true one. The feed cannot know that the session's first trade is the market's first: that
/// bucket's bar says so, and no other does.
#[track_caller]
fn check(name: &str, bars: &[Bar], truth: &[TrueBar]) {
    assert!(truth.len() > 1 && bars.len() >= truth.len(), "{name}");
    for (index, (bar, truth)) in bars.iter().zip(truth).enumerate() {
        assert_eq!(bar.start_ms, truth.start, "{name}");
        let expect = Candle {
            open: truth.open,
            high: truth.high,
            low: truth.low,
            close: truth.close,
            volume: truth.volume,
            quote_volume: truth.quote_volume,
            taker_buy_volume: truth.taker_buy_volume,
            taker_buy_quote_volume: truth.taker_buy_quote_volume,
            count: truth.count,
            ids: truth.first_id.zip(truth.last_id),
        };
        assert_eq!(bar.candle, expect, "{name} {}", bar.start_ms);
        let completeness = if index == 0 {
            "unknown"
        } else {
            truth.completeness
        };
        assert_eq!(
            bar.completeness.as_str(),
            completeness,
            "{name} {}",
            bar.start_ms
        );
    }
}
