//! The programs and images of a Kubernetes cluster: built from Go modules by `e2e/cluster/build.sh`, once for each state of its
//! sources, into the user's cache.

use std::fmt;
use std::fs;
use std::path::PathBuf;
use std::process::Command;

use anyhow::{Context, Result, bail};

use super::go::go;
use super::{apt_install, find};
use crate::process::{self, Log};
use crate::workspace::Workspace;

/// The variable that names the set of programs to the tests and scripts that start them.
pub(crate) const KUBE_PROGRAMS: &str = "KUBE_PROGRAMS";

/// Why this machine cannot have something. Not that what it has to make it with did not do so: that is a failure of ours.
#[derive(Debug)]
pub(crate) struct Absent(String);

impl fmt::Display for Absent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for Absent {}

impl Absent {
    pub(crate) fn because(why: &anyhow::Error) -> anyhow::Error {
        Self(format!("{why:#}")).into()
    }
}

/// What tests may have: a cluster with nodes, else an API server alone, else nothing. What this machine cannot have is said, and the
/// tests that need it then say that they were skipped.
///
/// # Errors
/// When it should have it, and the build failed.
pub(crate) fn for_tests(workspace: &Workspace, log: &Log) -> Result<Option<PathBuf>> {
    if let Some(folder) = unless_absent(cluster(workspace, log), "nodes")? {
        return Ok(Some(folder));
    }
    unless_absent(programs(workspace, log), "API server")
}

fn unless_absent<T>(had: Result<T>, what: &str) -> Result<Option<T>> {
    match had {
        Ok(had) => Ok(Some(had)),
        Err(why) if why.is::<Absent>() => {
            println!("      no Kubernetes {what} for the tests: {why:#}");
            Ok(None)
        }
        Err(why) => Err(why),
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
        return Err(Absent(format!("no cluster can be made here: {why}")).into());
    }
    let missing = process::read(script(workspace).arg("packages"))?;
    let missing: Vec<&str> = missing.split_whitespace().collect();
    if !missing.is_empty() {
        let by_hand = format!(
            "install them (Debian: `apt-get install {}`)",
            missing.join(" ")
        );
        apt_install(workspace, &missing, "a cluster's nodes need more", &by_hand)
            .map_err(|why| Absent::because(&why))?;
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
        go().map_err(|why| Absent::because(&why))?;
        if find("python3").is_none() {
            return Err(
                Absent("images are made with python3, which is not in PATH".to_owned()).into(),
            );
        }
        println!(
            "      building Kubernetes into {}: ten minutes or so on two cores, this once",
            folder.display()
        );
    }
    let built = process::run(script(workspace).args(what), log)?;
    if !built.ok {
        download(workspace, log)?;
        bail!("building Kubernetes failed; its output:\n{}", built.output);
    }
    Ok(folder)
}

/// Without a way to the modules there is nothing to build, which is no failure of what builds them.
fn download(workspace: &Workspace, log: &Log) -> Result<()> {
    let mut go = Command::new("go");
    go.args(["mod", "download"])
        .current_dir(workspace.root.join("e2e/cluster/kube"));
    let downloaded = process::run(&mut go, log)?;
    if downloaded.ok {
        return Ok(());
    }
    let why = downloaded.output.lines().last().unwrap_or_default();
    Err(Absent(format!("Kubernetes' modules cannot be downloaded: {why}")).into())
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
    fn what_cannot_be_had_is_skipped_and_what_does_not_build_is_not() {
        let lacks = Absent::because(&anyhow::anyhow!("no go"));
        assert!(unless_absent::<()>(Err(lacks), "nodes").unwrap().is_none());
        let broken = anyhow::anyhow!("building Kubernetes failed");
        assert!(unless_absent::<()>(Err(broken), "nodes").is_err());
        assert_eq!(unless_absent(Ok(7), "nodes").unwrap(), Some(7));
    }

    #[test]
    fn the_module_has_a_version() {
        let module = module(&Workspace::locate()).unwrap();
        let (name, version) = module.split_once('@').unwrap();
        assert_eq!(name, "k8s.io/kubernetes");
        assert!(version.starts_with('v') && version.split('.').count() == 3);
    }
}
