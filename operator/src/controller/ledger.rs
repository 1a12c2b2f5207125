// Pure: what has been applied, and so what is to be.
#![deny(clippy::disallowed_methods)]

use std::collections::BTreeMap;
use std::fmt;

use serde_json::Value;

use super::standing::Standing;

/// An object of a feed's: its kind and its name.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Key {
    /// Such as `Deployment`.
    pub kind: String,
    /// Within the feed's namespace.
    pub name: String,
}

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

#[derive(Debug, Clone)]
struct Applied {
    /// Of what was wanted.
    hash: u64,
    /// How the object stood then.
    version: u64,
    content: u64,
    marks: u64,
    uid: String,
}

/// How long workloads go on that are not wanted any more, in seconds.
#[derive(Debug, Clone, Copy)]
pub struct Linger {
    /// At least.
    pub min_s: i64,
    /// And until what they had is taken over, but so long at most.
    pub max_s: i64,
    /// Whether it is.
    pub is_over: bool,
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
    /// What is to be done, where these are wanted and those are there. Workloads that are not wanted any more linger: what a
    /// shard had is taken over from it before it goes.
    #[must_use]
    pub fn poll_changes(
        &mut self,
        wanted: &[Value],
        there: &BTreeMap<Key, Standing>,
        now_s: i64,
        linger: Linger,
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
                (Some(applied), Some(standing)) => {
                    applied.hash != hash(&wanted[*at]) || applied.is_changed(&wanted[*at], standing)
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
            let for_s = now_s.saturating_sub(since_s);
            let is_over = for_s >= linger.max_s || (for_s >= linger.min_s && linger.is_over);
            if !lingers || is_over {
                delete.push(key.clone());
            }
        }
        Changes { apply, delete }
    }

    /// It was applied, and stands so now.
    pub fn handle_applied(&mut self, wanted: &Value, standing: Standing) {
        let applied = Applied {
            hash: hash(wanted),
            version: standing.version,
            content: standing.content,
            marks: standing.marks(wanted),
            uid: standing.uid,
        };
        let key = Key::of(wanted);
        self.taken_s.remove(&key);
        self.applied.insert(key, applied);
    }

    /// Only its number of pods was applied, one generation later if at all, and it stands so now. Whatever else is wanted of it
    /// was not: it may have been held back.
    pub fn handle_scaled(&mut self, wanted: &Value, standing: &Standing) {
        let Some(applied) = self.applied.get_mut(&Key::of(wanted)) else {
            return;
        };
        let is_ours = standing.content <= applied.content.saturating_add(1);
        if is_ours && applied.marks == standing.marks(wanted) {
            (applied.version, applied.content) = (standing.version, standing.content);
        }
    }

    /// Whether it was applied.
    #[must_use]
    pub fn is_known(&self, key: &Key) -> bool {
        self.applied.contains_key(key)
    }

    /// Whether it is the object that was applied, by its UID; whoever it says that it belongs to.
    #[must_use]
    pub fn is_applied(&self, key: &Key, uid: &str) -> bool {
        let applied = self.applied.get(key);
        applied.is_some_and(|applied| !uid.is_empty() && applied.uid == uid)
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

impl Applied {
    /// Whether somebody has changed it since. What is watched may be behind.
    fn is_changed(&self, wanted: &Value, there: &Standing) -> bool {
        let is_same = self.content == there.content && self.marks == there.marks(wanted);
        there.version >= self.version && !is_same
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
mod tests;
