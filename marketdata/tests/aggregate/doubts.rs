//! Ids and times that one message alone is not believed.

use std::sync::Arc;

use marketdata::aggregate::{Rejection, Series, TradeOutcome};
use wire::{Completeness, Price, Trade};

use crate::support::{DAY_MS, Op, check, config, drain, trade};

#[test]
fn a_damaged_id_far_ahead_is_in_no_bar_and_hides_no_loss() {
    check(
        "1s 5s",
        "ref:1@-50 up:0 2@100 400000000@200 => Reference Held; 3@300 => ; 4@1200 => 1s:0=gap[2-3]; \
         clock:3300 5@3400 clock:6000 => 1s:1000=complete[4] 1s:2000=quiet 1s:3000=complete[5]; \
         7@6100 8@6500 clock:9000 => gap(6-6 in 3400..6100) 1s:4000=gap 5s:0=gap[2-5] 1s:5000=gap 1s:6000=gap[7-8]; \
         9@9100 10@9900 12@9950 clock:14000 => 1s:7000=quiet 1s:8000=quiet gap(11-11 in 9900..9950) 1s:3000=gap[5]r1 1s:9000=gap[9-12] \
         5s:5000=gap[7-12] 1s:10000=quiet 1s:11000=quiet",
    );
    // Where no other comes to contradict it, the window does.
    check(
        "1s",
        "ref:1@-50 up:0 2@100 400000000@200 => Reference Held; clock:2199 => ; clock:3000 => 1s:0=gap[2]",
    );
}

#[test]
fn an_id_far_ahead_that_the_next_agrees_with_is_in_its_bar() {
    check(
        "1s",
        "ref:1@-50 up:0 2@100 down up:9000 => Reference; 400000000@9100 400000000@9100 2@100 => Held Duplicate Duplicate; \
         400000001@9200 clock:11200 => outage(100..9000) gap(3-399999999 in 100..9100) 1s:0=gap[2] 1s:1000=unknown \
         1s:2000=unknown 1s:3000=unknown 1s:4000=unknown 1s:5000=unknown 1s:6000=unknown 1s:7000=unknown \
         1s:8000=unknown; clock:12000 => 1s:9000=gap[400000000-400000001]",
    );
    // In a quiet market it is in no bar, but the next is believed all the same.
    check(
        "1s",
        "ref:1@-50 up:0 2@100 400000000@200 => Reference Held; clock:5000 => 1s:0=gap[2] 1s:1000=quiet 1s:2000=quiet; \
         400000001@5100 => ; clock:7100 => gap(3-400000000 in 100..5100) 1s:3000=gap 1s:4000=gap",
    );
    // Two that do not agree: the first is dropped, the second held.
    check(
        "1s",
        "ref:1@-50 up:0 2@100 400000000@200 700000000@300 => Reference Held Held; 3@400 4@1000 => 1s:0=gap[2-3]",
    );
}

#[test]
fn a_damaged_id_near_ahead_is_overruled() {
    check(
        "1s 5s",
        "ref:1@-50 up:0 2@100 50000@200 3@300 => Reference against; 4@1200 => ; \
         clock:4200 => gap(5-49999 in -800..2200) cut(50000) 1s:0=gap[2-50000] 1s:1000=gap[4]; \
         clock:9000 => 1s:2000=gap 1s:3000=quiet 1s:4000=quiet 5s:0=gap[2-50000] 1s:5000=quiet 1s:6000=quiet; \
         5@9000 => 1s:7000=quiet 1s:8000=quiet; 6@9100 => ; \
         clock:12000 => 1s:1000=complete[4]r1 1s:2000=quietr1 1s:9000=complete[5-6] 5s:5000=complete[5-6]; 8@12500 9@13000 clock:14499 => ; \
         clock:16000 => gap(7-7 in 9100..12500) 1s:10000=gap 1s:11000=gap 1s:12000=gap[8] 1s:13000=complete[9]",
    );
    // Those that come after the window are held first.
    check(
        "1s 10s",
        "ref:1@-50 up:0 2@100 50000@200 => Reference; \
         3@6000 => Held gap(3-49999 in 100..200) 1s:0=gap[2-50000] 1s:1000=quiet 1s:2000=quiet 1s:3000=quiet; \
         4@6100 => cut(3) 1s:4000=quiet 1s:5000=quiet; \
         6@7100 clock:12000 => gap(5-5 in 6100..7100) 1s:6000=gap[3-4] 1s:7000=gap[6] 1s:8000=quiet 1s:9000=quiet \
         10s:0=gap[2-50000]",
    );
}

