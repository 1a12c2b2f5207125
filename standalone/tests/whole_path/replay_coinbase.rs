//! The recorded Coinbase session through the whole path: every match is in a bar, on the right side.

use std::collections::BTreeMap;
use std::io::Read;

use crate::client::{Client, Closes, Feed, recording};
use exchange_sim::{Kind, Play, Speed};
use standalone::market::Market;
use standalone::up::Options;
use wire::{Price, Side, Size, Symbol, Trade};

/// What the recording tells of one product, read here by other means than the product's.
#[derive(Default)]
struct Told {
    /// Of the session.
    matches: Vec<Trade>,
    /// From before the session.
    last_match: Option<Trade>,
}

fn told(file: &std::path::Path) -> BTreeMap<Symbol, Told> {
    let mut text = String::new();
    flate2::read::MultiGzDecoder::new(std::fs::File::open(file).unwrap())
        .read_to_string(&mut text)
        .unwrap();
    let mut told: BTreeMap<Symbol, Told> = BTreeMap::new();
    for line in text
        .lines()
        .filter(|line| line.contains(r#"match","trade_id""#))
    {
        let json: serde_json::Value =
            serde_json::from_str(&line[line.find('{').unwrap()..]).unwrap();
        let word = |name: &str| json[name].as_str().unwrap();
        // The side is the maker's.
        let taker = if word("side") == "sell" {
            Side::Buy
        } else {
            Side::Sell
        };
        let trade = Trade {
            id: json["trade_id"].as_u64().unwrap(),
            price: Price::parse(word("price").as_bytes()).unwrap(),
            size: Size::parse(word("size").as_bytes()).unwrap(),
            taker,
            time_ms: time_ms(word("time")),
        };
        let of = told
            .entry(Symbol::new(word("product_id")).unwrap())
            .or_default();
        match word("type") {
            "match" => of.matches.push(trade),
            "last_match" => of.last_match = Some(trade),
            other => panic!("{other}"),
        }
    }
    told
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_match_is_accounted_for() {
    let Some(file) = recording("coinbase-exchange-2021-04-17/ws.gz") else {
        return;
    };
    let mut told = told(&file);
    let count =
        |told: &BTreeMap<Symbol, Told>| told.values().map(|of| of.matches.len()).sum::<usize>();
    assert_eq!((told.len(), count(&told)), (10, 97));
    // Two products have nothing but a last match; they have no bar.
    told.retain(|_, of| !of.matches.is_empty());
    assert_eq!((told.len(), count(&told)), (8, 97));

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
    let topics: Vec<String> = told
        .keys()
        .map(|symbol| format!("kline:1s:{symbol}"))
        .collect();
    client
        .subscribe(&topics.iter().map(String::as_str).collect::<Vec<_>>(), true)
        .await;
    let mut closes = Closes::default();
    let all_in = |closes: &Closes| {
        told.iter().all(|(symbol, of)| {
            let bars = closes.of(&format!("kline:1s:{symbol}"));
            let last_id = bars.iter().filter_map(|bar| bar.candle.last_id()).max();
            last_id >= of.matches.iter().map(|trade| trade.id).max()
        })
    };
    while !all_in(&closes) {
        closes.take(client.close().await);
    }

    let mut added = 0;
    for (symbol, of) in &told {
        let bars = closes.of(&format!("kline:1s:{symbol}"));
        // The last match before the session counts where it falls into the first bar.
        let before = of
            .last_match
            .iter()
            .filter(|trade| trade.time_ms >= bars[0].start_ms);
        let trades: Vec<&Trade> = of.matches.iter().chain(before).collect();
        let count: u64 = bars.iter().map(|bar| bar.candle.count).sum();
        assert_eq!(count, trades.len() as u64, "{symbol}");
        added += count;
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
    let progress = feed.handle.marketdata.progress();
    assert!(progress.added >= 97, "{progress:?}");
    assert_eq!(
        (progress.added, progress.reference),
        (added, 107 - added),
        "{progress:?}"
    );
    assert_eq!(
        (progress.trades(), progress.dropped, progress.decode_errors),
        (107, 0, 0)
    );
    feed.stop().await;
}

/// Unix milliseconds of a time of that day, `2021-04-17T16:43:37.001234Z`.
fn time_ms(text: &str) -> i64 {
    const MIDNIGHT_MS: i64 = 1_618_617_600_000;
    let rest = text.strip_prefix("2021-04-17T").unwrap();
    let part = |range: std::ops::Range<usize>| rest[range].parse::<i64>().unwrap();
    MIDNIGHT_MS + (part(0..2) * 3_600 + part(3..5) * 60 + part(6..8)) * 1_000 + part(9..12)
}
