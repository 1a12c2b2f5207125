//! Argument groups that every binary flattens, and parsing that says one clear line.

use std::ffi::{OsStr, OsString};
use std::fmt;
use std::net::SocketAddr;
use std::str::FromStr;
use std::time::Duration;

use clap::error::ErrorKind;
use clap::{Args, Parser, ValueEnum};
use tracing_subscriber::EnvFilter;
use tracing_subscriber::filter::LevelFilter;
use wire::{Env, Region, Scope};

/// What is logged, and how.
#[derive(Debug, Clone, Args)]
#[command(next_help_heading = "Logging")]
pub struct LogArgs {
    /// Level (off, error, warn, info, debug, trace), or levels by target: info,gateway=debug
    #[arg(
        long,
        value_name = "FILTER",
        env = "MARKETFEED_LOG",
        default_value = "info"
    )]
    pub log: LogFilter,
    /// How a line is written
    #[arg(
        long,
        value_name = "FORMAT",
        env = "MARKETFEED_LOG_FORMAT",
        value_enum,
        default_value = "text"
    )]
    pub log_format: LogFormat,
}

/// Where traces go.
#[cfg(feature = "otlp")]
#[derive(Debug, Clone, Args)]
#[command(next_help_heading = "Traces")]
pub struct TraceArgs {
    /// Send traces to this collector, by OTLP over gRPC: http://otel-collector:4317; not sent if absent
    #[arg(long, value_name = "URL", env = "MARKETFEED_OTLP_ENDPOINT")]
    pub otlp_endpoint: Option<OtlpEndpoint>,
}

/// How many traces are taken, for the process at the head of the path. The others follow what its messages say.
#[cfg(feature = "otlp")]
#[derive(Debug, Clone, Args)]
#[command(next_help_heading = "Traces")]
pub struct SampleArgs {
    /// Of a million frames from exchanges that bring trades, so many are traced: 10000 is 1 %
    #[arg(
        long,
        value_name = "COUNT",
        env = "MARKETFEED_TRACE_SAMPLES_PER_MILLION",
        default_value_t = 10_000,
        value_parser = clap::value_parser!(u32).range(0..=i64::from(crate::telemetry::ALL))
    )]
    pub trace_samples_per_million: u32,
}

/// Where the process shows its state.
#[derive(Debug, Clone, Args)]
#[command(next_help_heading = "Admin")]
pub struct AdminArgs {
    /// Serve /livez, /readyz, /metrics, and /admin/shard (marketdata) or /admin/feed (gateway) here; not served if absent
    #[arg(long, value_name = "ADDR", env = "MARKETFEED_ADMIN_LISTEN")]
    pub admin_listen: Option<SocketAddr>,
}

/// Which feed on the bus.
#[derive(Debug, Clone, Args)]
#[command(next_help_heading = "Feed")]
pub struct ScopeArgs {
    /// Names the feed on the bus: lower-case letters, digits and inner hyphens
    #[arg(long, value_name = "NAME", env = "MARKETFEED_ENV")]
    pub env: Env,

    /// Names where it runs, by the same rule
    #[arg(
        long,
        value_name = "NAME",
        env = "MARKETFEED_REGION",
        default_value = "local"
    )]
    pub region: Region,
}

impl ScopeArgs {
    /// Both together.
    #[must_use]
    pub fn scope(&self) -> Scope {
        let Self { env, region } = self;
        Scope {
            env: env.clone(),
            region: region.clone(),
        }
    }
}

/// Reads a duration such as `250ms`, `3s`, `2m`: a whole number and its unit, above zero.
///
/// # Errors
/// With what is right instead.
pub fn duration(text: &str) -> Result<Duration, String> {
    let rule =
        || format!("{text:?} is no duration: write a whole number and ms, s or m, as in 250ms");
    let digits = text.trim_end_matches(|c: char| c.is_ascii_alphabetic());
    let number: u32 = digits.parse().map_err(|_| rule())?;
    let unit_ms = match &text[digits.len()..] {
        "ms" => 1,
        "s" => 1_000,
        "m" => 60_000,
        _ => return Err(rule()),
    };
    if number == 0 {
        return Err(format!("{text:?} is no time at all"));
    }
    Ok(Duration::from_millis(u64::from(number) * unit_ms))
}

