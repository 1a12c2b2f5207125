// Pure: whether an assignment that was read may replace the one in force.
#![deny(clippy::disallowed_methods)]

use std::sync::Arc;

use wire::assignment::{AssignedEndpoints, AssignedSource, Difference};
use wire::{Assignment, AssignmentError, Instrument, ShardId, Symbol};

use self::denied::Denied;
use crate::listing::{self, Listed};
use crate::options::ConfigError;
use crate::venue::{self, AdapterError, Endpoints};

/// What venues have denied.
mod denied;

/// The file, read again and again.
mod file;

/// Which generations are in force elsewhere.
mod in_log;

/// Whether its venues have its symbols.
mod known;

pub use denied::Said;
pub use file::{ASK_AGAIN_EVERY, AssignmentFile, AssignmentMetrics, LOOK_EVERY};
pub use in_log::InLog;

/// Holds the assignment in force, and judges what the file says against it.
#[derive(Debug, Default)]
pub struct Judge {
    in_force: Option<Arc<Assignment>>,
    denied: Denied,
    /// What was seen last, so that it is judged once however often it is read.
    seen: Seen,
}

/// The file's state at a look.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
enum Seen {
    #[default]
    Nothing,
    /// It could not be read, for this reason, so many times in a row.
    Unreadable(String, u64),
    Bytes(Vec<u8>),
}

/// What is to be done after a look at the file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Verdict {
    /// Nothing: it says what it said before.
    Same,
    /// This one may be taken: at once where nothing is in force, by [`Judge::handle_taken`], else if its venues do not
    /// deny what it adds, see [`Judge::handle_asked`].
    Usable(Arc<Assignment>, Difference),
    /// What was in force stays so, if anything was. To be told and counted.
    Refused(Refusal),
}

/// Why what the file says is not taken.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// There is no file, or it cannot be read.
    #[error("{0}")]
    Unreadable(String),
    /// What it says cannot be; perhaps it is only half written.
    #[error(transparent)]
    Malformed(#[from] AssignmentError),
    /// It is older than what is in force.
    #[error(
        "generation {found} is older than {in_force}, which is in force: write {} or more",
        in_force + 1
    )]
    Stale {
        /// The file's generation.
        found: u64,
        /// The generation in force.
        in_force: u64,
    },
    /// It says something else under the generation that is in force.
    #[error(
        "generation {0} is in force and says something else: give a change a generation of its own"
    )]
    Conflicting(u64),
    /// Bar lengths change only with a start: a running series cannot begin another one.
    #[error(
        "the intervals are not those that are in force: start the processes anew to change them"
    )]
    Intervals,
    /// A venue that is not known here or cannot be reached, or symbols that it cannot tell apart.
    #[error(transparent)]
    Unusable(#[from] ConfigError),
    /// Symbols that it adds, and that their venues say they have not.
    #[error("their venues have not {}", names(.0))]
    UnknownSymbols(Vec<Instrument>),
}

/// So many are named.
const NAMED_MAX: usize = 20;

fn names(of: &[Instrument]) -> String {
    let named = of.iter().take(NAMED_MAX).map(ToString::to_string);
    let named = named.collect::<Vec<_>>().join(", ");
    match of.len().saturating_sub(NAMED_MAX) {
        0 => named,
        more => format!("{named} and {more} more"),
    }
}

/// A [`Refusal`] as a metric's label.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Reason {
    /// There is no file, or it cannot be read.
    Unreadable,
    /// What it says cannot be.
    Malformed,
    /// It is older than what is in force.
    Stale,
    /// It says something else under the same generation.
    Conflicting,
    /// Other bar lengths than those in force.
    Intervals,
    /// A venue or symbols that cannot be used.
    Unusable,
    /// Symbols that their venues have not.
    UnknownSymbols,
}

impl Reason {
    /// Its word.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Unreadable => "unreadable",
            Self::Malformed => "malformed",
            Self::Stale => "stale",
            Self::Conflicting => "conflicting",
            Self::Intervals => "intervals",
            Self::Unusable => "unusable",
            Self::UnknownSymbols => "unknown_symbols",
        }
    }
}

impl Refusal {
    /// Its kind.
    #[must_use]
    pub const fn reason(&self) -> Reason {
        match self {
            Self::Unreadable(_) => Reason::Unreadable,
            Self::Malformed(_) => Reason::Malformed,
            Self::Stale { .. } => Reason::Stale,
            Self::Conflicting(_) => Reason::Conflicting,
            Self::Intervals => Reason::Intervals,
            Self::Unusable(_) => Reason::Unusable,
            Self::UnknownSymbols(_) => Reason::UnknownSymbols,
        }
    }
}

/// While nothing is in force, a file that is still not there is told of at the first, second, fourth and so on look,
/// and at every one of so many.
const LOOKS_UNTOLD_MAX: u64 = 64;

impl Judge {
    /// Nothing is in force.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// What is in force.
    #[must_use]
    pub fn in_force(&self) -> Option<&Arc<Assignment>> {
        self.in_force.as_ref()
    }