#[test]
fn what_is_told_of_a_hole_is_told_once_and_what_is_lost_since_as_well() {
    // A part that came after all leaves the rest as it was told.
    check(
        "1s",
        "ref:1@-50 up:0 2@100 10@200 clock:2300 => Reference gap(3-9 in 100..200); 5@150 clock:3000 => 1s:0=gap[2-10]",
    );
    // Newer than the hole: not of it.
    check(
        "1s",
        "ref:1@-50 up:0 2@100 50000@200 clock:2300 => Reference gap(3-49999 in 100..200); \
         4@2100 5@2200 => against cut(50000); \
         clock:4400 => gap(3-3 in 100..2100) 1s:0=gap[2-50000] 1s:1000=gap",
    );
}

#[test]
fn what_follows_a_damaged_id_bears_the_venues_price() {
    for script in [
        "ref:1@-50 up:0 2@100 50000@200 3@300 4@1200 clock:12000",
        "ref:1@-50 up:0 2@100 50000@200 3@300 4@1200 clock:4500 5@4600 clock:12000",
        "ref:5000@-50 up:0 5001@100 5002@900 1@1100 2@1200 3@1900 clock:12000",
        "ref:1@-50 up:0 2@100 50000@200 clock:4000 3@4500 4@4600 clock:12000",
    ] {
        let mut series = Series::new(&Arc::new(config("1s 5s")));
        let (mut newest, mut bars) = (0, Vec::new());
        for step in script.split_whitespace().map(Op::parse) {
            if let Op::Trade { id, .. } = step {
                newest = id;
            }
            step.apply(&mut series);
            bars.extend(drain(&mut series));
        }
        let price = trade(newest, 0).price;
        bars.retain(|bar| bar.start_ms >= DAY_MS + 5_000);
        assert!(bars.len() >= 2, "{script}");
        for bar in &bars {
            assert_eq!((bar.candle.count, bar.candle.close), (0, price), "{script}");
        }
        let open = series.open(bars[0].interval).unwrap();
        assert_eq!(open.candle.close, price, "{script}");
    }
}

#[test]
fn a_venue_that_begins_its_ids_anew_is_followed() {
    check(
        "1s",
        "ref:5000@-50 up:0 5001@100 5002@900 1@1100 2@1200 3@1900 clock:4500 => Reference against \
         gap(4-4999 in -100..1950) cut(5000) 1s:0=gap[5001-5002] 1s:1000=gap[1-3]; \
         4@5000 6@5100 8@5200 clock:7500 => 1s:2000=quiet 1s:3000=quiet 1s:4000=quiet gap(5-5 in 5000..5100) \
         gap(7-7 in 5100..5200); 9@8000 clock:12000 => 1s:5000=gap[4-8] 1s:6000=quiet 1s:7000=quiet \
         1s:8000=complete[9] 1s:9000=quiet",
    );
    // With ids that were seen: none is newer than it was.
    check(
        "1s 10s",
        "ref:1@-50 up:0 2@100 3@900 => Reference; 1@1100 => Held; 2@1200 => cut(1); 3@2300 4@3000 5@10000 => 1s:0=gap[2-3] 1s:1000=gap[1-2] \
         1s:2000=complete[3] 1s:3000=complete[4] 1s:4000=quiet 1s:5000=quiet 1s:6000=quiet 1s:7000=quiet \
         1s:8000=quiet 1s:9000=quiet; clock:12000 => 10s:0=gap[1-4]",
    );
    // Twice within one bar, which holds more trades than ids then.
    check(
        "1m",
        "ref:1@-50 up:0 2@100 3@900 4@1000 => Reference; 1@1100 2@1200 3@1300 4@1400 => Held cut(1); \
         1@1500 2@1600 3@1700 => Held cut(1); clock:63000 4@64000 5@65000 => 1m:0=gap[1-4]",
    );
}

#[test]
fn a_first_id_that_is_damaged_does_not_last() {
    check(
        "1s",
        "up:0 18446744073709551615@100 1000@200 => Held; \
         1001@300 1002@1400 clock:4000 => cut(1000) 1s:0=gap[1000-18446744073709551615] 1s:1000=complete[1002]; \
         1003@4100 1004@5200 => 1s:2000=quiet 1s:3000=quiet 1s:4000=complete[1003]",
    );
}

#[test]
fn one_id_below_all_others_is_in_no_bar() {
    check(
        "1s",
        "up:0 5000000000@100 5000000001@1000 1@1200 => Held; \
         5000000002@2000 5000000003@3000 => 1s:0=gap[5000000000] 1s:1000=gap[5000000001] 1s:2000=complete[5000000002]",
    );
    // Two that are apart from each other too are no more.
    check(
        "1s",
        "up:0 5000000000@100 1@1200 900000@1300 => Held Held; 5000000001@1400 clock:4000 => 1s:0=gap[5000000000] 1s:1000=gap[5000000001]",
    );
}

