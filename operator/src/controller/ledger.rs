// Pure: what has been applied, and so what is to be.
#![deny(clippy::disallowed_methods)]

use std::collections::BTreeMap;
use std::hash::{DefaultHasher, Hash, Hasher};

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
}

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
    /// What is to be done, where these are wanted and those are there.
    #[must_use]
    pub fn poll_changes(&self, wanted: &[Value], there: &BTreeMap<Key, Version>) -> Changes {
        let keys: Vec<Key> = wanted.iter().map(Key::of).collect();
        let is_due = |at: &usize| {
            let key = &keys[*at];
            match (self.applied.get(key), there.get(key)) {
                // Somebody has removed it, or changed it since.
                (Some(_), None) => true,
                (Some(applied), Some(version)) => {
                    applied.hash != hash(&wanted[*at]) || *version > applied.version
                }
                (None, _) => true,
            }
        };
        Changes {
            apply: (0..wanted.len()).filter(is_due).collect(),
            delete: there
                .keys()
                .filter(|key| !keys.contains(key))
                .cloned()
                .collect(),
        }
    }

    /// It was applied, and is of that version now.
    pub fn handle_applied(&mut self, wanted: &Value, version: Version) {
        let applied = Applied {
            hash: hash(wanted),
            version,
        };
        self.applied.insert(Key::of(wanted), applied);
    }

    /// It was deleted.
    pub fn handle_deleted(&mut self, key: &Key) {
        self.applied.remove(key);
    }
}

/// Of one process only.
fn hash(value: &Value) -> u64 {
    let mut hasher = DefaultHasher::new();
    value.to_string().hash(&mut hasher);
    hasher.finish()
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
        ledger: &Ledger,
        wanted: &[Value],
        of: &[(&str, Version)],
        apply: &[usize],
        delete: &[&str],
    ) {
        let changes = ledger.poll_changes(wanted, &there(of));
        assert_eq!(changes.apply, apply);
        let names: Vec<&str> = changes.delete.iter().map(|key| &key.name[..]).collect();
        assert_eq!(names, delete);
    }

    #[test]
    fn what_is_as_it_was_applied_is_left_alone() {
        let mut ledger = Ledger::default();
        let wanted = [object("a", 1), object("b", 1)];
        // After a start, all of it once, whatever is there.
        check(&ledger, &wanted, &[("a", 7)], &[0, 1], &[]);
        ledger.handle_applied(&wanted[0], 7);
        ledger.handle_applied(&wanted[1], 1);
        check(&ledger, &wanted, &[("a", 7), ("b", 1)], &[], &[]);
        // What is watched may be behind.
        check(&ledger, &wanted, &[("a", 6), ("b", 1)], &[], &[]);
    }

    #[test]
    fn what_is_wanted_otherwise_or_was_changed_or_removed_is_applied() {
        let mut ledger = Ledger::default();
        ledger.handle_applied(&object("a", 1), 7);
        check(&ledger, &[object("a", 2)], &[("a", 7)], &[0], &[]);
        check(&ledger, &[object("a", 1)], &[("a", 8)], &[0], &[]);
        check(&ledger, &[object("a", 1)], &[], &[0], &[]);
        check(
            &ledger,
            &[object("a", 1)],
            &[("a", 7), ("old", 3)],
            &[],
            &["old"],
        );
        ledger.handle_deleted(&Key::of(&object("a", 1)));
        check(&ledger, &[object("a", 1)], &[("a", 7)], &[0], &[]);
    }
}
