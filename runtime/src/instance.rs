//! A process's name among its like.

use std::hash::{BuildHasher, RandomState};

/// A name that no other start of a process has: `name-<random>`, where the name is the given one, else the host's (a
/// pod's name), else the binary's. Two owners of one name would take each other's commits for their own.
#[must_use]
pub fn unique(name: Option<&str>, binary: &str) -> String {
    let host = std::env::var("HOSTNAME").unwrap_or_default();
    let names = [name.unwrap_or_default(), &host, binary];
    let name = names.into_iter().find(|name| !name.is_empty());
    // The standard library seeds it from the operating system.
    let random = RandomState::new().hash_one(std::process::id());
    format!("{}-{random:016x}", name.unwrap_or(binary))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_two_starts_have_one_name() {
        let (one, other) = (unique(Some("pod-1"), "x"), unique(Some("pod-1"), "x"));
        assert!(one.starts_with("pod-1-") && one.len() == "pod-1-".len() + 16);
        assert_ne!(one, other);
        assert!(!unique(Some(""), "x").starts_with('-'));
    }
}
