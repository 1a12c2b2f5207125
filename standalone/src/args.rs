//! The command line of `marketfeed`.

use std::fmt;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::str::FromStr;

use clap::{ArgGroup, Args, Parser, Subcommand};
use exchange_sim::{Kind, Speed};
use runtime::args::LogArgs;
use wire::{Instrument, Interval, Symbol, Venue};

/// Exact candlesticks from exchange trade streams, in one process
#[derive(Debug, Parser)]
#[command(name = "marketfeed", version, max_term_width = 100)]
pub struct Cli {
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
}

/// What to do.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Start everything: a market, its bars, the page, HTTP and WebSocket
    Up(Box<Up>),
}

/// The options of `marketfeed up`.
#[derive(Debug, Args)]
#[command(group(ArgGroup::new("market").required(true).multiple(false).args(["live", "replay", "generate"])))]
pub struct Up {
    /// Where to serve the page, HTTP and WebSocket; port 0 takes any
    #[arg(
        long,
        value_name = "ADDR",
        env = "MARKETFEED_LISTEN",
        default_value = "127.0.0.1:8080"
    )]
    pub listen: SocketAddr,

    /// Folder for what outlives the process, made if absent. This release keeps its history in memory and
    /// writes nothing there yet
    #[arg(long, value_name = "DIR", env = "MARKETFEED_DATA_DIR")]
    pub data_dir: Option<PathBuf>,

    /// Connect to the exchanges; which symbols is said by --symbols
    #[arg(
        long,
        env = "MARKETFEED_LIVE",
        value_parser = on,
        num_args = 0,
        default_missing_value = "true"
    )]
    pub live: Option<bool>,

    /// Connect to that venue at another address, such as a running exchange-sim's
    /// (binance-spot=ws://127.0.0.1:9100/binance-spot); repeatable, with --live
    #[arg(
        long,
        value_name = "VENUE=WS_URL",
        env = "MARKETFEED_ENDPOINT",
        value_delimiter = ',',
        conflicts_with_all = ["replay", "generate"]
    )]
    pub endpoint: Vec<Endpoint>,

    /// Play a recording of that venue (binance-spot, coinbase, coinbase-advanced); repeatable, and the files of
    /// one venue play one after the other
    #[arg(
        long,
        value_name = "VENUE=FILE",
        env = "MARKETFEED_REPLAY",
        value_delimiter = ','
    )]
    pub replay: Vec<Recording>,

    /// How many times as fast as it happened a recording plays, or max; 1 if absent
    #[arg(
        long,
        value_name = "N|max",
        env = "MARKETFEED_SPEED",
        conflicts_with_all = ["live", "generate"]
    )]
    pub speed: Option<SpeedArg>,

    /// The symbols of a market that is made up.
    #[arg(
        long,
        help = "Make up a market for these symbols: [<venue>:]<symbol>,... where the venue is binance-spot if not named",
        value_name = "SYMBOLS",
        env = "MARKETFEED_GENERATE",
        value_delimiter = ','
    )]
    pub generate: Vec<Listed>,

    /// The seed of the market that is made up: one seed, one market
    #[arg(long, value_name = "N", env = "MARKETFEED_SEED", default_value_t = 1)]
    pub seed: u64,

    /// Trades a second over all symbols of the market that is made up
    #[arg(long, value_name = "N", env = "MARKETFEED_RATE", default_value_t = 60, value_parser = clap::value_parser!(u32).range(1..=1_000_000))]
    pub rate: u32,

    /// Which of the market's symbols are carried.
    #[arg(
        long,
        help = "Carry these symbols only: [<venue>:]<symbol>,... Without it, all that a recording or --generate has, \
                and BTC-USDT, ETH-USDT and coinbase:BTC-USD of the exchanges",
        value_name = "SYMBOLS",
        env = "MARKETFEED_SYMBOLS",
        value_delimiter = ','
    )]
    pub symbols: Vec<Listed>,

    /// Bar lengths; each must divide a day
    #[arg(
        long,
        value_name = "INTERVALS",
        env = "MARKETFEED_INTERVALS",
        value_delimiter = ',',
        value_parser = interval,
        default_value = "1s,1m,1h,1d"
    )]
    pub intervals: Vec<Interval>,

    /// What is logged, and how.
    #[command(flatten)]
    pub log: LogArgs,
}

/// `<venue>=<file>`
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Recording {
    /// Whose protocol the recording is in.
    pub venue: Kind,
    /// The file.
    pub file: PathBuf,
}

/// `<venue>=<WebSocket address>`
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Endpoint {
    /// Whose protocol is spoken there.
    pub venue: Kind,
    /// `ws://` or `wss://`, without a slash at the end.
    pub ws: String,
}

/// `[<venue>:]<symbol>`
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Listed {
    /// The venue, where it is named.
    pub venue: Option<Kind>,
    /// The symbol.
    pub symbol: Symbol,
}

