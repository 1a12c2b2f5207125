//! Closed bars that are given again: trades that come late or are fetched, ids that turn out not to be.

use std::sync::Arc;

use marketdata::aggregate::Series;
use proptest::collection::vec;
use proptest::prelude::*;
use wire::Completeness;

use crate::properties::{
    self, END_MS, INTERVALS, arrivals, cases, collect, expected, made, roll_up_differs, step,
};
use crate::support::{DAY_MS, Op, check, config, drain, trade};

proptest! {
    #![proptest_config(cases())]

    /// Trades get lost and are fetched some time later, in batches. Long bars say what the short ones say, always;
    /// where all of them could be added, every bar is what it would be had nothing been lost.
    #[test]
    fn what_is_fetched_makes_every_bar_whole(
        made in vec(made(), 2..60),
        lost in vec(proptest::bool::weighted(0.2), 60),
        late in vec(0..30_000i64, 60),
        tick_ms in proptest::option::of(100..3_000i64),
        close_on_ids in any::<bool>(),
    ) {
        let mut trades = properties::trades(&made, false);
        trades.push(trade(100 + made.len() as u64, 900_000));
        let mut config = properties::config(INTERVALS);
        config.close_on_ids = close_on_ids;
        let is_lost = |at: usize| at > 0 && lost[at];
        let kept: Vec<usize> = (0..made.len()).filter(|&at| !is_lost(at)).collect();
        let kept_made: Vec<_> = kept.iter().map(|&at| made[at].clone()).collect();
        let kept: Vec<_> = kept.iter().map(|&at| trades[at]).collect();
        let mut steps = arrivals(&kept_made, &kept, tick_ms);
        for at in (0..made.len()).filter(|&at| is_lost(at)) {
            let (id, made_at) = (trades[at].id, trades[at].time_ms - DAY_MS);
            let fetched_at = made_at + late[at];
            steps.push((fetched_at, Op::Fetched { id, at: made_at }));
            if at % 3 == 0 {
                steps.push((fetched_at, Op::End));
            }
        }
        steps.push((900_000, step(&trades[made.len()])));
        steps.sort_by_key(|(at, _)| *at);
        let mut ops = vec![Op::Up(Some(0))];
        ops.extend(steps.into_iter().map(|(_, op)| op));
        ops.extend([Op::Clock(END_MS), Op::End]);
        let mut series = Series::new(&Arc::new(config.clone()));
        let mut closed = Vec::new();
        for op in &ops {
            op.apply(&mut series);
            closed.extend(drain(&mut series));
        }
        let bars = collect(&closed);
        prop_assert_eq!(roll_up_differs(&config, &bars), None, "{:?}", ops);
        if series.counters().late + series.counters().rejected > 0 {
            return Ok(());
        }
        let truth = expected(&config, &trades);
        for (key, (candle, completeness)) in &truth {
            let Some((got, is)) = bars.get(key) else { continue };
            prop_assert_eq!(got, candle, "{:?} {:?}", key, ops);
            prop_assert!(*is <= Completeness::Repaired, "{:?} {} {:?}", key, is, ops);
            prop_assert_eq!(is == &Completeness::Quiet, completeness == &Completeness::Quiet);
        }
    }
}

#[test]
fn a_late_trade_amends_every_bar_that_lacks_it() {
    // It was told live, if late: with it, the bar is complete.
    check(
        "1s 5s",
        "up:0 1@100 3@3000 clock:5000 => gap(2-2 in 100..3000) 1s:0=gap[1] 1s:1000=gap 1s:2000=gap; \
         2@200 2@200 => Amended Duplicate; clock:5999 => ; \
         clock:6000 => 1s:0=complete[1-2]r1 1s:1000=quietr1 1s:2000=quietr1 1s:3000=complete[3]; \
         clock:7000 => 1s:4000=quiet 5s:0=complete[1-3]",
    );
    // Where nothing was known to be missing, too; those that come together amend once.
    check(
        "1s 5s",
        "up:0 3@1900 clock:4000 => 1s:1000=complete[3]; 2@1200 1@1100 => Amended Amended; \
         clock:5000 => 1s:1000=complete[1-3]r1 1s:2000=quiet; clock:7000 => 1s:3000=quiet 1s:4000=quiet 5s:0=complete[1-3]",
    );
    // A bar that was closed for long is not held: the trade is in none, so that longer bars do not differ from it.
    check(
        "1s 20s",
        "up:0 2@100 3@1100 4@2100 5@3100 6@4100 7@5100 8@6100 9@7100 10@8100 11@9100 12@10100 clock:13000 => \
         1s:0=complete[2] 1s:1000=complete[3] 1s:2000=complete[4] 1s:3000=complete[5] 1s:4000=complete[6] \
         1s:5000=complete[7] 1s:6000=complete[8] 1s:7000=complete[9] 1s:8000=complete[10] 1s:9000=complete[11] \
         1s:10000=complete[12]; ref:1@50 => Late late(1); \
         13@20000 clock:22000 => 1s:11000=quiet 1s:12000=quiet 1s:13000=quiet 1s:14000=quiet 1s:15000=quiet 1s:16000=quiet \
         1s:17000=quiet 1s:18000=quiet 1s:19000=quiet 20s:0=gap[2-12]",
    );
}

