//! What holds for any stream: order within the window, duplication, loss and outages, roll-up.

use std::collections::BTreeMap;

use marketdata::aggregate::{Closed, Config};
use proptest::collection::vec;
use proptest::prelude::*;
use wire::{Candle, Completeness, Interval, Trade};

use crate::oracle::{self, Bars};
use crate::support::{DAY_MS, Op, run, trade};

pub(crate) const INTERVALS: &str = "1s 2s 3s 10s 1m 5m";
pub(crate) const WINDOW_MS: i64 = 2_000;
/// After everything, so that all bars close.
pub(crate) const END_MS: i64 = 1_200_000;

/// One trade: time since the one before, how much later than made it arrives, whether it comes a second time
/// and how much later, and its id's displacement in time.
#[derive(Debug, Clone)]
pub(crate) struct Made {
    pub(crate) wait: i64,
    pub(crate) delay: i64,
    again: Option<i64>,
    shift: i64,
}

pub(crate) fn made() -> impl Strategy<Value = Made> {
    let wait = prop_oneof![
        4 => 0..3i64,
        4 => 0..700i64,
        2 => 500..4_000i64,
        1 => 0..40_000i64,
    ];
    let delay = prop_oneof![3 => Just(0), 2 => 0..300i64, 2 => 0..=WINDOW_MS];
    let again = proptest::option::weighted(0.2, 0..60_000i64);
    (wait, delay, again, 0..=WINDOW_MS).prop_map(|(wait, delay, again, shift)| Made {
        wait,
        delay,
        again,
        shift,
    })
}

/// The trades in order of their times; ids follow the times, or run against them by up to the window.
pub(crate) fn trades(made: &[Made], against: bool) -> Vec<Trade> {
    let mut at = 0;
    let mut times: Vec<(i64, i64)> = Vec::new();
    for made in made {
        at += made.wait;
        times.push((at, at + if against { made.shift } else { 0 }));
    }
    let mut by_key: Vec<usize> = (0..times.len()).collect();
    by_key.sort_by_key(|&i| times[i].1);
    let mut ids = vec![0; times.len()];
    for (id, &i) in by_key.iter().enumerate() {
        ids[i] = 100 + id as u64;
    }
    let times = times.iter().zip(ids);
    times.map(|(&(at, _), id)| trade(id, at)).collect()
}

/// Nothing ticks between the trades here, so that any step of the clock is to be believed.
pub(crate) fn config(intervals: &str) -> Config {
    Config {
        clock_step_max_ms: 86_400_000,
        ..crate::support::config(intervals)
    }
}

pub(crate) fn step(trade: &Trade) -> Op {
    let at = trade.time_ms - DAY_MS;
    let (id, event) = (trade.id, at);
    Op::Trade { id, at, event }
}

/// Steps in order of arrival, with the venue's clock ticking in between where asked.
pub(crate) fn arrivals(made: &[Made], trades: &[Trade], tick_ms: Option<i64>) -> Vec<(i64, Op)> {
    let mut steps = Vec::new();
    for (made, trade) in made.iter().zip(trades) {
        let at = trade.time_ms - DAY_MS + made.delay;
        steps.push((at, step(trade)));
        if let Some(again) = made.again {
            steps.push((at + again, step(trade)));
        }
    }
    if let Some(tick_ms) = tick_ms {
        let last = steps.iter().map(|(at, _)| *at).max().unwrap_or(0);
        steps.extend((0..=last / tick_ms).map(|n| (n * tick_ms, Op::Clock(n * tick_ms))));
    }
    steps.sort_by_key(|(at, _)| *at);
    steps
}

pub(crate) fn whole(steps: impl IntoIterator<Item = Op>) -> Vec<Op> {
    let mut ops = vec![Op::Up(Some(0))];
    ops.extend(steps);
    ops.push(Op::Clock(END_MS));
    ops
}

