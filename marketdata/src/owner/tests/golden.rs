//! The texts that outlive a process, kept as files: every release reads what another has written.

use wire::{Interval, ShardId};

use crate::aggregate::SeriesSnapshot;
use crate::owner::*;

const CHECKPOINT: &str = include_str!("golden/checkpoint.json");
const CHECKPOINT_NEWER: &str = include_str!("golden/checkpoint-newer.json");
const LEASE: &str = include_str!("golden/lease.json");
const LEASE_NEWER: &str = include_str!("golden/lease-newer.json");

fn checkpoint(text: &str) -> Checkpoint {
    Checkpoint::decode(text.as_bytes()).unwrap()
}

fn series(checkpoint: &Checkpoint) -> SeriesSnapshot {
    serde_json::from_str(checkpoint.series.as_ref().unwrap().get()).unwrap()
}

#[test]
fn they_are_written_to_the_letter() {
    let written = checkpoint(CHECKPOINT);
    assert_eq!(
        String::from_utf8(written.encode()).unwrap(),
        CHECKPOINT.trim_end()
    );
    let series = serde_json::to_string(&series(&written)).unwrap();
    assert_eq!(series, written.series.unwrap().get());
    let lease = LeaseValue::decode(LEASE.as_bytes()).unwrap();
    assert_eq!(String::from_utf8(lease.encode()).unwrap(), LEASE.trim_end());
}

#[test]
fn a_checkpoint_of_a_later_release_is_gone_on_from() {
    let (ours, newer) = (checkpoint(CHECKPOINT), checkpoint(CHECKPOINT_NEWER));
    assert_eq!(series(&newer), series(&ours));
    let interval: Interval = "1s".parse().unwrap();
    let place = Place {
        next_start_ms: 1_795_610_757_000,
        close_no: 6,
    };
    assert_eq!(newer.topics.place(interval), Some(place));
    assert_eq!(
        (newer.shard, newer.generation, newer.commit_no),
        (ShardId(0), 5, 4)
    );
    let but_for_the_series = |of: Checkpoint| Checkpoint { series: None, ..of };
    assert_eq!(but_for_the_series(newer), but_for_the_series(ours));
}

#[test]
fn a_lease_of_a_later_release_is_read() {
    let newer = LeaseValue::decode(LEASE_NEWER.as_bytes());
    assert_eq!(newer, LeaseValue::decode(LEASE.as_bytes()));
    assert_eq!(newer.unwrap().claim, 1_795_614_351_723);
}
