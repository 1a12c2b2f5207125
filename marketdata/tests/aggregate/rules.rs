//! When bars begin and close, and what they are marked as while the feed is alive.

use std::sync::Arc;

use marketdata::aggregate::Series;
use wire::Completeness;

use crate::support::{DAY_MS, Op, check, check_with, config, interval, trade};

#[test]
fn contiguous_ids_close_at_once() {
    check(
        "1s",
        "ref:1@-50 up:0 => Reference; 2@100 3@999 => ; 4@1000 => 1s:0=complete[2-3]",
    );
    // Quiet buckets in between are proven too.
    check(
        "1s",
        "ref:1@-50 up:0 => Reference; 2@100 => ; 3@3500 => 1s:0=complete[2] 1s:1000=quiet 1s:2000=quiet",
    );
    // The id between is missing until it comes.
    check(
        "1s",
        "ref:1@-50 up:0 2@100 4@1000 => Reference; 3@999 => 1s:0=complete[2-3]",
    );
    check(
        "1s",
        "ref:1@-50 up:0 2@100 4@1100 => Reference; 3@1099 => 1s:0=complete[2]",
    );
    // Of those that are due together the one that ends first comes first, then the shorter.
    check(
        "1m 20s",
        "ref:1@-50 up:0 clock:9000 => Reference; clock:61999 => 20s:0=quiet 20s:20000=quiet; \
         clock:62000 => 20s:40000=quiet 1m:0=quiet",
    );
    check(
        "2s 1s 3s",
        "ref:1@-50 up:0 2@100 => Reference; \
         3@3000 => 1s:0=complete[2] 1s:1000=quiet 2s:0=complete[2] 1s:2000=quiet 3s:0=complete[2]",
    );
}

#[test]
fn else_the_clock_closes_after_the_window() {
    check(
        "1s",
        "up:0 1@100 clock:2999 => ; clock:3000 => 1s:0=complete[1]; clock:4500 => 1s:1000=quiet",
    );
    // The time at which a message was sent is the venue's clock too.
    check("1s", "up:0 1@100 => ; 2@1200/3000 => 1s:0=complete[1]");
    // The first bar has none before it that ids could lead on from.
    check(
        "1s",
        "up:0 1@100 2@1000 3@2000 4@2999 => ; 5@3000 => 1s:0=complete[1] 1s:1000=complete[2] 1s:2000=complete[3-4]",
    );
    // The clock never goes back.
    check(
        "1s",
        "up:0 1@100 clock:2900 clock:10 => ; clock:3000 => 1s:0=complete[1]",
    );
}

#[test]
fn without_trust_in_ids_only_the_clock_closes() {
    let mut config = config("1s");
    config.close_on_ids = false;
    check_with(
        config,
        "ref:1@-50 up:0 2@100 3@1000 => Reference; clock:2999 => ; clock:3000 => 1s:0=complete[2]",
    );
}

#[test]
fn times_that_run_against_ids_end_the_trust() {
    check(
        "1s",
        "ref:1@-50 up:0 2@100 3@400 => Reference; 4@399 => against; 5@1000 => ; 6@2999 => ; \
         7@3000 => 1s:0=complete[2-4]",
    );
    // Found where two runs meet, too.
    check("1s", "ref:1@-50 up:0 2@500 4@400 => Reference against");
}

#[test]
fn duplicates_count_once() {
    check(
        "1s",
        "ref:1@-50 up:0 2@100 2@100 1@-50 3@200 2@100 => Reference Duplicate Duplicate Duplicate; \
         4@1000 => 1s:0=complete[2-3]",
    );
}

#[test]
fn a_repetition_is_no_newer_than_the_newest() {
    check(
        "1s",
        "ref:1@-50 up:0 3@900 2@100 3@900 => Reference Duplicate",
    );
}

#[test]
fn bars_begin_with_the_bucket_of_the_first_time_alive() {
    // Partial: never passed off as whole.
    check(
        "1s 1m",
        "up:500 1@600 => ; 2@1700 3@2999 => outage(0..500); clock:3000 => 1s:0=unknown[1] 1s:1000=complete[2]; \
         4@3000 => 1s:2000=complete[3]",
    );
    // A trade of the bucket from before that counts; so does one that only the longer bar spans.
    check(
        "1s",
        "up:500 ref:1@400 2@600 clock:3000 => outage(0..401) 1s:0=unknown[1-2]",
    );
    check(
        "1s 2s",
        "up:1500 ref:1@400 2@1600 clock:4000 => outage(0..401) 1s:1000=complete[2] 2s:0=unknown[1-2]",
    );
    // Without a time of the acknowledgement, the first time heard tells.
    check(
        "1s",
        "up clock:500 1@600 clock:3000 => outage(0..500) 1s:0=unknown[1]",
    );
    check(
        "1s",
        "up 1@600 clock:3000 => outage(0..600) 1s:0=unknown[1]",
    );
    check(
        "1s",
        "up ref:1@-9000 clock:500 2@600 clock:3000 => Reference 1s:0=complete[2]",
    );
    // Not subscribed: a trade is a reference, the clock is nothing.
    check("1s", "1@600 clock:3000 => Reference");
}

