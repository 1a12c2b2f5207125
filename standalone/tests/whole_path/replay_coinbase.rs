//! The recorded Coinbase session through the whole path: every match is in a bar, on the right side.

use std::collections::BTreeMap;
use std::io::Read;

use crate::client::{Client, Closes, Feed, recording};
use exchange_sim::{Kind, Play, Speed};
use standalone::market::Market;
use standalone::up::Options;
use wire::{Price, Side, Size, Symbol, Trade};

/// Matches of the recording by product, read here by other means than the product's.
fn matches(file: &std::path::Path) -> BTreeMap<Symbol, Vec<Trade>> {
    let mut text = String::new();
    flate2::read::MultiGzDecoder::new(std::fs::File::open(file).unwrap())
        .read_to_string(&mut text)
        .unwrap();
    let mut matches: BTreeMap<Symbol, Vec<Trade>> = BTreeMap::new();
    for line in text
        .lines()
        .filter(|line| line.contains(r#""type":"match""#))
    {
        let json: serde_json::Value =
            serde_json::from_str(&line[line.find('{').unwrap()..]).unwrap();
        let word = |name: &str| json[name].as_str().unwrap();
        let trade = Trade {
            id: json["trade_id"].as_u64().unwrap(),
            price: Price::parse(word("price").as_bytes()).unwrap(),
            size: Size::parse(word("size").as_bytes()).unwrap(),
            // The side is the maker's.
            taker: if word("side") == "sell" {
                Side::Buy
            } else {
                Side::Sell
            },
            time_ms: 0,
        };
        matches
            .entry(Symbol::new(word("product_id")).unwrap())
            .or_default()
            .push(trade);
    }
    matches
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_match_is_accounted_for() {
    let Some(file) = recording("coinbase-exchange-2021-04-17/ws.gz") else {
        return;
    };
    let matches = matches(&file);
    assert_eq!(matches.values().map(Vec::len).sum::<usize>(), 97);

    let play = Play::Replay {
        files: vec![(Kind::Coinbase, file)],
        endless: false,
    };
    let options = Options {
        ring_len: 2_000,
        ..Options::new(Market::Simulated {
            play,
            speed: Speed::Max,
        })
    };
    let feed = Feed::start(options).await;
    let mut client = Client::connect(feed.address).await;
    let topics: Vec<String> = matches
        .keys()
        .map(|symbol| format!("kline:1s:{symbol}"))
        .collect();
    client
        .subscribe(&topics.iter().map(String::as_str).collect::<Vec<_>>(), true)
        .await;
    let mut closes = Closes::default();
    let last_id = |symbol: &Symbol| matches[symbol].iter().map(|trade| trade.id).max();
    let all_in = |closes: &Closes| {
        matches.keys().all(|symbol| {
            let bars = closes.of(&format!("kline:1s:{symbol}"));
            bars.iter().filter_map(|bar| bar.candle.last_id()).max() >= last_id(symbol)
        })
    };
    while !all_in(&closes) {
        closes.take(client.close().await);
    }

    for (symbol, trades) in &matches {
        let bars = closes.of(&format!("kline:1s:{symbol}"));
        let count: u64 = bars.iter().map(|bar| bar.candle.count).sum();
        assert_eq!(count, trades.len() as u64, "{symbol}");
        let sizes = |of: &dyn Fn(&Trade) -> bool| {
            let sizes = trades
                .iter()
                .filter(|trade| of(trade))
                .map(|trade| trade.size);
            sizes.fold(Size::ZERO, |sum, size| sum.checked_add(size).unwrap())
        };
        let sum = |of: &dyn Fn(&wire::Candle) -> Size| {
            bars.iter().fold(Size::ZERO, |sum, bar| {
                sum.checked_add(of(&bar.candle)).unwrap()
            })
        };
        assert_eq!(sum(&|candle| candle.volume), sizes(&|_| true), "{symbol}");
        let bought = sizes(&|trade| trade.taker == Side::Buy);
        assert_eq!(sum(&|candle| candle.taker_buy_volume), bought, "{symbol}");
    }
    // The ten last matches are from before the session; each of the rest was taken once.
    let progress = feed.handle.marketdata.progress();
    assert_eq!((progress.added, progress.reference), (97, 10));
    assert_eq!(
        (progress.trades(), progress.dropped, progress.decode_errors),
        (107, 0, 0)
    );
    feed.stop().await;
}
