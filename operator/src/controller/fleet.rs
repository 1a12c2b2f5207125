// Pure: whose turn it is when all feeds change at once, as another release of the operator makes them. One feed after the
// other; what a user has changed waits for nobody.
#![deny(clippy::disallowed_methods)]

use std::collections::BTreeSet;

/// How long a feed may have its turn without getting any further, in seconds: longer than a pod takes to start and an old one
/// to drain. The others go on then; it has a turn again when it can.
pub const STUCK_S: i64 = 600;

/// The feeds of one operator.
#[derive(Debug, Default)]
pub struct Fleet {
    turn: Option<Turn>,
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
        match &self.turn {
            Some(turn) if turn.uid == uid => return Ok(()),
            Some(turn) if now_s.saturating_sub(turn.since_s) < STUCK_S => {
                return Err(turn.name.clone());
            }
            _ => {}
        }
        self.turn = Some(Turn {
            uid: uid.to_owned(),
            name: name.to_owned(),
            progress: 0,
            since_s: now_s,
        });
        Ok(())
    }

    /// How far a feed is: any number that is another one when it gets further; `None` when it is all there.
    pub fn handle_progress(&mut self, uid: &str, progress: Option<u64>, now_s: i64) {
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
