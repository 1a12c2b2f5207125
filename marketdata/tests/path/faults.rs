//! What goes wrong on the way never makes a wrong bar: each fault of the simulated exchange, on three venues at
//! once. `World::check` compares every bar that claims to be whole with what the market truly made.

use std::collections::BTreeMap;

use crate::support::{World, generate};
use exchange_sim::{Kind, Speed};
use marketdata::service::Progress;
use wire::Completeness;

const SYMBOLS: [(Kind, &str); 6] = [
    (Kind::BinanceSpot, "BTC-USDT"),
    (Kind::BinanceSpot, "SHIB-USDT"),
    (Kind::Coinbase, "BTC-USD"),
    (Kind::Coinbase, "ETH-USD"),
    (Kind::CoinbaseAdvanced, "BTC-USD"),
    (Kind::CoinbaseAdvanced, "SOL-USD"),
];
const RATE: u32 = 60;
/// A few minutes of each venue, played in a few seconds.
const TRADES: u64 = 3_600;

struct Outcome {
    /// Trades that the markets made.
    made: u64,
    progress: Progress,
    counts: BTreeMap<Completeness, usize>,
}

impl Outcome {
    fn of(&self, completeness: Completeness) -> usize {
        self.counts.get(&completeness).copied().unwrap_or(0)
    }

    fn not_whole(&self) -> usize {
        self.of(Completeness::Gap) + self.of(Completeness::Unknown)
    }

    fn whole(&self) -> usize {
        self.of(Completeness::Quiet) + self.of(Completeness::Complete)
    }
}

/// Plays a market with the faults in its first half, and checks all bars.
async fn survive(faults: &str, speed: f64) -> Outcome {
    let mut options = generate(&SYMBOLS, RATE, 7, TRADES);
    options.speed = Speed::Times(speed);
    let mut world = World::start(options, |options| {
        options.session.silence_max_ms = 1_000;
        options.session.answer_within_ms = 2_000;
    })
    .await;
    for fault in exchange_sim::fault::parse_list(faults).unwrap() {
        world.sim.inject(&fault).unwrap();
    }
    for kind in Kind::ALL {
        world.played(kind, TRADES / 2).await;
    }
    world.sim.clear_faults();
    world.settled().await;
    world.finish().await;
    let outcome = Outcome {
        made: world.made(),
        counts: world.check(),
        progress: world.service.progress(),
    };
    assert!(outcome.whole() > 100, "{faults}: {:?}", outcome.counts);
    world.stop().await;
    outcome
}

