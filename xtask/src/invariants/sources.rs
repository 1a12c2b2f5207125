//! Rules over the text of the sources.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use anyhow::{Context, Result};

/// Lines a source file may have. Files are meant to stay under 400; this is where it stops.
const LINES_MAX: usize = 500;

/// Bytes a committed file may have: recordings stay out of the repository.
const COMMITTED_BYTES_MAX: u64 = 1 << 20;

/// Folders that hold no sources of ours.
const NOT_OURS: [&str; 5] = ["target", "node_modules", "dist", ".git", "screenshots"];

/// Handshakes that open a WebSocket as a client.
const WEBSOCKET_CLIENTS: [&str; 6] = [
    "connect_async(",
    "connect_async_with_config(",
    "connect_async_tls_with_config(",
    "client_async(",
    "client_async_with_config(",
    "client_async_tls(",
];

/// Constructors and handshakes that open one as a server.
const WEBSOCKET_SERVERS: [&str; 7] = [
    "accept_async(",
    "accept_async_with_config(",
    "accept_hdr_async(",
    "from_raw_socket(",
    "from_partially_read(",
    "derive_accept_key(",
    "WebSocketUpgrade",
];

/// Queues without a bound.
const UNBOUNDED: [&str; 5] = [
    "unbounded_channel(",
    "unbounded_channel::<",
    "mpsc::unbounded(",
    "std::sync::mpsc::channel",
    "use std::sync::mpsc::channel",
];

/// Ways to start a task or a thread.
const SPAWNS: [&str; 5] = [
    "tokio::spawn(",
    "tokio::task::spawn(",
    "task::spawn_local(",
    "thread::spawn(",
    "spawn_blocking(",
];

/// The sources of the workspace by their path from its root.
pub(super) struct Tree {
    files: BTreeMap<String, String>,
}

impl Tree {
    /// Reads every `.rs` and `.ts` file.
    pub(super) fn read(root: &Path) -> Result<Self> {
        let mut files = BTreeMap::new();
        let mut folders = vec![root.to_path_buf()];
        while let Some(folder) = folders.pop() {
            let entries = fs::read_dir(&folder)
                .with_context(|| format!("cannot read {}", folder.display()))?;
            for entry in entries {
                let entry = entry?;
                let path = entry.path();
                if entry.file_type()?.is_dir() {
                    if !NOT_OURS.iter().any(|name| entry.file_name() == *name) {
                        folders.push(path);
                    }
                } else if path
                    .extension()
                    .is_some_and(|ext| ext == "rs" || ext == "ts")
                {
                    let name = path
                        .strip_prefix(root)
                        .unwrap_or(&path)
                        .to_string_lossy()
                        .into_owned();
                    let text = fs::read_to_string(&path)
                        .with_context(|| format!("cannot read {}", path.display()))?;
                    files.insert(name, text);
                }
            }
        }
        Ok(Self { files })
    }

    /// Files outside `runtime/src/broker/nats*` that name the NATS client.
    pub(super) fn nats_outside_its_broker(&self) -> Vec<String> {
        self.rust_code()
            .filter(|(path, _)| !path.starts_with("runtime/src/broker/nats"))
            .filter(|(_, code)| code.contains("async_nats"))
            .map(|(path, _)| format!("{path} names async_nats"))
            .collect()
    }

    /// Crates in which more than one file opens a WebSocket, as a client or as a server.
    pub(super) fn websocket_openers(&self) -> Vec<String> {
        let mut broken = Vec::new();
        for openers in [&WEBSOCKET_CLIENTS[..], &WEBSOCKET_SERVERS[..]] {
            let mut by_crate: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
            for (path, code) in self.rust_code() {
                if openers.iter().any(|opener| code.contains(opener)) {
                    by_crate.entry(crate_of(path)).or_default().push(path);
                }
            }
            let crowded = by_crate.into_iter().filter(|(_, files)| files.len() > 1);
            broken.extend(crowded.map(|(name, files)| format!("{name}: {}", files.join(", "))));
        }
        broken
    }

    /// Files that start a task or thread themselves.
    pub(super) fn detached_spawns(&self) -> Vec<String> {
        self.rust_code()
            // xtask is a program of threads that it joins; runtime::tasks is where spawning lives.
            .filter(|(path, _)| crate_of(path) != "xtask" && !path.starts_with("runtime/src/tasks"))
            .flat_map(|(path, code)| named(path, &code, &SPAWNS))
            .collect()
    }

    /// Files that make a queue without a bound.
    pub(super) fn unbounded_queues(&self) -> Vec<String> {
        self.rust_code()
            .flat_map(|(path, code)| named(path, &code, &UNBOUNDED))
            .collect()
    }

