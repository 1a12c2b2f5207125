//! A series that followed along takes over from the one whose bars were committed.

use std::collections::BTreeMap;
use std::sync::Arc;

use marketdata::aggregate::{Closed, Config, Missing, Series, SeriesSnapshot};
use proptest::collection::vec;
use proptest::prelude::*;
use wire::{Completeness, Interval, Trade};

use crate::properties::{self, END_MS, INTERVALS, Made, arrivals, cases, expected, made, step};
use crate::support::{DAY_MS, Op, drain, interval, show, trade};

/// What is committed: each bar's revs in order.
#[derive(Debug, Default)]
struct Log {
    bars: BTreeMap<(Interval, i64), Vec<Closed>>,
    next: BTreeMap<Interval, i64>,
}

impl Log {
    /// Panics unless each bar comes once, in order, and its revs after it, each once.
    fn commit(&mut self, bar: Closed) {
        let revs = self.bars.entry((bar.interval, bar.start_ms)).or_default();
        assert_eq!(bar.rev as usize, revs.len(), "{}", show(&bar));
        revs.push(bar);
        if bar.rev == 0 {
            let next = self.next.entry(bar.interval).or_insert(bar.start_ms);
            assert_eq!(*next, bar.start_ms, "{} does not follow", show(&bar));
            *next += bar.interval.ms();
        }
    }

    fn covers(&self, bar: &Closed) -> bool {
        let next = self.next.get(&bar.interval);
        next.is_some_and(|next| bar.start_ms < *next)
    }
}

/// The snapshot through the text that is kept.
fn kept(series: &Series) -> SeriesSnapshot {
    let text = serde_json::to_string(&series.snapshot()).unwrap();
    serde_json::from_str(&text).unwrap()
}

/// What a process that is not the owner does when it becomes one. Gives whether it goes on from its own state.
fn take(
    config: &Config,
    series: &mut Series,
    waiting: Vec<Closed>,
    snapshot: &SeriesSnapshot,
    log: &mut Log,
) -> bool {
    if series.adopt(snapshot) {
        // Amendments of bars that others have committed are not kept, nor what they have closed.
        let waiting: Vec<Closed> = waiting.into_iter().filter(|bar| !log.covers(bar)).collect();
        waiting.into_iter().for_each(|bar| log.commit(bar));
        return true;
    }
    *series = Series::restore(&Arc::new(config.clone()), snapshot);
    series.handle_feed_up(None);
    false
}

/// Fetches what is missing, as far as the venue has it.
fn fetch(series: &mut Series, trades: &[Trade], has: impl Fn(u64) -> bool) {
    let mut missing: Vec<Missing> = Vec::new();
    series.poll_missing(0, 0, &mut missing);
    for hole in missing {
        let of_hole = |trade: &&Trade| (hole.from_id..=hole.to_id).contains(&trade.id);
        for trade in trades.iter().filter(of_hole).filter(|trade| has(trade.id)) {
            series.handle_repaired(trade);
        }
        series.handle_batch_end();
        series.handle_missing_again(hole.from_id, hole.to_id);
    }
}

/// The trades as one process hears them.
fn heard(made: &[Made], trades: &[Trade], lost: &[bool], tick_ms: Option<i64>) -> Vec<(i64, Op)> {
    let kept = (0..made.len()).filter(|&at| at == 0 || !lost[at]);
    let (kept_made, kept): (Vec<Made>, Vec<Trade>) =
        kept.map(|at| (made[at].clone(), trades[at])).unzip();
    let mut ops = vec![
        (-50, Op::Reference { id: 99, at: -50 }),
        (0, Op::Up(Some(0))),
    ];
    ops.extend(arrivals(&kept_made, &kept, tick_ms));
    ops.push((900_000, step(&trades[made.len()])));
    ops.sort_by_key(|(at, _)| *at);
    ops
}

