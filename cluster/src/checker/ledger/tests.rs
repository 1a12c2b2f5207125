use super::*;

use wire::{Instrument, Interval, Price, Quote, Size, Symbol, Venue};

const TOPIC: &str = "kline:1s:BTC-USDT";

/// A close of the `second`th second.
fn close(close_no: u64, second: i64, rev: u32) -> Bar {
    let price: Price = "100.5".parse().unwrap();
    let (size, quote): (Size, Quote) = ("1".parse().unwrap(), "100.5".parse().unwrap());
    Bar {
        topic: TOPIC.parse().unwrap(),
        instrument: Instrument::new(
            Venue::new("binance-spot").unwrap(),
            Symbol::new("BTC-USDT").unwrap(),
        ),
        interval: "1s".parse::<Interval>().unwrap(),
        start_ms: second * 1_000,
        candle: Candle {
            open: price,
            high: price,
            low: price,
            close: price,
            volume: size,
            quote_volume: quote,
            taker_buy_volume: size,
            taker_buy_quote_volume: quote,
            count: 1,
            ids: Some((7, 7)),
        },
        closed: true,
        rev,
        completeness: Completeness::Complete,
        close_no,
        epoch: 5,
        seq: 0,
        event_time_ms: 0,
        publish_time_ms: 0,
    }
}

fn ledger(bars: impl IntoIterator<Item = Bar>) -> Ledger {
    let mut ledger = Ledger::default();
    for (number, bar) in (1..).zip(bars) {
        ledger.handle_bar(&bar, Duration::from_secs(number));
    }
    ledger
}

/// What the ledger says of these closes, given as (close_no, second, rev).
#[track_caller]
fn check(closes: &[(u64, i64, u32)], expect: &[&str]) {
    let bars = closes
        .iter()
        .map(|&(no, second, rev)| close(no, second, rev));
    let said: Vec<_> = ledger(bars)
        .violations()
        .iter()
        .map(ToString::to_string)
        .collect();
    assert_eq!(said.len(), expect.len(), "{said:?}");
    for (said, part) in said.iter().zip(expect) {
        assert!(
            said.starts_with(TOPIC) && said.contains(part),
            "{said:?} lacks {part:?}"
        );
    }
}

#[test]
fn closes_in_order_with_amendments_between_are_right() {
    check(&[], &[]);
    check(
        &[(8, 1, 0), (9, 2, 0), (10, 1, 1), (11, 1, 2), (12, 3, 0)],
        &[],
    );
    // The bar of second 0 closed before the client came.
    check(&[(8, 1, 0), (9, 0, 3), (10, 0, 4), (11, 2, 0)], &[]);
}

#[test]
fn gaps_doubles_and_leaps_are_told() {
    check(&[(8, 1, 0), (10, 2, 0)], &["close 10 came, 9 was next"]);
    check(
        &[(8, 1, 0), (8, 1, 0)],
        &[
            "close 8 came again, 9 was next",
            "the bar of 1000 closed, that of 2000",
        ],
    );
    check(
        &[(8, 1, 0), (9, 3, 0)],
        &["the bar of 3000 closed, that of 2000"],
    );
    check(
        &[(8, 1, 0), (9, 1, 0)],
        &["the bar of 1000 closed, that of 2000"],
    );
    check(&[(8, 1, 0), (9, 1, 2)], &["rev 2 of 1000 came, 1 was next"]);
    check(
        &[(8, 1, 0), (9, 1, 1), (10, 1, 1)],
        &["rev 1 of 1000 came, 2 was next"],
    );
}

#[test]
fn epochs_never_fall_and_open_bars_say_nothing() {
    let mut late = close(9, 2, 0);
    late.epoch = 4;
    let kept = ledger([close(8, 1, 0), late]);
    assert_eq!(kept.violations().len(), 1);
    assert!(
        kept.violations()[0]
            .to_string()
            .contains("epoch fell from 5 to 4")
    );
    let mut open = close(3, 9, 0);
    open.closed = false;
    let kept = ledger([close(8, 1, 0), open, close(9, 2, 0)]);
    assert!(kept.violations().is_empty());
    assert_eq!(kept.count(), 2);
}

#[test]
fn after_is_the_highest_number_and_missed_is_told() {
    let mut kept = ledger([close(8, 1, 0), close(9, 2, 0)]);
    assert_eq!(kept.after(), BTreeMap::from([(TOPIC.to_owned(), 9)]));
    kept.handle_missed(TOPIC.parse().unwrap(), 10, 12);
    assert!(kept.violations()[0].to_string().contains("10 to 12"));
}

#[test]
fn what_a_close_was_waited_for() {
    let topic: Topic = TOPIC.parse().unwrap();
    let ms = Duration::from_millis;
    let mut kept = Ledger::default();
    let waited = |kept: &Ledger, since| kept.waited_since(&topic, since).map(|(waited, _)| waited);
    assert_eq!(waited(&kept, ms(0)), None);
    // Bars of one second, from the second 1 on. Those that end at 3 s, 4 s and 5 s come late together.
    for (number, at) in (1..).zip([2_100, 6_500, 6_500, 6_600, 6_700, 7_100]) {
        kept.handle_bar(&close(number, i64::try_from(number).unwrap(), 0), ms(at));
    }
    assert_eq!(kept.last_at(&topic), Some(ms(7_100)));
    // From the fault on, not from the end of the bar that it held up.
    assert_eq!(waited(&kept, ms(3_050)), Some(ms(3_450)));
    // From the end of the first bar that ended after it.
    assert_eq!(waited(&kept, ms(2_200)), Some(ms(3_500)));
    assert_eq!(waited(&kept, ms(6_800)), Some(ms(100)));
    assert_eq!(waited(&kept, ms(7_100)), None, "silent since then");
    // What is amended later was not waited for.
    kept.handle_bar(&close(7, 1, 1), ms(9_000));
    assert_eq!(waited(&kept, ms(7_100)), None);
}

#[test]
fn two_clients_are_compared_by_number() {
    let one = ledger([close(8, 1, 0), close(9, 2, 0)]);
    let two = ledger([close(9, 2, 0), close(10, 3, 0)]);
    assert!(one.differences(&two).is_empty());
    let mut other = close(9, 2, 0);
    other.candle.count = 2;
    other.candle.ids = Some((7, 8));
    let found = one.differences(&ledger([other]));
    assert_eq!(found.len(), 1);
    assert!(found[0].to_string().contains("close 9 is not the same"));
}
