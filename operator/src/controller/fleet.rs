// Pure: whose turn it is when all feeds change at once, as another release of the operator makes them. One feed after the
// other; what a user has changed waits for nobody.
#![deny(clippy::disallowed_methods)]

use std::collections::{BTreeMap, BTreeSet};

/// How long a feed may have its turn without getting any further, in seconds: longer than a pod takes to start and an old one
/// to drain. The others go on then; it has a turn again after them.
pub const STUCK_S: i64 = 600;

/// How long one counts among those that wait, in seconds: they say so at each look.
const WAITS_FOR_S: i64 = 60;

/// The feeds of one operator.
#[derive(Debug, Default)]
pub struct Fleet {
    turn: Option<Turn>,
    /// Who wished for a turn and had to wait, and when that was last.
    waiting: BTreeMap<String, Waiting>,
    /// Who had a turn and got no further, and when that was.
    stuck_s: BTreeMap<String, i64>,
}

#[derive(Debug)]
struct Waiting {
    name: String,
    wished_s: i64,
}

/// Who has it.
#[derive(Debug)]
struct Turn {
    uid: String,
    name: String,
    /// How far it is, and since when.
    progress: u64,
    since_s: i64,
}

impl Fleet {
    /// A feed is about to change a workload. Without its turn it may not, and hears whose it is.
    ///
    /// # Errors
    /// With the name of the feed that has the turn.
    pub fn handle_wish(&mut self, uid: &str, name: &str, now_s: i64) -> Result<(), String> {
        let is_over = |turn: &mut Turn| now_s.saturating_sub(turn.since_s) >= STUCK_S;
        if let Some(turn) = self.turn.take_if(is_over) {
            self.stuck_s.insert(turn.uid, now_s);
        }
        if self.turn.as_ref().is_some_and(|turn| turn.uid == uid) {
            return Ok(());
        }
        self.waiting
            .retain(|_, one| now_s.saturating_sub(one.wished_s) < WAITS_FOR_S);
        if let Some(other) = self.before(uid) {
            let (name, wished_s) = (name.to_owned(), now_s);
            self.waiting
                .insert(uid.to_owned(), Waiting { name, wished_s });
            return Err(other);
        }
        self.waiting.remove(uid);
        self.turn = Some(Turn {
            uid: uid.to_owned(),
            name: name.to_owned(),
            progress: 0,
            since_s: now_s,
        });
        Ok(())
    }

    /// The name of the one that a feed has to wait for: who has the turn, or who waits and got stuck longer ago, or never.
    fn before(&self, uid: &str) -> Option<String> {
        if let Some(turn) = &self.turn {
            return Some(turn.name.clone());
        }
        let stuck_s = |uid: &str| self.stuck_s.get(uid).copied();
        let own_s = stuck_s(uid)?;
        let others = self.waiting.iter().filter(|(other, _)| *other != uid);
        let mut earlier =
            others.filter(|(other, _)| stuck_s(other).is_none_or(|at_s| at_s < own_s));
        earlier.next().map(|(_, other)| other.name.clone())
    }

    /// The API server refuses what a feed is to be: it gives its turn back.
    pub fn handle_refused(&mut self, uid: &str, now_s: i64) {
        if self.turn.take_if(|turn| turn.uid == uid).is_some() {
            self.stuck_s.insert(uid.to_owned(), now_s);
        }
    }

    /// How far a feed is: any number that is another one when it gets further; `None` when it is all there.
    pub fn handle_progress(&mut self, uid: &str, progress: Option<u64>, now_s: i64) {
        if progress.is_none() {
            self.waiting.remove(uid);
            self.stuck_s.remove(uid);
        }
        let Some(turn) = self.turn.as_mut().filter(|turn| turn.uid == uid) else {
            return;
        };
        match progress {
            None => self.turn = None,
            Some(progress) if progress != turn.progress => {
                (turn.progress, turn.since_s) = (progress, now_s);
            }
            Some(_) => {}
        }
    }

