//! What a process is to its shards, in numbers.

use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::registry::Registry;
use wire::ShardId;

use crate::owner::{Role, Status};

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct ShardLabel {
    shard: u16,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct RoleLabel {
    shard: u16,
    role: &'static str,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct StateLabel {
    shard: u16,
    state: &'static str,
}

/// Ownership as last seen.
#[derive(Debug, Clone, Default)]
pub(crate) struct Ownership {
    role: Family<RoleLabel, Gauge>,
    instruments: Family<StateLabel, Gauge>,
    lease_held: Family<ShardLabel, Gauge>,
    level: Family<ShardLabel, Gauge>,
    /// These only rise. They are gauges, since the owner counts and they repeat it.
    counts: Family<StateLabel, Gauge>,
}

impl Ownership {
    pub(crate) fn register(&self, registry: &mut Registry) {
        registry.register(
            "shard_role",
            "1 for what this process is to the shard",
            self.role.clone(),
        );
        registry.register(
            "shard_instruments",
            "Instruments of the shard by their state in this process",
            self.instruments.clone(),
        );
        registry.register(
            "shard_lease_held",
            "1 while the shard's lease is confirmed as this process's",
            self.lease_held.clone(),
        );
        registry.register(
            "shard_level",
            "1 while this process could go on with all of the shard at once",
            self.level.clone(),
        );
        registry.register(
            "shard_outcomes",
            "Since the start: commits fenced and unknown, instruments taken and lost, closes another had committed",
            self.counts.clone(),
        );
    }

    pub(crate) fn set(&self, ShardId(shard): ShardId, status: &Status) {
        for role in [Role::Standby, Role::Taking, Role::Active] {
            let label = RoleLabel {
                shard,
                role: role.as_str(),
            };
            let is = i64::from(role == status.role);
            self.role.get_or_create(&label).set(is);
        }
        let states = [
            ("owned", status.owned),
            ("taking", status.taking),
            ("unowned", status.unowned),
            ("blocked", status.blocked.values().sum()),
            ("leaving", status.leaving),
        ];
        for (state, count) in states {
            let count = i64::try_from(count).unwrap_or(i64::MAX);
            let label = StateLabel { shard, state };
            self.instruments.get_or_create(&label).set(count);
        }
        let label = ShardLabel { shard };
        let held = i64::from(status.is_lease_held);
        self.lease_held.get_or_create(&label).set(held);
        let level = i64::from(status.is_level);
        self.level.get_or_create(&label).set(level);
        let counts = &status.counts;
        let counts = [
            ("fenced", counts.fenced),
            ("unknown", counts.unknown),
            ("taken", counts.taken),
            ("lost", counts.lost),
            ("settled", counts.settled),
        ];
        for (state, count) in counts {
            let count = i64::try_from(count).unwrap_or(i64::MAX);
            let label = StateLabel { shard, state };
            self.counts.get_or_create(&label).set(count);
        }
    }
}
