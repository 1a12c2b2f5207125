// Pure: how trades become bars, and where that runs.
#![deny(clippy::disallowed_methods)]

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::pod::{PodSpec, ResourcesSpec};
use super::schema::{DURATION_LEN_MAX, duration_from_to};

/// How trades become bars. A change rolls the market-data pods.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct AggregationSpec {
    /// How long a bar waits for stragglers after its end, by the exchange's clock: a whole number and ms, s or m, from 2s
    /// to 1m. Bars of which every trade is there do not wait.
    #[schemars(
        length(max = DURATION_LEN_MAX),
        extend("x-kubernetes-validations" = duration_from_to("2s", "1m"))
    )]
    pub reorder_window: String,

    /// How often the open bar of each topic is sent, if it has changed: a whole number and ms, s or m, from 10ms to 1m.
    #[schemars(
        length(max = DURATION_LEN_MAX),
        extend("x-kubernetes-validations" = duration_from_to("10ms", "1m"))
    )]
    pub update_interval: String,

    /// What happens when trades come faster than they are added up. DropNewest: they are dropped, counted, and fetched
    /// again where the venue gives them. Wait: the exchange waits, which suits a replay only.
    pub when_full: WhenFull,
}

impl Default for AggregationSpec {
    fn default() -> Self {
        Self {
            reorder_window: "2s".to_owned(),
            update_interval: "250ms".to_owned(),
            when_full: WhenFull::DropNewest,
        }
    }
}

/// What happens to a trade for which there is no room.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[schemars(inline)]
pub enum WhenFull {
    // No doc comments on the variants: with them the schema would be a choice of constants, which is not structural.
    #[allow(missing_docs)]
    DropNewest,
    #[allow(missing_docs)]
    Wait,
}

/// The market-data processes.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct MarketdataSpec {
    /// How many shards the instruments are spread over, 1 to 256; each has a Deployment of its own. When it changes, as
    /// few instruments move as can, each without a break.
    #[schemars(range(min = 1, max = 256))]
    pub shards: i32,

    /// Warm standbys of each shard beside its owner, 0 to 4: they compute the same bars and take over within seconds.
    #[schemars(range(min = 0, max = 4))]
    pub standbys: i32,

    /// CPU and memory of the container. A request of 250m CPU and 256Mi memory where nothing is said.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub resources: Option<ResourcesSpec>,

    /// What else its pods shall be like.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub pod: Option<PodSpec>,
}

impl Default for MarketdataSpec {
    fn default() -> Self {
        Self {
            shards: 1,
            standbys: 1,
            resources: None,
            pod: None,
        }
    }
}