    /// Those that are not there any more have no turn.
    pub fn forget_others(&mut self, there: &BTreeSet<String>) {
        self.turn.take_if(|turn| !there.contains(&turn.uid));
        self.waiting.retain(|uid, _| there.contains(uid));
        self.stuck_s.retain(|uid, _| there.contains(uid));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn wish(fleet: &mut Fleet, uid: &str, now_s: i64, expect: Result<(), &str>) {
        let got = fleet.handle_wish(uid, &format!("market/{uid}"), now_s);
        assert_eq!(
            got.as_ref().map_err(|name| &name[..]),
            expect.as_ref().map_err(|name| *name)
        );
    }

    #[test]
    fn one_feed_after_the_other() {
        let mut fleet = Fleet::default();
        wish(&mut fleet, "a", 0, Ok(()));
        wish(&mut fleet, "b", 10, Err("market/a"));
        wish(&mut fleet, "a", 20, Ok(()));
        fleet.handle_progress("b", None, 30);
        wish(&mut fleet, "b", 31, Err("market/a"));
        fleet.handle_progress("a", None, 40);
        wish(&mut fleet, "b", 41, Ok(()));
        wish(&mut fleet, "a", 42, Err("market/b"));
    }

    #[test]
    fn one_that_is_stuck_holds_up_the_others_for_a_while_only() {
        let mut fleet = Fleet::default();
        wish(&mut fleet, "a", 0, Ok(()));
        // It gets further, and then it does not.
        fleet.handle_progress("a", Some(1), 500);
        fleet.handle_progress("a", Some(1), 900);
        wish(&mut fleet, "b", 500 + STUCK_S - 1, Err("market/a"));
        wish(&mut fleet, "b", 500 + STUCK_S, Ok(()));
        wish(&mut fleet, "a", 500 + STUCK_S, Err("market/b"));
        // It has another turn when nobody else waits, and after those that do.
        wish(&mut fleet, "c", 501 + STUCK_S, Err("market/b"));
        fleet.handle_progress("b", None, 502 + STUCK_S);
        wish(&mut fleet, "a", 503 + STUCK_S, Err("market/c"));
        wish(&mut fleet, "c", 504 + STUCK_S, Ok(()));
        fleet.handle_progress("c", None, 505 + STUCK_S);
        wish(&mut fleet, "a", 506 + STUCK_S, Ok(()));
    }

    #[test]
    fn one_that_is_refused_gives_its_turn_back() {
        let mut fleet = Fleet::default();
        wish(&mut fleet, "a", 0, Ok(()));
        wish(&mut fleet, "b", 1, Err("market/a"));
        fleet.handle_refused("b", 2);
        wish(&mut fleet, "b", 3, Err("market/a"));
        fleet.handle_refused("a", 4);
        wish(&mut fleet, "a", 5, Err("market/b"));
        // One that said so too long ago waits no more.
        wish(&mut fleet, "a", 3 + WAITS_FOR_S, Ok(()));
        wish(&mut fleet, "b", 4 + WAITS_FOR_S, Err("market/a"));
        fleet.handle_refused("a", 5 + WAITS_FOR_S);
        wish(&mut fleet, "b", 6 + WAITS_FOR_S, Ok(()));
        fleet.handle_refused("b", 7 + WAITS_FOR_S);
        // Of two that are stuck the one goes first that got stuck longer ago.
        wish(&mut fleet, "a", 8 + WAITS_FOR_S, Ok(()));
    }

    #[test]
    fn one_that_is_gone_has_no_turn() {
        let mut fleet = Fleet::default();
        wish(&mut fleet, "a", 0, Ok(()));
        fleet.forget_others(&["a".to_owned(), "b".to_owned()].into());
        wish(&mut fleet, "b", 1, Err("market/a"));
        fleet.forget_others(&["b".to_owned()].into());
        wish(&mut fleet, "b", 2, Ok(()));
    }
}
