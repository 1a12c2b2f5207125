//! What must hold in every state, and what must come of it once everything works.

use marketdata::owner::Level;

use super::State;
use super::world::World;
use crate::engine::{LENS, known};

/// How long everything works before all must be well: a lease runs out, and what waits for it is done.
const WELL_AFTER: u32 = 12;

impl State {
    /// What the process was told to be committed is in the log.
    pub(super) fn check_told(&mut self, at: usize) -> Result<(), String> {
        let Some(node) = &mut self.places[at].node else {
            return Ok(());
        };
        node.told
            .drain(..)
            .try_for_each(|told| self.log.check_told(&told))
    }

    /// No two publish one instrument under one epoch.
    pub(super) fn check_published(&self, world: World) -> Result<(), String> {
        let [first, second] = &self.places;
        let (Some(first), Some(second)) = (&first.node, &second.node) else {
            return Ok(());
        };
        for instrument in world.instruments() {
            let epoch = first.owner.may_publish(instrument);
            if epoch.is_some() && epoch == second.owner.may_publish(instrument) {
                return Err(format!("both publish {instrument} as {epoch:?}"));
            }
        }
        Ok(())
    }

    /// From here on everything works, but what is being fetched may be so for ever: every bar is committed with all its
    /// trades, and each instrument is published by one process of the shard that has it.
    pub(super) fn check_end(&self, world: World) -> Result<(), String> {
        let mut state = self.clone();
        for at in [0, 1] {
            let level = &mut state.places[at].level;
            *level = (*level).max(Level::Filling);
        }
        for _ in 0..2 {
            for at in [0, 1] {
                if state.places[at].node.is_none() {
                    state.start(world, at);
                }
            }
            // Who was told to stop is gone after the first time.
            state.settle(world, WELL_AFTER / 2)?;
        }
        state.check_bars(world)?;
        // Who has lost an instrument finds out by its next commit.
        state.tick += 1;
        state.settle(world, WELL_AFTER / 3)?;
        state.check_bars(world)?;
        state.check_owners(world)
    }

    fn check_bars(&self, world: World) -> Result<(), String> {
        for instrument in world.instruments() {
            let committed = self.log.instruments.get(instrument);
            let bars = committed.map(|committed| &committed.bars);
            for (topic, len) in LENS.into_iter().enumerate() {
                let due = self.tick / len - 1;
                let newest = bars.and_then(|bars| bars.get(&(topic, due)));
                let all = known((topic, due), self.tick);
                if newest.is_none_or(|&(_, count)| count != all) {
                    return Err(format!("{instrument}: bar {due} of {len} s: {newest:?}"));
                }
            }
            for (&bar, &(_, count)) in bars.into_iter().flatten() {
                if count != known(bar, self.tick) {
                    return Err(format!("{instrument}: {bar:?} lacks trades"));
                }
            }
        }
        Ok(())
    }

    fn check_owners(&self, world: World) -> Result<(), String> {
        for (n, instrument) in world.instruments().iter().enumerate() {
            let nodes = self.places.iter().filter_map(|place| place.node.as_ref());
            let publishers = nodes.filter(|node| node.owner.may_publish(instrument).is_some());
            let shards: Vec<_> = publishers.map(|node| node.shard).collect();
            if shards != [world.shard_of(n, self.generation)] {
                return Err(format!("{instrument} is published by shards {shards:?}"));
            }
        }
        Ok(())
    }
}
