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
  image       the image of deploy/Dockerfile without a registry, in target/image: all binaries, static
                --release                 the release profile instead of the demo's
                --later                   one of a later release too, which writes other bars
                --nats                    one with nats-server too
  e2e         the chart, an example and the image on a real Kubernetes cluster, with clients that check (root)
                --all                     all scenarios, instead of the few that the tests have too
                --only <scenario>         this one (repeatable)
                --keep                    after a failure the cluster stays until Ctrl-C
                --kubeconfig <file>       on this cluster; without it one is made for them
                --image <name>            with an image that its nodes find by themselves; built and loaded otherwise
                --release                 the image of the release profile
  e2e up      a real Kubernetes cluster on this machine, in namespaces of its own (root); prints how to reach it
                --nodes <1|2>             default 1
  e2e down    ends it
  e2e feeds   many MarketFeeds on an API server alone: what each costs it, and what all cost the operator
                --number <n>              default 1000; up to 10000
  test        format, lints, invariants, docs, page, Rust tests, browser tests
                --only <step>             one step: fmt clippy invariants docs web rust e2e browser
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
    /// `cargo xtask image`
    Image(Image),
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

/// The options of `cargo xtask image`.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Image {
    /// The release profile.
    pub(crate) release: bool,
    /// An image of a later release too.
    pub(crate) later: bool,
    /// An image of `nats-server` too.
    pub(crate) nats: bool,
}

/// Scenarios on a cluster.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Scenarios {
    /// All of them.
    pub(crate) all: bool,
    /// These.
    pub(crate) only: Vec<String>,
    /// After a failure the cluster stays.
    pub(crate) keep: bool,
    /// The cluster, if not one of their own.
    pub(crate) kubeconfig: Option<PathBuf>,
    /// The image, if it need not be built.
    pub(crate) image: Option<String>,
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
    /// Run scenarios.
    Run(Scenarios),
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
        "image" => image(&mut parser),
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

fn image(parser: &mut Parser) -> Result<Command> {
    let mut image = Image::default();
    while let Some(arg) = parser.next()? {
        match arg {
            Arg::Long("release") => image.release = true,
            Arg::Long("later") => image.later = true,
            Arg::Long("nats") => image.nats = true,
            Arg::Short('h') | Arg::Long("help") => return Ok(Command::Help),
            other => return Err(other.unexpected().into()),
        }
    }
    Ok(Command::Image(image))
}

fn e2e(parser: &mut Parser) -> Result<Command> {
    let mut run = Scenarios::default();
    let mut first = true;
    while let Some(arg) = parser.next()? {
        match arg {
            Arg::Value(what) if first => return e2e_other(&what.string()?, parser),
            Arg::Long("all") => run.all = true,
            Arg::Long("only") => run.only.push(parser.value()?.string()?),
            Arg::Long("keep") => run.keep = true,
            Arg::Long("kubeconfig") => run.kubeconfig = Some(parser.value()?.into()),
            Arg::Long("image") => run.image = Some(parser.value()?.string()?),
            Arg::Long("release") => run.release = true,
            Arg::Short('h') | Arg::Long("help") => return Ok(Command::Help),
            other => return Err(other.unexpected().into()),
        }
        first = false;
    }
    if run.all && !run.only.is_empty() {
        bail!("--all and --only exclude each other");
    }
    if run.image.is_some() && (run.release || run.kubeconfig.is_none()) {
        bail!("--image is an image that the nodes of --kubeconfig find by themselves");
    }
    Ok(Command::E2e(E2e::Run(run)))
}

fn e2e_other(what: &str, parser: &mut Parser) -> Result<Command> {
    match what {
        "up" => e2e_up(parser),
        "down" => {
            nothing_more(parser)?;
            Ok(Command::E2e(E2e::Down))
        }
        "feeds" => e2e_feeds(parser),
        other => bail!(
            "there is no `e2e {other}`; there are `e2e`, `e2e up`, `e2e down` and `e2e feeds`"
        ),
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
#[path = "args/tests.rs"]
mod tests;
