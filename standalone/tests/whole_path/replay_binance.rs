//! The recorded Binance session through the whole path: sockets, bars, bus, WebSocket client.

use crate::client::{Client, Closes, Feed, get_json, recording};
use exchange_sim::{Kind, Play, Speed};
use standalone::market::Market;
use standalone::up::Options;
use wire::{Bar, Candle, Completeness, Price, Quote, Size};

const FOLDER: &str = "binance-spot-btcusdt-2024-08-09";
const MINUTE_MS: i64 = 60_000;

/// The nine fields of an official row.
#[derive(Debug, PartialEq, Eq)]
struct Row {
    start_ms: i64,
    prices: [Price; 4],
    volume: Size,
    quote_volume: Quote,
    count: u64,
    taker_buy_volume: Size,
    taker_buy_quote_volume: Quote,
}

impl Row {
    /// Binance's order: open time, open, high, low, close, volume, close time, quote volume, trades, taker buy
    /// base, taker buy quote, ignore.
    fn read(line: &str) -> Self {
        let fields: Vec<&str> = line.split(',').collect();
        let price = |at: usize| Price::parse(fields[at].as_bytes()).unwrap();
        let size = |at: usize| Size::parse(fields[at].as_bytes()).unwrap();
        let quote = |at: usize| Quote::parse(fields[at].as_bytes()).unwrap();
        Self {
            start_ms: fields[0].parse().unwrap(),
            prices: [price(1), price(2), price(3), price(4)],
            volume: size(5),
            quote_volume: quote(7),
            count: fields[8].parse().unwrap(),
            taker_buy_volume: size(9),
            taker_buy_quote_volume: quote(10),
        }
    }

    fn of(bar: &Bar) -> Self {
        let candle = &bar.candle;
        Self {
            start_ms: bar.start_ms,
            prices: [candle.open, candle.high, candle.low, candle.close],
            volume: candle.volume,
            quote_volume: candle.quote_volume,
            count: candle.count,
            taker_buy_volume: candle.taker_buy_volume,
            taker_buy_quote_volume: candle.taker_buy_quote_volume,
        }
    }
}

fn options(files: &[std::path::PathBuf]) -> Options {
    let files = files
        .iter()
        .map(|file| (Kind::BinanceSpot, file.clone()))
        .collect();
    let play = Play::Replay {
        files,
        endless: false,
    };
    Options {
        intervals: ["1s", "1m", "5m"]
            .map(|text| text.parse().unwrap())
            .to_vec(),
        // The session has 650 seconds: the client gets every close, however early the replay began.
        ring_len: 1_000,
        ..Options::new(Market::Simulated {
            play,
            speed: Speed::Max,
        })
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn bars_equal_the_exchanges_own() {
    let files = [
        "spot_btcusdt_20240808.gz",
        "spot_btcusdt_20240809.gz",
        "official-5m.csv",
    ];
    let Some(files) = files
        .map(|name| recording(&format!("{FOLDER}/{name}")))
        .into_iter()
        .collect()
    else {
        return;
    };
    let files: Vec<_> = files;
    let official = std::fs::read_to_string(&files[2]).unwrap();
    let official: Vec<Row> = official.lines().map(Row::read).collect();
    let end_ms = official[1].start_ms + 5 * MINUTE_MS;

    let feed = Feed::start(options(&files[..2])).await;
    let mut client = Client::connect(feed.address).await;
    let topics = [
        "kline:1s:BTC-USDT",
        "kline:1m:BTC-USDT",
        "kline:5m:BTC-USDT",
    ];
    client.subscribe(&topics, true).await;
    let mut closes = Closes::default();
    let done = |closes: &Closes| {
        topics.iter().all(|topic| {
            closes
                .of(topic)
                .last()
                .is_some_and(|bar| bar.end_ms() >= end_ms)
        })
    };
    while !done(&closes) {
        closes.take(client.close().await);
    }

    let rows: Vec<Row> = closes.of(topics[2]).iter().map(Row::of).collect();
    assert_eq!(rows[1..], official);
    check_beginning(&closes);
    for bar in closes.of(topics[2])[1..]
        .iter()
        .chain(&closes.of(topics[1])[1..])
    {
        assert!(
            matches!(
                bar.completeness,
                Completeness::Complete | Completeness::Quiet
            ),
            "{bar:?}"
        );
    }
    check_roll_up(closes.of(topics[0]), closes.of(topics[1]));
    check_roll_up(closes.of(topics[1]), closes.of(topics[2]));
    check_history(&feed, &closes).await;
    check_resume(&feed, &closes).await;
    feed.stop().await;
}

/// The session begins within a bar: that one is not passed off as whole, and each topic counts from 1.
fn check_beginning(closes: &Closes) {
    for (topic, bars) in &closes.by_topic {
        assert_eq!(bars[0].close_no, 1, "{topic}");
        assert_eq!(bars[0].completeness, Completeness::Unknown, "{topic}");
    }
}

/// Each bar but the first is exactly the sum of the shorter ones in it.
fn check_roll_up(shorter: &[Bar], longer: &[Bar]) {
    assert!(longer.len() > 1);
    for bar in &longer[1..] {
        let parts: Vec<&Candle> = shorter
            .iter()
            .filter(|part| (bar.start_ms..bar.end_ms()).contains(&part.start_ms))
            .map(|part| &part.candle)
            .collect();
        let expect = bar.interval.secs() / shorter[0].interval.secs();
        assert_eq!(parts.len(), expect as usize);
        assert_eq!(
            Candle::roll_up(parts).unwrap(),
            Some(bar.candle),
            "{}",
            bar.topic
        );
    }
}

/// HTTP gives the same bars as the socket.
async fn check_history(feed: &Feed, closes: &Closes) {
    for (topic, bars) in &closes.by_topic {
        let (first, last) = (&bars[0], &bars[bars.len() - 1]);
        let path = format!(
            "/api/v1/klines?symbol=BTC-USDT&interval={}&start={}&end={}&limit=5000",
            topic.interval,
            first.start_ms,
            last.end_ms()
        );
        let (status, page) = get_json(feed.address, &path).await;
        assert_eq!(status, 200);
        let decode = |bar: &serde_json::Value| Bar::decode(bar.to_string().as_bytes()).unwrap();
        let page: Vec<Bar> = page["bars"]
            .as_array()
            .unwrap()
            .iter()
            .map(decode)
            .collect();
        assert_eq!(page, *bars, "{topic}");
    }
}

/// A client that comes back with the last number it has seen gets what it missed, and nothing twice.
async fn check_resume(feed: &Feed, closes: &Closes) {
    let mut client = Client::connect(feed.address).await;
    let topic = "kline:1m:BTC-USDT";
    let seen = &closes.of(topic)[3];
    let request = format!(
        r#"{{"op":"subscribe","topics":["{topic}"],"after":{{"{topic}":{}}},"id":1}}"#,
        seen.close_no
    );
    client.send(request.into()).await;
    client.reply().await;
    for expect in &closes.of(topic)[4..] {
        assert_eq!(client.close().await, *expect);
    }
}
