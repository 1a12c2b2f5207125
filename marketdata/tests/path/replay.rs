//! Recorded sessions through the whole path: socket, session, decoder, router, aggregator, bus.

use crate::support::{World, recording, sim};
use exchange_sim::{Kind, Play};
use wire::{Bar, Candle, Completeness, Quote, Size};

const BINANCE: [&str; 2] = [
    "binance-spot-btcusdt-2024-08-09/spot_btcusdt_20240808.gz",
    "binance-spot-btcusdt-2024-08-09/spot_btcusdt_20240809.gz",
];

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_recorded_session_gives_the_exchanges_own_bars() {
    let files: Option<Vec<_>> = BINANCE
        .iter()
        .map(|name| Some((Kind::BinanceSpot, recording(name)?)))
        .collect();
    let Some(files) = files else { return };
    let official = files[0].1.with_file_name("official-5m.csv");
    let play = Play::Replay {
        files,
        endless: false,
    };
    let mut world = World::start(sim(play), |_| {}).await;
    world.finish().await;
    world.check();
    let progress = world.service.progress();
    assert_eq!(progress.added + progress.reference, 19_904);
    assert_eq!(
        (progress.decode_errors, progress.duplicate, progress.late),
        (0, 0, 0)
    );

    let bars = |interval: &str| &world.bars[&format!("kline:{interval}:BTC-USDT").parse().unwrap()];
    let official = std::fs::read_to_string(official).unwrap();
    for line in official.lines() {
        let fields: Vec<&str> = line.split(',').collect();
        let start_ms: i64 = fields[0].parse().unwrap();
        let five = bars("5m")
            .iter()
            .find(|bar| bar.start_ms == start_ms)
            .unwrap();
        assert_official(five, &fields);
        for interval in ["1s", "1m"] {
            let parts = bars(interval)
                .iter()
                .filter(|bar| (start_ms..five.end_ms()).contains(&bar.start_ms));
            let rolled = Candle::roll_up(parts.map(|bar| &bar.candle)).unwrap();
            assert_eq!(rolled, Some(five.candle), "{interval}");
        }
    }
    assert_eq!(official.lines().count(), 2);
    world.stop().await;
}

/// All nine fields of the exchange's row, as it writes them.
fn assert_official(bar: &Bar, fields: &[&str]) {
    let candle = &bar.candle;
    let size = |text: &str| text.parse::<Size>().unwrap();
    let quote = |text: &str| text.parse::<Quote>().unwrap();
    let prices = [candle.open, candle.high, candle.low, candle.close];
    assert_eq!(
        prices,
        [1, 2, 3, 4].map(|field: usize| fields[field].parse().unwrap())
    );
    assert_eq!(candle.volume, size(fields[5]));
    assert_eq!((bar.end_ms() - 1).to_string(), fields[6]);
    assert_eq!(candle.quote_volume, quote(fields[7]));
    assert_eq!(candle.count.to_string(), fields[8]);
    assert_eq!(candle.taker_buy_volume, size(fields[9]));
    assert_eq!(candle.taker_buy_quote_volume, quote(fields[10]));
    assert_eq!(bar.completeness, Completeness::Complete);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_recorded_match_is_accounted_for() {
    let Some(file) = recording("coinbase-exchange-2021-04-17/ws.gz") else {
        return;
    };
    let play = Play::Replay {
        files: vec![(Kind::Coinbase, file)],
        endless: false,
    };
    let mut world = World::start(sim(play), |_| {}).await;
    world.finish().await;
    let counts = world.check();
    let progress = world.service.progress();
    // 97 matches, and ten that were made before.
    assert_eq!(progress.trades(), 107, "{progress:?}");
    assert_eq!(progress.added + progress.reference, 107, "{progress:?}");
    assert_eq!(progress.decode_errors, 0);
    assert!(!counts.contains_key(&Completeness::Gap), "{counts:?}");
    world.stop().await;
}
