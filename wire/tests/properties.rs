//! Laws that hold for any trades: order does not matter, parts make the whole, text keeps the value.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test may panic")]

use proptest::prelude::*;
use wire::{
    Bar, Candle, Completeness, Instrument, Interval, Price, Side, Size, Symbol, Topic, Trade, Venue,
};

fn price() -> impl Strategy<Value = Price> {
    (1..=10_000_000_000_000_000i128).prop_map(|units| Price::from_units(units).unwrap())
}

fn size() -> impl Strategy<Value = Size> {
    (1..=1_000_000_000_000_000_000i128).prop_map(|units| Size::from_units(units).unwrap())
}

prop_compose! {
    fn trades(len_max: usize)(
        first in 1..1_000_000_000u64,
        fields in proptest::collection::vec((price(), size(), any::<bool>(), 0..5_000i64), 1..len_max),
    ) -> Vec<Trade> {
        let mut time_ms = 1_723_161_240_000;
        let side = |buy| if buy { Side::Buy } else { Side::Sell };
        (first..).zip(fields).map(|(id, (price, size, buy, pause))| {
            time_ms += pause;
            Trade { id, time_ms, price, size, taker: side(buy) }
        }).collect()
    }
}

fn sum<'a>(trades: impl IntoIterator<Item = &'a Trade>) -> Candle {
    let candles: Vec<Candle> = trades
        .into_iter()
        .map(|trade| Candle::of_trade(trade).unwrap())
        .collect();
    Candle::roll_up(&candles).unwrap().unwrap()
}

fn bars_of(trades: &[Trade], interval: Interval) -> Vec<(i64, Candle)> {
    trades
        .chunk_by(|a, b| interval.start_of(a.time_ms) == interval.start_of(b.time_ms))
        .map(|bucket| (interval.start_of(bucket[0].time_ms), sum(bucket)))
        .collect()
}

/// A candle by the definition alone: every field from the list of trades, with nothing of `Candle`'s code.
fn by_definition(trades: &[Trade]) -> Candle {
    let first = trades.iter().min_by_key(|trade| trade.id).unwrap();
    let last = trades.iter().max_by_key(|trade| trade.id).unwrap();
    let size = |buys_only: bool| {
        let units = trades
            .iter()
            .filter(|t| !buys_only || t.taker == Side::Buy)
            .map(|t| t.size.units())
            .sum();
        Size::from_units(units).unwrap()
    };
    let value = |buys_only: bool| {
        let kept = trades.iter().filter(|t| !buys_only || t.taker == Side::Buy);
        let units = kept.map(|t| t.price.units() * t.size.units()).sum();
        wire::Quote::from_units(units).unwrap()
    };
    Candle {
        open: first.price,
        high: trades.iter().map(|trade| trade.price).max().unwrap(),
        low: trades.iter().map(|trade| trade.price).min().unwrap(),
        close: last.price,
        volume: size(false),
        quote_volume: value(false),
        taker_buy_volume: size(true),
        taker_buy_quote_volume: value(true),
        count: trades.len() as u64,
        ids: Some((first.id, last.id)),
    }
}

