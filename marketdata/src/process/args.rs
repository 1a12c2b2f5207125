//! The command line of `marketfeed-marketdata`.

use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, Parser, Subcommand, ValueEnum};
use runtime::args::{AdminArgs, LogArgs, SampleArgs, ScopeArgs, TraceArgs, duration};
use runtime::broker::nats::NatsArgs;
use wire::ShardId;

use crate::cli::assign::AssignArgs;
use crate::service::WhenFull;

/// Exchange trades in, exact bars out on the bus: one shard of a feed
#[derive(Debug, Parser)]
#[command(name = "marketfeed-marketdata", version, max_term_width = 100)]
pub struct Cli {
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
}

/// What to do.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Serve one shard, as its owner or as a warm standby
    Run(Box<Run>),
    /// Write an assignment of instruments to shards, or the one that follows another
    Assign(AssignArgs),
    /// Remove a feed's streams and leases from NATS, for good
    Purge(Box<Purge>),
}

/// The options of `marketfeed-marketdata run`.
#[derive(Debug, Args)]
pub struct Run {
    /// The assignment: which instruments are carried and which shard has which. Read again when it changes
    #[arg(long, value_name = "FILE", env = "MARKETFEED_ASSIGNMENT")]
    pub assignment: PathBuf,

    /// Which shard of it this process serves, from 0
    #[arg(long, value_name = "N", env = "MARKETFEED_SHARD", value_parser = shard)]
    pub shard: ShardId,

    /// Names this process in leases and logs, such as its pod's name; made up if absent
    #[arg(long, value_name = "NAME", env = "MARKETFEED_INSTANCE")]
    pub instance: Option<String>,

    /// Which feed.
    #[command(flatten)]
    pub scope: ScopeArgs,

    /// How long a bar waits for stragglers after its end, by the exchange's clock; 2s at least
    #[arg(long, value_name = "DURATION", env = "MARKETFEED_REORDER_WINDOW", default_value = "2s", value_parser = duration)]
    pub reorder_window: Duration,

    /// How often open bars are sent
    #[arg(long, value_name = "DURATION", env = "MARKETFEED_UPDATE_INTERVAL", default_value = "250ms", value_parser = duration)]
    pub update_interval: Duration,

    /// What happens when trades come faster than they are added up: the newest are dropped, counted and repaired, or
    /// the exchange waits, as only a replay does
    #[arg(
        long,
        value_name = "WHAT",
        env = "MARKETFEED_WHEN_FULL",
        value_enum,
        default_value = "drop-newest"
    )]
    pub when_full: WhenFullArg,

    /// How long a silent owner keeps its shard
    #[arg(long, value_name = "DURATION", env = "MARKETFEED_LEASE_TTL", default_value = "3s", value_parser = duration)]
    pub lease_ttl: Duration,

    /// The bus.
    #[command(flatten)]
    pub nats: NatsArgs,

    /// Where traces go.
    #[command(flatten)]
    pub trace: TraceArgs,

    /// How many traces are taken.
    #[command(flatten)]
    pub sample: SampleArgs,

    /// Its state.
    #[command(flatten)]
    pub admin: AdminArgs,

    /// Its log.
    #[command(flatten)]
    pub log: LogArgs,
}

/// The options of `marketfeed-marketdata purge`.
#[derive(Debug, Args)]
pub struct Purge {
    /// Which feed.
    #[command(flatten)]
    pub scope: ScopeArgs,

    /// The bus.
    #[command(flatten)]
    pub nats: NatsArgs,

    /// Its log.
    #[command(flatten)]
    pub log: LogArgs,
}

/// What happens to a trade for which there is no room.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum WhenFullArg {
    /// It is dropped.
    DropNewest,
    /// The exchange waits.
    Wait,
}

impl From<WhenFullArg> for WhenFull {
    fn from(arg: WhenFullArg) -> Self {
        match arg {
            WhenFullArg::DropNewest => Self::DropNewest,
            WhenFullArg::Wait => Self::Wait,
        }
    }
}

fn shard(text: &str) -> Result<ShardId, String> {
    text.parse()
        .map(ShardId)
        .map_err(|_| "a shard is a whole number from 0".to_owned())
}
