//! Cases of leases.
#![expect(
    clippy::expect_used,
    reason = "a contract suite fails by panicking, and its literals are valid"
)]

use bytes::Bytes;
use wire::ShardId;

use super::bars::Bus;
use crate::broker::{LeaseEntry, LeaseError};

impl Bus {
    async fn lease(&self, shard: u16) -> Option<LeaseEntry> {
        let read = self.broker.lease(&self.scope, ShardId(shard)).await;
        read.expect("read")
    }

    async fn lease_write(
        &self,
        shard: u16,
        says: &'static str,
        expect: u64,
    ) -> Result<u64, LeaseError> {
        let value = Bytes::from_static(says.as_bytes());
        self.broker
            .write_lease(&self.scope, ShardId(shard), value, expect)
            .await
    }
}

pub(super) async fn a_lease_is_made_once_and_changed_by_who_knows_it(bus: Bus) {
    assert_eq!(bus.lease(0).await, None);
    let conflict = |expected| Err(LeaseError::Conflict { expected });
    // Nothing is there to be replaced.
    assert_eq!(bus.lease_write(0, "a", 7).await, conflict(7));
    let made = bus.lease_write(0, "a", 0).await.expect("made");
    let entry = |revision, says: &'static str| {
        let value = Bytes::from_static(says.as_bytes());
        Some(LeaseEntry { revision, value })
    };
    assert_eq!(bus.lease(0).await, entry(made, "a"));
    assert_eq!(bus.lease_write(0, "b", 0).await, conflict(0));
    // Renewed by its owner, taken over by another, and no longer the first one's.
    let renewed = bus.lease_write(0, "a", made).await.expect("renewed");
    assert!(renewed > made);
    assert_eq!(bus.lease_write(0, "b", made).await, conflict(made));
    let taken = bus.lease_write(0, "b", renewed).await.expect("taken");
    assert!(taken > renewed);
    assert_eq!(bus.lease_write(0, "a", renewed).await, conflict(renewed));
    assert_eq!(bus.lease(0).await, entry(taken, "b"));
    // Another shard has its own.
    assert_eq!(bus.lease(1).await, None);
    let other = bus.lease_write(1, "c", 0).await.expect("made");
    assert_eq!(bus.lease(1).await, entry(other, "c"));
    assert_eq!(bus.lease(0).await, entry(taken, "b"));
}

pub(super) async fn of_two_takers_one_wins(bus: Bus) {
    let mut stands = 0;
    for _ in 0..10 {
        let takers = tokio::join!(
            bus.lease_write(3, "one", stands),
            bus.lease_write(3, "two", stands)
        );
        let (revision, says) = match takers {
            (Ok(revision), Err(LeaseError::Conflict { .. })) => (revision, "one"),
            (Err(LeaseError::Conflict { .. }), Ok(revision)) => (revision, "two"),
            both => panic!("{both:?}"),
        };
        let entry = bus.lease(3).await.expect("there");
        assert_eq!(
            (entry.revision, &entry.value[..]),
            (revision, says.as_bytes())
        );
        stands = revision;
    }
}
