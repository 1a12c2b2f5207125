//! How instruments are given their shards: few move, none needlessly, and no shard is too full.
use proptest::prelude::*;
use wire::assignment::{Difference, WantedSource, assign, load_max};
use wire::{Assignment, AssignmentError, Interval, ShardCount, Symbol};

use super::count;

/// Two venues; the instruments of these numbers.
fn sources(numbers: impl IntoIterator<Item = u32>) -> Vec<WantedSource> {
    let (even, odd): (Vec<u32>, Vec<u32>) = numbers.into_iter().partition(|n| n % 2 == 0);
    let symbol = |n: u32| -> Symbol { format!("S{n}-USDT").parse().unwrap() };
    let source = |venue: &str, numbers: Vec<u32>| WantedSource {
        venue: venue.parse().unwrap(),
        endpoints: None,
        symbols: numbers.into_iter().map(symbol).collect(),
    };
    let sources = [source("binance-spot", even), source("coinbase", odd)];
    sources
        .into_iter()
        .filter(|s| !s.symbols.is_empty())
        .collect()
}

fn plan(
    previous: Option<&Assignment>,
    numbers: impl IntoIterator<Item = u32>,
    shards: ShardCount,
) -> Assignment {
    assign(previous, sources(numbers), [Interval::S1], shards).unwrap()
}

fn len(assignment: &Assignment) -> usize {
    assignment.instruments().count()
}

fn fullest(assignment: &Assignment) -> usize {
    assignment.loads().into_iter().max().unwrap()
}

/// What has been planned before: plans upon plans, so that no state is only what a first plan makes.
fn history() -> impl Strategy<Value = Assignment> {
    let step = (
        proptest::collection::btree_set(0..120_u32, 1..100),
        1..=12_u16,
    );
    proptest::collection::vec(step, 1..5).prop_map(|steps| {
        let mut last = None;
        for (numbers, shards) in steps {
            last = Some(plan(last.as_ref(), numbers, count(shards)));
        }
        last.unwrap()
    })
}

/// The numbers of an assignment's instruments.
fn numbers(assignment: &Assignment) -> Vec<u32> {
    let number = |symbol: &Symbol| symbol.base()[1..].parse().unwrap();
    assignment
        .instruments()
        .map(|(i, _)| number(&i.symbol))
        .collect()
}

proptest! {
    #[test]
    fn a_first_plan_keeps_the_bound(numbers in 1..500_u32, shards in 1..40_u16) {
        let first = plan(None, 0..numbers, count(shards));
        prop_assert!(fullest(&first) <= load_max(len(&first), count(shards)));
        prop_assert_eq!(first.generation(), 1);
        prop_assert_eq!(Assignment::parse(first.to_json().as_bytes()).unwrap(), first);
    }

    #[test]
    fn planning_again_changes_nothing(old in history()) {
        let again = plan(Some(&old), numbers(&old), old.shards());
        prop_assert_eq!(&again, &old);
        prop_assert!(Difference::between(Some(&old), &again).is_empty());
    }

    #[test]
    fn more_shards_move_their_share_and_only_to_themselves(old in history(), more in 1..6_u16) {
        let shards = count(old.shards().get() + more);
        let new = plan(Some(&old), numbers(&old), shards);
        let Difference { moved, added, removed, .. } = Difference::between(Some(&old), &new);
        let share = len(&old).div_ceil(usize::from(shards.get()));
        prop_assert!(moved.len() <= share * usize::from(more), "{} moved", moved.len());
        prop_assert!(moved.iter().all(|m| m.to.0 >= old.shards().get()));
        prop_assert!(added.is_empty() && removed.is_empty());
        prop_assert_eq!(new.generation(), old.generation() + 1);
        // They take what they may: no old shard is left fuller by two than a new one that has room in its share.
        let loads = new.loads();
        let (of_old, of_new) = loads.split_at(usize::from(old.shards().get()));
        let (high, low) = (of_old.iter().max().unwrap(), of_new.iter().min().unwrap());
        prop_assert!(*low == share || *high <= low + 1, "{loads:?}");
        // Only so far can rounding leave an old shard above the bound.
        prop_assert!(fullest(&new) <= load_max(len(&new), shards) + 1, "{loads:?}");
    }

    #[test]
    fn fewer_shards_move_only_what_was_on_those_that_go(old in history(), fewer in 1..6_u16) {
        let shards = count(old.shards().get().saturating_sub(fewer).max(1));
        let new = plan(Some(&old), numbers(&old), shards);
        let Difference { moved, added, removed, .. } = Difference::between(Some(&old), &new);
        let gone: usize = old.loads()[usize::from(shards.get())..].iter().sum();
        prop_assert_eq!(moved.len(), gone);
        prop_assert!(moved.iter().all(|m| m.from.0 >= shards.get()));
        prop_assert!(added.is_empty() && removed.is_empty());
        prop_assert!(fullest(&new) <= load_max(len(&new), shards).max(fullest(&old)));
    }

    #[test]
    fn more_symbols_move_nothing(old in history(), more in 1..100_u32) {
        let wanted = numbers(&old).into_iter().chain(1_000..1_000 + more);
        let new = plan(Some(&old), wanted, old.shards());
        let Difference { moved, added, removed, .. } = Difference::between(Some(&old), &new);
        prop_assert!(moved.is_empty() && removed.is_empty());
        prop_assert_eq!(added.len(), more as usize);
        prop_assert_eq!(new.generation(), old.generation() + 1);
        prop_assert!(fullest(&new) <= load_max(len(&new), old.shards()).max(fullest(&old)));
    }

    #[test]
    fn fewer_symbols_move_only_the_excess(old in history(), keep in proptest::collection::vec(any::<bool>(), 120)) {
        let wanted: Vec<u32> = numbers(&old).into_iter().filter(|n| keep[*n as usize]).collect();
        prop_assume!(!wanted.is_empty() && wanted.len() < len(&old));
        let new = plan(Some(&old), wanted.clone(), old.shards());
        let bound = load_max(wanted.len(), old.shards());
        prop_assert!(fullest(&new) <= bound);
        let Difference { moved, added, removed, .. } = Difference::between(Some(&old), &new);
        prop_assert!(added.is_empty());
        prop_assert_eq!(removed.len(), len(&old) - wanted.len());
        let mut left = old.loads();
        for (_, shard) in &removed {
            left[usize::from(shard.0)] -= 1;
        }
        let excess: usize = left.iter().map(|load| load.saturating_sub(bound)).sum();
        prop_assert_eq!(moved.len(), excess);
    }

    #[test]
    fn the_order_of_the_listing_moves_nothing(old in history()) {
        let mut wanted = sources(numbers(&old));
        wanted.reverse();
        wanted.iter_mut().for_each(|source| source.symbols.reverse());
        let new = assign(Some(&old), wanted, [Interval::S1], old.shards()).unwrap();
        for (instrument, shard) in old.instruments() {
            prop_assert_eq!(new.shard_of(&instrument), Some(shard));
        }
    }
}

