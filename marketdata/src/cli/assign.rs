//! Plans an assignment from the command line and writes it.

use std::fs;
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use clap::Args;
use wire::assignment::{AssignedEndpoints, Difference, WantedSource, assign};
use wire::{Assignment, AssignmentError, Interval, ShardCount, Venue};

use crate::assignment::check_known;
use crate::venue::AdapterError;

/// The values of its options.
mod value;

pub use value::{EndpointArg, SourceArg, ValueError};

/// The options of `marketfeed-marketdata assign`.
#[derive(Debug, Clone, Args)]
pub struct AssignArgs {
    /// A venue and its symbols.
    #[arg(
        long,
        help = "Carry these symbols of that venue; repeatable (in the variable with ; between). The first venue to \
                list a symbol has its short topic. Without it, what --from carries",
        value_name = "VENUE=SYMBOL,...",
        env = "MARKETFEED_SOURCE",
        value_delimiter = ';',
        required_unless_present = "from"
    )]
    pub source: Vec<SourceArg>,

    /// Where a venue is.
    #[arg(
        long,
        help = "Connect to that venue at another address; repeatable (in the variable with ; between). Without REST_URL, \
                HTTP is where WebSocket is. Without either, at the exchange itself. Without it, where --from has it",
        value_name = "VENUE=WS_URL,REST_URL",
        env = "MARKETFEED_ENDPOINT",
        value_delimiter = ';'
    )]
    pub endpoint: Vec<EndpointArg>,

    /// How many shards there are, 1 to 1024; those of --from, else 1, if absent
    #[arg(
        long,
        value_name = "N",
        env = "MARKETFEED_ASSIGN_SHARDS",
        value_parser = value::shards
    )]
    pub shards: Option<ShardCount>,

    /// Bar lengths, each of which must divide a day; those of --from, else 1s,1m,1h,1d, if absent
    #[arg(
        long,
        value_name = "INTERVALS",
        env = "MARKETFEED_INTERVALS",
        value_delimiter = ',',
        value_parser = value::interval
    )]
    pub intervals: Vec<Interval>,

    /// The assignment to go on from: what it has placed stays where it can, and the generation rises with a change
    #[arg(long, value_name = "FILE", env = "MARKETFEED_FROM")]
    pub from: Option<PathBuf>,

    /// Go on from what is at --output, where there is something: for what is started again and again
    #[arg(long, env = "MARKETFEED_GO_ON", conflicts_with = "from")]
    pub go_on: bool,

    /// Where to write, replaced as a whole: the old one is a good place. - is the standard output
    #[arg(
        long,
        value_name = "FILE",
        env = "MARKETFEED_OUTPUT",
        default_value = "-"
    )]
    pub output: PathBuf,
}

impl AssignArgs {
    /// The assignment to go on from, if there is one.
    fn old(&self) -> Option<&Path> {
        let at_output = || (self.go_on && self.output.exists()).then_some(&*self.output);
        self.from.as_deref().or_else(at_output)
    }
}

/// Why no assignment was written.
#[derive(Debug, thiserror::Error)]
pub enum AssignFailure {
    /// The old one cannot be read.
    #[error("cannot read {}: {error}", path.display())]
    Read {
        /// The file of `--from`.
        path: PathBuf,
        /// Why.
        error: io::Error,
    },
    /// The old one is not one.
    #[error("{}: {error}", path.display())]
    From {
        /// The file of `--from`.
        path: PathBuf,
        /// Why.
        error: AssignmentError,
    },
    /// What is wanted cannot be.
    #[error(transparent)]
    Wanted(#[from] AssignmentError),
    /// A venue that is not known, or symbols that it cannot tell apart.
    #[error(transparent)]
    Unknown(#[from] AdapterError),
    /// An address for a venue that is not carried.
    #[error("--endpoint names {0}, which is no source: name it by --source too")]
    EndpointOnly(Venue),
    /// Two addresses for one venue.
    #[error("--endpoint names {0} twice: name it once")]
    EndpointTwice(Venue),
    /// There is a file already, and generations would begin again.
    #[error(
        "{} is there already: go on from it by --from or --go-on, or remove it to begin again", .0.display()
    )]
    Exists(PathBuf),
    /// A folder, a pipe or a device.
    #[error("{} is no file: write - for the standard output", .0.display())]
    NoFile(PathBuf),
    /// It cannot be written.
    #[error("cannot write {}: {error}", path.display())]
    Write {
        /// Where to.
        path: PathBuf,
        /// Why.
        error: io::Error,
    },
}

/// Plans, writes the assignment, and says on standard error what it changes.
///
/// # Errors
/// When what is wanted cannot be, or a file cannot be read or written; then nothing was written.
pub fn run(args: &AssignArgs) -> Result<(), AssignFailure> {
    let difference = write(args)?;
    // It is written; a closed standard error changes nothing about that.
    let _ = writeln!(io::stderr().lock(), "{difference}");
    Ok(())
}