/// How a log line is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum LogFormat {
    /// For people.
    Text,
    /// One JSON object a line.
    Json,
}

/// A checked log filter.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LogFilter(String);

/// Why text is not a log filter.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum LogFilterError {
    /// A lone word that is no level. `tracing` would take it for a target and log nothing else.
    #[error("{0:?} is no level: write off, error, warn, info, debug, trace, or target=level")]
    NotALevel(String),
    /// Not of the filter grammar.
    #[error("{0}")]
    Malformed(String),
}

impl LogFilter {
    /// The filter for a subscriber.
    #[must_use]
    pub fn to_env_filter(&self) -> EnvFilter {
        // The constructor has parsed the same text; `new` skips what it cannot parse, so nothing.
        #[cfg(feature = "nats")]
        if !self.0.contains(crate::broker::nats::CLIENT_LOG) {
            // The broker says in its own words, once, what the client says each time.
            let quiet = crate::broker::nats::CLIENT_LOG;
            return EnvFilter::new(format!("{},{quiet}=off", self.0));
        }
        EnvFilter::new(&self.0)
    }
}

impl FromStr for LogFilter {
    type Err = LogFilterError;

    fn from_str(text: &str) -> Result<Self, LogFilterError> {
        for directive in text.split(',').map(str::trim) {
            let lone = !directive.contains(['=', '[']);
            if lone && directive.parse::<LevelFilter>().is_err() {
                return Err(LogFilterError::NotALevel(directive.to_owned()));
            }
        }
        EnvFilter::builder()
            .parse(text)
            .map_err(|error| LogFilterError::Malformed(error.to_string()))?;
        Ok(Self(text.to_owned()))
    }
}

impl fmt::Display for LogFilter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// The address of a collector: `http://host:port`, and nothing behind it.
#[cfg(feature = "otlp")]
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OtlpEndpoint(String);

/// Why text is no address of a collector.
#[cfg(feature = "otlp")]
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum OtlpEndpointError {
    /// Encrypted, which is left to a collector beside the process.
    #[error("https is not spoken here: run a collector in the cluster and send to it by http://")]
    Https,
    /// Anything else.
    #[error("write http://host:port; the port for gRPC is usually 4317")]
    Malformed,
}

#[cfg(feature = "otlp")]
impl FromStr for OtlpEndpoint {
    type Err = OtlpEndpointError;

    fn from_str(text: &str) -> Result<Self, OtlpEndpointError> {
        let uri: axum::http::Uri = text.parse().map_err(|_| OtlpEndpointError::Malformed)?;
        match (uri.scheme_str(), uri.port(), uri.path(), uri.query()) {
            (Some("http"), Some(_), "/", None) => Ok(Self(text.to_owned())),
            (Some("https"), ..) => Err(OtlpEndpointError::Https),
            _ => Err(OtlpEndpointError::Malformed),
        }
    }
}

#[cfg(feature = "otlp")]
impl fmt::Display for OtlpEndpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Parses the process's arguments and environment. `--help` and `--version` print all of theirs
/// and exit with 0; anything wrong prints one line on stderr and exits with 2.
#[must_use]
pub fn parse_or_exit<T: Parser>() -> T {
    parse_adjusted_or_exit(|command, _| command)
}