/// By interval and start, as they were last given; panics unless every bucket came once, in order, and amendments
/// after it, each with the next rev.
pub(crate) fn collect(closed: &[Closed]) -> Bars {
    let mut next: BTreeMap<Interval, i64> = BTreeMap::new();
    let mut revs: BTreeMap<(Interval, i64), u32> = BTreeMap::new();
    let mut bars = Bars::new();
    for bar in closed {
        let key = (bar.interval, bar.start_ms);
        if bar.rev == 0 {
            let start = next.entry(bar.interval).or_insert(bar.start_ms);
            assert_eq!(*start, bar.start_ms, "{} skips or repeats", bar.interval);
            assert_eq!(bar.interval.start_of(bar.start_ms), bar.start_ms);
            *start += bar.interval.ms();
        } else {
            assert_eq!(revs.get(&key), Some(&(bar.rev - 1)), "{key:?}");
        }
        revs.insert(key, bar.rev);
        bars.insert(key, (bar.candle, bar.completeness));
    }
    bars
}

pub(crate) fn expected(config: &Config, trades: &[Trade]) -> Bars {
    let bars = config.intervals.iter();
    bars.flat_map(|&interval| oracle::bars(interval, trades, END_MS - WINDOW_MS))
        .collect()
}

/// The first longer bar that does not equal the roll-up of the shorter ones it spans, in candle and completeness.
pub(crate) fn roll_up_differs(config: &Config, bars: &Bars) -> Option<String> {
    for (&(long, start), (candle, completeness)) in bars {
        for &short in &config.intervals {
            if short >= long || !long.is_multiple_of(short) {
                continue;
            }
            let parts: Vec<_> = bars
                .range((short, start)..(short, start + long.ms()))
                .map(|(_, bar)| bar)
                .collect();
            if parts.len() as u32 != long.secs() / short.secs() {
                // The shorter bars began within it.
                continue;
            }
            let rolled = Candle::roll_up(parts.iter().map(|(candle, _)| candle));
            let merged = parts.iter().map(|(_, part)| *part);
            let merged = merged.fold(Completeness::Quiet, Completeness::merge);
            if rolled != Ok(Some(*candle)) || merged != *completeness {
                let at = start - DAY_MS;
                return Some(format!(
                    "{long} at {at} of {short}: {merged} {rolled:?}, but {completeness} {candle:?}"
                ));
            }
        }
    }
    None
}

/// Fewer where the debug build makes a case slow; `PROPTEST_CASES` raises it.
pub(crate) fn cases() -> ProptestConfig {
    ProptestConfig {
        cases: ProptestConfig::default().cases.min(128).max(
            std::env::var("PROPTEST_CASES")
                .ok()
                .and_then(|cases| cases.parse().ok())
                .unwrap_or(0),
        ),
        failure_persistence: None,
        ..ProptestConfig::default()
    }
}

