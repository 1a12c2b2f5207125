// Pure: what has been applied, and so what is to be.
#![deny(clippy::disallowed_methods)]

use std::collections::BTreeMap;
use std::fmt;

use serde_json::Value;

/// An object of a feed's: its kind and its name.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Key {
    /// Such as `Deployment`.
    pub kind: String,
    /// Within the feed's namespace.
    pub name: String,
}

/// Which state of an object something is said of. It rises with every change of what is wanted of it: its generation, or
/// where it has none its resource version.
pub type Version = u64;

/// What was applied of a feed since this process looks after it. Not more than that: after a start everything is applied
/// once, which changes nothing where nothing has changed.
#[derive(Debug, Clone, Default)]
pub struct Ledger {
    applied: BTreeMap<Key, Applied>,
    /// Since when what is there is not wanted, in Unix seconds.
    unwanted_s: BTreeMap<Key, i64>,
    /// Names that somebody else's objects have, and when that was seen, in Unix seconds.
    taken_s: BTreeMap<Key, i64>,
}

/// Kinds of which a feed may have more or fewer. Of the others it always has its one, which goes with its owner; another one
/// with our label is a copy that somebody has made, and theirs to remove.
const CEASE_TO_BE_WANTED: [&str; 4] = [
    "Deployment",
    "PodDisruptionBudget",
    "HorizontalPodAutoscaler",
    "NetworkPolicy",
];

/// How long a name that somebody else's object has is left alone before it is tried again, in seconds: nobody tells when that
/// object is gone.
pub const TAKEN_FOR_S: i64 = 60;

#[derive(Debug, Clone, Copy)]
struct Applied {
    hash: u64,
    version: Version,
}

/// What is to be done.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Changes {
    /// Which of the wanted objects are to be applied, by their place.
    pub apply: Vec<usize>,
    /// What is there and not wanted.
    pub delete: Vec<Key>,
}

impl fmt::Display for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { kind, name } = self;
        write!(f, "{kind} {name}")
    }
}

impl Key {
    /// Of an object as Kubernetes' JSON.
    #[must_use]
    pub fn of(object: &Value) -> Self {
        let word = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        Self {
            kind: word(&object["kind"]),
            name: word(&object["metadata"]["name"]),
        }
    }
}

impl Ledger {
    /// What is to be done, where these are wanted and those are there. Workloads that are not wanted any more go on for
    /// `linger_s`: what a shard had is taken over from it before it goes.
    #[must_use]
    pub fn poll_changes(
        &mut self,
        wanted: &[Value],
        there: &BTreeMap<Key, Version>,
        now_s: i64,
        linger_s: i64,
    ) -> Changes {
        let keys: Vec<Key> = wanted.iter().map(Key::of).collect();
        self.taken_s
            .retain(|key, _| keys.contains(key) && !there.contains_key(key));
        let is_left = |key: &Key| {
            let seen_s = self.taken_s.get(key);
            seen_s.is_some_and(|seen_s| now_s.saturating_sub(*seen_s) < TAKEN_FOR_S)
        };
        let is_due = |at: &usize| {
            let key = &keys[*at];
            if is_left(key) {
                return false;
            }
            match (self.applied.get(key), there.get(key)) {
                // Somebody has changed it since.
                (Some(applied), Some(version)) => {
                    applied.hash != hash(&wanted[*at]) || *version > applied.version
                }
                // It was not applied by this process yet, or somebody has removed it.
                (None, _) | (Some(_), None) => true,
            }
        };
        let apply = (0..wanted.len()).filter(is_due).collect();
        let is_unwanted =
            |key: &&Key| !keys.contains(key) && CEASE_TO_BE_WANTED.contains(&&key.kind[..]);
        let unwanted: Vec<&Key> = there.keys().filter(is_unwanted).collect();
        self.unwanted_s.retain(|key, _| unwanted.contains(&key));
        let mut delete = Vec::new();
        for key in unwanted {
            let since_s = *self.unwanted_s.entry(key.clone()).or_insert(now_s);
            let lingers = ["Deployment", "PodDisruptionBudget"].contains(&&key.kind[..]);
            if !lingers || now_s.saturating_sub(since_s) >= linger_s {
                delete.push(key.clone());
            }
        }
        Changes { apply, delete }
    }

    /// It was applied, and is of that version now.
    pub fn handle_applied(&mut self, wanted: &Value, version: Version) {
        let applied = Applied {
            hash: hash(wanted),
            version,
        };
        let key = Key::of(wanted);
        self.taken_s.remove(&key);
        self.applied.insert(key, applied);
    }

    /// It was not applied: somebody else's object has its name.
    pub fn handle_taken(&mut self, key: Key, now_s: i64) {
        self.applied.remove(&key);
        self.taken_s.insert(key, now_s);
    }

    /// Names that somebody else's objects have.
    pub fn taken(&self) -> impl Iterator<Item = &Key> {
        self.taken_s.keys()
    }

    /// It was deleted.
    pub fn handle_deleted(&mut self, key: &Key) {
        self.applied.remove(key);
    }
}