/// A number or `max`.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct SpeedArg(pub Speed);

/// What is wrong with a value.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ValueError {
    /// Without `=`, or nothing after it.
    #[error("write <venue>=<file>")]
    NotAPair,
    /// Without `=`, or no address of the kind after it.
    #[error("write <venue>=ws://<host>:<port>/<path>, or wss://")]
    NotAnEndpoint,
    /// No venue that this program speaks.
    #[error("{0:?} is not a venue: write binance-spot, coinbase or coinbase-advanced")]
    UnknownVenue(String),
    /// Not a symbol.
    #[error(transparent)]
    Symbol(#[from] wire::TokenError),
    /// Not a speed.
    #[error("write a number above 0, such as 20, or max")]
    Speed,
}

impl Listed {
    /// The instrument; Binance spot's where no venue is named.
    #[must_use]
    pub fn instrument(&self) -> Instrument {
        instrument(self.venue.unwrap_or(Kind::BinanceSpot), self.symbol.clone())
    }

    /// Whether it names the instrument; any venue's where none is named.
    #[must_use]
    pub fn names(&self, instrument: &Instrument) -> bool {
        self.symbol == instrument.symbol
            && self
                .venue
                .is_none_or(|venue| venue.name() == instrument.venue.as_str())
    }
}

/// A symbol at a venue that the simulator plays.
#[must_use]
pub fn instrument(venue: Kind, symbol: Symbol) -> Instrument {
    #[expect(
        clippy::expect_used,
        reason = "the names of the venues are valid: a test makes them all"
    )]
    let venue = Venue::new(venue.name()).expect("a known venue's name");
    Instrument::new(venue, symbol)
}

impl FromStr for Recording {
    type Err = ValueError;

    fn from_str(text: &str) -> Result<Self, ValueError> {
        match text.trim_start().split_once('=') {
            Some((venue, file)) if !file.is_empty() => Ok(Self {
                venue: kind(venue)?,
                file: PathBuf::from(file),
            }),
            _ => Err(ValueError::NotAPair),
        }
    }
}

impl FromStr for Endpoint {
    type Err = ValueError;

    fn from_str(text: &str) -> Result<Self, ValueError> {
        let (venue, ws) = text
            .trim()
            .split_once('=')
            .ok_or(ValueError::NotAnEndpoint)?;
        let venue = kind(venue)?;
        let rest = ws.strip_prefix("ws://").or(ws.strip_prefix("wss://"));
        let named = rest.is_some_and(|rest| {
            !rest.is_empty() && !rest.starts_with('/') && !rest.contains(char::is_whitespace)
        });
        if !named {
            return Err(ValueError::NotAnEndpoint);
        }
        Ok(Self {
            venue,
            ws: ws.trim_end_matches('/').to_owned(),
        })
    }
}

impl fmt::Display for Listed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(venue) = self.venue {
            write!(f, "{}:", venue.name())?;
        }
        write!(f, "{}", self.symbol)
    }
}

impl FromStr for Listed {
    type Err = ValueError;

    fn from_str(text: &str) -> Result<Self, ValueError> {
        let (venue, symbol) = match text.trim().split_once(':') {
            Some((venue, symbol)) => (Some(kind(venue)?), symbol),
            None => (None, text.trim()),
        };
        Ok(Self {
            venue,
            symbol: Symbol::new(symbol)?,
        })
    }
}

impl FromStr for SpeedArg {
    type Err = ValueError;

    fn from_str(text: &str) -> Result<Self, ValueError> {
        if text == "max" {
            return Ok(Self(Speed::Max));
        }
        match text.parse::<f64>() {
            Ok(times) if times.is_finite() && times > 0.0 => Ok(Self(Speed::Times(times))),
            _ => Err(ValueError::Speed),
        }
    }
}

fn kind(venue: &str) -> Result<Kind, ValueError> {
    Kind::from_name(venue).ok_or_else(|| ValueError::UnknownVenue(venue.chars().take(64).collect()))
}

/// A bar length in a list that may have blanks after its commas.
fn interval(text: &str) -> Result<Interval, wire::interval::IntervalError> {
    text.trim().parse()
}

