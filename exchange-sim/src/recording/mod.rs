//! Recordings of an exchange's messages: text lines, gzip or not, read one by one.
//!
//! What stands before a fault in a file is given out; the fault itself is one error that names the file and
//! the line, and nothing follows it.

/// The formats of a line.
mod line;

use std::fs::File;
use std::io::{self, BufRead, BufReader};
use std::path::{Path, PathBuf};

use flate2::bufread::MultiGzDecoder;

/// One message of the exchange.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// When the recorder received it, Unix nanoseconds, if the recording says so.
    pub receive_ns: Option<i64>,
    /// The message as it was received.
    pub text: String,
}

/// Why a recording cannot be read, or not to its end. Each is one line with its cause in it (it is shown in
/// `/admin/status` too), so the cause is not a source that a report of the whole chain would repeat.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The file cannot be opened.
    #[error("cannot open recording {}: {cause}", path.display())]
    Open {
        /// The file.
        path: PathBuf,
        /// What the operating system said.
        cause: io::Error,
    },
    /// The file ends in the middle of its compressed data, or cannot be read on.
    #[error("recording {} breaks off after line {line}: {cause}", path.display())]
    Cut {
        /// The file.
        path: PathBuf,
        /// The last line that was whole, from 1.
        line: u64,
        /// What the decompressor or the operating system said.
        cause: io::Error,
    },
    /// A line is not in any known format.
    #[error("recording {} is malformed at line {line}: {reason}", path.display())]
    Malformed {
        /// The file.
        path: PathBuf,
        /// The line, from 1.
        line: u64,
        /// What is wrong with it.
        reason: String,
    },
    /// One file is given twice for a venue.
    #[error("recording {} is given twice", path.display())]
    Twice {
        /// The file.
        path: PathBuf,
    },
    /// The files of a venue are not in the order in which they were recorded, or overlap.
    #[error(
        "recording {} begins before {} ends: give them in the order in which they were recorded",
        later.display(), earlier.display()
    )]
    Order {
        /// The file that is given first.
        earlier: PathBuf,
        /// The one that is given after it.
        later: PathBuf,
    },
}

/// The messages of one file, in its order. Ends after its first error.
pub struct Recording {
    path: PathBuf,
    lines: Box<dyn BufRead + Send>,
    line: u64,
    buffer: Vec<u8>,
    ended: bool,
}

/// Opens a recording; gzip is told by its first bytes, not by its name.
///
/// # Errors
/// [`Error::Open`]; what is wrong inside the file comes from the iterator.
pub fn open(path: &Path) -> Result<Recording, Error> {
    let fail = |cause| Error::Open {
        path: path.to_owned(),
        cause,
    };
    let mut file = BufReader::with_capacity(READ_BYTES, File::open(path).map_err(fail)?);
    let gzip = file.fill_buf().map_err(fail)?.starts_with(&GZIP_MAGIC);
    let lines: Box<dyn BufRead + Send> = if gzip {
        Box::new(BufReader::with_capacity(
            READ_BYTES,
            MultiGzDecoder::new(file),
        ))
    } else {
        Box::new(file)
    };
    Ok(Recording {
        path: path.to_owned(),
        lines,
        line: 0,
        buffer: Vec::new(),
        ended: false,
    })
}

impl Recording {
    /// The number of the line last given out, from 1.
    #[must_use]
    pub fn line(&self) -> u64 {
        self.line
    }

    /// An error about the line last given out, for readers that understand more of it.
    #[must_use]
    pub fn malformed(&self, reason: String) -> Error {
        Error::Malformed {
            path: self.path.clone(),
            line: self.line,
            reason,
        }
    }