proptest! {
    #![proptest_config(cases())]

    /// Delay within the window, repetition and ticks change no byte of a bar, and the bars are the oracle's.
    #[test]
    fn order_and_repetition_change_nothing(
        made in vec(made(), 1..80),
        tick_ms in proptest::option::of(100..3_000i64),
        close_on_ids in any::<bool>(),
    ) {
        let trades = trades(&made, false);
        let mut config = config(INTERVALS);
        config.close_on_ids = close_on_ids;
        let steps = arrivals(&made, &trades, tick_ms);
        let (series, closed) = run(config.clone(), whole(steps.into_iter().map(|(_, op)| op)));
        let bars = collect(&closed);
        prop_assert_eq!(&bars, &expected(&config, &trades));
        prop_assert_eq!(series.counters().added, trades.len() as u64);
        prop_assert_eq!(series.counters().late, 0);
        prop_assert_eq!(roll_up_differs(&config, &bars), None);
    }

    /// The same where times run against ids by up to the window, for a venue that is known for it.
    #[test]
    fn times_may_run_against_ids(
        made in vec(made(), 1..80),
        tick_ms in proptest::option::of(100..3_000i64),
    ) {
        let trades = trades(&made, true);
        let mut config = config(INTERVALS);
        config.close_on_ids = false;
        let steps = arrivals(&made, &trades, tick_ms);
        let (_, closed) = run(config.clone(), whole(steps.into_iter().map(|(_, op)| op)));
        let bars = collect(&closed);
        prop_assert_eq!(&bars, &expected(&config, &trades));
        prop_assert_eq!(roll_up_differs(&config, &bars), None);
    }

    /// One message has a damaged id, or its trade a damaged time. Long bars still say what the short ones say, and
    /// a bar that passes as whole is whole.
    #[test]
    fn one_damaged_number_is_never_in_a_whole_bar(
        made in vec(made(), 4..60),
        which in any::<prop::sample::Index>(),
        id in prop_oneof![0..400u64, 0..200_000u64, any::<u64>()],
        // Nearer, nothing distinguishes it from a true one.
        time in proptest::option::of(prop_oneof![-100_000..-3_000i64, 1_001..200_000i64]),
        close_on_ids in any::<bool>(),
    ) {
        let mut trades = trades(&made, false);
        trades.push(trade(100 + made.len() as u64, 900_000));
        let mut config = config(INTERVALS);
        config.close_on_ids = close_on_ids;
        // Neither the first, which nothing contradicts, nor the last, which shows the loss.
        let which = 1 + which.index(made.len() - 1);
        let mut ops = vec![Op::Up(Some(0))];
        for (at, trade) in trades.iter().enumerate() {
            let sent = trade.time_ms - DAY_MS;
            ops.push(match time {
                _ if at != which => step(trade),
                Some(time) => Op::Trade { id: trade.id, at: sent + time, event: sent },
                None => Op::Trade { id, at: sent, event: sent },
            });
        }
        ops.push(Op::Clock(END_MS));
        let (_, closed) = run(config.clone(), ops.iter().copied());
        let bars = collect(&closed);
        let truth = expected(&config, &trades);
        for (key, bar) in bars.iter().filter(|(_, bar)| bar.1 == Completeness::Complete) {
            prop_assert_eq!(Some(bar), truth.get(key), "{:?} {:?}", key, ops);
        }
    }

    /// Trades get lost one by one and by outages. Long bars still say what the short ones say; and where trades
    /// alone move the clock, so that no loss can stay unseen, a bar that passes as whole is whole.
    #[test]
    fn loss_is_never_passed_off_as_whole(
        made in vec(made(), 2..80),
        lost in vec(proptest::bool::weighted(0.15), 80),
        outages in vec((0..200_000i64, 0..20_000i64, any::<bool>()), 0..4),
        tick_ms in proptest::option::of(100..3_000i64),
        close_on_ids in any::<bool>(),
    ) {
        let mut trades = trades(&made, false);
        // One comes after all that, so that ids show what was lost at the end.
        trades.push(trade(100 + made.len() as u64, 900_000));
        let mut config = config(INTERVALS);
        config.close_on_ids = close_on_ids;
        // The first is not: nothing shows that there was one before it.
        let mut lost = lost;
        lost[0] = false;
        let kept = trades.iter().zip(&made).zip(&lost).filter(|(_, lost)| !**lost);
        let (kept, kept_made): (Vec<_>, Vec<_>) =
            kept.map(|((trade, made), _)| (*trade, made.clone())).unzip();
        let mut steps = arrivals(&kept_made, &kept, tick_ms);
        // The first is seen: before any id is known, ids show nothing.
        let mut end = made[0].wait + made[0].delay + 1;
        let mut outages = outages;
        outages.sort_unstable();
        for (wait, long, told) in outages {
            let (from, to) = (end + wait, end + wait + long);
            end = to;
            steps.retain(|(at, _)| *at < from || *at > to);
            steps.push((from, Op::Down));
            steps.push((to, Op::Up(told.then_some(to))));
        }
        steps.push((900_000, step(&trades[made.len()])));
        steps.sort_by_key(|(at, _)| *at);
        let ops = whole(steps.into_iter().map(|(_, op)| op));
        let (series, closed) = run(config.clone(), ops.iter().copied());
        let bars = collect(&closed);
        let inside: u64 = bars.iter().filter(|((i, _), _)| i.secs() == 1).map(|(_, bar)| bar.0.count).sum();
        prop_assert_eq!(inside, series.counters().added);
        if series.counters().late == 0 {
            prop_assert_eq!(roll_up_differs(&config, &bars), None, "{:?}", ops);
        }
        if tick_ms.is_none() {
            let truth = expected(&config, &trades);
            for (key, bar) in bars.iter().filter(|(_, bar)| bar.1 <= Completeness::Complete) {
                prop_assert_eq!(Some(bar), truth.get(key), "{:?}", key);
            }
        }
    }
}
