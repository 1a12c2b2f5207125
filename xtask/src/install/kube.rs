//! The programs and images of a Kubernetes cluster: built from Go modules by `e2e/cluster/build.sh`, once for each state of its
//! sources, into the user's cache.

use std::path::PathBuf;
use std::process::Command;

use anyhow::{Context, Result, bail};

use super::{apt_install, find, is_root};
use crate::process::{self, Log};
use crate::workspace::Workspace;

/// The variable that names the set of programs to the tests and scripts that start them.
pub(crate) const KUBE_PROGRAMS: &str = "KUBE_PROGRAMS";

/// The oldest Go that compiles them (major, minor).
const GO_MIN: (u32, u32) = (1, 26);

/// What an API server without nodes needs; none, and that is said, where it cannot be built. The tests that would start one then
/// say that they were skipped.
pub(crate) fn programs(workspace: &Workspace, log: &Log) -> Result<Option<PathBuf>> {
    if let Err(why) = go() {
        println!("      no Kubernetes API server for the tests: {why:#}");
        return Ok(None);
    }
    build(workspace, &["programs"], log).map(Some)
}

/// What a cluster with nodes needs, with Debian's part of it.
pub(crate) fn cluster(workspace: &Workspace, log: &Log) -> Result<PathBuf> {
    if !is_root() {
        bail!("a cluster's nodes are namespaces, which need root");
    }
    go()?;
    let missing = process::read(script(workspace).arg("packages"))?;
    let missing: Vec<&str> = missing.split_whitespace().collect();
    if !missing.is_empty() {
        let by_hand = format!(
            "install them (Debian: `apt-get install {}`)",
            missing.join(" ")
        );
        apt_install(workspace, &missing, "a cluster's nodes need more", &by_hand)?;
    }
    build(workspace, &[], log)
}

/// Runs the script, which is done at once where all is there, and gives the folder of what it built.
fn build(workspace: &Workspace, what: &[&str], log: &Log) -> Result<PathBuf> {
    let folder = process::read(script(workspace).arg("where"))?;
    let folder = PathBuf::from(folder.trim());
    if !folder.join("bin/kube").is_file() {
        println!(
            "      building Kubernetes into {}: ten minutes or so on two cores, this once",
            folder.display()
        );
    }
    let built = process::run(script(workspace).args(what), log)?;
    if !built.ok {
        bail!("building Kubernetes failed; its output:\n{}", built.output);
    }
    Ok(folder)
}

fn script(workspace: &Workspace) -> Command {
    let mut command = Command::new("bash");
    command.arg(workspace.root.join("e2e/cluster/build.sh"));
    command
}

/// That there is a Go that is new enough.
fn go() -> Result<()> {
    let wanted = format!("Go {}.{} or later builds them", GO_MIN.0, GO_MIN.1);
    if find("go").is_none() {
        bail!("{wanted}, and there is no go in PATH");
    }
    let version = process::read(Command::new("go").args(["env", "GOVERSION"]))?;
    let found = go_version(&version).context("go does not say its version")?;
    if found < GO_MIN {
        bail!("{wanted}, and this is {}", version.trim());
    }
    Ok(())
}

/// `go1.26.8` -> (1, 26)
fn go_version(text: &str) -> Option<(u32, u32)> {
    let mut numbers = text.trim().strip_prefix("go")?.split('.');
    // A release candidate is `go1.27rc1`.
    let number = |part: &str| {
        part.split(|c: char| !c.is_ascii_digit())
            .next()?
            .parse()
            .ok()
    };
    Some((number(numbers.next()?)?, number(numbers.next()?)?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn go_versions() {
        assert_eq!(go_version("go1.26.8\n"), Some((1, 26)));
        assert_eq!(go_version("go1.27rc1"), Some((1, 27)));
        assert_eq!(go_version("go1.19"), Some((1, 19)));
        assert_eq!(go_version("devel +abc"), None);
        assert_eq!(go_version(""), None);
    }
}