proptest! {
    #![proptest_config(cases())]

    /// Two processes hear the same market, each with losses of its own. One commits; at some time the other goes on,
    /// and fetches what it lacks. Each bar and rev is committed once; a bar that passes as whole is whole; and where
    /// the first lacked nothing, or all that is missing is fetched in time, every bar is what it should be.
    #[test]
    fn a_take_over_neither_repeats_nor_loses_anything(
        made in vec(made(), 4..60),
        lost in vec((proptest::bool::weighted(0.2), proptest::bool::weighted(0.2)), 60),
        intervals in prop_oneof![Just(INTERVALS), Just("1s 2s"), Just("1s")],
        which in 0..4usize,
        cut in any::<prop::sample::Index>(),
        later_ms in 0..5_000i64,
        had in vec(proptest::bool::weighted(0.8), 60),
        repairs in any::<(bool, bool)>(),
        tick_ms in proptest::option::of(100..3_000i64),
    ) {
        let mut trades = properties::trades(&made, false);
        trades.push(trade(100 + made.len() as u64, 900_000));
        let config = properties::config(intervals);
        let loses = |second: bool| -> Vec<bool> {
            let of = |&(a, b): &(bool, bool)| if second { b && which & 2 != 0 } else { a && which & 1 != 0 };
            lost.iter().map(of).collect()
        };
        let (first_lost, second_lost) = (loses(false), loses(true));
        let has = |id: u64| had.get((id - 100) as usize).copied().unwrap_or(true);
        let (first_ops, second_ops) =
            (heard(&made, &trades, &first_lost, tick_ms), heard(&made, &trades, &second_lost, tick_ms));
        let cut = cut.index(first_ops.len() - 1);
        let mut log = Log::default();
        let mut first = Series::new(&Arc::new(config.clone()));
        let mut snapshot = None;
        for (_, op) in &first_ops[..cut] {
            op.apply(&mut first);
            if repairs.0 {
                fetch(&mut first, &trades, has);
            }
            let closed = drain(&mut first);
            if !closed.is_empty() {
                closed.into_iter().for_each(|bar| log.commit(bar));
                snapshot = Some(kept(&first));
            }
        }
        let Some(snapshot) = snapshot else { return Ok(()) };
        let take_ms = first_ops[cut].0 + later_ms;
        let mut second = Series::new(&Arc::new(config.clone()));
        let (mut waiting, mut own) = (Vec::new(), None);
        for (at, op) in &second_ops {
            if own.is_none() && *at >= take_ms {
                own = Some(take(&config, &mut second, std::mem::take(&mut waiting), &snapshot, &mut log));
            }
            op.apply(&mut second);
            if repairs.1 || own.is_some() {
                fetch(&mut second, &trades, |id| own.is_some() || has(id));
            }
            waiting.extend(drain(&mut second));
            if own.is_some() {
                waiting.drain(..).for_each(|bar| log.commit(bar));
            }
        }
        if own.is_none() {
            own = Some(take(&config, &mut second, std::mem::take(&mut waiting), &snapshot, &mut log));
        }
        fetch(&mut second, &trades, |_| true);
        Op::Clock(END_MS).apply(&mut second);
        fetch(&mut second, &trades, |_| true);
        second.handle_batch_end();
        drain(&mut second).into_iter().for_each(|bar| log.commit(bar));
        let truth = expected(&config, &trades);
        // What is closed for too long when it comes, and what the clock alone closed of an unseen loss, is in no bar.
        let is_exact = second.counters().late + second.counters().rejected == 0;
        let first_lacked = first_lost[..made.len()].iter().skip(1).any(|&lost| lost);
        let how = || format!("{:?} / take at {take_ms}, own {own:?} / {:?}", &first_ops[..cut], &second_ops);
        for (key, (candle, _)) in &truth {
            let Some(revs) = log.bars.get(key) else {
                prop_assert!(false, "{:?} is not closed", key);
                continue;
            };
            let last = revs.last().unwrap();
            let is_whole = last.completeness <= Completeness::Repaired;
            if is_whole && (tick_ms.is_none() || !first_lacked) && is_exact {
                prop_assert_eq!(&last.candle, candle, "{}: {}", show(last), how());
            }
            if !first_lacked && is_exact {
                prop_assert!(is_whole, "{}: {}", show(last), how());
            }
        }
    }
}

