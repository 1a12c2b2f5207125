//! The worlds, and how every state of them is reached.

use std::collections::HashSet;
use std::collections::hash_map::DefaultHasher;
use std::hash::{Hash, Hasher};

use marketdata::owner::Level;

use super::world::World;
use super::{Action, Budget, State};

fn fingerprint(state: &State) -> u64 {
    let mut hasher = DefaultHasher::new();
    state.hash(&mut hasher);
    hasher.finish()
}

/// More than any of the worlds has: one that has more goes round in circles, and would be gone through for ever.
const STATES_MAX: usize = 300_000;

/// Goes through every state of the world.
fn explore(name: &str, world: World, budget: Budget) {
    let begin = world.begin(budget);
    let mut seen = HashSet::from([fingerprint(&begin)]);
    // How each came about: the one before, and what happened.
    let mut ways: Vec<(usize, Option<Action>)> = vec![(0, None)];
    let mut open = vec![(begin, 0)];
    let (mut ends, mut steps) = (0_u64, 0_u64);
    let fail = |ways: &[(usize, Option<Action>)], mut at: usize, broken: &str| {
        let mut trace = Vec::new();
        while let (before, Some(action)) = ways[at] {
            trace.push(action);
            at = before;
        }
        trace.reverse();
        panic!("{name}: {broken}\nafter {trace:?}");
    };
    while let Some((state, way)) = open.pop() {
        for action in state.actions() {
            let mut next = state.clone();
            steps += 1;
            let acted = next.act(world, action);
            let print = fingerprint(&next);
            if acted.is_ok() && !seen.insert(print) {
                continue;
            }
            ways.push((way, Some(action)));
            assert!(seen.len() < STATES_MAX, "{name} does not end");
            if let Err(broken) = acted {
                fail(&ways, ways.len() - 1, &broken);
            }
            open.push((next, ways.len() - 1));
        }
        // What is to come of it, where nothing more can happen by itself, and here and there before.
        let is_over =
            state.left == NOTHING && [0, 1].iter().all(|&at| state.answers(at).next().is_none());
        if is_over || steps.is_multiple_of(64) {
            ends += 1;
            if let Err(broken) = state.check_end(world) {
                fail(&ways, way, &format!("in the end, {broken}"));
            }
        }
    }
    println!("{name}: {} states, {steps} steps, {ends} ends", seen.len());
    assert!(seen.len() > 1_000, "a world in which nothing happens");
}

const ONE_SHARD: World = World {
    shards: [0, 0],
    instruments: 1,
    second: Level::Whole,
    batch_max: 4,
};
const TWO_SHARDS: World = World {
    shards: [0, 1],
    ..ONE_SHARD
};
const NOTHING: Budget = Budget {
    time: 0,
    ticks: 0,
    lost: 0,
    crashes: 0,
    moves: 0,
    stops: 0,
    feeds: 0,
};
const LITTLE: Budget = Budget {
    time: 1,
    ticks: 1,
    ..NOTHING
};

#[test]
fn answers_that_are_lost_and_pauses() {
    let budget = Budget { lost: 1, ..LITTLE };
    explore("lost answers", ONE_SHARD, budget);
}

#[test]
fn a_crash_and_an_answer_that_is_lost() {
    let budget = Budget {
        lost: 1,
        crashes: 1,
        ..LITTLE
    };
    explore("a crash", ONE_SHARD, budget);
}

#[test]
fn a_stop_beside_a_standby_without_a_feed() {
    let world = World {
        second: Level::Away,
        ..ONE_SHARD
    };
    let budget = Budget {
        stops: 1,
        feeds: 1,
        ..LITTLE
    };
    explore("a stop", world, budget);
}

#[test]
fn a_move_between_shards() {
    let budget = Budget {
        lost: 1,
        moves: 1,
        ..LITTLE
    };
    explore("a move", TWO_SHARDS, budget);
}

/// What is being fetched holds up a move for a while, and what is not heard at all does.
#[test]
fn a_move_to_a_shard_that_is_behind() {
    for second in [Level::Filling, Level::Away] {
        let world = World {
            second,
            ..TWO_SHARDS
        };
        let budget = Budget {
            moves: 1,
            feeds: 1,
            ..LITTLE
        };
        explore(&format!("a move to one that is {second:?}"), world, budget);
    }
}

/// It holds up no take-over, as nobody publishes meanwhile.
#[test]
fn a_crash_beside_a_standby_that_is_behind() {
    let world = World {
        second: Level::Filling,
        ..ONE_SHARD
    };
    let budget = Budget {
        crashes: 1,
        ticks: 0,
        ..LITTLE
    };
    explore("a crash beside one that is behind", world, budget);
}

/// One commit of both: it may be refused for the one that has moved, or have happened before that moved.
#[test]
fn a_move_of_one_of_two_instruments() {
    let world = World {
        instruments: 2,
        ..TWO_SHARDS
    };
    let budget = Budget {
        lost: 1,
        moves: 1,
        ..LITTLE
    };
    explore("one of two moves", world, budget);
}

/// One commit has no room for both, so that a take of both may find one committed since.
#[test]
fn a_take_over_of_two_instruments() {
    let world = World {
        instruments: 2,
        batch_max: 3,
        ..ONE_SHARD
    };
    explore("a take-over of two", world, LITTLE);
}
