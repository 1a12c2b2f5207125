//! What the API server was asked, by whom and with what outcome: its audit log, read as typed entries.

use std::fs::File;
use std::io::{Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};

/// One entry, as the log has it. Pure.
mod entry;

pub use entry::Entry;

/// The log of one API server. It goes on over restarts.
#[derive(Debug, Clone)]
pub struct AuditLog {
    file: PathBuf,
}

/// A place in the log: its length in bytes at the time.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Mark(u64);

impl AuditLog {
    /// The log in a file, which need not be there yet.
    #[must_use]
    pub fn new(file: PathBuf) -> Self {
        Self { file }
    }

    /// Where it is.
    #[must_use]
    pub fn file(&self) -> &Path {
        &self.file
    }

    /// The place where it ends now.
    ///
    /// # Errors
    /// When it cannot be looked at.
    pub fn mark(&self) -> Result<Mark> {
        match self.file.metadata() {
            Ok(meta) => Ok(Mark(meta.len())),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(Mark(0)),
            Err(error) => Err(error).with_context(|| self.unreadable()),
        }
    }

    /// All entries from a place on, in the order of their ends: a watch is there when it is over. A line that is not whole yet is
    /// left for later.
    ///
    /// # Errors
    /// When it cannot be read.
    pub fn since(&self, mark: Mark) -> Result<Vec<Entry>> {
        self.read_on(mark).map(|(entries, _)| entries)
    }

    /// As [`AuditLog::since`], and the place to go on from.
    ///
    /// # Errors
    /// When it cannot be read, and when it is not the one that the place is of: nothing is known then of what was asked.
    pub fn read_on(&self, mark: Mark) -> Result<(Vec<Entry>, Mark)> {
        let mut text = String::new();
        let end = self.mark()?;
        if end < mark {
            bail!("{}: it is shorter than it was", self.unreadable());
        }
        if end == mark {
            return Ok((Vec::new(), mark));
        }
        let mut file = File::open(&self.file).with_context(|| self.unreadable())?;
        file.seek(SeekFrom::Start(mark.0))?;
        file.read_to_string(&mut text)
            .with_context(|| self.unreadable())?;
        let whole = text.rfind('\n').map_or(0, |end| end + 1);
        let entries = text[..whole].lines().map(|line| {
            Entry::parse(line).with_context(|| format!("{}: {line}", self.unreadable()))
        });
        let next = Mark(mark.0 + u64::try_from(whole)?);
        Ok((entries.collect::<Result<_>>()?, next))
    }

    fn unreadable(&self) -> String {
        format!("cannot read the audit log {}", self.file.display())
    }
}

impl PartialOrd for Mark {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        self.0.partial_cmp(&other.0)
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    #[test]
    fn a_log_that_was_begun_anew_is_not_taken_for_silence() {
        let folder = tempfile::tempdir().unwrap();
        let log = AuditLog::new(folder.path().join("audit.log"));
        assert_eq!(log.since(Mark(0)).unwrap(), [], "not there yet");
        fs::write(log.file(), "half a li").unwrap();
        let mark = log.mark().unwrap();
        assert_eq!(log.since(mark).unwrap(), []);
        assert_eq!(log.read_on(Mark(0)).unwrap(), (Vec::new(), Mark(0)));
        for write in ["", "half"] {
            fs::write(log.file(), write).unwrap();
            let error = log.since(mark).unwrap_err().to_string();
            assert!(error.contains("shorter than it was"), "{error}");
        }
        fs::remove_file(log.file()).unwrap();
        assert!(log.since(mark).is_err());
    }
}
