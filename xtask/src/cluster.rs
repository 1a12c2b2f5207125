//! `cargo xtask cluster-local` and `cargo xtask faults`: the distributed platform on this machine, without containers.

use std::fs;
use std::os::unix::process::CommandExt;
use std::path::PathBuf;
use std::process::Command;
use std::time::Instant;

use anyhow::{Context, Result, bail};

use crate::args::Cluster;
use crate::install;
use crate::process::{self, Log, clock};
use crate::workspace::Workspace;

/// What holds the binaries that a cluster is made of, and the one that starts them.
const PACKAGES: [&str; 4] = ["marketdata", "gateway", "exchange-sim", "cluster"];

/// What their binaries need beyond their libraries.
const FEATURES: [&str; 2] = ["marketdata/process", "gateway/process"];

/// Builds, then becomes the `cluster` process: Ctrl-C reaches it, and what it starts ends with it.
pub(crate) fn run(workspace: &Workspace, cluster: &Cluster) -> Result<()> {
    println!("[1/3] nats-server and nginx");
    let servers = install::servers(workspace)?;

    let profile = if cluster.release { "release" } else { "dev" };
    println!("[2/3] binaries ({profile} profile)");
    let building = Instant::now();
    let mut cargo = workspace.cargo();
    cargo.args(["build", "--profile", profile]);
    cargo.args(PACKAGES.map(|package| format!("--package={package}")));
    cargo.args(FEATURES.map(|feature| format!("--features={feature}")));
    let log = Log::fresh(workspace.logs().join("cluster-build.log"), false)?;
    let built = process::run(&mut cargo, &log)?;
    if !built.ok {
        bail!("cargo build failed; its output:\n{}", built.output);
    }
    println!("      built, {}", clock(building.elapsed()));

    let command = cluster.command;
    println!("[3/3] {command}");
    let folder = match &cluster.folder {
        Some(folder) => folder.clone(),
        None => own_folder(workspace, command)?,
    };
    let binaries = workspace
        .target
        .join(if cluster.release { "release" } else { "debug" });
    let mut become_it = Command::new(binaries.join("cluster"));
    become_it.arg(command).arg("--folder").arg(&folder);
    become_it.args(&cluster.options).envs(servers);
    let error = become_it.exec();
    bail!(
        "cannot start {}: {error}",
        become_it.get_program().display()
    );
}

/// A folder that is nobody else's. The file says so, and that what is in it may be removed; the `cluster` process holds it
/// while it runs.
fn own_folder(workspace: &Workspace, command: &str) -> Result<PathBuf> {
    let folder = workspace.logs().join(format!("cluster-{command}"));
    let lock = folder.join("cluster.lock");
    fs::create_dir_all(&folder)
        .and_then(|()| fs::OpenOptions::new().create(true).append(true).open(&lock))
        .with_context(|| format!("cannot write {}", lock.display()))?;
    Ok(folder)
}