fn write(args: &AssignArgs) -> Result<Difference, AssignFailure> {
    let to_stdout = args.output.as_os_str() == "-";
    // Checked first: a plan that cannot be written is not worth reading.
    let target = if to_stdout {
        None
    } else {
        Some(target(&args.output, args.old().is_some())?)
    };
    let (assignment, difference) = plan(args)?;
    let text = assignment.to_json();
    let written = match &target {
        Some(path) => replace(path, text.as_bytes()),
        None => io::stdout().lock().write_all(text.as_bytes()),
    };
    written.map_err(|error| AssignFailure::Write {
        path: args.output.clone(),
        error,
    })?;
    Ok(difference)
}

/// The assignment that the options ask for, and what it changes against that of `--from`.
///
/// # Errors
/// When that one cannot be read, or what is wanted cannot be.
pub fn plan(args: &AssignArgs) -> Result<(Assignment, Difference), AssignFailure> {
    let old = args.old().map(read).transpose()?;
    let sources = wanted(args, old.as_ref())?;
    let shards = old.as_ref().map_or(ShardCount::MIN, Assignment::shards);
    let shards = args.shards.unwrap_or(shards);
    let intervals = match (&args.intervals[..], &old) {
        ([], Some(old)) => old.intervals().to_vec(),
        ([], None) => value::usual_intervals(),
        (intervals, _) => intervals.to_vec(),
    };
    let new = assign(old.as_ref(), sources, intervals, shards)?;
    check_known(&new)?;
    let difference = Difference::between(old.as_ref(), &new);
    Ok((new, difference))
}

fn read(path: &Path) -> Result<Assignment, AssignFailure> {
    let bytes = fs::read(path).map_err(|error| AssignFailure::Read {
        path: path.to_owned(),
        error,
    })?;
    Assignment::parse(&bytes).map_err(|error| AssignFailure::From {
        path: path.to_owned(),
        error,
    })
}

/// The sources of `--source`, else the old ones, where `--endpoint` puts them, else where they were.
fn wanted(args: &AssignArgs, old: Option<&Assignment>) -> Result<Vec<WantedSource>, AssignFailure> {
    let old = old.map(Assignment::sources).unwrap_or_default();
    let mut sources: Vec<WantedSource> = if args.source.is_empty() {
        let symbols = |source: &wire::assignment::AssignedSource| {
            let symbols = source.instruments.iter();
            symbols.map(|(symbol, _)| symbol.clone()).collect()
        };
        let sources = old.iter();
        sources
            .map(|source| WantedSource {
                venue: source.venue.clone(),
                endpoints: source.endpoints.clone(),
                symbols: symbols(source),
            })
            .collect()
    } else {
        let endpoints = |venue: &Venue| -> Option<AssignedEndpoints> {
            let source = old.iter().find(|source| source.venue == *venue);
            source.and_then(|source| source.endpoints.clone())
        };
        let sources = args.source.iter().cloned();
        sources
            .map(|SourceArg { venue, symbols }| WantedSource {
                endpoints: endpoints(&venue),
                venue,
                symbols,
            })
            .collect()
    };
    let mut named = std::collections::BTreeSet::new();
    for EndpointArg { venue, endpoints } in &args.endpoint {
        if !named.insert(venue) {
            return Err(AssignFailure::EndpointTwice(venue.clone()));
        }
        let source = sources.iter_mut().find(|source| source.venue == *venue);
        let source = source.ok_or_else(|| AssignFailure::EndpointOnly(venue.clone()))?;
        source.endpoints.clone_from(endpoints);
    }
    Ok(sources)
}

/// The file to replace, behind its links.
fn target(output: &Path, goes_on: bool) -> Result<PathBuf, AssignFailure> {
    match fs::metadata(output) {
        Ok(found) if !found.is_file() => Err(AssignFailure::NoFile(output.to_owned())),
        Ok(_) if !goes_on => Err(AssignFailure::Exists(output.to_owned())),
        Ok(_) => fs::canonicalize(output).map_err(|error| AssignFailure::Write {
            path: output.to_owned(),
            error,
        }),
        // Whatever is wrong with it shows when it is written.
        Err(_) => Ok(output.to_owned()),
    }
}

/// Replaces the file at once: who reads it sees the old content or the new one, also after a loss of power.
fn replace(path: &Path, content: &[u8]) -> io::Result<()> {
    let name = path.file_name().ok_or(io::ErrorKind::InvalidInput)?;
    let folder = path
        .parent()
        .filter(|folder| !folder.as_os_str().is_empty());
    let folder = folder.unwrap_or(Path::new("."));
    let beside = format!(".{}.{}.new", name.to_string_lossy(), std::process::id());
    let beside = folder.join(beside);
    let written = write_beside(&beside, path, content).and_then(|()| fs::rename(&beside, path));
    if written.is_err() {
        // Nothing may be there to remove; the first error is the one to tell.
        let _ = fs::remove_file(&beside);
    }
    written?;
    fs::File::open(folder)?.sync_all()
}

fn write_beside(beside: &Path, path: &Path, content: &[u8]) -> io::Result<()> {
    let mut file = fs::File::create(beside)?;
    if let Ok(replaced) = fs::metadata(path) {
        file.set_permissions(replaced.permissions())?;
    }
    file.write_all(content)?;
    file.sync_all()
}

#[cfg(test)]
mod tests;
