//! Finds the tools that are not Rust's; as root on Debian it installs what is missing, else it
//! names the command that does.

/// What the next two are built with.
mod go;

/// Kubernetes, for the tests that need a real one.
pub(crate) mod kube;

/// The chart's tools.
pub(crate) mod helm;

/// The message bus's server.
mod nats;

/// The load balancer.
mod nginx;

use std::env;
use std::ffi::OsString;
use std::fs;
use std::iter;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail};

use crate::process::{self, Log};
use crate::workspace::Workspace;

/// The oldest Node that the page's tools run on.
const NODE_MAJOR_MIN: u32 = 20;

/// What npm is asked for where the system's Node is too old (Debian 12 has 18). With an npm of its own, since Debian's
/// finds its parts only under Debian's Node.
const NODE_FROM_NPM: [&str; 2] = ["node@22", "npm@10"];

/// Names under which Chromium is found, the usual Debian one first.
const CHROMIUM_NAMES: [&str; 4] = [
    "chromium",
    "chromium-browser",
    "google-chrome",
    "google-chrome-stable",
];

/// What real processes need besides our own: as variables for the tests and programs that start them.
pub(crate) fn servers(workspace: &Workspace) -> Result<[(&'static str, OsString); 2]> {
    Ok([
        (
            nats::NATS_SERVER,
            nats::nats_server(workspace)?.into_os_string(),
        ),
        (nginx::NGINX, nginx::nginx(workspace)?.into_os_string()),
    ])
}

/// The message bus's server alone, and the variable that names it to the programs that start it.
pub(crate) fn nats_server(workspace: &Workspace) -> Result<(&'static str, PathBuf)> {
    Ok((nats::NATS_SERVER, nats::nats_server(workspace)?))
}

/// Makes sure that node and npm are there and new enough.
pub(crate) fn node(workspace: &Workspace) -> Result<()> {
    if find("node").is_none() || find("npm").is_none() {
        apt_install(
            workspace,
            &["nodejs", "npm"],
            "Node and npm are needed for the page",
            "install them (Debian: `apt-get install nodejs npm`) and run this again",
        )?;
    }
    let own = node_version(workspace);
    if new_enough(&own) {
        return Ok(());
    }
    let prefix = workspace.node();
    println!(
        "      the page needs Node {NODE_MAJOR_MIN} or later and this is {own}: npm installs {} in {}",
        NODE_FROM_NPM[0],
        prefix.display(),
    );
    fs::create_dir_all(&prefix).with_context(|| format!("cannot create {}", prefix.display()))?;
    let log = Log {
        path: workspace.logs().join("node.log"),
        verbose: false,
    };
    // The system's npm, under the system's Node.
    let mut npm = Command::new("npm");
    npm.args(["install", "--no-audit", "--no-fund", "--prefix"])
        .arg(&prefix)
        .args(NODE_FROM_NPM)
        .current_dir(&prefix);
    let installed = process::run(&mut npm, &log)?;
    let version = node_version(workspace);
    if !installed.ok || !new_enough(&version) {
        bail!(
            "the page needs Node {NODE_MAJOR_MIN} or later, this is {version}, and npm could not install one (see {}); \
             install one with `npm install --global node@22` and put it first in PATH",
            log.path.display(),
        );
    }
    Ok(())
}

/// `PATH` for node and npm: the Node that [`node`] installed comes first where there is one.
pub(crate) fn path_with_node(workspace: &Workspace) -> OsString {
    let path = env::var_os("PATH").unwrap_or_default();
    let bin = workspace.node().join("node_modules/.bin");
    if !bin.join("node").is_file() {
        return path;
    }
    let folders = iter::once(bin).chain(env::split_paths(&path));
    // A folder with a colon in its name cannot be in PATH; then the system's Node has to do.
    env::join_paths(folders).unwrap_or(path)
}

/// What `node --version` says of the Node that the page would be built with.
fn node_version(workspace: &Workspace) -> String {
    // By way of env, so that the PATH of the child is the one that is searched.
    let mut node = Command::new("env");
    node.args(["node", "--version"])
        .env("PATH", path_with_node(workspace));
    match process::read(&mut node) {
        Ok(version) => version.trim().to_owned(),
        Err(error) => format!("one that does not start ({error:#})"),
    }
}

fn new_enough(version: &str) -> bool {
    node_major(version).is_some_and(|major| major >= NODE_MAJOR_MIN)
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
        command
            .env("DEBIAN_FRONTEND", "noninteractive")
            .args(["-o", "DPkg::Lock::Timeout=120"]);
        command
    };
    // The package list of a fresh machine is empty or old. That one source of several fails says nothing yet about
    // the packages asked for: installing them does.
    process::run(apt().args(["update", "-q"]), &log)?;
    let mut install = apt();
    install
        .args(["install", "-y", "-q", "--no-install-recommends"])
        .args(packages);
    let installed = process::run(&mut install, &log)?;
    if !installed.ok {
        bail!(
            "{why}: apt-get failed (see {}); {by_hand}",
            log.path.display()
        );
    }
    Ok(())
}

/// Whether this process runs as root: the owner of its own entry in /proc tells, without a call
/// that would need libc.
pub(crate) fn is_root() -> bool {
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
        assert!(new_enough("v20.0.0") && new_enough("v22.23.1"));
        assert!(!new_enough("v18.20.4") && !new_enough("one that does not start"));
    }

    #[test]
    fn programs_are_found_in_path() {
        assert!(find("sh").is_some());
        assert!(find("marketfeed-no-such-program").is_none());
    }
}
