//! The worlds, and how every state of them is reached.

use std::collections::HashSet;
use std::collections::hash_map::DefaultHasher;
use std::hash::{Hash, Hasher};

use super::{Action, Budget, State, World};

fn fingerprint(state: &State) -> u64 {
    let mut hasher = DefaultHasher::new();
    state.hash(&mut hasher);
    hasher.finish()
}

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
            if let Err(broken) = acted {
                fail(&ways, ways.len() - 1, &broken);
            }
            open.push((next, ways.len() - 1));
        }
        // What is to come of it, where nothing more can happen by itself, and here and there before.
        let is_over =
            state.left == NOTHING && [0, 1].iter().all(|&at| state.answers(at).next().is_none());
        if is_over || steps.is_multiple_of(16) {
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
};
const TWO_SHARDS: World = World {
    shards: [0, 1],
    instruments: 1,
};
const NOTHING: Budget = Budget {
    time: 0,
    ticks: 0,
    lost: 0,
    crashes: 0,
    moves: 0,
};

#[test]
fn answers_that_are_lost_and_pauses() {
    let budget = Budget {
        time: 1,
        ticks: 1,
        lost: 1,
        ..NOTHING
    };
    explore("lost answers", ONE_SHARD, budget);
}

#[test]
fn a_crash() {
    let budget = Budget {
        time: 1,
        ticks: 1,
        crashes: 1,
        ..NOTHING
    };
    explore("a crash", ONE_SHARD, budget);
}

#[test]
fn moves_between_shards() {
    let budget = Budget {
        time: 0,
        ticks: 2,
        lost: 1,
        moves: 1,
        ..NOTHING
    };
    explore("moves", TWO_SHARDS, budget);
}
