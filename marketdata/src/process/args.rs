//! The command line of `marketfeed-marketdata`.

use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, Parser, Subcommand, ValueEnum};
use runtime::args::{AdminArgs, LogArgs, SampleArgs, ScopeArgs, TraceArgs, duration};
use runtime::broker::nats::NatsArgs;
use wire::ShardId;

use crate::cli::assign::AssignArgs;
use crate::service::{ConfigError, REORDER_WINDOW_MIN, WhenFull};

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

    /// Names this process in leases and logs, such as its pod's name; if absent, what HOSTNAME says, else
    /// marketfeed-marketdata. Each start adds digits of its own
    #[arg(long, value_name = "NAME", env = "MARKETFEED_INSTANCE")]
    pub instance: Option<String>,

    /// Which feed.
    #[command(flatten)]
    pub scope: ScopeArgs,

    /// How long a bar waits for stragglers after its end, by the exchange's clock; 2s at least
    #[arg(long, value_name = "DURATION", env = "MARKETFEED_REORDER_WINDOW", default_value = "2s", value_parser = reorder_window)]
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

/// The options of `marketfeed-marketdata purge`. How streams should be is nothing to who removes them; where variables
/// say it to all processes, they are passed over.
#[derive(Debug, Args)]
#[command(mut_arg("nats_replicas", |arg| arg.hide(true)))]
#[command(mut_arg("nats_closes_per_topic", |arg| arg.hide(true)))]
pub struct Purge {
    /// Which feed.
    #[command(flatten)]
    pub scope: ScopeArgs,

    /// How long it tries again while NATS is away, or does not do it
    #[arg(long, value_name = "DURATION", env = "MARKETFEED_WITHIN", default_value = "45s", value_parser = duration)]
    pub within: Duration,

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

fn reorder_window(text: &str) -> Result<Duration, String> {
    let window = duration(text)?;
    if window < REORDER_WINDOW_MIN {
        return Err(ConfigError::ReorderWindow.to_string());
    }
    Ok(window)
}

fn shard(text: &str) -> Result<ShardId, String> {
    text.parse()
        .map(ShardId)
        .map_err(|_| "a shard is a whole number from 0".to_owned())
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    fn parse(line: &str) -> Result<Cli, String> {
        let words = std::iter::once("marketfeed-marketdata").chain(line.split_whitespace());
        Cli::try_parse_from(words).map_err(|error| error.to_string())
    }

    #[test]
    fn a_window_that_one_message_could_skip_is_refused_at_once() {
        let run = |window: &str| {
            parse(&format!(
                "run --assignment a.json --shard 0 --env it --reorder-window {window}"
            ))
        };
        assert!(run("2s").is_ok() && run("2m").is_ok());
        for short in ["1s", "1999ms"] {
            let error = run(short).unwrap_err();
            assert!(error.contains("must be 2s at least"), "{error}");
        }
    }

    #[test]
    fn a_purge_takes_and_does_not_show_how_streams_should_be() {
        Cli::command().debug_assert();
        let mut cli = Cli::command();
        let purge = cli.find_subcommand_mut("purge").unwrap();
        let help = purge.render_help().to_string();
        assert!(help.contains("--nats-url") && help.contains("--nats-owner"));
        assert!(!help.contains("--nats-replicas") && !help.contains("--nats-closes"));
        assert!(parse("purge --env it --nats-replicas 1").is_ok());
    }
}