/// As [`parse_or_exit`], by a definition that is adjusted to the words of the command line first.
#[must_use]
pub fn parse_adjusted_or_exit<T: Parser>(
    adjust: impl FnOnce(clap::Command, &[OsString]) -> clap::Command,
) -> T {
    let words: Vec<OsString> = std::env::args_os().collect();
    let mut command = adjust(T::command(), &words);
    let parsed = command
        .try_get_matches_from_mut(&words)
        .and_then(|matches| {
            T::from_arg_matches(&matches).map_err(|error| error.format(&mut command))
        });
    parsed.unwrap_or_else(|error| exit(&error, &command, &words))
}

fn exit(error: &clap::Error, command: &clap::Command, words: &[OsString]) -> ! {
    if matches!(
        error.kind(),
        ErrorKind::DisplayHelp | ErrorKind::DisplayVersion
    ) {
        error.exit();
    }
    let is_set = |name: &OsStr| std::env::var_os(name).is_some();
    eprintln!(
        "{}",
        with_variables(one_line(error), command, words, is_set)
    );
    std::process::exit(2);
}

/// Names the variables behind the options that the line speaks of: who has set one long ago would look for
/// the option on the command line in vain.
fn with_variables(
    mut line: String,
    command: &clap::Command,
    words: &[OsString],
    is_set: impl Fn(&OsStr) -> bool,
) -> String {
    let commands = std::iter::once(command).chain(command.get_subcommands());
    for arg in commands.flat_map(clap::Command::get_arguments) {
        let (Some(long), Some(variable)) = (arg.get_long(), arg.get_env()) else {
            continue;
        };
        let flag = format!("--{long}");
        let spoken_of = [' ', '\'', '=']
            .iter()
            .any(|after| line.contains(&format!("'{flag}{after}")));
        let given = words.iter().any(|word| {
            let rest = word.as_encoded_bytes().strip_prefix(flag.as_bytes());
            rest.is_some_and(|rest| rest.is_empty() || rest.starts_with(b"="))
        });
        if spoken_of && !given && is_set(variable) {
            line.push_str(&format!(
                "; {flag} is set by {}",
                variable.to_string_lossy()
            ));
        }
    }
    line
}