/// The value of a flag's variable: it switches on, and is unset to switch off.
fn on(text: &str) -> Result<bool, String> {
    match text {
        "true" | "1" | "yes" | "on" => Ok(true),
        _ => Err("write true, or unset the variable".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    fn parse(line: &str) -> Result<Box<Up>, String> {
        let words = ["marketfeed", "up"]
            .into_iter()
            .chain(line.split_whitespace());
        let Cli {
            command: Command::Up(up),
        } = Cli::try_parse_from(words).map_err(|error| error.to_string())?;
        Ok(up)
    }

    #[test]
    fn the_definition_is_sound() {
        Cli::command().debug_assert();
        for kind in Kind::ALL {
            let made = instrument(kind, Symbol::new("BTC-USD").unwrap());
            assert_eq!(made.venue.as_str(), kind.name());
        }
    }

    #[test]
    fn every_flag_has_a_variable_and_a_help() {
        let cli = Cli::command();
        let up = cli.find_subcommand("up").unwrap();
        for arg in up
            .get_arguments()
            .filter(|arg| arg.get_long().is_some_and(|long| long != "help"))
        {
            let name = arg.get_id().as_str().to_uppercase();
            let expect = format!("MARKETFEED_{name}");
            let env = arg.get_env().map(|env| env.to_string_lossy().into_owned());
            assert_eq!(env, Some(expect));
            assert!(arg.get_help().is_some(), "{}", arg.get_id());
        }
    }

    #[test]
    fn markets() {
        let up = parse("--generate BTC-USDT,coinbase:BTC-USD --intervals 1m,5m").unwrap();
        let listed: Vec<_> = up
            .generate
            .iter()
            .map(|it| it.instrument().to_string())
            .collect();
        assert_eq!(listed, ["binance-spot/BTC-USDT", "coinbase/BTC-USD"]);
        assert_eq!(up.intervals.len(), 2);
        let up = parse("--replay coinbase=a=b.gz --replay binance-spot=c --speed max").unwrap();
        assert_eq!(
            up.replay[0],
            Recording {
                venue: Kind::Coinbase,
                file: "a=b.gz".into()
            }
        );
        assert_eq!(up.speed, Some(SpeedArg(Speed::Max)));
        let up = parse("--live --symbols BTC-USDT").unwrap();
        assert_eq!((up.live, up.speed), (Some(true), None));
    }

    #[test]
    fn lists_may_have_blanks_after_their_commas() {
        let words = [
            "marketfeed",
            "up",
            "--generate",
            "BTC-USDT, coinbase:BTC-USD",
            "--intervals",
            "1s, 1m",
            "--symbols",
            "BTC-USDT, coinbase:BTC-USD",
        ];
        let Command::Up(up) = Cli::try_parse_from(words).unwrap().command;
        assert_eq!(up.generate, up.symbols);
        assert_eq!(up.generate[1].to_string(), "coinbase:BTC-USD");
        assert_eq!(up.intervals.len(), 2);
    }

    #[test]
    fn endpoints() {
        let up =
            parse("--live --endpoint coinbase=wss://x/ --endpoint binance-spot=ws://[::1]:1/y")
                .unwrap();
        let shown: Vec<_> = up
            .endpoint
            .iter()
            .map(|it| (it.venue, it.ws.as_str()))
            .collect();
        assert_eq!(
            shown,
            [
                (Kind::Coinbase, "wss://x"),
                (Kind::BinanceSpot, "ws://[::1]:1/y")
            ]
        );
    }

    #[test]
    fn a_variable_only_switches_on() {
        assert_eq!((on("true"), on("1")), (Ok(true), Ok(true)));
        assert!(on("false").is_err() && on("").is_err());
    }

    #[test]
    fn refusals() {
        #[track_caller]
        fn check(line: &str, part: &str) {
            let error = parse(line).unwrap_err();
            assert!(error.contains(part), "{line:?}: {error}");
        }
        check("", "--live|--replay <VENUE=FILE>|--generate <SYMBOLS>");
        check("--live --generate BTC-USDT", "cannot be used with");
        check("--replay binance=x", "is not a venue: write binance-spot");
        check("--replay coinbase", "<venue>=<file>");
        check("--replay coinbase=", "<venue>=<file>");
        check("--live --endpoint coinbase", "<venue>=ws://");
        check("--live --endpoint coinbase=http://x", "<venue>=ws://");
        check("--live --endpoint coinbase=ws://", "<venue>=ws://");
        check("--live --endpoint coinbase=ws:///x", "<venue>=ws://");
        check("--live --endpoint kraken=ws://x", "is not a venue");
        check(
            "--replay coinbase=x --endpoint coinbase=ws://x",
            "cannot be used with",
        );
        check("--generate btcusdt", "BASE-QUOTE");
        check("--generate kraken:BTC-USD", "is not a venue");
        check("--replay coinbase=x --speed 0", "above 0");
        check("--replay coinbase=x --speed fast", "or max");
        check("--replay coinbase=x --speed inf", "or max");
        check("--generate BTC-USDT --speed 2", "cannot be used with");
        check("--generate BTC-USDT --rate 0", "1..=1000000");
        check(
            "--generate BTC-USDT --intervals 7s",
            "does not divide a day",
        );
        check("--generate BTC-USDT --listen 8080", "8080");
        check("--generate BTC-USDT --symbol ETH-USDT", "--symbol");
    }
}
