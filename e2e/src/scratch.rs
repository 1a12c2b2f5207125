//! Temporary folders of processes that may be killed: a test that is broken off removes nothing, and a cluster leaves much.

use std::path::Path;
use std::{env, fs, io, process};

use anyhow::{Context, Result};
use tempfile::TempDir;

/// Begins their names; the process that made one comes next.
const PREFIX: &str = "marketfeed-e2e-";

/// Makes one, which goes with its guard. Those of processes that there are no more are removed before.
///
/// # Errors
/// When it cannot be made.
pub fn folder() -> Result<TempDir> {
    let parent = env::temp_dir();
    sweep(&parent);
    let prefix = format!("{PREFIX}{}-", process::id());
    let mut builder = tempfile::Builder::new();
    let made = builder.prefix(&prefix).tempdir_in(parent);
    made.context("no temporary folder")
}

/// Others may do so at the same time. Where something is mounted somebody still puts away what was made: the next one tries again.
fn sweep(parent: &Path) {
    let mounts = fs::read_to_string("/proc/self/mountinfo").unwrap_or_default();
    let Ok(entries) = fs::read_dir(parent) else {
        return;
    };
    for entry in entries.filter_map(Result::ok) {
        let name = entry.file_name();
        let maker = name.to_str().and_then(maker);
        let is_mounted = mounts.contains(&*entry.path().to_string_lossy());
        if !is_mounted && maker.is_some_and(|pid| !is_there(pid)) {
            let _ = fs::remove_dir_all(entry.path());
        }
    }
}

/// Which process made a folder of that name.
fn maker(name: &str) -> Option<u32> {
    let rest = name.strip_prefix(PREFIX)?;
    rest.split_once('-')?.0.parse().ok()
}

fn is_there(pid: u32) -> bool {
    let gone = |error: io::Error| error.kind() == io::ErrorKind::NotFound;
    !fs::metadata(format!("/proc/{pid}")).is_err_and(gone)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_killed_process_left_is_removed_and_nothing_else() {
        let parent = tempfile::tempdir().unwrap();
        // More than there can be.
        let dead = parent.path().join(format!("{PREFIX}4194305-abc"));
        let alive = parent.path().join(format!("{PREFIX}{}-abc", process::id()));
        let anothers = parent.path().join("marketfeed-e2e");
        for folder in [&dead, &alive, &anothers] {
            fs::create_dir_all(folder.join("etcd")).unwrap();
        }
        sweep(parent.path());
        assert!(!dead.exists());
        assert!(alive.exists() && anothers.exists());
    }

    #[test]
    fn a_folder_is_its_makers() {
        let made = folder().unwrap();
        let name = made.path().file_name().unwrap().to_str().unwrap();
        assert_eq!(maker(name), Some(process::id()));
    }
}