/// What the owner and the standby are told, and what the standby gives when it takes over at the end of that, and after
/// some more. Gives nothing where it must go on from the snapshot.
fn take_over(intervals: &str, owner: &str, standby: &str, more: &str) -> Option<Vec<String>> {
    let ops = |text: &str| -> Vec<Op> { text.split_whitespace().map(Op::parse).collect() };
    let config = Arc::new(properties::config(intervals));
    let play = |text: &str| {
        let mut series = Series::new(&config);
        for op in ops(text) {
            op.apply(&mut series);
            drain(&mut series);
        }
        series
    };
    let (snapshot, mut series) = (kept(&play(owner)), play(standby));
    if !series.adopt(&snapshot) {
        return None;
    }
    let mut given: Vec<String> = drain(&mut series).iter().map(show).collect();
    for op in ops(more) {
        op.apply(&mut series);
        given.extend(drain(&mut series).iter().map(show));
    }
    Some(given)
}

fn check(intervals: &str, owner: &str, standby: &str, more: &str, expect: &str) {
    let given = take_over(intervals, owner, standby, more);
    let expect: Vec<&str> = expect.split_whitespace().collect();
    assert_eq!(given.unwrap(), expect, "{owner} / {standby} / {more}");
}

#[test]
fn revs_go_on_where_the_owner_was() {
    // The owner gave the bar a second time when 3 came; of that, the standby knows no rev.
    let owner = "ref:1@-50 up:0 2@100 5@3000 clock:5000 get:3@200 end";
    let standby = "ref:1@-50 up:0 2@100 3@200 5@3000 clock:5000";
    let fills = "get:4@300 end";
    check(
        "1s",
        owner,
        standby,
        fills,
        "1s:0=repaired[2-4]r2 1s:1000=quietr2 1s:2000=quietr2",
    );
    // Whose own amendment was dropped while it was the standby gives it now.
    let lacks = "ref:1@-50 up:0 2@100 5@3000 clock:5000";
    let standby = "ref:1@-50 up:0 2@100 5@3000 clock:5000 get:3@200 get:4@300 end";
    let expect = "1s:0=repaired[2-4]r1 1s:1000=quietr1 1s:2000=quietr1";
    check("1s", lacks, standby, "", expect);
    // Where both have amended alike, nothing is left to say.
    let owner = "ref:1@-50 up:0 2@100 5@3000 clock:5000 get:3@200 get:4@300 end";
    check("1s", owner, standby, "clock:6000", "1s:3000=complete[5]");
}

#[test]
fn what_the_owner_lacked_is_amended_in_every_interval() {
    // The trades came live here: nothing had to be fetched.
    check(
        "1s 2s 5s",
        "ref:1@-50 up:0 2@100 5@3000 clock:5000",
        "ref:1@-50 up:0 2@100 3@200 4@2500 5@3000 clock:5000",
        "clock:7000",
        "1s:0=complete[2-3]r1 1s:1000=quietr1 2s:0=complete[2-3]r1 1s:2000=complete[4]r1 1s:3000=complete[5] \
         2s:2000=complete[4-5] 1s:4000=quiet 5s:0=complete[2-5]",
    );
}

#[test]
fn what_only_the_owner_had_is_kept_and_not_fetched_again() {
    // No open bar has it; ids that are in committed bars count as seen.
    let owner = "ref:1@-50 up:0 2@100 3@1200 4@2000 clock:4000";
    let standby = "ref:1@-50 up:0 2@100 4@2000 clock:4000";
    check(
        "1s",
        owner,
        standby,
        "get:3@1200 end clock:5000",
        "1s:2000=complete[4]",
    );
    // An open one has it: it would be lost to that.
    assert_eq!(take_over("1s 5s", owner, standby, ""), None);
    // Each has what the other lacks.
    let owner = "ref:1@-50 up:0 2@100 4@300 clock:4000 5@4100";
    let standby = "ref:1@-50 up:0 2@100 3@200 5@4100 clock:6000";
    assert_eq!(take_over("1s", owner, standby, ""), None);
    // A bar is committed that we have yet to close.
    let owner = "ref:1@-50 up:0 2@100 3@1200 4@2000";
    assert_eq!(
        take_over("1s", owner, "ref:1@-50 up:0 2@100 3@1200", ""),
        None
    );
}

