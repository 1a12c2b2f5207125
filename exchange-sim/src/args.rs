//! The flags of `exchange-sim`, and what they add up to.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::str::FromStr;

use anyhow::Context;
use clap::{ArgGroup, Parser, Subcommand, ValueEnum};
use exchange_sim::source::generate;
use exchange_sim::{Kind, Options, Play, Speed, StartWhen, fault};
use runtime::args::LogArgs;
use wire::Symbol;

/// Speaks the bytes of Binance spot, Coinbase Exchange and Coinbase Advanced Trade
#[derive(Debug, Parser)]
#[command(name = "exchange-sim", version)]
pub(crate) struct Args {
    #[command(subcommand)]
    pub(crate) command: Command,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Serve the venues under /binance-spot, /coinbase and /coinbase-advanced, and /admin
    Serve(Serve),
}

#[derive(Debug, clap::Args)]
#[command(group = ArgGroup::new("play").required(true).args(["replay", "generate"]))]
pub(crate) struct Serve {
    /// Where to listen
    #[arg(
        long,
        value_name = "ADDR",
        env = "MARKETFEED_SIM_LISTEN",
        default_value = "127.0.0.1:9100"
    )]
    listen: SocketAddr,
    /// Play a recording; several of one venue play in the order given, as one session
    #[arg(long, value_name = "VENUE=FILE", env = "MARKETFEED_SIM_REPLAY", value_delimiter = ',', num_args = 1..)]
    replay: Vec<Recorded>,
    /// How fast to play: a multiple of real time, or max
    #[arg(
        long,
        value_name = "N|max",
        env = "MARKETFEED_SIM_SPEED",
        default_value = "1"
    )]
    speed: SpeedArg,
    /// Play the recordings again and again
    #[arg(
        long = "loop",
        env = "MARKETFEED_SIM_LOOP",
        conflicts_with = "generate"
    )]
    endless: bool,
    /// Make markets up: [venue:]SYMBOL (binance-spot if not named), or [venue:]N for N symbols
    #[arg(long, value_name = "SYMBOLS", env = "MARKETFEED_SIM_GENERATE", value_delimiter = ',', num_args = 1..)]
    generate: Vec<Generated>,
    /// Trades a second over all generated symbols
    #[arg(
        long,
        value_name = "TRADES_PER_S",
        env = "MARKETFEED_SIM_RATE",
        default_value_t = 100
    )]
    #[arg(value_parser = clap::value_parser!(u32).range(1..=1_000_000))]
    rate: u32,
    /// What the generated markets are made from
    #[arg(
        long,
        value_name = "N",
        env = "MARKETFEED_SIM_SEED",
        default_value_t = 1
    )]
    seed: u64,
    /// What opens the gate of each venue's feed [default: first-subscriber]
    #[arg(
        long,
        value_enum,
        value_name = "WHEN",
        env = "MARKETFEED_SIM_START",
        default_value = "first-subscriber"
    )]
    start: Start,
    /// A JSON list of faults to begin with
    #[arg(long, value_name = "FILE", env = "MARKETFEED_SIM_FAULTS")]
    faults: Option<PathBuf>,
    #[command(flatten)]
    log: LogArgs,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum Start {
    FirstSubscriber,
    AllSymbols,
    Immediately,
    Manually,
}

impl Serve {
    /// What is logged, and how.
    pub(crate) fn log(&self) -> &LogArgs {
        &self.log
    }

    /// What is to be played.
    ///
    /// # Errors
    /// When the faults file cannot be read or is not valid.
    pub(crate) fn into_options(self) -> anyhow::Result<Options> {
        let Self {
            listen,
            replay,
            speed,
            endless,
            generate,
            rate,
            seed,
            start,
            faults,
            log: _,
        } = self;
        let play = if generate.is_empty() {
            Play::Replay {
                files: replay
                    .into_iter()
                    .map(|Recorded(kind, path)| (kind, path))
                    .collect(),
                endless,
            }
        } else {
            let symbols = generate
                .into_iter()
                .flat_map(|Generated(symbols)| symbols)
                .collect();
            Play::Generate {
                symbols,
                rate,
                seed,
                start_ms: None,
                trades_max: None,
            }
        };
        let mut options = Options::new(listen, play);
        options.speed = speed.0;
        options.start_when = match start {
            Start::FirstSubscriber => StartWhen::FirstSubscriber,
            Start::AllSymbols => StartWhen::AllSymbols,
            Start::Immediately => StartWhen::Immediately,
            Start::Manually => StartWhen::Manually,
        };
        if let Some(path) = faults {
            let text = std::fs::read_to_string(&path)
                .with_context(|| format!("cannot read faults file {}", path.display()))?;
            // Not as context: the error's text holds its cause, which the chain would show again.
            options.faults = fault::parse_list(&text).map_err(|error| {
                anyhow::anyhow!("faults file {} is not valid: {error}", path.display())
            })?;
        }
        Ok(options)
    }
}

/// `binance-spot=session.gz`
#[derive(Debug, Clone)]
struct Recorded(Kind, PathBuf);

impl FromStr for Recorded {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let (venue, path) = text.split_once('=').ok_or("write <venue>=<file>")?;
        Ok(Self(kind(venue)?, PathBuf::from(path)))
    }
}

/// `BTC-USDT`, `coinbase:BTC-USD`, `20`, `coinbase:20`
#[derive(Debug, Clone)]
struct Generated(Vec<(Kind, Symbol)>);

impl FromStr for Generated {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let (venue, what) = text
            .split_once(':')
            .unwrap_or((Kind::BinanceSpot.name(), text));
        let kind = kind(venue)?;
        if what.bytes().all(|byte| byte.is_ascii_digit()) {
            let count: usize = what
                .parse()
                .map_err(|_| "the number of symbols is too large")?;
            if !(1..=SYMBOLS_MAX).contains(&count) {
                return Err(format!("1 to {SYMBOLS_MAX} symbols can be generated"));
            }
            let quote = if kind == Kind::BinanceSpot {
                "USDT"
            } else {
                "USD"
            };
            return Ok(Self(
                generate::symbols(count, quote)
                    .into_iter()
                    .map(|symbol| (kind, symbol))
                    .collect(),
            ));
        }
        let symbol = Symbol::new(what).map_err(|error| error.to_string())?;
        let spelled = kind.native(&symbol);
        if kind.symbol(&spelled).as_ref() != Some(&symbol) {
            return Err(format!(
                "{symbol} has no spelling on {}: its quote asset is not known there",
                kind.name()
            ));
        }
        Ok(Self(vec![(kind, symbol)]))
    }
}

/// Ten times what the largest venue lists.
const SYMBOLS_MAX: usize = 30_000;

fn kind(name: &str) -> Result<Kind, String> {
    let names = || Kind::ALL.map(Kind::name).join(", ");
    Kind::from_name(name).ok_or_else(|| format!("{name:?} is no venue: write one of {}", names()))
}

#[derive(Debug, Clone, Copy)]
struct SpeedArg(Speed);

impl FromStr for SpeedArg {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        if text == "max" {
            return Ok(Self(Speed::Max));
        }
        match text.parse::<f64>() {
            Ok(times) if (0.001..=100_000.0).contains(&times) => Ok(Self(Speed::Times(times))),
            _ => Err("write max, or a multiple of real time from 0.001 to 100000".to_owned()),
        }
    }
}