    /// The file was read and holds these bytes.
    pub fn handle_bytes(&mut self, bytes: &[u8]) -> Verdict {
        if matches!(&self.seen, Seen::Bytes(seen) if seen == bytes) {
            return Verdict::Same;
        }
        self.seen = Seen::Bytes(bytes.to_vec());
        match self.judge(bytes) {
            Ok(None) => Verdict::Same,
            Ok(Some(assignment)) => {
                let difference = Difference::between(self.in_force.as_deref(), &assignment);
                Verdict::Usable(Arc::new(assignment), difference)
            }
            Err(refusal) => Verdict::Refused(refusal),
        }
    }

    /// Venues were asked for what a usable one adds, and said this. It is in force from now on if none of it stands
    /// denied.
    ///
    /// # Errors
    /// When something does: what was in force stays so.
    pub fn handle_asked(
        &mut self,
        assignment: &Arc<Assignment>,
        added: &[Instrument],
        said: &Said,
    ) -> Result<(), Refusal> {
        let unknown = self.denied.handle_said(added, said);
        if unknown.is_empty() {
            self.handle_taken(Arc::clone(assignment));
            return Ok(());
        }
        Err(Refusal::UnknownSymbols(unknown))
    }

    /// A usable one is in force from now on, whatever its venues say: nothing else is, or another process has it.
    pub fn handle_taken(&mut self, assignment: Arc<Assignment>) {
        self.in_force = Some(assignment);
    }

    /// What the file says is to be judged again, though it says nothing new: a venue may have listed what it had not.
    pub fn handle_again(&mut self) {
        self.seen = Seen::Nothing;
    }

    /// The file could not be read, for this reason.
    pub fn handle_unreadable(&mut self, error: &str) -> Verdict {
        let before = match &self.seen {
            Seen::Unreadable(seen, times) if seen == error => *times,
            _ => 0,
        };
        let times = before.saturating_add(1);
        self.seen = Seen::Unreadable(error.to_owned(), times);
        let waiting = self.in_force.is_none();
        let again = waiting && (times.is_power_of_two() || times.is_multiple_of(LOOKS_UNTOLD_MAX));
        if times == 1 || again {
            Verdict::Refused(Refusal::Unreadable(error.to_owned()))
        } else {
            Verdict::Same
        }
    }

    /// The assignment to take; `None` when it is the one in force.
    fn judge(&self, bytes: &[u8]) -> Result<Option<Assignment>, Refusal> {
        let found = Assignment::parse(bytes)?;
        if let Some(in_force) = &self.in_force {
            let (number, number_in_force) = (found.generation(), in_force.generation());
            if number < number_in_force {
                return Err(Refusal::Stale {
                    found: number,
                    in_force: number_in_force,
                });
            }
            if number == number_in_force {
                return if found.says_the_same_as(in_force) {
                    Ok(None)
                } else {
                    Err(Refusal::Conflicting(number))
                };
            }
            if found.intervals() != in_force.intervals() {
                return Err(Refusal::Intervals);
            }
        }
        check_usable(&found)?;
        Ok(Some(found))
    }
}

/// Checks that this release knows every venue, and the venue can tell its symbols apart.
///
/// # Errors
/// On the first source of which that is not so.
pub fn check_known(assignment: &Assignment) -> Result<(), AdapterError> {
    for source in assignment.sources() {
        venue::adapter(&source.venue, &symbols(source))?;
    }
    Ok(())
}

/// Checks that this process could carry every source.
///
/// # Errors
/// On a venue without an adapter, symbols that are one to the venue, or an encrypted address where this build has no
/// encryption.
pub fn check_usable(assignment: &Assignment) -> Result<(), ConfigError> {
    for source in assignment.sources() {
        let venue = venue::adapter(&source.venue, &symbols(source))?;
        let Endpoints { ws, .. } = endpoints(source).unwrap_or_else(|| venue.endpoints());
        let url = venue.stream_url(ws.trim_end_matches('/'));
        if url.starts_with("wss://") && !cfg!(feature = "tls") {
            return Err(ConfigError::NoTls(url));
        }
    }
    Ok(())
}

/// The instruments of one shard in listing order, each with the name that its bars bear: it follows from the whole
/// listing, since the venue that is the first to list a symbol may have it on another shard.
#[must_use]
pub fn listed_of(assignment: &Assignment, shard: ShardId) -> Vec<Listed> {
    let symbols: Vec<Vec<Symbol>> = assignment.sources().iter().map(symbols).collect();
    let sources = assignment.sources().iter().zip(&symbols);
    let listed = listing::list(sources.map(|(source, symbols)| (&source.venue, &symbols[..])));
    let here = |listed: &Listed| assignment.shard_of(&listed.instrument) == Some(shard);
    listed.into_iter().filter(here).collect()
}

/// The venue's addresses, where the assignment names some.
#[must_use]
pub fn endpoints(source: &AssignedSource) -> Option<Endpoints> {
    let endpoints = source.endpoints.clone();
    endpoints.map(|AssignedEndpoints { ws, rest }| Endpoints { ws, rest })
}

/// All symbols of a source, in listing order.
fn symbols(source: &AssignedSource) -> Vec<Symbol> {
    let symbols = source.instruments.iter();
    symbols.map(|(symbol, _)| symbol.clone()).collect()
}

#[cfg(test)]
mod tests;