#[test]
fn what_either_has_is_added_once() {
    // Both lack 4, and we 3: fetched, they are in the bar once each.
    let ops = |text: &str| -> Vec<Op> { text.split_whitespace().map(Op::parse).collect() };
    let config = Arc::new(properties::config("1s"));
    let play = |text: &str| {
        let mut series = Series::new(&config);
        for op in ops(text) {
            op.apply(&mut series);
            drain(&mut series);
        }
        series
    };
    let owner = play("ref:1@-50 up:0 2@100 3@200 5@3000 clock:5000");
    let mut series = play("ref:1@-50 up:0 2@100 5@3000 clock:5000");
    assert!(series.adopt(&kept(&owner)));
    assert_eq!(drain(&mut series), []);
    for op in ops("get:3@200 get:4@300 end") {
        op.apply(&mut series);
    }
    let amended = drain(&mut series);
    assert_eq!(show(&amended[0]), "1s:0=repaired[2-4]r1");
    assert_eq!(amended[0].candle.count, 3);
    // A row of flat ones follows.
    let shown: Vec<String> = amended[1..].iter().map(show).collect();
    assert_eq!(shown, ["1s:1000=quietr1", "1s:2000=quietr1"]);
}

#[test]
fn an_outage_of_one_is_none_where_the_other_was_alive() {
    let alive = "ref:1@-50 up:0 2@100 clock:6000";
    let down = "ref:1@-50 up:0 2@100 down up:3000 clock:6000";
    check(
        "1s 5s",
        alive,
        down,
        "clock:7000",
        "1s:4000=quiet 5s:0=complete[2]",
    );
    // What was committed as unknown stays so until ids show more, and so do the longer bars over it.
    let more = "clock:7000 3@7100 end";
    let expect = "1s:4000=quiet 5s:0=unknown[2] 1s:5000=quiet 1s:6000=quiet 1s:0=complete[2]r1 1s:1000=quietr1 1s:2000=quietr1 \
                  5s:0=complete[2]r1";
    check("1s 5s", down, alive, more, expect);
}

#[test]
fn what_is_not_held_any_more_is_final() {
    // The owner's bar was whole and is let go; what comes for it here is late, and marks the open ones.
    let owner = "ref:1@-50 up:0 2@100 4@1100 5@20000 clock:23000";
    let standby = "up:0 2@100 4@1100 clock:4000 5@20000 clock:23000";
    let text = take_over("1s 1m", owner, standby, "3@200 clock:24000");
    assert!(text.is_some());
    // The standby's was whole and is let go, the owner's lacks a trade: it stays, and so do longer bars over it.
    let owner = "ref:1@-50 up:0 2@100 4@3000 5@8000 clock:12000 6@12000";
    let standby = "ref:1@-50 up:0 2@100 3@200 4@3000 5@8000 clock:12000 6@12000";
    let given = take_over("1s 20s", owner, standby, "get:3@200 end 7@20000").unwrap();
    assert!(given.contains(&"20s:0=gap[2-6]".to_owned()), "{given:?}");
    assert!(
        !given.iter().any(|bar| bar.starts_with("1s:0=")),
        "{given:?}"
    );
}

#[test]
fn own_closes_that_wait_keep_their_revs() {
    // The owner stopped before 1s:2000; ours, and its amendment, are not committed by anyone.
    let config = properties::config("1s");
    let mut log = Log::default();
    let mut first = Series::new(&Arc::new(config.clone()));
    let mut second = Series::new(&Arc::new(config.clone()));
    let ops = |text: &str| -> Vec<Op> { text.split_whitespace().map(Op::parse).collect() };
    for op in ops("ref:1@-50 up:0 2@100 3@1100 4@2000") {
        op.apply(&mut first);
        drain(&mut first)
            .into_iter()
            .for_each(|bar| log.commit(bar));
    }
    let mut waiting = Vec::new();
    for op in ops("ref:1@-50 up:0 2@100 3@1100 4@2000 6@3000 clock:5100 5@2300 end") {
        op.apply(&mut second);
        waiting.extend(drain(&mut second));
    }
    assert!(take(&config, &mut second, waiting, &kept(&first), &mut log));
    for op in ops("7@4000 get:8@3500 9@5000") {
        op.apply(&mut second);
        drain(&mut second)
            .into_iter()
            .for_each(|bar| log.commit(bar));
    }
    let revs = &log.bars[&(interval("1s"), DAY_MS + 2_000)];
    let revs: Vec<String> = revs.iter().map(show).collect();
    assert_eq!(revs, ["1s:2000=gap[4]", "1s:2000=complete[4-5]r1"]);
}
