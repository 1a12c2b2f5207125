//! What the commands do.

use std::fs;
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use runtime::args::parse_or_exit;
use runtime::process::{EXIT_FAILED, EXIT_USAGE, fail};
use wire::assignment::Difference;
use wire::{Assignment, AssignmentError};

use crate::args::{Cli, Command, PlanArgs};
use crate::build::{Release, build};
use crate::plan::{self, FeedError};
use crate::spec::crd_yaml;
use crate::validate::{Invalid, validate};

/// Runs what the command line says.
#[must_use]
pub fn main() -> ExitCode {
    let Cli { command } = parse_or_exit();
    match command {
        Command::Run(args) => crate::run::main(*args),
        Command::Leave(args) => crate::leave::main(*args),
        Command::Crd => match crd_yaml() {
            Ok(yaml) => print(&yaml),
            Err(error) => fail(EXIT_FAILED, &error),
        },
        Command::Plan(args) => match plan(&args) {
            Ok(text) => print(&text),
            Err(error) => fail(EXIT_USAGE, &error),
        },
    }
}

/// Why there is no plan.
#[derive(Debug, thiserror::Error)]
pub enum PlanFailure {
    /// A file cannot be read.
    #[error("cannot read {}: {error}", path.display())]
    Read {
        /// Which.
        path: PathBuf,
        /// Why.
        error: io::Error,
    },
    /// Both from the standard input.
    #[error("--file and --assignment are both -: write a file's name for one of them")]
    StdinTwice,
    /// The objects cannot be written; that is a mistake of ours.
    #[error(transparent)]
    Json(#[from] serde_json::Error),
    /// Likewise.
    #[error(transparent)]
    Yaml(#[from] serde_yaml_ng::Error),
    /// It is no MarketFeed.
    #[error("{}: {error}", path.display())]
    Feed {
        /// The file of `--file`.
        path: PathBuf,
        /// Why not.
        error: FeedError,
    },
    /// It is one that cannot run.
    #[error("{}: {error}", path.display())]
    Invalid {
        /// The file of `--file`.
        path: PathBuf,
        /// All that is wrong.
        error: Invalid,
    },
    /// The old assignment is none, or the new one cannot be.
    #[error("{}: {error}", path.display())]
    Assignment {
        /// The file of `--assignment`, or of `--file`.
        path: PathBuf,
        /// Why not.
        error: AssignmentError,
    },
}

/// What `plan` prints.
///
/// # Errors
/// When a file cannot be read, or what it says cannot be.
pub fn plan(args: &PlanArgs) -> Result<String, PlanFailure> {
    let PlanArgs {
        file,
        assignment,
        namespace,
        release,
        objects,
    } = args;
    let is_stdin = |path: &Path| path.as_os_str() == "-";
    if is_stdin(file) && assignment.as_deref().is_some_and(is_stdin) {
        return Err(PlanFailure::StdinTwice);
    }
    let text = String::from_utf8_lossy(&read(file)?).into_owned();
    let feed = plan::parse(&text, namespace).map_err(|error| PlanFailure::Feed {
        path: file.clone(),
        error,
    })?;
    let feed = validate(&feed).map_err(|error| PlanFailure::Invalid {
        path: file.clone(),
        error,
    })?;
    let previous = match assignment {
        Some(path) => {
            let parsed = Assignment::parse(&read(path)?);
            Some(parsed.map_err(|error| PlanFailure::Assignment {
                path: path.clone(),
                error,
            })?)
        }
        None => None,
    };
    let next = plan::assignment(&feed, previous.as_ref());
    let next = next.map_err(|error| PlanFailure::Assignment {
        path: file.clone(),
        error,
    })?;
    let release = Release::from(release.clone());
    let built = build(&feed, &next, &release).to_json()?;
    if *objects {
        return Ok(plan::to_yaml(&built)?);
    }
    let difference = Difference::between(previous.as_ref(), &next);
    Ok(plan::summary(&feed, &difference, &built))
}

fn read(path: &Path) -> Result<Vec<u8>, PlanFailure> {
    let read = if path.as_os_str() == "-" {
        let mut bytes = Vec::new();
        io::stdin().lock().read_to_end(&mut bytes).map(|_| bytes)
    } else {
        fs::read(path)
    };
    read.map_err(|error| PlanFailure::Read {
        path: path.to_owned(),
        error,
    })
}

fn print(text: &str) -> ExitCode {
    match io::stdout().lock().write_all(text.as_bytes()) {
        Ok(()) => ExitCode::SUCCESS,
        // Who reads may have seen enough.
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => ExitCode::SUCCESS,
        Err(error) => fail(EXIT_FAILED, &format!("cannot write: {error}")),
    }
}