#[test]
fn fetched_trades_repair_what_lacks_them_once_a_batch() {
    check(
        "1s 5s",
        "ref:1@-50 up:0 2@100 5@3000 clock:5000 => Reference gap(3-4 in 100..3000) 1s:0=gap[2] 1s:1000=gap 1s:2000=gap; \
         get:3@200 get:4@2500 => Amended Amended; \
         end => 1s:0=repaired[2-3]r1 1s:1000=quietr1 1s:2000=repaired[4]r1; \
         clock:7000 => 1s:3000=complete[5] 1s:4000=quiet 5s:0=repaired[2-5]",
    );
    // A part of them: what is left stays a gap where it can be.
    check(
        "1s 5s",
        "ref:1@-50 up:0 2@100 5@3000 clock:5000 => Reference gap(3-4 in 100..3000) 1s:0=gap[2] 1s:1000=gap 1s:2000=gap; \
         get:3@2200 end => Amended 1s:0=complete[2]r1 1s:1000=quietr1 1s:2000=gap[3]r1; \
         clock:7000 => 1s:3000=gap[5] 1s:4000=quiet 5s:0=gap[2-5]; \
         get:4@2900 end => Amended 1s:2000=repaired[3-4]r2 1s:3000=complete[5]r1 5s:0=repaired[2-5]r1",
    );
    // In time, they are in the first close.
    check(
        "1s",
        "ref:1@-50 up:0 2@100 4@1200 => Reference; get:3@900 end => 1s:0=repaired[2-3]",
    );
}

#[test]
fn flat_bars_follow_the_trade_that_was_fetched() {
    let mut series = Series::new(&Arc::new(config("1s")));
    for op in ["ref:1@-50", "up:0", "2@100", "5@5000", "clock:7000"] {
        Op::parse(op).apply(&mut series);
    }
    let closed = drain(&mut series);
    assert_eq!(closed[4].candle.close, trade(2, 0).price);
    for op in ["get:3@1500", "get:4@2500", "end"] {
        Op::parse(op).apply(&mut series);
    }
    let amended = drain(&mut series);
    let prices: Vec<_> = amended
        .iter()
        .map(|bar| (bar.candle.count, bar.candle.close, bar.rev))
        .collect();
    let price = |id| trade(id, 0).price;
    let expect = [
        (1, price(2), 1),
        (1, price(3), 1),
        (1, price(4), 1),
        (0, price(4), 1),
        (0, price(4), 1),
    ];
    assert_eq!(prices, expect);
}

#[test]
fn ids_that_are_void_are_not_missing() {
    check(
        "1s 5s",
        "ref:1@-50 up:0 2@100 5@3000 clock:5000 => Reference gap(3-4 in 100..3000) 1s:0=gap[2] 1s:1000=gap 1s:2000=gap; \
         void:3-4 end => 1s:0=complete[2]r1 1s:1000=quietr1 1s:2000=quietr1; \
         clock:7000 => 1s:3000=complete[5] 1s:4000=quiet 5s:0=complete[2-5]",
    );
    // Beside those that are not.
    check(
        "1s",
        "ref:1@-50 up:0 2@100 7@3000 clock:5000 => Reference gap(3-6 in 100..3000) 1s:0=gap[2] 1s:1000=gap 1s:2000=gap; \
         get:3@1100 void:4-5 get:6@1200 end => Amended Amended 1s:0=complete[2]r1 1s:1000=repaired[3-6]r1 1s:2000=quietr1; \
         4@2900 5@2900 => Duplicate Duplicate",
    );
    // Nothing is known of what lies beyond the highest id.
    check("1s", "ref:1@-50 up:0 2@100 void:3-9 3@200 => Reference");
}

#[test]
fn an_outage_that_is_filled_is_given_again() {
    check(
        "1s 10s",
        "ref:1@-50 up:0 2@100 3@1000 => Reference 1s:0=complete[2]; down up:6000 6@6100 => ; \
         clock:8100 => outage(1000..6000) gap(4-5 in 1000..6100) 1s:1000=gap[3] 1s:2000=unknown 1s:3000=unknown 1s:4000=unknown \
         1s:5000=unknown; \
         get:4@2500 get:5@4500 end => Amended Amended 1s:1000=complete[3]r1 1s:2000=repaired[4]r1 1s:3000=quietr1 \
         1s:4000=repaired[5]r1 1s:5000=quietr1; \
         clock:9000 => 1s:6000=complete[6]; clock:12000 => 1s:7000=quiet 1s:8000=quiet 1s:9000=quiet 10s:0=repaired[2-6]",
    );
}

#[test]
fn what_no_trade_can_make_good_stays_a_gap() {
    // The damaged id was taken, so that the bar holds it for good; of what follows, ids show that it is whole.
    check(
        "1s 5s",
        "ref:1@-50 up:0 2@100 50000@200 3@300 4@400 => Reference against; \
         clock:4400 => gap(5-49999 in -1600..2200) cut(50000) 1s:0=gap[2-50000] 1s:1000=gap; \
         5@4500 6@4600 7@9000 clock:12000 => 1s:2000=quiet 1s:3000=quiet 1s:1000=quietr1 1s:4000=complete[5-6] \
         5s:0=gap[2-50000] 1s:5000=quiet 1s:6000=quiet 1s:7000=quiet 1s:8000=quiet 1s:9000=complete[7] 5s:5000=complete[7]",
    );
}
