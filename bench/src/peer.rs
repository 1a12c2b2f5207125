//! The peer, in a process of its own, over the same tape.
use std::env;
use std::path::Path;
use std::process::Command;

use anyhow::{Context, Result, ensure};
use serde::Deserialize;

use crate::aggregate::Sums;
use crate::tape::{self, Entry};

/// The Python that has the peer; set by `cargo xtask bench`.
const PYTHON: &str = "MARKETFEED_PEER_PYTHON";

/// What `peers/nautilus_bars.py` prints.
#[derive(Deserialize)]
pub(crate) struct Report {
    pub(crate) version: String,
    pub(crate) cpu_s: f64,
    bars_1s: usize,
    volume_1s: String,
    close_1s: String,
}

impl Report {
    /// What it came to, to be compared exactly.
    pub(crate) fn sums(&self) -> Result<Sums> {
        Ok(Sums {
            bars: self.bars_1s,
            volume: self
                .volume_1s
                .parse()
                .context("the peer's sum of volumes")?,
            close: self.close_1s.parse().context("the peer's sum of closes")?,
        })
    }
}

/// Runs the peer; `None` where there is none on this machine.
pub(crate) fn run(entries: &[Entry]) -> Result<Option<Report>> {
    let Some(python) = env::var_os(PYTHON) else {
        return Ok(None);
    };
    let file =
        tempfile::NamedTempFile::new().context("cannot make a temporary file for the tape")?;
    tape::write(entries, file.as_file())?;
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("peers/nautilus_bars.py");
    let output = Command::new(python)
        .arg(script)
        .arg(file.path())
        .arg(entries.len().to_string())
        .output()
        .context("cannot start the peer's Python")?;
    let told = String::from_utf8_lossy(&output.stderr);
    ensure!(
        output.status.success(),
        "the peer ended with {}: {told}",
        output.status
    );
    let report = serde_json::from_slice(&output.stdout).context("the peer printed no report")?;
    Ok(Some(report))
}