    /// Files whose first paragraph says pure and that do not deny what a pure file may not do, nor does
    /// a module above them; and files that deny without saying so.
    pub(super) fn pure_without_deny(&self) -> Vec<String> {
        let mut broken = Vec::new();
        for (path, text) in self.rust() {
            // A crate's or module's overview may say it further down than its first paragraph.
            let says = names_pure(opening(text));
            let claims = names_pure(opening(text).take_while(|line| !line.is_empty()));
            if claims && !denies(text) && !self.above(path).any(denies) {
                broken.push(format!(
                    "{path} says it is pure and does not deny disallowed_methods"
                ));
            } else if denies(text) && !says {
                broken.push(format!(
                    "{path} denies disallowed_methods and does not say it is pure"
                ));
            }
        }
        broken
    }

    /// Files above the limit.
    pub(super) fn too_long(&self) -> Vec<String> {
        self.files
            .iter()
            .map(|(path, text)| (path, text.lines().count()))
            .filter(|(_, lines)| *lines > LINES_MAX)
            .map(|(path, lines)| format!("{path} has {lines} lines, the limit is {LINES_MAX}"))
            .collect()
    }

    fn rust(&self) -> impl Iterator<Item = (&str, &str)> {
        self.files
            .iter()
            .filter(|(path, _)| path.ends_with(".rs"))
            .map(|(path, text)| (path.as_str(), text.as_str()))
    }

    /// The Rust files that are not tests, without their comments, strings' contents kept.
    fn rust_code(&self) -> impl Iterator<Item = (&str, String)> {
        self.rust()
            // This file names what it looks for.
            .filter(|(path, _)| !is_test(path) && *path != "xtask/src/invariants/sources.rs")
            .map(|(path, text)| (path, code(text)))
    }

    /// The files of the modules that hold `path`, nearest first.
    fn above<'a>(&'a self, path: &str) -> impl Iterator<Item = &'a str> {
        let mut candidates = Vec::new();
        let mut folder = path;
        while let Some((up, _)) = folder.rsplit_once('/') {
            candidates.extend([
                format!("{up}.rs"),
                format!("{up}/mod.rs"),
                format!("{up}/lib.rs"),
            ]);
            folder = up;
        }
        candidates
            .into_iter()
            .filter_map(|name| self.files.get(&name))
            .map(String::as_str)
    }
}

/// Committed files (`git ls-files -z`) above the limit.
pub(super) fn too_large(root: &Path, listed: &str) -> Vec<String> {
    listed
        .split('\0')
        .filter(|name| !name.is_empty())
        .filter_map(|name| Some((name, fs::metadata(root.join(name)).ok()?.len())))
        .filter(|(_, bytes)| *bytes > COMMITTED_BYTES_MAX)
        .map(|(name, bytes)| {
            format!("{name} has {bytes} bytes, the limit is {COMMITTED_BYTES_MAX}")
        })
        .collect()
}

fn named(path: &str, code: &str, what: &[&str]) -> Vec<String> {
    what.iter()
        .filter(|word| code.contains(**word))
        .map(|word| format!("{path} has {}", word.trim_end_matches('(')))
        .collect()
}

fn crate_of(path: &str) -> &str {
    path.split('/').next().unwrap_or(path)
}

/// Test code by its place: `tests/`, `benches/`, `examples/`, `tests.rs`.
fn is_test(path: &str) -> bool {
    path.split('/')
        .any(|part| ["tests", "benches", "examples", "tests.rs"].contains(&part))
}

/// The text up to its unit tests (they stand last), without comment lines.
fn code(text: &str) -> String {
    let end = text.find("#[cfg(test)]\nmod ").unwrap_or(text.len());
    let is_code = |line: &&str| !line.trim_start().starts_with("//");
    text[..end]
        .lines()
        .filter(is_code)
        .collect::<Vec<_>>()
        .join("\n")
}

/// The comment that opens the file, line by line, without its marks.
fn opening(text: &str) -> impl Iterator<Item = &str> {
    text.lines()
        .map_while(|line| line.strip_prefix("//"))
        .map(|line| line.trim_start_matches('!').trim())
}

/// One of the lines has the word "pure" in it.
fn names_pure<'a>(mut lines: impl Iterator<Item = &'a str>) -> bool {
    lines.any(|line| {
        line.split(|c: char| !c.is_ascii_alphanumeric())
            .any(|word| word.eq_ignore_ascii_case("pure"))
    })
}

/// The module as a whole denies the clippy lint.
fn denies(text: &str) -> bool {
    text.lines().any(|line| {
        let line = line.trim();
        line.starts_with("#![")
            && (line.contains("deny(") || line.contains("forbid("))
            && line.contains("clippy::disallowed_methods")
    })
}

#[cfg(test)]
#[path = "sources/tests.rs"]
mod tests;
