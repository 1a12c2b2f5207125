//! The command line of `cargo xtask`, parsed once into a [`Command`]. Pure.

#![deny(clippy::disallowed_methods)]

use std::ffi::{OsStr, OsString};
use std::net::SocketAddr;
use std::path::PathBuf;

use anyhow::{Result, bail};
use lexopt::{Arg, Parser, ValueExt};

/// What `cargo xtask help` prints, and what the README's commands are checked against.
pub(crate) const HELP: &str = "\
cargo xtask <command>

  demo        build the page and the binary, start the demo market, print the address
                --replay <venue>=<file>   play a recording instead (repeatable)
                --speed <n|max>           speed of a replay (default 20)
                --live                    connect to the real exchanges
                --listen <addr>           default 127.0.0.1:8080
                --debug                   the development profile instead of the demo's
  cluster-local
              NATS x3, the simulator, shards with standbys, gateways and nginx as processes of this machine
                --folder <dir>            configuration, data and logs; a second cluster needs one of its own
                --listen <addr>           nginx; default 127.0.0.1:8080
                --seed <n>                of the market (default 1)
                --release                 the release profile instead of the development one
  faults      break such a cluster again and again, with clients that check every close
                --runs <n>                how many times (default 64)
                --seed <n>                the first run's; a run is its seed (default 1)
                --only <kind>             one kind of fault: kill9-active term-active stop-longer-than-lease
                                          partition-owner-from-nats kill-nats-leader kill-nats-node restart-gateway
                                          kill9-shard
                --folder <dir>            as above
                --release                 as above
  e2e up      a real Kubernetes cluster on this machine, in namespaces of its own (root); prints how to reach it
                --nodes <1|2>             default 1
  e2e down    ends it
  e2e feeds   many MarketFeeds on an API server alone: what each costs it, and what all cost the operator
                --number <n>              default 1000; up to 10000
  test        format, lints, invariants, docs, page, Rust tests, browser tests
                --only <step>             one step: fmt clippy invariants docs web rust browser
                --verbose                 show each step's output as it comes
                --screenshots             with --only browser: write the pictures in docs/images
  invariants  the structural rules of ARCHITECTURE.md alone
  bench       benchmarks beside their peers, in release
                <name>...                 some of them (default: all)
  help        this text
";

/// One parsed command line.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Command {
    /// `cargo xtask demo`
    Demo(Demo),
    /// `cargo xtask cluster-local` and `cargo xtask faults`
    Cluster(Cluster),
    /// `cargo xtask e2e`
    E2e(E2e),
    /// `cargo xtask test`
    Test(Test),
    /// `cargo xtask invariants`
    Invariants,
    /// `cargo xtask bench`, with what follows handed to the bench binary.
    Bench(Vec<OsString>),
    /// `cargo xtask help`
    Help,
}

/// The options of `cargo xtask demo`.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Demo {
    /// `<venue>=<file>` pairs in the order given.
    pub(crate) replay: Vec<OsString>,
    /// The replay's speed, as the binary takes it.
    pub(crate) speed: Option<String>,
    /// The real exchanges instead of a market of our own.
    pub(crate) live: bool,
    /// The address to serve on.
    pub(crate) listen: Option<String>,
    /// The development profile: slower bars, quicker rebuilds.
    pub(crate) debug: bool,
}

/// What is to be done with a cluster of processes.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Cluster {
    /// The command of the `cluster` binary.
    pub(crate) command: &'static str,
    /// Where everything is written, if not where each of its runs is.
    pub(crate) folder: Option<PathBuf>,
    /// The binary's options.
    pub(crate) options: Vec<OsString>,
    /// The release profile.
    pub(crate) release: bool,
}

/// What `cargo xtask e2e` is to do.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum E2e {
    /// Make the cluster that stays.
    Up {
        /// 1 or 2.
        nodes: u8,
    },
    /// End it.
    Down,
    /// So many feeds on an API server alone.
    Feeds {
        /// 1 to 10,000.
        number: u32,
    },
}

/// The options of `cargo xtask test`.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Test {
    /// Run this step alone.
    pub(crate) only: Option<String>,
    /// Show each step's output as it comes.
    pub(crate) verbose: bool,
    /// The browser step writes the documents' pictures, and waits for enough bars to show.
    pub(crate) screenshots: bool,
}