/// FNV-1a, 64 bits: of every release the same for the same object, since it is written into objects too.
#[must_use]
pub fn hash(wanted: &Value) -> u64 {
    let text = wanted.to_string();
    text.bytes().fold(0xcbf2_9ce4_8422_2325, |hash, byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
    })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn object(name: &str, says: u32) -> Value {
        json!({ "kind": "Deployment", "metadata": { "name": name }, "spec": { "says": says } })
    }

    fn there(of: &[(&str, Version)]) -> BTreeMap<Key, Version> {
        let key = |name: &str| Key {
            kind: "Deployment".to_owned(),
            name: name.to_owned(),
        };
        of.iter()
            .map(|(name, version)| (key(name), *version))
            .collect()
    }

    #[track_caller]
    fn check(
        ledger: &mut Ledger,
        wanted: &[Value],
        of: &[(&str, Version)],
        apply: &[usize],
        delete: &[&str],
    ) {
        let changes = ledger.poll_changes(wanted, &there(of), 100, 0);
        assert_eq!(changes.apply, apply);
        let names: Vec<&str> = changes.delete.iter().map(|key| &key.name[..]).collect();
        assert_eq!(names, delete);
    }

    #[test]
    fn what_is_as_it_was_applied_is_left_alone() {
        let mut ledger = Ledger::default();
        let wanted = [object("a", 1), object("b", 1)];
        // After a start, all of it once, whatever is there.
        check(&mut ledger, &wanted, &[("a", 7)], &[0, 1], &[]);
        ledger.handle_applied(&wanted[0], 7);
        ledger.handle_applied(&wanted[1], 1);
        check(&mut ledger, &wanted, &[("a", 7), ("b", 1)], &[], &[]);
        // What is watched may be behind.
        check(&mut ledger, &wanted, &[("a", 6), ("b", 1)], &[], &[]);
    }

    #[test]
    fn what_is_wanted_otherwise_or_was_changed_or_removed_is_applied() {
        let mut ledger = Ledger::default();
        ledger.handle_applied(&object("a", 1), 7);
        check(&mut ledger, &[object("a", 2)], &[("a", 7)], &[0], &[]);
        check(&mut ledger, &[object("a", 1)], &[("a", 8)], &[0], &[]);
        check(&mut ledger, &[object("a", 1)], &[], &[0], &[]);
        check(
            &mut ledger,
            &[object("a", 1)],
            &[("a", 7), ("old", 3)],
            &[],
            &["old"],
        );
        ledger.handle_deleted(&Key::of(&object("a", 1)));
        check(&mut ledger, &[object("a", 1)], &[("a", 7)], &[0], &[]);
    }

    #[test]
    fn a_name_that_is_taken_is_tried_again_later() {
        let mut ledger = Ledger::default();
        let wanted = [object("a", 1)];
        let at = |ledger: &mut Ledger, of: &[(&str, Version)], now_s| {
            ledger.poll_changes(&wanted, &there(of), now_s, 0).apply
        };
        assert_eq!(at(&mut ledger, &[], 100), [0]);
        ledger.handle_taken(Key::of(&wanted[0]), 100);
        assert!(at(&mut ledger, &[], 100 + TAKEN_FOR_S - 1).is_empty());
        assert_eq!(ledger.taken().count(), 1);
        assert_eq!(at(&mut ledger, &[], 100 + TAKEN_FOR_S), [0]);
        ledger.handle_applied(&wanted[0], 1);
        assert_eq!(ledger.taken().count(), 0);
        // What is not wanted any more, or is there and ours, is not taken.
        ledger.handle_taken(Key::of(&wanted[0]), 200);
        assert_eq!(at(&mut ledger, &[("a", 1)], 201), [0]);
        assert_eq!(ledger.taken().count(), 0);
        ledger.handle_taken(Key::of(&wanted[0]), 200);
        let _ = ledger.poll_changes(&[], &there(&[]), 201, 0);
        assert_eq!(ledger.taken().count(), 0);
    }

    #[test]
    fn a_workload_that_is_not_wanted_lingers() {
        let mut ledger = Ledger::default();
        let of = |kind: &str| Key {
            kind: kind.to_owned(),
            name: "a".to_owned(),
        };
        let policy = of("NetworkPolicy");
        let mut found = there(&[("old", 3)]);
        found.insert(policy.clone(), 1);
        found.insert(of("ConfigMap"), 1);
        found.insert(of("Service"), 1);
        let mut at = |found: &BTreeMap<Key, Version>, now_s| {
            ledger.poll_changes(&[], found, now_s, 30).delete
        };
        assert_eq!(at(&found, 100), std::slice::from_ref(&policy));
        found.remove(&policy);
        assert_eq!(at(&found, 129), []);
        assert_eq!(at(&found, 130).len(), 1);
        // It is wanted again for a while: its time begins anew.
        let wanted = [object("old", 1)];
        let _ = ledger.poll_changes(&wanted, &found, 131, 30);
        assert_eq!(ledger.poll_changes(&[], &found, 140, 30).delete, []);
    }
}
