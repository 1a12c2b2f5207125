//! The command line of `marketfeed-gateway`.

use std::net::SocketAddr;
use std::time::Duration;

use clap::{ArgMatches, Args as _, Command, CommandFactory, FromArgMatches, Parser};
use gateway::Options;
use runtime::args::{AdminArgs, LogArgs, ScopeArgs, TraceArgs, duration};
use runtime::broker::CloseStart;
use runtime::broker::nats::NatsArgs;

use crate::probe::ProbeArgs;

/// The word of its one command.
const PROBE: &str = "probe";

/// What the process is asked to do: to serve, if no command is named.
#[derive(Debug)]
pub(crate) enum Cli {
    /// Serve clients.
    Serve(Box<Args>),
    /// Be a client for a moment.
    Probe(ProbeArgs),
}

// By hand: derived, the options of serving would be asked for with the command too.
impl CommandFactory for Cli {
    fn command() -> Command {
        let probe = ProbeArgs::augment_args(Command::new(PROBE));
        Args::command()
            .subcommand(probe)
            .subcommand_negates_reqs(true)
            .args_conflicts_with_subcommands(true)
    }

    fn command_for_update() -> Command {
        Self::command()
    }
}

impl FromArgMatches for Cli {
    fn from_arg_matches(matches: &ArgMatches) -> Result<Self, clap::Error> {
        match matches.subcommand() {
            Some((PROBE, matches)) => ProbeArgs::from_arg_matches(matches).map(Self::Probe),
            _ => Args::from_arg_matches(matches).map(|args| Self::Serve(Box::new(args))),
        }
    }

    fn update_from_arg_matches(&mut self, matches: &ArgMatches) -> Result<(), clap::Error> {
        *self = Self::from_arg_matches(matches)?;
        Ok(())
    }
}

impl Parser for Cli {}

/// Bars from the bus to WebSocket clients
#[derive(Debug, Parser)]
#[command(name = "marketfeed-gateway", version, max_term_width = 100)]
pub(crate) struct Args {
    /// Where clients connect: WebSocket at /ws, and GET /api/v1/topics; port 0 takes any
    #[arg(
        long,
        value_name = "ADDR",
        env = "MARKETFEED_LISTEN",
        default_value = "127.0.0.1:8080"
    )]
    pub(crate) listen: SocketAddr,

    /// WebSockets at one time; the next ones are told to try again later. Fewer where the limit of open files is lower
    #[arg(
        long,
        value_name = "N",
        env = "MARKETFEED_CONNECTIONS_MAX",
        default_value_t = 15_000,
        value_parser = count(1, 1_000_000)
    )]
    pub(crate) connections_max: usize,

    /// Threads that connections are spread over; one a core if absent
    #[arg(long, value_name = "N", env = "MARKETFEED_SHARDS", value_parser = count(1, 1_024))]
    pub(crate) shards: Option<usize>,

    /// Closes kept in memory of each topic, for clients that are slow or come back; older ones are read from the bus
    #[arg(
        long,
        value_name = "N",
        env = "MARKETFEED_RING",
        default_value_t = 64,
        value_parser = count(1, 100_000)
    )]
    pub(crate) ring: usize,

    /// At a stop: how long it goes on accepting, so that load balancers notice
    #[arg(
        long,
        value_name = "TIME",
        env = "MARKETFEED_LINGER",
        default_value = "3s",
        value_parser = duration
    )]
    pub(crate) linger: Duration,

    /// At a stop: the time over which clients are told to connect again, after --linger
    #[arg(
        long,
        value_name = "TIME",
        env = "MARKETFEED_DRAIN",
        default_value = "10s",
        value_parser = duration
    )]
    pub(crate) drain: Duration,

    /// Which feed it serves.
    #[command(flatten)]
    pub(crate) scope: ScopeArgs,

    /// The bus.
    #[command(flatten)]
    pub(crate) nats: NatsArgs,

    /// Where traces go.
    #[command(flatten)]
    pub(crate) trace: TraceArgs,

    /// Where it shows its state.
    #[command(flatten)]
    pub(crate) admin: AdminArgs,

    /// What is logged, and how.
    #[command(flatten)]
    pub(crate) log: LogArgs,
}

