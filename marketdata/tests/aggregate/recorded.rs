//! A recorded session of Binance spot against the exchange's own 5m bars.

use std::io::{BufRead, BufReader};
use std::path::Path;
use std::sync::Arc;

use marketdata::aggregate::{Closed, Series, TradeOutcome};
use wire::{Candle, Completeness, Side, Trade};

use crate::support::{config, drain, interval};

const RECORDING: &str = concat!(
    env!("CARGO_MANIFEST_DIR"),
    "/../../shared/data/binance-spot-btcusdt-2024-08-09"
);

#[test]
fn the_recorded_session_equals_the_exchanges_own_bars() {
    let folder = Path::new(RECORDING);
    if !folder.exists() {
        println!("skipped: recordings not present at {RECORDING}");
        return;
    }
    let mut series = Series::new(&Arc::new(config("1s 1m 5m")));
    let mut closed = Vec::new();
    let mut trades = 0;
    series.handle_feed_up(None);
    for file in ["spot_btcusdt_20240808.gz", "spot_btcusdt_20240809.gz"] {
        let file = std::fs::File::open(folder.join(file)).unwrap();
        for line in BufReader::new(flate2::read::MultiGzDecoder::new(file)).lines() {
            let Some((trade, event_time_ms)) = parse(&line.unwrap()) else {
                continue;
            };
            trades += 1;
            assert_eq!(
                series.handle_trade(&trade, event_time_ms),
                TradeOutcome::Added
            );
            closed.extend(drain(&mut series));
        }
    }
    assert_eq!(trades, 19_904);
    let official = std::fs::read_to_string(folder.join("official-5m.csv")).unwrap();
    for row in official.lines() {
        let row: Vec<&str> = row.split(',').collect();
        let start: i64 = row[0].parse().unwrap();
        assert_official(&closed, start, &row);
        for (short, long) in [("1s", "1m"), ("1m", "5m")] {
            assert_rolls_up(&closed, start, short, long);
        }
    }
}

fn assert_official(closed: &[Closed], start_ms: i64, row: &[&str]) {
    let bar = find(closed, "5m", start_ms);
    let candle = &bar.candle;
    assert_eq!(bar.completeness, Completeness::Complete);
    assert_eq!(candle.open, row[1].parse().unwrap());
    assert_eq!(candle.high, row[2].parse().unwrap());
    assert_eq!(candle.low, row[3].parse().unwrap());
    assert_eq!(candle.close, row[4].parse().unwrap());
    assert_eq!(candle.volume, row[5].parse().unwrap());
    assert_eq!(candle.quote_volume, row[7].parse().unwrap());
    assert_eq!(candle.count.to_string(), row[8]);
    assert_eq!(candle.taker_buy_volume, row[9].parse().unwrap());
    assert_eq!(candle.taker_buy_quote_volume, row[10].parse().unwrap());
}

fn find<'a>(closed: &'a [Closed], length: &str, start_ms: i64) -> &'a Closed {
    let wanted = interval(length);
    closed
        .iter()
        .find(|bar| bar.interval == wanted && bar.start_ms == start_ms)
        .unwrap()
}

fn assert_rolls_up(closed: &[Closed], start_ms: i64, short: &str, long: &str) {
    let (short, length) = (interval(short), interval(long));
    let bar = find(closed, long, start_ms);
    let parts: Vec<&Closed> = closed
        .iter()
        .filter(|part| part.interval == short)
        .filter(|part| (start_ms..start_ms + length.ms()).contains(&part.start_ms))
        .collect();
    assert_eq!(parts.len() as u32, length.secs() / short.secs());
    let rolled = Candle::roll_up(parts.iter().map(|part| &part.candle));
    assert_eq!(rolled, Ok(Some(bar.candle)));
}

/// The trade of a `<receive_ns> <json>` line and the time at which it was sent, if it is one.
fn parse(line: &str) -> Option<(Trade, i64)> {
    if !line.contains("\"e\":\"trade\"") {
        return None;
    }
    let (_, json) = line.split_once(' ')?;
    let message: serde_json::Value = serde_json::from_str(json).unwrap();
    let data = &message["data"];
    let trade = Trade {
        id: data["t"].as_u64()?,
        time_ms: data["T"].as_i64()?,
        price: data["p"].as_str()?.parse().unwrap(),
        size: data["q"].as_str()?.parse().unwrap(),
        taker: if data["m"].as_bool()? {
            Side::Sell
        } else {
            Side::Buy
        },
    };
    Some((trade, data["E"].as_i64()?))
}
