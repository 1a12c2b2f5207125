//! The assignment: its file's text, and how instruments are given their shards.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test may panic")]

mod plan;
mod text;

use wire::ShardCount;

fn count(shards: u16) -> ShardCount {
    ShardCount::new(shards).unwrap()
}
