// Pure: what a feed's streams, bucket and inboxes are called. Every other file asks here.
#![deny(clippy::disallowed_methods)]

use wire::subject::Role;
use wire::{Scope, ShardId};

/// The names of one feed on a NATS account. Neither word of a scope holds `_` or `.`, so that no two scopes share a
/// name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Names {
    /// The stream of committed closes and their checkpoints.
    pub(super) closes: String,
    /// The stream that keeps the last open bar of each subject.
    pub(super) open: String,
    /// The key-value bucket of leases, as `nats kv` knows it.
    pub(super) leases_bucket: String,
    /// The stream behind that bucket.
    pub(super) leases: String,
    inbox: String,
}

impl Names {
    pub(super) fn new(scope: &Scope) -> Self {
        let Scope { env, region } = scope;
        let leases_bucket = format!("MF_{env}_{region}_LEASES");
        Self {
            closes: format!("MF_{env}_{region}_CLOSES"),
            open: format!("MF_{env}_{region}_OPEN"),
            leases: format!("KV_{leases_bucket}"),
            leases_bucket,
            inbox: format!("_INBOX.mf.{env}.{region}"),
        }
    }

    /// All streams, the one that others rest on last.
    pub(super) fn streams(&self) -> [&str; 3] {
        [&self.open, &self.leases, &self.closes]
    }

    /// Where answers to one role come in: a role may subscribe to its own, and so hears no answer to another.
    pub(super) fn inbox(&self, role: Party) -> String {
        format!("{}.{}", self.inbox, role.as_str())
    }

    /// All keys of the bucket.
    pub(super) fn lease_subjects(&self) -> String {
        format!("$KV.{}.>", self.leases_bucket)
    }

    /// The shard's key.
    pub(super) fn lease_subject(&self, shard: ShardId) -> String {
        format!("$KV.{}.shard-{shard}", self.leases_bucket)
    }
}

/// A user of the bus, as far as its credentials tell it apart.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Party {
    /// Makes bars, and the streams.
    Publisher,
    /// Passes bars on to clients.
    Gateway,
    /// Stores closes.
    History,
    /// Removes the feed's streams.
    Purge,
    /// Looks on: a person with a command-line client.
    Watcher,
}

impl Party {
    /// All of them.
    pub const ALL: [Self; 5] = [
        Self::Publisher,
        Self::Gateway,
        Self::History,
        Self::Purge,
        Self::Watcher,
    ];

    /// Its word in inboxes, user names and the documents.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Publisher => "publisher",
            Self::Gateway => "gateway",
            Self::History => "history",
            Self::Purge => "purge",
            Self::Watcher => "watcher",
        }
    }

    /// What the grammar calls it; the grammar knows nobody who only deletes.
    pub(super) fn role(self) -> Option<Role> {
        match self {
            Self::Publisher => Some(Role::Publisher),
            Self::Gateway => Some(Role::Gateway),
            Self::History => Some(Role::History),
            Self::Purge => None,
            Self::Watcher => Some(Role::Watcher),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_these() {
        let names = Names::new(&Scope::new("default-crypto", "eu").unwrap());
        let expect = [
            "MF_default-crypto_eu_OPEN",
            "KV_MF_default-crypto_eu_LEASES",
            "MF_default-crypto_eu_CLOSES",
        ];
        assert_eq!(names.streams(), expect);
        assert_eq!(
            names.lease_subject(ShardId(3)),
            "$KV.MF_default-crypto_eu_LEASES.shard-3"
        );
        assert_eq!(
            names.inbox(Party::Gateway),
            "_INBOX.mf.default-crypto.eu.gateway"
        );
    }
}
