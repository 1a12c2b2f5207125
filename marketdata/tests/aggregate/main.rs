//! The aggregation core: its rules one by one, its properties against a naive oracle, a shard of instruments,
//! and a recorded session against the exchange's own bars.
#![expect(clippy::unwrap_used, reason = "helpers of tests fail by panicking")]

mod support;

mod oracle;

mod rules;

mod outages;

mod garbage;

mod doubts;

mod properties;

mod amendments;

mod adopt;

mod snapshots;

mod shards;

mod recorded;
