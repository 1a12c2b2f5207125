//! Finds the tools that are not Rust's; as root on Debian it installs what is missing, else it
//! names the command that does.

use std::env;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Result, bail};

use crate::process::{self, Log};
use crate::workspace::Workspace;

/// The oldest Node that the page's tools run on.
const NODE_MAJOR_MIN: u32 = 20;

/// Names under which Chromium is found, the usual Debian one first.
const CHROMIUM_NAMES: [&str; 4] = [
    "chromium",
    "chromium-browser",
    "google-chrome",
    "google-chrome-stable",
];

/// Makes sure that node and npm are there and new enough.
pub(crate) fn node(workspace: &Workspace) -> Result<()> {
    if find("node").is_none() || find("npm").is_none() {
        apt_install(
            workspace,
            &["nodejs", "npm"],
            "Node and npm are needed for the page",
            "install Node 20 or later from your package manager, for example `apt-get install nodejs npm`",
        )?;
    }
    let version = process::read(Command::new("node").arg("--version"))?;
    match node_major(&version) {
        Some(major) if major >= NODE_MAJOR_MIN => Ok(()),
        _ => bail!(
            "the page needs Node {NODE_MAJOR_MIN} or later and this is {}; install a newer one \
             from your package manager and put it first in PATH",
            version.trim(),
        ),
    }
}

/// The Chromium that drives the page's tests.
pub(crate) fn chromium(workspace: &Workspace) -> Result<PathBuf> {
    if let Some(path) = env::var_os("CHROMIUM")
        .map(PathBuf::from)
        .filter(|path| path.is_file())
    {
        return Ok(path);
    }
    let found = || CHROMIUM_NAMES.iter().find_map(|name| find(name));
    if let Some(path) = found() {
        return Ok(path);
    }
    let by_hand =
        "install Chromium (Debian: `apt-get install chromium`) or set CHROMIUM to its path";
    apt_install(
        workspace,
        &["chromium"],
        "the browser tests need Chromium",
        by_hand,
    )?;
    match found() {
        Some(path) => Ok(path),
        None => bail!("Chromium was installed but is not in PATH; set CHROMIUM to its path"),
    }
}

/// The first executable of that name in `PATH`.
pub(crate) fn find(name: &str) -> Option<PathBuf> {
    let path = env::var_os("PATH")?;
    env::split_paths(&path)
        .map(|dir| dir.join(name))
        .find(|candidate| candidate.is_file())
}

/// Installs Debian packages, where that is possible without asking anybody.
pub(crate) fn apt_install(
    workspace: &Workspace,
    packages: &[&str],
    why: &str,
    by_hand: &str,
) -> Result<()> {
    if !(is_root() && Path::new("/etc/debian_version").is_file() && find("apt-get").is_some()) {
        bail!("{why}: {by_hand}");
    }
    println!(
        "      {why}: installing {} with apt-get",
        packages.join(" ")
    );
    let log = Log {
        path: workspace.logs().join("apt.log"),
        verbose: false,
    };
    let apt = || {
        let mut command = Command::new("apt-get");
        command.env("DEBIAN_FRONTEND", "noninteractive");
        command
    };
    // The package list of a fresh machine is empty or old.
    let updated = process::run(apt().args(["update", "-q"]), &log)?;
    let mut install = apt();
    install
        .args(["install", "-y", "-q", "--no-install-recommends"])
        .args(packages);
    let installed = process::run(&mut install, &log)?;
    if !(updated.ok && installed.ok) {
        bail!(
            "{why}: apt-get failed (see {}); {by_hand}",
            log.path.display()
        );
    }
    Ok(())
}

/// Whether this process runs as root: the owner of its own entry in /proc tells, without a call
/// that would need libc.
fn is_root() -> bool {
    use std::os::unix::fs::MetadataExt;
    fs::metadata("/proc/self").is_ok_and(|entry| entry.uid() == 0)
}

/// `v20.11.1` -> 20.
fn node_major(version: &str) -> Option<u32> {
    version
        .trim()
        .strip_prefix('v')?
        .split('.')
        .next()?
        .parse()
        .ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn node_versions() {
        assert_eq!(node_major("v20.20.2\n"), Some(20));
        assert_eq!(node_major("v9.0.0"), Some(9));
        assert_eq!(node_major("20.1.1"), None);
        assert_eq!(node_major(""), None);
    }

    #[test]
    fn programs_are_found_in_path() {
        assert!(find("sh").is_some());
        assert!(find("marketfeed-no-such-program").is_none());
    }
}