/// Parses the arguments after the program's name.
pub(crate) fn parse<I>(args: I) -> Result<Command>
where
    I: IntoIterator<Item = OsString>,
{
    let mut parser = Parser::from_args(args);
    let command = match parser.next()? {
        None => return Ok(Command::Help),
        Some(Arg::Short('h') | Arg::Long("help")) => return Ok(Command::Help),
        Some(Arg::Value(value)) => value.string()?,
        Some(other) => return Err(other.unexpected().into()),
    };
    match command.as_str() {
        "demo" => demo(&mut parser),
        "cluster-local" => cluster(&mut parser, "local", &["listen", "seed"]),
        "faults" => cluster(&mut parser, "faults", &["runs", "seed", "only"]),
        "e2e" => e2e(&mut parser),
        "test" => test(&mut parser),
        "invariants" => {
            nothing_more(&mut parser)?;
            Ok(Command::Invariants)
        }
        "bench" => Ok(Command::Bench(parser.raw_args()?.collect())),
        "help" => Ok(Command::Help),
        other => bail!("there is no command `{other}`; `cargo xtask help` lists them"),
    }
}

fn demo(parser: &mut Parser) -> Result<Command> {
    let mut demo = Demo::default();
    while let Some(arg) = parser.next()? {
        match arg {
            Arg::Long("replay") => demo.replay.push(parser.value()?),
            Arg::Long("speed") => demo.speed = Some(parser.value()?.string()?),
            Arg::Long("live") => demo.live = true,
            Arg::Long("listen") => demo.listen = Some(parser.value()?.string()?),
            Arg::Long("debug") => demo.debug = true,
            Arg::Short('h') | Arg::Long("help") => return Ok(Command::Help),
            other => return Err(other.unexpected().into()),
        }
    }
    if demo.live && !demo.replay.is_empty() {
        bail!("--live and --replay exclude each other");
    }
    if demo.speed.is_some() && demo.replay.is_empty() {
        bail!("--speed is the speed of a replay; it needs --replay <venue>=<file>");
    }
    Ok(Command::Demo(demo))
}

/// Takes the flags in `known` with their values, for the `cluster` binary. What can be known to be wrong is said before
/// anything is built.
fn cluster(parser: &mut Parser, command: &'static str, known: &[&str]) -> Result<Command> {
    let mut cluster = Cluster {
        command,
        folder: None,
        options: Vec::new(),
        release: false,
    };
    while let Some(arg) = parser.next()? {
        match arg {
            Arg::Long("release") => cluster.release = true,
            Arg::Long("folder") => cluster.folder = Some(parser.value()?.into()),
            Arg::Long(flag) if known.contains(&flag) => {
                let flag = flag.to_owned();
                let value = parser.value()?;
                check_value(&flag, &value)?;
                cluster.options.extend([format!("--{flag}").into(), value]);
            }
            Arg::Short('h') | Arg::Long("help") => return Ok(Command::Help),
            other => return Err(other.unexpected().into()),
        }
    }
    Ok(Command::Cluster(cluster))
}

fn check_value(flag: &str, value: &OsStr) -> Result<()> {
    let value = value.to_string_lossy();
    let kind = match flag {
        "listen" if value.parse::<SocketAddr>().is_err() => "an address as 127.0.0.1:8080",
        "seed" | "runs" if value.parse::<u64>().is_err() => "a whole number",
        _ => return Ok(()),
    };
    bail!("--{flag} {value} is not {kind}")
}

fn e2e(parser: &mut Parser) -> Result<Command> {
    let what = match parser.next()? {
        Some(Arg::Value(what)) => what.string()?,
        Some(Arg::Short('h') | Arg::Long("help")) => return Ok(Command::Help),
        Some(other) => return Err(other.unexpected().into()),
        None => bail!("say what: `cargo xtask e2e up` or `cargo xtask e2e down`"),
    };
    match what.as_str() {
        "up" => e2e_up(parser),
        "down" => {
            nothing_more(parser)?;
            Ok(Command::E2e(E2e::Down))
        }
        "feeds" => e2e_feeds(parser),
        other => bail!("there is no `e2e {other}`; there are `e2e up`, `e2e down` and `e2e feeds`"),
    }
}

fn e2e_up(parser: &mut Parser) -> Result<Command> {
    let mut nodes = 1;
    while let Some(arg) = parser.next()? {
        match arg {
            Arg::Long("nodes") => {
                let value = parser.value()?.string()?;
                nodes = match value.as_str() {
                    "1" => 1,
                    "2" => 2,
                    _ => bail!("--nodes {value} is not 1 or 2"),
                };
            }
            Arg::Short('h') | Arg::Long("help") => return Ok(Command::Help),
            other => return Err(other.unexpected().into()),
        }
    }
    Ok(Command::E2e(E2e::Up { nodes }))
}

