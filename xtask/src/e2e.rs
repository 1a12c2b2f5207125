//! `cargo xtask e2e`: a real Kubernetes cluster on this machine, in namespaces of its own.

use std::process::Command;

use anyhow::{Result, bail};

use crate::args::E2e;
use crate::install::kube;
use crate::process::{self, Log};
use crate::scenarios;
use crate::workspace::Workspace;

/// Does what is asked; what it starts stays until `down`.
pub(crate) fn run(workspace: &Workspace, what: &E2e) -> Result<()> {
    match what {
        E2e::Up { nodes } => up(workspace, *nodes),
        E2e::Run(run) => scenarios::run(workspace, run),
        E2e::Down => script(workspace, "down", &[]),
    }
}

fn up(workspace: &Workspace, nodes: u8) -> Result<()> {
    println!("[1/2] programs and images");
    let log = Log::fresh(workspace.logs().join("kube-build.log"), false)?;
    let programs = kube::cluster(workspace, &log)?;
    println!("[2/2] a cluster of {nodes} node(s)");
    let programs = programs.display().to_string();
    let nodes = nodes.to_string();
    script(
        workspace,
        "up",
        &[(kube::KUBE_PROGRAMS, &programs), ("NODES", &nodes)],
    )?;
    println!("\nkubectl, if there is none of your own: {programs}/bin/kube kubectl");
    println!("`cargo xtask e2e down` ends it");
    Ok(())
}

fn script(workspace: &Workspace, command: &str, env: &[(&str, &str)]) -> Result<()> {
    let log = Log::fresh(workspace.logs().join(format!("kube-{command}.log")), true)?;
    let mut script = Command::new("bash");
    script
        .arg(workspace.root.join("e2e/cluster/kube.sh"))
        .arg(command);
    let done = process::run(script.envs(env.iter().copied()), &log)?;
    if !done.ok {
        bail!("it did not work; see {}", log.path.display());
    }
    Ok(())
}