    /// Reads lines until one holds a message.
    fn read(&mut self) -> Result<Option<Entry>, Error> {
        loop {
            self.buffer.clear();
            let mut limited = io::Read::take(&mut self.lines, LINE_BYTES_MAX);
            let read = limited
                .read_until(b'\n', &mut self.buffer)
                .map_err(|cause| Error::Cut {
                    path: self.path.clone(),
                    line: self.line,
                    cause,
                })?;
            if read == 0 {
                return Ok(None);
            }
            self.line += 1;
            let text = std::str::from_utf8(&self.buffer)
                .map_err(|_| self.malformed("not UTF-8".to_owned()))?;
            match line::parse(text).map_err(|reason| self.malformed(reason.to_owned()))? {
                line::Line::Nothing => {}
                line::Line::Message { receive_ns, text } => {
                    return Ok(Some(Entry {
                        receive_ns,
                        text: text.to_owned(),
                    }));
                }
            }
        }
    }
}

impl Iterator for Recording {
    type Item = Result<Entry, Error>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.ended {
            return None;
        }
        let next = self.read().transpose();
        self.ended = !matches!(next, Some(Ok(_)));
        next
    }
}

impl std::fmt::Debug for Recording {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Recording")
            .field("path", &self.path)
            .field("line", &self.line)
            .finish_non_exhaustive()
    }
}

const GZIP_MAGIC: [u8; 2] = [0x1f, 0x8b];

/// Large enough that a read is worth its system call.
const READ_BYTES: usize = 64 << 10;

/// The longest message seen on these venues is a full order book of some 4 MB; a longer line is cut here and
/// then refused as malformed, so that a file without line ends cannot fill the memory.
const LINE_BYTES_MAX: u64 = 16 << 20;

#[cfg(test)]
mod tests {
    use std::io::Write;

    use flate2::Compression;
    use flate2::write::GzEncoder;

    use super::*;

    fn file(bytes: &[u8]) -> tempfile::NamedTempFile {
        let mut file = tempfile::NamedTempFile::new().unwrap();
        file.write_all(bytes).unwrap();
        file
    }

    fn gzip(bytes: &[u8]) -> Vec<u8> {
        let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
        encoder.write_all(bytes).unwrap();
        encoder.finish().unwrap()
    }

    /// How many messages come out, and the error at the end.
    fn read(bytes: &[u8]) -> (usize, Option<String>) {
        let file = file(bytes);
        let mut count = 0;
        for entry in open(file.path()).unwrap() {
            match entry {
                Ok(_) => count += 1,
                Err(error) => return (count, Some(error.to_string())),
            }
        }
        (count, None)
    }

    #[test]
    fn plain_and_gzip_and_joined_gzip_read_alike() {
        let text = b"1 {\"a\":1}\n\n2 {\"a\":2}\n";
        assert_eq!(read(text), (2, None));
        assert_eq!(read(&gzip(text)), (2, None));
        assert_eq!(read(&[gzip(text), gzip(text)].concat()), (4, None));
        assert_eq!(read(b""), (0, None));
    }

    #[test]
    fn a_cut_file_gives_what_stands_before_the_cut_and_one_error() {
        let mut text = Vec::new();
        for i in 0..5_000u64 {
            // Numbers that do not compress away, so that the cut falls far from the end.
            text.extend_from_slice(
                format!("{i} {{\"a\":{}}}\n", i.wrapping_mul(0x9E37_79B9_7F4A_7C15)).as_bytes(),
            );
        }
        let whole = gzip(&text);
        let (count, error) = read(&whole[..whole.len() / 2]);
        assert!((1_000..5_000).contains(&count), "{count}");
        let error = error.unwrap();
        assert!(
            error.contains("breaks off after line") && !error.contains('\n'),
            "{error}"
        );

        let (count, error) = read(b"1 {\"a\":1}\n2 {\"a\":");
        assert_eq!(count, 1);
        assert!(error.unwrap().contains("malformed at line 2"));
        let (count, error) = read(b"1 {\"a\":1}\n2 \xff{}\n3 {}\n");
        assert_eq!(count, 1);
        assert!(error.unwrap().contains("line 2: not UTF-8"));
    }

    #[test]
    fn a_missing_file_is_named() {
        let error = open(Path::new("/nowhere/at-all.gz"))
            .unwrap_err()
            .to_string();
        assert!(error.contains("/nowhere/at-all.gz"), "{error}");
    }
}