impl From<&Args> for Options {
    fn from(args: &Args) -> Self {
        let Args {
            listen,
            connections_max,
            shards,
            ring,
            linger,
            drain,
            scope,
            nats: _,
            trace: _,
            admin: _,
            log: _,
        } = args;
        let defaults = Self::new(scope.scope());
        Self {
            listen: *listen,
            connections_max: *connections_max,
            shards: shards.unwrap_or(defaults.shards),
            ring_len: *ring,
            linger: *linger,
            drain: *drain,
            // What is older is in the bus's log, which may be long.
            closes_from: CloseStart::Next,
            ..defaults
        }
    }
}

/// A whole number from `min` to `max`.
fn count(
    min: usize,
    max: usize,
) -> impl Fn(&str) -> Result<usize, String> + Clone + Send + Sync + 'static {
    move |text| {
        let number = text.parse().ok();
        number
            .filter(|number| (min..=max).contains(number))
            .ok_or_else(|| format!("write a whole number from {min} to {max}"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(line: &str) -> Result<Args, String> {
        let words = std::iter::once("marketfeed-gateway").chain(line.split_whitespace());
        Args::try_parse_from(words).map_err(|error| error.to_string())
    }

    #[test]
    fn the_definition_is_sound_and_every_flag_has_a_variable_and_a_help() {
        Cli::command().debug_assert();
        let cli = Cli::command();
        let commands = std::iter::once(&cli).chain(cli.get_subcommands());
        for arg in commands.flat_map(Command::get_arguments) {
            let Some(long) = arg.get_long() else { continue };
            let expect = format!("MARKETFEED_{}", long.to_uppercase().replace('-', "_"));
            let env = arg.get_env().map(|env| env.to_string_lossy().into_owned());
            assert_eq!(env, Some(expect));
            assert!(arg.get_help().is_some(), "{long}");
        }
    }

    #[test]
    fn a_probe_needs_nothing_of_what_serving_needs() {
        let cli = |line: &str| {
            let words = std::iter::once("marketfeed-gateway").chain(line.split_whitespace());
            Cli::try_parse_from(words).map_err(|error| error.to_string())
        };
        assert!(matches!(cli("probe --url ws://x:1/ws"), Ok(Cli::Probe(_))));
        assert!(matches!(cli("--env demo"), Ok(Cli::Serve(_))));
        let refused = |line: &str, part: &str| {
            let error = cli(line).unwrap_err();
            assert!(error.contains(part), "{line:?}: {error}");
        };
        refused("", "--env <NAME>");
        refused("probe", "--url <URL>");
        refused("probe --url wss://x/ws", "ws://host:port/ws");
        refused("probe --url ws://x/ws --topic BTC", "BTC");
        refused("probe --url ws://x/ws --env demo", "--env");
        refused("--env demo probe --url ws://x/ws", "'probe'");
    }

    #[test]
    fn flags_become_options() {
        let args = parse(
            "--env demo --region eu --listen 127.0.0.1:0 --connections-max 7 --shards 3 --ring 9 --linger 1ms --drain 2s",
        )
        .unwrap();
        let options = Options::from(&args);
        assert_eq!(options.scope, wire::Scope::new("demo", "eu").unwrap());
        assert_eq!(
            (options.connections_max, options.shards, options.ring_len),
            (7, 3, 9)
        );
        assert_eq!(
            (options.linger, options.drain),
            (Duration::from_millis(1), Duration::from_secs(2))
        );
        let options = Options::from(&parse("--env demo").unwrap());
        assert_eq!((options.listen.port(), options.ring_len), (8_080, 64));
        assert_eq!(options.closes_from, CloseStart::Next);
    }

    #[test]
    fn refusals() {
        #[track_caller]
        fn check(line: &str, part: &str) {
            let error = parse(line).unwrap_err();
            assert!(error.contains(part), "{line:?}: {error}");
        }
        check("", "--env <NAME>");
        check("--env Demo", "Demo");
        check("--env demo --ring 0", "from 1 to 100000");
        check("--env demo --shards many", "from 1 to 1024");
        check("--env demo --drain 5", "250ms");
        check("--env demo --listen 8080", "8080");
        check("--env demo --lisen x", "--lisen");
    }
}
