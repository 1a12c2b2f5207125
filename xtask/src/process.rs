//! Runs one child process: its output goes to a log, a line now and then says that it lives.

use std::fs::{self, File};
use std::io::{self, BufRead, BufReader, Read, Write};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{self, RecvTimeoutError, SyncSender};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};

/// How often a long step shows its newest line.
const PROGRESS_EVERY: Duration = Duration::from_secs(10);

/// Lines between the readers and the writer. The writer does nothing slower than a file write, so
/// a small number is enough; when full, the child's pipe fills and the child waits.
const LINES_MAX: usize = 256;

/// How a child ended.
#[derive(Debug)]
pub(crate) struct Finished {
    /// Exit status zero.
    pub(crate) ok: bool,
    /// The whole output, stdout and stderr in the order they came.
    pub(crate) output: String,
}

/// Where a child's output goes besides the returned string.
#[derive(Debug)]
pub(crate) struct Log {
    /// The file that keeps the output.
    pub(crate) path: PathBuf,
    /// Also show every line as it comes.
    pub(crate) verbose: bool,
}

impl Log {
    /// A log that begins empty: commands append to it, and it is to hold the newest run's alone.
    pub(crate) fn fresh(path: PathBuf, verbose: bool) -> Result<Self> {
        match fs::remove_file(&path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => {
                Err(error).with_context(|| format!("cannot replace {}", path.display()))
            }
            _ => Ok(Self { path, verbose }),
        }
    }
}

/// Runs `command` to its end without standard input.
///
/// A command that cannot be started is an error; one that fails is a [`Finished`] with `ok` false.
pub(crate) fn run(command: &mut Command, log: &Log) -> Result<Finished> {
    let program = command.get_program().to_string_lossy().into_owned();
    if let Some(parent) = log.path.parent() {
        fs::create_dir_all(parent)
            .with_context(|| format!("cannot create {}", parent.display()))?;
    }
    let mut file = fs::OpenOptions::new()
        .create(true)
        .append(true)
        .open(&log.path)
        .with_context(|| format!("cannot write {}", log.path.display()))?;
    let mut child = command
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .with_context(|| format!("cannot start {program}"))?;
    let (lines_tx, lines) = mpsc::sync_channel(LINES_MAX);
    let readers = [
        child
            .stdout
            .take()
            .map(|pipe| read_lines(pipe, lines_tx.clone())),
        child
            .stderr
            .take()
            .map(|pipe| read_lines(pipe, lines_tx.clone())),
    ];
    drop(lines_tx);
    let output = collect(&mut child, &lines, &mut file, log.verbose)?;
    // Readers of a pipe that a grandchild keeps open would never end; nobody waits for those.
    for reader in readers
        .into_iter()
        .flatten()
        .filter(JoinHandle::is_finished)
    {
        if reader.join().is_err() {
            bail!("reading the output of {program} failed");
        }
    }
    let status = child
        .wait()
        .with_context(|| format!("cannot wait for {program}"))?;
    Ok(Finished {
        ok: status.success(),
        output,
    })
}

/// Runs `command` and gives its standard output; anything but success is an error that says why.
pub(crate) fn read(command: &mut Command) -> Result<String> {
    let program = command.get_program().to_string_lossy().into_owned();
    let output = command
        .stdin(Stdio::null())
        .output()
        .with_context(|| format!("cannot start {program}"))?;
    if !output.status.success() {
        bail!(
            "{program} failed: {}",
            String::from_utf8_lossy(&output.stderr).trim()
        );
    }
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}

/// Minutes and seconds, for people.
pub(crate) fn clock(elapsed: Duration) -> String {
    format!("{}:{:02}", elapsed.as_secs() / 60, elapsed.as_secs() % 60)
}

fn read_lines(pipe: impl Read + Send + 'static, lines: SyncSender<String>) -> JoinHandle<()> {
    thread::spawn(move || {
        let mut pipe = BufReader::new(pipe);
        let mut line = Vec::new();
        while let Ok(read) = pipe.read_until(b'\n', &mut line) {
            if read == 0
                || lines
                    .send(String::from_utf8_lossy(&line).into_owned())
                    .is_err()
            {
                return;
            }
            line.clear();
        }
    })
}

/// Gathers lines until both pipes are closed, or until the child has ended and been silent for one
/// progress period (a grandchild may keep its pipes open).
fn collect(
    child: &mut Child,
    lines: &mpsc::Receiver<String>,
    file: &mut File,
    verbose: bool,
) -> Result<String> {
    let started = Instant::now();
    let mut shown = started;
    let mut output = String::new();
    let mut newest = String::new();
    loop {
        match lines.recv_timeout(PROGRESS_EVERY.saturating_sub(shown.elapsed())) {
            Ok(line) => {
                file.write_all(line.as_bytes())
                    .context("cannot write the log")?;
                if verbose {
                    io::stdout().write_all(line.as_bytes())?;
                }
                output.push_str(&line);
                if !line.trim().is_empty() {
                    newest = line;
                }
            }
            Err(RecvTimeoutError::Timeout) if child.try_wait()?.is_some() => return Ok(output),
            Err(RecvTimeoutError::Timeout) => {}
            Err(RecvTimeoutError::Disconnected) => return Ok(output),
        }
        if shown.elapsed() >= PROGRESS_EVERY {
            shown = Instant::now();
            if !verbose {
                println!("      {}  {}", clock(started.elapsed()), one_line(&newest));
            }
        }
    }
}

/// The line without its colours and cut to a terminal's width.
fn one_line(line: &str) -> String {
    let mut plain = String::new();
    let mut chars = line.trim().chars();
    while let Some(c) = chars.next() {
        if c == '\u{1b}' {
            // A colour sequence ends with its first letter.
            for end in chars.by_ref() {
                if end.is_ascii_alphabetic() {
                    break;
                }
            }
        } else if plain.chars().count() < 90 && !(plain.is_empty() && c.is_whitespace()) {
            plain.push(c);
        }
    }
    plain
}

#[cfg(test)]
mod tests {
    use super::*;

    fn log() -> Log {
        let name = format!(
            "xtask-process-{}-{:?}.log",
            std::process::id(),
            thread::current().id()
        );
        Log {
            path: std::env::temp_dir().join(name),
            verbose: false,
        }
    }

    #[test]
    fn output_and_status_are_kept() {
        let log = log();
        let finished = run(
            Command::new("sh").args(["-c", "echo out; echo err >&2; exit 3"]),
            &log,
        )
        .unwrap();
        assert!(!finished.ok);
        assert!(finished.output.contains("out\n") && finished.output.contains("err\n"));
        assert_eq!(fs::read_to_string(&log.path).unwrap(), finished.output);
        fs::remove_file(&log.path).unwrap();
    }

    #[test]
    fn a_program_that_is_not_there_is_named() {
        let log = log();
        let error = run(&mut Command::new("marketfeed-no-such-program"), &log).unwrap_err();
        assert_eq!(error.to_string(), "cannot start marketfeed-no-such-program");
        fs::remove_file(&log.path).unwrap();
    }

    #[test]
    fn lines_are_shown_plain() {
        assert_eq!(
            one_line("\u{1b}[1m\u{1b}[32m   Compiling\u{1b}[0m tokio\n"),
            "Compiling tokio"
        );
        assert_eq!(one_line(&"x".repeat(200)).len(), 90);
    }
}
