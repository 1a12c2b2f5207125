// Pure: the assignment's file: JSON, with a line for each instrument, so that a change reads well in a diff.
use std::fmt::Write;

use super::{AssignedEndpoints, AssignedSource, Assignment, AssignmentError, FILE_LEN_MAX};
use super::{INSTRUMENTS_MAX, SHARDS_MAX};
use crate::token::shown_ends;
use crate::{Instrument, Interval, ShardCount, ShardId, Symbol, Venue};

/// The version that is written, and the only one that is read. Within it fields are only added, and those that are
/// not known are passed over: processes of two releases read one file.
pub(super) const VERSION: u64 = 1;

/// What of a file must be of this shape for its version to be read.
#[derive(serde::Deserialize)]
struct Head {
    version: u64,
}

#[derive(serde::Deserialize)]
struct Text {
    generation: u64,
    intervals: Vec<Interval>,
    shards: u64,
    sources: Vec<SourceText>,
}

#[derive(serde::Deserialize)]
struct SourceText {
    venue: Venue,
    endpoints: Option<AssignedEndpoints>,
    instruments: Vec<InstrumentText>,
}

#[derive(serde::Deserialize)]
struct InstrumentText {
    symbol: Symbol,
    shard: u64,
}

impl Assignment {
    /// Reads a file's bytes. Fields that are not known are passed over.
    ///
    /// # Errors
    /// When it is too long, not of the shape or the version, or says what cannot be; see [`AssignmentError`].
    pub fn parse(json: &[u8]) -> Result<Self, AssignmentError> {
        if json.len() > FILE_LEN_MAX {
            return Err(AssignmentError::TooLong(json.len()));
        }
        // Its version first: the rest of another one may have any shape.
        let Head { version } = read(json)?;
        if version != VERSION {
            return Err(AssignmentError::Version(version));
        }
        let text: Text = read(json)?;
        let shards = u16::try_from(text.shards)
            .ok()
            .and_then(ShardCount::new)
            .filter(|shards| shards.get() <= SHARDS_MAX)
            .ok_or(AssignmentError::Shards(text.shards))?;
        let count = text.sources.iter().map(|s| s.instruments.len()).sum();
        if count > INSTRUMENTS_MAX {
            return Err(AssignmentError::TooManyInstruments(count));
        }
        let sources = text.sources.into_iter();
        let sources: Result<_, _> = sources.map(|source| source.checked(shards)).collect();
        Self::new(text.generation, text.intervals, shards, sources?)
    }

    /// The file's text: what [`Assignment::parse`] reads, [`FILE_LEN_MAX`] bytes at most, with a line end.
    #[must_use]
    pub fn to_json(&self) -> String {
        let mut out = String::new();
        let intervals: Vec<String> = self
            .intervals()
            .iter()
            .map(|i| format!("\"{i}\""))
            .collect();
        // Writing to a string cannot fail. No token, interval or address holds what JSON would escape: their
        // constructors and that of the assignment have checked it.
        let _ = write!(
            out,
            "{{\"version\":{VERSION},\"generation\":{},\"intervals\":[{}],\"shards\":{},\"sources\":[",
            self.generation(),
            intervals.join(","),
            self.shards(),
        );
        for (at, source) in self.sources().iter().enumerate() {
            out.push_str(if at == 0 { "\n" } else { ",\n" });
            write_source(&mut out, source);
        }
        out.push_str("]}\n");
        out
    }
}

fn write_source(out: &mut String, source: &AssignedSource) {
    let AssignedSource {
        venue,
        endpoints,
        instruments,
    } = source;
    let _ = write!(out, "{{\"venue\":\"{venue}\",");
    if let Some(AssignedEndpoints { ws, rest }) = endpoints {
        let _ = write!(
            out,
            "\"endpoints\":{{\"ws\":\"{ws}\",\"rest\":\"{rest}\"}},"
        );
    }
    out.push_str("\"instruments\":[");
    for (at, (symbol, shard)) in instruments.iter().enumerate() {
        out.push_str(if at == 0 { "\n" } else { ",\n" });
        let _ = write!(out, " {{\"symbol\":\"{symbol}\",\"shard\":{shard}}}");
    }
    out.push_str("]}");
}

impl SourceText {
    fn checked(self, shards: ShardCount) -> Result<AssignedSource, AssignmentError> {
        let Self {
            venue,
            endpoints,
            instruments,
        } = self;
        let place = |InstrumentText { symbol, shard }| match u16::try_from(shard) {
            Ok(number) => Ok((symbol, ShardId(number))),
            Err(_) => Err(AssignmentError::UnknownShard {
                instrument: Instrument::new(venue.clone(), symbol),
                shard,
                shards,
            }),
        };
        let instruments: Result<_, _> = instruments.into_iter().map(place).collect();
        Ok(AssignedSource {
            instruments: instruments?,
            venue,
            endpoints,
        })
    }
}

fn read<'a, T: serde::Deserialize<'a>>(json: &'a [u8]) -> Result<T, AssignmentError> {
    serde_json::from_slice(json)
        .map_err(|error| AssignmentError::Malformed(shown_ends(&error.to_string())))
}
