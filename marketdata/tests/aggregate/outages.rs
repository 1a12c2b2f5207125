//! What a feed that was down leaves behind.

use crate::support::{check, check_with, config};

#[test]
fn nothing_closes_by_the_clock_while_the_feed_is_down() {
    check("1s", "up:0 1@100 down clock:9000 => ; 2@9100 => ");
    // Of what was due before, the window had passed.
    check("1s", "up:0 1@100 clock:3000 down => 1s:0=complete[1]");
}

#[test]
fn without_proof_its_buckets_are_unknown() {
    check(
        "1s 10s",
        "ref:1@-50 up:0 2@100 3@1000 => Reference 1s:0=complete[2]; down up:5500 clock:7499 => ; \
         clock:7500 => outage(1000..5500) 1s:1000=unknown[3] 1s:2000=unknown 1s:3000=unknown 1s:4000=unknown; \
         clock:8000 => 1s:5000=unknown; clock:12000 => 1s:6000=quiet 1s:7000=quiet 1s:8000=quiet 1s:9000=quiet \
         10s:0=unknown[2-3]",
    );
    // What may have been under way when the connection broke is in doubt as well.
    check(
        "1s",
        "up:0 1@100 clock:2900 down up:5000 clock:7000 => outage(900..5000) 1s:0=unknown[1] 1s:1000=unknown \
         1s:2000=unknown 1s:3000=unknown 1s:4000=unknown",
    );
}

#[test]
fn contiguous_ids_bridge_it() {
    check(
        "1s",
        "ref:1@-50 up:0 2@100 3@1000 => Reference 1s:0=complete[2]; down up:6000 => ; \
         4@6100 => 1s:1000=complete[3] 1s:2000=quiet 1s:3000=quiet 1s:4000=quiet 1s:5000=quiet; \
         clock:9000 => 1s:6000=complete[4]",
    );
    // Within the window after the feed is back; and a snapshot's trades do as well.
    check(
        "1s",
        "ref:1@-50 up:0 2@100 3@1000 => Reference 1s:0=complete[2]; down up clock:4000 clock:5999 => ; \
         ref:4@3500 => 1s:1000=complete[3] 1s:2000=quiet; \
         ref:5@4100 => 1s:3000=complete[4]; clock:7000 => 1s:4000=complete[5]",
    );
}

#[test]
fn jumped_ids_make_its_edges_gaps() {
    check(
        "1s 10s",
        "ref:1@-50 up:0 2@100 3@1000 => Reference 1s:0=complete[2]; down up:6000 6@6100 => ; \
         clock:8000 => outage(1000..6000); \
         clock:8100 => gap(4-5 in 1000..6100) 1s:1000=gap[3] 1s:2000=unknown 1s:3000=unknown 1s:4000=unknown \
         1s:5000=unknown; \
         clock:9000 => 1s:6000=gap[6]; clock:12000 => 1s:7000=quiet 1s:8000=quiet 1s:9000=quiet 10s:0=gap[2-6]",
    );
}

#[test]
fn ids_that_go_on_later_than_the_window_amend_it() {
    check(
        "1s 10s",
        "ref:1@-50 up:0 2@100 down up:1500 clock:3500 => Reference outage(100..1500) 1s:0=unknown[2]; \
         3@5000 => 1s:1000=quiet 1s:2000=quiet 1s:3000=quiet 1s:4000=quiet; clock:5999 => ; \
         clock:6000 => 1s:0=complete[2]r1; \
         4@10000 => 1s:5000=complete[3] 1s:6000=quiet 1s:7000=quiet 1s:8000=quiet 1s:9000=quiet 10s:0=complete[2-3]",
    );
    // What was closed as unknown by then is given again, each bucket, long ones too.
    check(
        "1s 2s",
        "ref:1@-50 up:0 2@100 down up:4000 clock:6000 => Reference outage(100..4000) 1s:0=unknown[2] 1s:1000=unknown \
         2s:0=unknown[2] 1s:2000=unknown 1s:3000=unknown 2s:2000=unknown; \
         3@6500 clock:7500 => 1s:4000=quiet 1s:5000=quiet 2s:4000=quiet 1s:0=complete[2]r1 1s:1000=quietr1 \
         2s:0=complete[2]r1 1s:2000=quietr1 1s:3000=quietr1 2s:2000=quietr1",
    );
}

#[test]
fn a_feed_that_flaps_has_one_outage() {
    check(
        "1s",
        "up:0 1@100 down up:1000 down up:2500 down up:4000 clock:6000 => outage(100..4000) 1s:0=unknown[1] \
         1s:1000=unknown 1s:2000=unknown 1s:3000=unknown",
    );
}

#[test]
fn what_closed_before_a_hole_was_known_is_amended_and_long_bars_agree() {
    let mut config = config("2s 6s");
    config.close_on_ids = false;
    check_with(
        config,
        "up:0 1@1900 2@3805 clock:4000 => 2s:0=complete[1]; down up:10000 4@10100 => ; \
         clock:14100 => outage(2000..10000) gap(3-3 in 1805..12100) 2s:2000=unknown[2] 2s:4000=unknown \
         6s:0=gap[1-2] 2s:6000=unknown 2s:8000=unknown 2s:10000=gap[4] 6s:6000=gap[4]; clock:15100 => 2s:0=gap[1]r1",
    );
}