#[test]
fn four_shards_to_five_and_back() {
    let four = plan(None, 0..1_000, count(4));
    let five = plan(Some(&four), 0..1_000, count(5));
    let Difference { moved, loads, .. } = Difference::between(Some(&four), &five);
    assert_eq!(moved.len(), 200);
    assert_eq!(loads[4], (0, 200));
    assert!(moved.iter().all(|m| m.to.0 == 4));
    let back = plan(Some(&five), 0..1_000, count(4));
    let moved = Difference::between(Some(&five), &back).moved;
    assert!(moved.len() == 200 && moved.iter().all(|m| m.from.0 == 4));
    assert_eq!(back.generation(), 3);
}

#[test]
fn a_new_shard_takes_no_more_than_its_share_of_what_a_person_wrote() {
    // All on the first of two.
    let mut text = plan(None, 0..10, count(2)).to_json();
    text = text.replace("\"shard\":1", "\"shard\":0");
    let uneven = Assignment::parse(text.as_bytes()).unwrap();
    assert_eq!(uneven.loads(), [10, 0]);
    let new = plan(Some(&uneven), 0..10, count(3));
    assert_eq!(new.loads(), [6, 0, 4]);
}

#[test]
fn another_interval_or_order_is_another_generation() {
    let old = plan(None, 0..9, count(2));
    let day: Interval = "1d".parse().unwrap();
    let wider = assign(Some(&old), sources(0..9), [day, Interval::S1], count(2)).unwrap();
    assert_eq!(wider.generation(), 2);
    let difference = Difference::between(Some(&old), &wider);
    assert!(difference.intervals_changed && !difference.sources_changed);
    assert!(difference.moved.is_empty() && !difference.is_empty());
    let mut wanted = sources(0..9);
    wanted.reverse();
    let swapped = assign(Some(&old), wanted, [Interval::S1], count(2)).unwrap();
    assert_eq!(swapped.generation(), 2);
    assert!(Difference::between(Some(&old), &swapped).sources_changed);
}

#[test]
fn a_first_plan_never_changes_between_releases() {
    let text = plan(None, 0..6, count(3)).to_json();
    let expect = include_str!("../golden/assignment-first.json");
    assert_eq!(text, expect);
}

#[test]
fn a_difference_reads_well() {
    let old = plan(None, 0..6, count(2));
    let new = plan(Some(&old), (0..5).chain([7]), count(3));
    let text = Difference::between(Some(&old), &new).to_string();
    assert_eq!(
        text,
        include_str!("../golden/assignment-difference.txt").trim_end()
    );
    let again = Difference::between(Some(&new), &new).to_string();
    assert!(
        again.ends_with("generation 2, as before: 0 moved, 0 added, 0 removed"),
        "{again}"
    );
}

#[test]
fn what_cannot_be_assigned_is_refused() {
    let check = |numbers: &[u32], shards: u16, expect: &str| {
        let planned = assign(
            None,
            sources(numbers.iter().copied()),
            [Interval::S1],
            count(shards),
        );
        let error: AssignmentError = planned.unwrap_err();
        assert!(error.to_string().contains(expect), "{error}");
    };
    check(&[], 1, "there are no sources");
    check(&[2, 2], 1, "binance-spot/S2-USDT is listed twice");
    check(&[1], 1_025, "write 1 to 1024");
    let none: [Interval; 0] = [];
    let planned = assign(None, sources([1]), none, count(1));
    assert_eq!(planned, Err(AssignmentError::NoIntervals));
}
