//! The programs and images of a Kubernetes cluster: built from Go modules by `e2e/cluster/build.sh`, once for each state of its
//! sources, into the user's cache.

use std::fs;
use std::path::PathBuf;
use std::process::Command;

use anyhow::{Context, Result, bail};

use super::apt_install;
use super::go::go;
use crate::process::{self, Log};
use crate::workspace::Workspace;

/// The variable that names the set of programs to the tests and scripts that start them.
pub(crate) const KUBE_PROGRAMS: &str = "KUBE_PROGRAMS";

/// What tests may have: a cluster with nodes, else an API server alone, else nothing. What cannot be had is said, and the tests
/// that need it then say that they were skipped.
pub(crate) fn for_tests(workspace: &Workspace, log: &Log) -> Result<Option<PathBuf>> {
    match absent(workspace)? {
        Some(why) => println!("      no Kubernetes nodes for the tests: {why}"),
        None => match cluster(workspace, log) {
            Ok(folder) => return Ok(Some(folder)),
            Err(why) => println!("      no Kubernetes nodes for the tests: {why:#}"),
        },
    }
    match programs(workspace, log) {
        Ok(folder) => Ok(Some(folder)),
        Err(why) => {
            println!("      no Kubernetes API server for the tests: {why:#}");
            Ok(None)
        }
    }
}

/// Why this machine can have no nodes; none if it can. What is merely not installed or built yet is no reason.
pub(crate) fn absent(workspace: &Workspace) -> Result<Option<String>> {
    let why = process::read(script(workspace).arg("nodes"))?;
    let why = why.trim();
    Ok((!why.is_empty()).then(|| why.to_owned()))
}

/// What an API server without nodes needs.
pub(crate) fn programs(workspace: &Workspace, log: &Log) -> Result<PathBuf> {
    build(workspace, &["programs"], &["bin/nodens", "bin/kube"], log)
}

/// What a cluster with nodes needs, with Debian's part of it.
pub(crate) fn cluster(workspace: &Workspace, log: &Log) -> Result<PathBuf> {
    if let Some(why) = absent(workspace)? {
        bail!("no cluster can be made here: {why}");
    }
    let missing = process::read(script(workspace).arg("packages"))?;
    let missing: Vec<&str> = missing.split_whitespace().collect();
    if !missing.is_empty() {
        let by_hand = format!(
            "install them (Debian: `apt-get install {}`)",
            missing.join(" ")
        );
        apt_install(workspace, &missing, "a cluster's nodes need more", &by_hand)?;
    }
    // Made last.
    build(workspace, &[], &["images/busybox.tar"], log)
}

/// Kubernetes' module and the version that clusters are made of: the one that the programs are built from.
pub(crate) fn module(workspace: &Workspace) -> Result<String> {
    let file = workspace.root.join("e2e/cluster/kube/go.mod");
    let text =
        fs::read_to_string(&file).with_context(|| format!("cannot read {}", file.display()))?;
    let version = text
        .lines()
        .find_map(|line| line.trim().strip_prefix("k8s.io/kubernetes "));
    let version = version.with_context(|| format!("no version in {}", file.display()))?;
    Ok(format!("k8s.io/kubernetes@{version}"))
}

/// Runs the script, which needs no Go and is done at once where all is there, and gives the folder of what it built.
fn build(workspace: &Workspace, what: &[&str], last: &[&str], log: &Log) -> Result<PathBuf> {
    let folder = process::read(script(workspace).arg("where"))?;
    let folder = PathBuf::from(folder.trim());
    if !last.iter().all(|file| folder.join(file).is_file()) {
        go()?;
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_module_has_a_version() {
        let module = module(&Workspace::locate()).unwrap();
        let (name, version) = module.split_once('@').unwrap();
        assert_eq!(name, "k8s.io/kubernetes");
        assert!(version.starts_with('v') && version.split('.').count() == 3);
    }
}