#[test]
fn a_trade_is_not_of_the_time_after_its_message() {
    check(
        "1s",
        "ref:1@-50 up:0 2@100 3@50150/150 => Reference Rejected(TimeAhead); 4@1200 => ; 5@2300 clock:3200 => gap(3-3 in 100..1200) 1s:0=gap[2]; \
         clock:5000 => 1s:1000=gap[4] 1s:2000=complete[5]",
    );
    // Nor is it waited for what shows it.
    check(
        "1s",
        "ref:1@-50 up:0 2@100 3@50150/150 => Reference Rejected(TimeAhead); clock:3000 => 1s:0=gap[2]",
    );
    // Rounding is no damage.
    check(
        "1s",
        "ref:1@-50 up:0 2@1000/0 => Reference 1s:0=quiet; 3@2001/1000 => Rejected(TimeAhead)",
    );
}

#[test]
fn a_live_trade_is_not_of_the_time_before_the_first_bar() {
    check(
        "1s",
        "up:0 1@-900000000/100 2@200 => Rejected(TimeBehind); clock:3000 => 1s:0=gap[2]",
    );
    check("1s", "up:0 1@-1900/100 => Reference");
    // Sent late, but not too late.
    check(
        "1s",
        "ref:1@-50 up:0 2@950/2960 => Reference; clock:3000 => 1s:0=complete[2]",
    );
}

#[test]
fn the_newest_trade_told_again_does_not_settle_an_outage() {
    check(
        "1s",
        "ref:1@-50 up:0 2@100 3@1500 down up:6000 => Reference 1s:0=complete[2]; ref:3@1500 => Duplicate; \
         clock:8000 => outage(1500..6000) 1s:1000=unknown[3] 1s:2000=unknown 1s:3000=unknown 1s:4000=unknown 1s:5000=unknown",
    );
}

#[test]
fn a_step_of_the_clock_is_bounded_while_the_feed_is_alive() {
    check(
        "1m",
        "ref:1@-50 up:0 2@100 clock:1000 clock:43200000 => Reference; 3@5000 4@60000 => 1m:0=complete[2-3]",
    );
    // After it was down the first may be far ahead.
    check(
        "1h",
        "ref:1@-50 up:0 2@100 down up:7200000 clock:7202000 => Reference outage(100..7200000) \
         1h:0=unknown[2] 1h:3600000=unknown",
    );
}

#[test]
fn what_ran_against_ids_before_a_cut_still_does() {
    check(
        "1s",
        "ref:1@-50 up:0 2@400 3@399 => Reference against; 50000@500 4@600 5@700 clock:4500 => \
         gap(6-49999 in -1300..2500) cut(50000) 1s:0=gap[2-50000] 1s:1000=gap; 6@5900 => 1s:2000=gap; 7@6000 => 1s:3000=quiet",
    );
}

#[test]
fn what_finds_no_room_to_be_marked_is_marked_all_the_same() {
    let mut series = Series::new(&Arc::new(config("1s")));
    for step in ["ref:1@-50", "up:0", "2@100", "down"] {
        Op::parse(step).apply(&mut series);
    }
    for id in 3..4_099u32 {
        series.handle_reference(&trade(u64::from(id), i64::from(id) * 1_000));
    }
    for step in [
        "ref:400000000@5000000",
        "ref:4099@4098500",
        "up:5001500",
        "clock:5004000",
    ] {
        Op::parse(step).apply(&mut series);
    }
    let closed = drain(&mut series);
    let of = |at: i64| closed[usize::try_from(at / 1_000).unwrap()].completeness;
    assert_eq!(of(4_999_000), Completeness::Unknown);
    assert_eq!(of(5_000_000), Completeness::Gap);
}

#[test]
fn what_finds_no_room_is_told_so_and_not_taken() {
    let mut series = Series::new(&Arc::new(config("1s")));
    for step in ["ref:1@-50", "up:0", "2@100", "down"] {
        Op::parse(step).apply(&mut series);
    }
    // A snapshot of more seconds than are held, while the feed is down.
    for id in 3..4_099u32 {
        series.handle_reference(&trade(2 * u64::from(id), i64::from(id) * 1_000));
    }
    let no_value = Trade {
        price: Price::from_units(i128::MAX).unwrap(),
        ..trade(9_001, 5_000_000)
    };
    let outcome = series.handle_reference(&no_value);
    assert_eq!(outcome, TradeOutcome::Rejected(Rejection::Backlog));
    assert_eq!(series.counters().overflow, 0);
}
