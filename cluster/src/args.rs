//! The command line of `cluster`. Pure.

#![deny(clippy::disallowed_methods)]

use std::ffi::OsString;
use std::net::SocketAddr;
use std::path::PathBuf;

use anyhow::{Result, bail};
use cluster::faults::Kind;
use lexopt::{Arg, Parser, ValueExt};

/// What `cluster help` prints.
pub(crate) const HELP: &str = "\
cluster <command>

  local     start everything and say what runs where, until Ctrl-C
              --folder <dir>    configuration, data and logs; made if absent, cleared of an earlier cluster's
              --listen <addr>   nginx; default 127.0.0.1:8080, port 0 takes any
              --seed <n>        of the market; default 1
  faults    break it again and again, with clients that check
              --folder <dir>    as above
              --runs <n>        default 64
              --seed <n>        the first run's seed; the runs after it count on; default 1
              --only <kind>     one kind of fault; default: each in turn
";

/// One parsed command line.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Command {
    /// `cluster local`
    Local(Local),
    /// `cluster faults`
    Faults(Faults),
    /// `cluster help`
    Help,
}

/// The options of `cluster local`.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Local {
    /// Where everything is written.
    pub(crate) folder: PathBuf,
    /// Where nginx listens.
    pub(crate) listen: SocketAddr,
    /// The market's seed.
    pub(crate) seed: u64,
}

/// The options of `cluster faults`.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Faults {
    /// Where everything is written.
    pub(crate) folder: PathBuf,
    /// How many runs.
    pub(crate) runs: u64,
    /// The first run's seed.
    pub(crate) seed: u64,
    /// One kind only.
    pub(crate) only: Option<Kind>,
}

/// Eight of each kind.
const RUNS: u64 = 8 * Kind::ALL.len() as u64;

/// Parses the arguments after the program's name.
pub(crate) fn parse(args: impl IntoIterator<Item = OsString>) -> Result<Command> {
    let mut parser = Parser::from_args(args);
    let command = match parser.next()? {
        None | Some(Arg::Short('h') | Arg::Long("help")) => return Ok(Command::Help),
        Some(Arg::Value(value)) => value.string()?,
        Some(other) => return Err(other.unexpected().into()),
    };
    let (mut folder, mut runs, mut seed, mut only) = (None, RUNS, 1, None);
    let mut listen = SocketAddr::from(([127, 0, 0, 1], 8080));
    let (local, faults) = (command == "local", command == "faults");
    if command == "help" {
        return Ok(Command::Help);
    }
    if !local && !faults {
        bail!("there is no command `{command}`; `cluster help` lists them");
    }
    while let Some(arg) = parser.next()? {
        match arg {
            Arg::Long("folder") => folder = Some(PathBuf::from(parser.value()?)),
            Arg::Long("seed") => seed = parser.value()?.parse()?,
            Arg::Long("listen") if local => listen = parser.value()?.parse()?,
            Arg::Long("runs") if faults => runs = parser.value()?.parse()?,
            Arg::Long("only") if faults => only = Some(parser.value()?.parse()?),
            Arg::Short('h') | Arg::Long("help") => return Ok(Command::Help),
            other => return Err(other.unexpected().into()),
        }
    }
    let Some(folder) = folder else {
        bail!("--folder is missing");
    };
    Ok(if local {
        Command::Local(Local {
            folder,
            listen,
            seed,
        })
    } else {
        Command::Faults(Faults {
            folder,
            runs,
            seed,
            only,
        })
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(line: &str) -> Result<Command> {
        parse(line.split_whitespace().map(OsString::from))
    }

    #[test]
    fn commands() {
        assert_eq!(read("").unwrap(), Command::Help);
        let Command::Local(local) = read("local --folder x --listen 127.0.0.1:9").unwrap() else {
            panic!("not local");
        };
        assert_eq!((local.listen.port(), local.seed), (9, 1));
        let faults = Faults {
            folder: "x".into(),
            runs: 2,
            seed: 9,
            only: Some(Kind::TermActive),
        };
        let line = "faults --runs 2 --seed 9 --only term-active --folder x";
        assert_eq!(read(line).unwrap(), Command::Faults(faults));
    }

    #[test]
    fn refusals() {
        let refuses = |line: &str, part: &str| {
            let error = read(line).unwrap_err().to_string();
            assert!(error.contains(part), "{error:?} lacks {part:?}");
        };
        refuses("deploy", "no command `deploy`");
        refuses("local", "--folder is missing");
        refuses("local --runs 3 --folder x", "--runs");
        refuses("faults --only sabotage --folder x", "kill9-active");
        refuses("faults --runs many --folder x", "many");
    }
}