fn e2e_feeds(parser: &mut Parser) -> Result<Command> {
    let mut number = 1_000;
    while let Some(arg) = parser.next()? {
        match arg {
            Arg::Long("number") => {
                let value = parser.value()?.string()?;
                let within = value.parse().ok().filter(|n| (1..=10_000).contains(n));
                number = match within {
                    Some(number) => number,
                    None => bail!("--number {value} is not a number from 1 to 10000"),
                };
            }
            Arg::Short('h') | Arg::Long("help") => return Ok(Command::Help),
            other => return Err(other.unexpected().into()),
        }
    }
    Ok(Command::E2e(E2e::Feeds { number }))
}

fn test(parser: &mut Parser) -> Result<Command> {
    let mut test = Test::default();
    while let Some(arg) = parser.next()? {
        match arg {
            Arg::Long("only") => test.only = Some(parser.value()?.string()?),
            Arg::Long("verbose") => test.verbose = true,
            Arg::Long("screenshots") => test.screenshots = true,
            Arg::Short('h') | Arg::Long("help") => return Ok(Command::Help),
            other => return Err(other.unexpected().into()),
        }
    }
    if test.screenshots && test.only.as_deref() != Some("browser") {
        bail!("--screenshots is of the browser step; it needs --only browser");
    }
    Ok(Command::Test(test))
}

fn nothing_more(parser: &mut Parser) -> Result<()> {
    match parser.next()? {
        None => Ok(()),
        Some(other) => Err(other.unexpected().into()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(line: &str, expect: &Command) {
        assert_eq!(
            &parse(line.split_whitespace().map(OsString::from)).unwrap(),
            expect
        );
    }

    #[track_caller]
    fn refuse(line: &str, part: &str) {
        let error = parse(line.split_whitespace().map(OsString::from))
            .unwrap_err()
            .to_string();
        assert!(error.contains(part), "{error:?} lacks {part:?}");
        assert!(!error.contains('\n'), "more than one line: {error:?}");
    }

    #[test]
    fn commands() {
        check("", &Command::Help);
        check("--help", &Command::Help);
        check("invariants", &Command::Invariants);
        check("demo", &Command::Demo(Demo::default()));
        check(
            "demo --replay binance-spot=a.gz --replay coinbase=b --speed max --listen [::1]:1 --debug",
            &Command::Demo(Demo {
                replay: vec!["binance-spot=a.gz".into(), "coinbase=b".into()],
                speed: Some("max".into()),
                live: false,
                listen: Some("[::1]:1".into()),
                debug: true,
            }),
        );
        check(
            "test --only rust --verbose",
            &Command::Test(Test {
                only: Some("rust".into()),
                verbose: true,
                screenshots: false,
            }),
        );
        check(
            "test --screenshots --only browser",
            &Command::Test(Test {
                only: Some("browser".into()),
                verbose: false,
                screenshots: true,
            }),
        );
        check(
            "faults --runs 3 --only term-active --release",
            &Command::Cluster(Cluster {
                command: "faults",
                folder: None,
                options: vec![
                    "--runs".into(),
                    "3".into(),
                    "--only".into(),
                    "term-active".into(),
                ],
                release: true,
            }),
        );
        check(
            "cluster-local --folder there",
            &Command::Cluster(Cluster {
                command: "local",
                folder: Some("there".into()),
                options: Vec::new(),
                release: false,
            }),
        );
        check("e2e up", &Command::E2e(E2e::Up { nodes: 1 }));
        check("e2e up --nodes 2", &Command::E2e(E2e::Up { nodes: 2 }));
        check("e2e down", &Command::E2e(E2e::Down));
        let feeds = |number| Command::E2e(E2e::Feeds { number });
        check("e2e feeds", &feeds(1_000));
        check("e2e feeds --number 7", &feeds(7));
        check(
            "bench decode --runs 3",
            &Command::Bench(vec!["decode".into(), "--runs".into(), "3".into()]),
        );
    }

    #[test]
    fn refusals() {
        refuse("deploy", "no command `deploy`");
        refuse("demo --live --replay coinbase=x", "exclude each other");
        refuse("demo --speed 3", "needs --replay");
        refuse("demo --repaly x=y", "--repaly");
        refuse("test --only", "--only");
        refuse("test --screenshots", "needs --only browser");
        refuse("test --screenshots --only rust", "needs --only browser");
        refuse("invariants now", "now");
        refuse("e2e", "e2e up");
        refuse("e2e sideways", "no `e2e sideways`");
        refuse("e2e up --nodes 3", "--nodes 3 is not 1 or 2");
        refuse("e2e down --nodes 2", "--nodes");
        refuse("e2e feeds --number 0", "not a number from 1 to 10000");
        refuse("cluster-local --runs 3", "--runs");
        refuse("faults --seed", "--seed");
        refuse("faults --runs all", "--runs all is not a whole number");
        refuse(
            "cluster-local --listen 8080",
            "--listen 8080 is not an address",
        );
    }
}