/// What is wrong, without clap's usage and with its hints, on one line.
fn one_line(error: &clap::Error) -> String {
    if error.kind() == ErrorKind::DisplayHelpOnMissingArgumentOrSubcommand {
        return "error: a command is missing (see --help)".to_owned();
    }
    let text = error.render().to_string();
    let what: Vec<&str> = text
        .lines()
        .map(str::trim)
        .take_while(|line| !line.starts_with("Usage:") && !line.starts_with("For more information"))
        .filter(|line| !line.is_empty())
        .collect();
    format!("{} (see --help)", what.join(" "))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, Parser)]
    #[command(name = "thing", version = "1.2.3")]
    struct Thing {
        /// Where to listen
        #[arg(long)]
        listen: SocketAddr,
        #[command(flatten)]
        log: LogArgs,
        #[command(flatten)]
        admin: AdminArgs,
    }

    #[test]
    fn what_is_wrong_is_one_line() {
        let check = |args: &str, expect: &str| {
            let words = std::iter::once("thing").chain(args.split_whitespace());
            let error = Thing::try_parse_from(words).unwrap_err();
            let line = one_line(&error);
            assert!(line.contains(expect), "{args:?}: {line}");
            assert!(line.starts_with("error: "), "{line}");
            assert!(!line.contains('\n') && !line.contains("Usage"), "{line}");
        };
        check("", "--listen <LISTEN>");
        check("--listen here", "'here' for '--listen <LISTEN>'");
        check("--listen 127.0.0.1:1 --lisen 1", "'--lisen' found");
        check(
            "--listen 127.0.0.1:1 --log loud",
            "\"loud\" is no level: write off",
        );
        check("--listen 127.0.0.1:1 --log info,gateway=loud", "--log");
        check("--listen 127.0.0.1:1 --log-format xml", "text, json");
        check("--listen 127.0.0.1:1 --admin-listen 9090", "'9090'");
        check("--listen", "value is required");
        check("extra", "'extra' found");
    }

    #[test]
    fn a_variable_that_is_the_cause_is_named() {
        use clap::CommandFactory;
        let check = |line: &str, words: &str, expect: &str| {
            let words: Vec<OsString> = words.split_whitespace().map(OsString::from).collect();
            let command = Thing::command();
            let is_set = |name: &OsStr| name == "MARKETFEED_LOG";
            let got = with_variables(line.to_owned(), &command, &words, is_set);
            assert_eq!(got, format!("{line}{expect}"));
        };
        let loud = "error: invalid value 'loud' for '--log <FILTER>'";
        check(loud, "thing", "; --log is set by MARKETFEED_LOG");
        check(loud, "thing --log loud", "");
        check(loud, "thing --log=loud", "");
        check(
            "error: invalid value for '--log-format <FORMAT>'",
            "thing",
            "",
        );
    }

    #[cfg(feature = "otlp")]
    #[test]
    fn the_arguments_of_traces() {
        #[derive(Debug, Parser)]
        struct Traced {
            #[command(flatten)]
            trace: TraceArgs,
            #[command(flatten)]
            sample: SampleArgs,
        }
        let parse = |args: &str| {
            let words = std::iter::once("traced").chain(args.split_whitespace());
            Traced::try_parse_from(words).map_err(|error| one_line(&error))
        };
        let given = parse("").unwrap();
        assert_eq!(given.trace.otlp_endpoint, None);
        assert_eq!(given.sample.trace_samples_per_million, 10_000);
        let url = "http://otel-collector:4317";
        let given = parse(&format!(
            "--otlp-endpoint {url} --trace-samples-per-million 1000000"
        ));
        let given = given.unwrap();
        assert_eq!(given.trace.otlp_endpoint.unwrap().to_string(), url);
        assert_eq!(given.sample.trace_samples_per_million, 1_000_000);
        let refuse = |args: &str, expect: &str| {
            let line = parse(args).unwrap_err();
            assert!(line.contains(expect), "{args:?}: {line}");
        };
        refuse("--otlp-endpoint https://otel:4317", "https is not spoken");
        for wrong in [
            "otel:4317",
            "http://otel",
            "grpc://otel:4317",
            "http://otel:4317/v1/traces",
            "http://:x",
        ] {
            refuse(
                &format!("--otlp-endpoint {wrong}"),
                "write http://host:port",
            );
        }
        refuse(
            "--trace-samples-per-million 1000001",
            "--trace-samples-per-million",
        );
    }

    #[test]
    fn durations_are_a_number_and_a_unit() {
        let check = |text: &str, ms: u64| {
            assert_eq!(duration(text), Ok(Duration::from_millis(ms)), "{text}");
        };
        check("250ms", 250);
        check("3s", 3_000);
        check("2m", 120_000);
        for text in [
            "",
            "3",
            "s",
            "3h",
            "-1s",
            "1.5s",
            "3 s",
            "0s",
            "99999999999s",
        ] {
            assert!(duration(text).is_err(), "{text}");
        }
    }

    #[test]
    fn good_arguments_are_taken() {
        let check = |args: &str, filter: &str, format: LogFormat| {
            let words = ["thing", "--listen", "127.0.0.1:0"].into_iter();
            let thing = Thing::try_parse_from(words.chain(args.split_whitespace())).unwrap();
            assert_eq!(thing.log.log.to_string(), filter);
            assert_eq!(thing.log.log_format, format);
            assert_eq!(thing.listen.port(), 0);
            assert_eq!(thing.admin.admin_listen, None);
        };
        check("", "info", LogFormat::Text);
        check("--log debug", "debug", LogFormat::Text);
        check(
            "--log info,gateway=debug --log-format json",
            "info,gateway=debug",
            LogFormat::Json,
        );
        check("--log off", "off", LogFormat::Text);
    }
}