/// Of each venue's 60 s and 3,600 trades, at forty times the speed.
async fn at_forty(faults: &str) -> Outcome {
    survive(faults, 40.0).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn without_faults_everything_but_the_beginning_is_whole() {
    let outcome = at_forty("[]").await;
    let progress = outcome.progress;
    assert_eq!(outcome.of(Completeness::Gap), 0, "{:?}", outcome.counts);
    // The first bar of each topic may have begun before us.
    assert!(outcome.of(Completeness::Unknown) <= 3 * SYMBOLS.len());
    assert_eq!(
        progress.added + progress.reference,
        outcome.made,
        "{:?}",
        outcome.progress
    );
    assert_eq!((progress.late, progress.rejected), (0, 0));
    assert_eq!((progress.decode_errors, progress.dropped), (0, 0));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn lost_trades_are_gaps() {
    let outcome = at_forty(r#"[{"kind":"drop","probability":0.01}]"#).await;
    assert!(outcome.of(Completeness::Gap) > 0, "{:?}", outcome.counts);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn duplicates_and_short_delays_leave_no_trace() {
    let faults = r#"[
        {"kind":"duplicate","probability":0.05},
        {"kind":"reorder","params":{"window":5},"probability":0.02}
    ]"#;
    let outcome = at_forty(faults).await;
    assert!(outcome.progress.duplicate > 0);
    assert_eq!(
        outcome.progress.added + outcome.progress.reference,
        outcome.made
    );
    assert_eq!(outcome.of(Completeness::Gap), 0, "{:?}", outcome.counts);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn garbage_is_counted_and_never_in_a_bar() {
    let faults = r#"[
        {"kind":"corrupt_json","probability":0.003},
        {"kind":"missing_field","probability":0.003},
        {"kind":"out_of_range","probability":0.003},
        {"kind":"binary","probability":0.001}
    ]"#;
    let outcome = at_forty(faults).await;
    assert!(outcome.progress.decode_errors > 5, "{:?}", outcome.progress);
    assert!(outcome.not_whole() > 0, "{:?}", outcome.counts);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn ids_and_times_that_jump_make_no_bar_wrong() {
    let faults = r#"[
        {"kind":"id_back","params":{"by":1000},"probability":0.003},
        {"kind":"time_jump","params":{"ms":3600000},"probability":0.002},
        {"kind":"time_jump","params":{"ms":-3600000},"probability":0.002}
    ]"#;
    let outcome = at_forty(faults).await;
    assert!(outcome.not_whole() > 0, "{:?}", outcome.counts);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn times_that_are_a_little_off_make_no_bar_wrong() {
    let faults = r#"[
        {"kind":"time_jump","params":{"ms":5000},"probability":0.003},
        {"kind":"time_jump","params":{"ms":-5000},"probability":0.003},
        {"kind":"time_jump","params":{"ms":50000},"probability":0.003},
        {"kind":"time_jump","params":{"ms":-50000},"probability":0.003}
    ]"#;
    let outcome = at_forty(faults).await;
    assert!(outcome.not_whole() > 0, "{:?}", outcome.counts);
    assert!(outcome.progress.decode_errors > 0, "{:?}", outcome.progress);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn ids_ahead_make_no_bar_wrong() {
    let faults = r#"[
        {"kind":"id_ahead","params":{"by":1000},"after":100},
        {"kind":"id_ahead","params":{"by":400000000},"after":300},
        {"kind":"id_ahead","params":{"by":9000000000000000000},"after":500},
        {"kind":"drop","probability":0.01}
    ]"#;
    let outcome = at_forty(faults).await;
    assert!(outcome.not_whole() > 0, "{:?}", outcome.counts);
}

/// The first message of a connection that comes after another, and the second, which starts its clock.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_new_connection_may_begin_with_a_damaged_time() {
    for (after, ms) in [(201, 43_200_000), (201, -43_200_000), (202, 50_000)] {
        let faults = format!(
            r#"[
                {{"kind":"disconnect","params":{{"code":null}},"after":200}},
                {{"kind":"time_jump","params":{{"ms":{ms}}},"after":{after}}}
            ]"#
        );
        let outcome = at_forty(&faults).await;
        assert!(outcome.not_whole() > 0, "{:?}", outcome.counts);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn lost_connections_come_back() {
    let faults = r#"[
        {"kind":"disconnect","params":{"code":null},"after":200},
        {"kind":"disconnect","params":{"code":1001},"after":600},
        {"kind":"invalid_utf8","after":1000},
        {"kind":"slow_ack","params":{"ms":300},"count":5}
    ]"#;
    let outcome = at_forty(faults).await;
    assert!(outcome.not_whole() > 0, "{:?}", outcome.counts);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_dead_feed_is_not_a_quiet_one() {
    let faults = r#"[{"kind":"silence","params":{"ms":1500},"after":500}]"#;
    let outcome = survive(faults, 20.0).await;
    assert!(outcome.not_whole() > 0, "{:?}", outcome.counts);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn refusals_are_waited_out() {
    let faults = r#"[
        {"kind":"refuse","params":{"ms":500},"after":0},
        {"kind":"disconnect","params":{"code":null},"after":200},
        {"kind":"error_ack","count":2}
    ]"#;
    let outcome = survive(faults, 20.0).await;
    assert!(outcome.not_whole() > 0, "{:?}", outcome.counts);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_announced_shutdown_loses_nothing() {
    let mut options = generate(&SYMBOLS[..2], RATE, 7, TRADES);
    options.speed = Speed::Times(20.0);
    let mut world = World::start(options, |_| {}).await;
    world.played(Kind::BinanceSpot, TRADES / 3).await;
    world.sim.announce_shutdown().await;
    world.finish().await;
    let counts = world.check();
    assert_eq!(counts.get(&Completeness::Gap), None, "{counts:?}");
    assert!(counts[&Completeness::Unknown] <= 6, "{counts:?}");
    assert_eq!(world.service.progress().connections, 2);
    world.stop().await;
}

/// One world with all kinds of faults and another seed each: a soak in small.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn all_at_once() {
    let faults = r#"[
        {"kind":"drop","probability":0.002},
        {"kind":"duplicate","probability":0.01},
        {"kind":"delay","params":{"ms":20},"probability":0.01},
        {"kind":"corrupt_json","probability":0.001},
        {"kind":"disconnect","params":{"code":null},"after":700},
        {"kind":"time_jump","params":{"ms":7200000},"probability":0.0005},
        {"kind":"silence","params":{"ms":1200},"after":1000}
    ]"#;
    let outcome = survive(faults, 20.0).await;
    assert!(outcome.not_whole() > 0, "{:?}", outcome.counts);
}