#[test]
fn a_first_bar_is_whole_if_alive_from_its_start_or_if_ids_say_so() {
    check(
        "1s",
        "up:1000 1@1600 => ; 2@4000 => 1s:1000=complete[1] 1s:2000=quiet 1s:3000=quiet",
    );
    check(
        "1s",
        "up:1001 1@1600 clock:4000 => outage(1000..1001) 1s:1000=unknown[1]",
    );
    // Trade 1 was before the bucket, and 2 is the next there is.
    check(
        "1s",
        "ref:1@-7000 up:500 2@600 clock:2999 => Reference; clock:3000 => 1s:0=complete[2]",
    );
    check(
        "1s",
        "ref:1@10 up:500 2@600 clock:3000 => Reference outage(0..11) 1s:0=unknown[2]",
    );
    check(
        "1s",
        "ref:1@-7000 up:500 3@600 clock:3000 => Reference outage(0..500) gap(2-2 in -7000..600) 1s:0=gap[3]",
    );
}

#[test]
fn nothing_closes_before_a_price_is_known() {
    check(
        "1s",
        "up:0 clock:9000 => ; 1@9500 clock:11999 => ; clock:12000 => 1s:9000=complete[1]; \
         clock:13500 => 1s:10000=quiet",
    );
    // With a price from before, the first bar is that of the first time alive.
    check(
        "1s",
        "ref:1@-50 up:0 clock:4000 => Reference 1s:0=quiet 1s:1000=quiet",
    );
}

#[test]
fn missing_ids_mark_what_they_may_be_in() {
    // In one bucket.
    check(
        "1s",
        "ref:1@-50 up:0 2@100 4@200 5@1000 => Reference; clock:2199 => ; clock:2200 => gap(3-3 in 100..200); \
         clock:2999 => ; clock:3000 => 1s:0=gap[2-4]; 6@2000 7@3000 => 1s:1000=complete[5] 1s:2000=complete[6]",
    );
    // From the bucket of the trade before to that of the trade after, empty ones included. The first waits until
    // the missing trade can no longer come.
    check(
        "1s 5s",
        "ref:1@-50 up:0 2@100 4@2200 clock:4199 => Reference; \
         clock:4200 => gap(3-3 in 100..2200) 1s:0=gap[2] 1s:1000=gap; clock:5000 => 1s:2000=gap[4]; \
         5@5000 => 1s:3000=quiet 1s:4000=quiet; clock:7000 => 5s:0=gap[2-4]",
    );
    // What fills in time leaves no trace.
    check(
        "1s",
        "ref:1@-50 up:0 2@100 4@2200 clock:4199 => Reference; \
         3@2199 => 1s:0=complete[2] 1s:1000=quiet; clock:5000 => 1s:2000=complete[3-4]",
    );
    // What fills in part is told in part.
    check(
        "1s",
        "ref:1@-50 up:0 2@100 6@300 4@200 clock:2199 => Reference; \
         clock:2300 => gap(3-3 in 100..200) gap(5-5 in 200..300); clock:3000 => 1s:0=gap[2-6]",
    );
    // A bar that closed before the hole was seen is given again.
    check(
        "1s",
        "ref:1@-50 up:0 2@100 clock:3500 => Reference 1s:0=complete[2]; 4@3600 => ; \
         clock:5600 => gap(3-3 in 100..3600) 1s:1000=gap 1s:2000=gap; clock:6000 => 1s:3000=gap[4]; \
         clock:6599 => ; clock:6600 => 1s:0=gap[2]r1",
    );
}

#[test]
fn a_message_that_could_not_be_read_keeps_a_bar_from_passing_as_whole() {
    check(
        "1s",
        "ref:1@-50 up:0 2@100 clock:1200 loss => Reference; clock:4000 => 1s:0=gap[2] 1s:1000=gap; \
         clock:5000 => 1s:2000=quiet",
    );
}

#[test]
fn an_open_bar_that_began_before_its_feed_is_unknown_at_once() {
    let mut series = Series::new(&Arc::new(config("1s 1m")));
    let open = |series: &Series, text: &str| series.open(interval(text)).unwrap().completeness;
    Op::Up(Some(500)).apply(&mut series);
    series.handle_trade(&trade(1, 600), DAY_MS + 600);
    // Long before the outage is told, which takes a window.
    assert_eq!(open(&series, "1s"), Completeness::Unknown);
    assert_eq!(open(&series, "1m"), Completeness::Unknown);
    series.handle_trade(&trade(2, 1_100), DAY_MS + 1_100);
    assert_eq!(open(&series, "1s"), Completeness::Complete);
    assert_eq!(open(&series, "1m"), Completeness::Unknown);
}

#[test]
fn open_bars_follow_trades_and_clock() {
    let mut series = Series::new(&Arc::new(config("1s 1m")));
    let open = |series: &Series, text: &str| {
        series.open(interval(text)).map(|open| {
            let at = open.start_ms - DAY_MS;
            format!("{at} {} {}", open.completeness, open.candle.count)
        })
    };
    assert_eq!(open(&series, "1s"), None);
    Op::Up(Some(0)).apply(&mut series);
    assert_eq!(open(&series, "1s"), None, "no price yet");
    series.handle_trade(&trade(1, 100), DAY_MS + 100);
    assert_eq!(open(&series, "1s").unwrap(), "0 complete 1");
    series.handle_clock(DAY_MS + 1_500);
    assert_eq!(open(&series, "1s").unwrap(), "1000 quiet 0");
    let flat = series.open(interval("1s")).unwrap().candle;
    assert_eq!(flat.close, trade(1, 0).price);
    assert_eq!(open(&series, "1m").unwrap(), "0 complete 1");
    assert_eq!(open(&series, "1h"), None, "not carried");
    series.handle_feed_down();
    assert_eq!(open(&series, "1m").unwrap(), "0 unknown 1");
}