proptest! {
    // A failure is printed with its input; there is no file to keep seeds in.
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn a_candle_is_what_its_definition_says(trades in trades(60)) {
        prop_assert_eq!(sum(&trades), by_definition(&trades));
    }

    #[test]
    fn order_does_not_matter(
        (trades, shuffled) in trades(60).prop_flat_map(|trades| (Just(trades.clone()), Just(trades).prop_shuffle()))
    ) {
        prop_assert_eq!(sum(&shuffled), sum(&trades));
    }

    #[test]
    fn a_roll_up_of_any_split_is_the_whole(trades in trades(60), at in any::<prop::sample::Index>()) {
        let (left, right) = trades.split_at(at.index(trades.len()));
        let parts: Vec<Candle> = [left, right].into_iter().filter(|part| !part.is_empty()).map(sum).collect();
        prop_assert_eq!(Candle::roll_up(&parts).unwrap().unwrap(), sum(&trades));
        // Flat candles between the parts add nothing.
        let with_flat: Vec<Candle> = parts.iter().flat_map(|part| [*part, Candle::flat(part.close)]).collect();
        prop_assert_eq!(Candle::roll_up(&with_flat).unwrap().unwrap(), sum(&trades));
    }

    #[test]
    fn minutes_of_seconds_are_minutes_of_trades(trades in trades(200)) {
        let minute: Interval = "1m".parse().unwrap();
        let seconds = bars_of(&trades, Interval::S1);
        let rolled: Vec<(i64, Candle)> = seconds
            .chunk_by(|a, b| minute.start_of(a.0) == minute.start_of(b.0))
            .map(|part| (minute.start_of(part[0].0), Candle::roll_up(part.iter().map(|(_, c)| c)).unwrap().unwrap()))
            .collect();
        prop_assert_eq!(rolled, bars_of(&trades, minute));
    }

    #[test]
    fn a_bar_keeps_its_value_as_text(
        trades in trades(20), flat in any::<bool>(), closed in any::<bool>(), rev in any::<u32>(), short in any::<bool>(),
        numbers in any::<(u64, u64, u64)>(), times in any::<(i64, i64)>(), secs in prop::sample::select(vec![1u32, 60, 300, 5400, 86400]),
        completeness in prop::sample::select(vec![
            Completeness::Quiet, Completeness::Complete, Completeness::Repaired, Completeness::Unknown, Completeness::Gap,
        ]),
    ) {
        let interval = Interval::from_secs(secs).unwrap();
        let instrument = Instrument::new(Venue::new("binance-spot").unwrap(), Symbol::new("BTC-USDT").unwrap());
        let topic = Topic::long(&instrument, interval);
        let topic = if short { Topic { venue: None, ..topic } } else { topic };
        let candle = if flat { Candle::flat(trades[0].price) } else { sum(&trades) };
        let completeness = if flat { completeness } else { completeness.max(Completeness::Complete) };
        let rev = if closed { rev } else { 0 };
        let bar = Bar {
            topic, instrument, interval, start_ms: interval.start_of(trades[0].time_ms), candle, closed, rev, completeness,
            close_no: numbers.0, epoch: numbers.1, seq: numbers.2, event_time_ms: times.0, publish_time_ms: times.1,
        };
        let text = bar.encode();
        prop_assert_eq!(Bar::decode(&text).unwrap(), bar.clone());
        // It is JSON for everyone else too, and holds no number that a double would spoil but the counters.
        let value: serde_json::Value = serde_json::from_slice(&text).unwrap();
        prop_assert!(value["volume"].is_string() && value["open"].is_string());
    }

    #[test]
    fn no_changed_bar_panics_the_decoder(
        number in prop::sample::select(vec![
            "-9223372036854775808", "9223372036854775807", "18446744073709551615", "-1", "0", "1e400", "null",
        ]),
        field in prop::sample::select(vec![
            "start", "end", "count", "first_id", "last_id", "rev", "close_no", "epoch", "seq", "event_time", "publish_time",
        ]),
        other in prop::sample::select(vec!["start", "end", "count", "first_id", "last_id"]),
    ) {
        let mut text = include_str!("golden/bar-closed.json").to_owned();
        for name in [field, other] {
            let from = text.find(&format!("\"{name}\":")).unwrap() + name.len() + 3;
            let to = from + text[from..].find([',', '}']).unwrap();
            text.replace_range(from..to, number);
        }
        let _ = Bar::decode(text.as_bytes());
    }

    #[test]
    fn no_bytes_panic_a_decoder(bytes in proptest::collection::vec(any::<u8>(), 0..200), text in ".{0,200}") {
        let _ = Bar::decode(&bytes);
        let _ = wire::frame::Request::decode(&text, 5);
        let _ = text.parse::<wire::TopicFilter>();
        let _ = text.parse::<wire::Subject>();
        let _ = text.parse::<Interval>();
    }
}

#[test]
fn a_sum_that_does_not_fit_changes_nothing() {
    let trade = |id, price: &str, size: &str| Trade {
        id,
        time_ms: 0,
        price: price.parse().unwrap(),
        size: size.parse().unwrap(),
        taker: Side::Buy,
    };
    assert!(Candle::of_trade(&trade(1, "99999999999999", "999999999")).is_err());
    let mut candle = Candle::of_trade(&trade(1, "10000000000", "1000000")).unwrap();
    let before = candle;
    assert!(
        candle
            .merge(&Candle::of_trade(&trade(2, "10000000000", "1000000")).unwrap())
            .is_err()
    );
    assert_eq!(candle, before);
}
