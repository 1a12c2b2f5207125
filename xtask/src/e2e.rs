//! `cargo xtask e2e`: a real Kubernetes on this machine: a cluster in namespaces of its own, or its API server alone.

use std::process::Command;

use anyhow::{Result, bail};

use crate::args::E2e;
use crate::install::kube;
use crate::process::{self, Log};
use crate::scenarios;
use crate::tally::Tally;
use crate::workspace::Workspace;

/// Feeds of `--all`.
const FEEDS: u32 = 1_000;

/// Does what is asked; what it starts stays until `down`.
pub(crate) fn run(workspace: &Workspace, what: &E2e) -> Result<()> {
    match what {
        E2e::Up { nodes } => up(workspace, *nodes),
        E2e::Run(run) => {
            // First: the scenarios' process takes the place of this one. What it finds wrong is no reason to try nothing else.
            let feeds = if run.all {
                feeds(workspace, FEEDS)
            } else {
                Ok(())
            };
            match feeds {
                Ok(()) => scenarios::run(workspace, run),
                Err(why) => {
                    println!("      {why:#}");
                    scenarios::run_and_return(workspace, run)?;
                    Err(why)
                }
            }
        }
        E2e::Down => script(workspace, "down", &[]),
        E2e::Feeds { number } => feeds(workspace, *number),
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

/// A test of `e2e/tests/api` with more feeds than it has in `cargo xtask test`.
pub(crate) fn feeds(workspace: &Workspace, number: u32) -> Result<()> {
    let log = Log::fresh(workspace.logs().join("e2e-feeds.log"), false)?;
    let programs = kube::programs(workspace, &log)?;
    println!(
        "{number} feeds on a release build; the log is {}",
        log.path.display()
    );
    let release = |what: &str| {
        let mut cargo = workspace.cargo();
        cargo.args([
            what,
            "--release",
            "--package",
            "operator",
            "--package",
            "e2e",
        ]);
        cargo
    };
    let built = process::run(
        release("build").args(["--bin", "marketfeed-operator"]),
        &log,
    )?;
    if !built.ok {
        bail!("cargo build failed; its output:\n{}", built.output);
    }
    let mut test = release("test");
    test.args(["--test", "api", "--", "--show-output", "many::"])
        .env(kube::KUBE_PROGRAMS, programs)
        .env("E2E_FEEDS", number.to_string());
    let finished = process::run(&mut test, &log)?;
    let told = finished.output.lines().filter(|line| {
        let measured = line.contains(" feeds in ") || line.starts_with("then no write");
        let measured = measured || line.starts_with("measured: ");
        measured || line.starts_with("skipped: ") || line.starts_with("test result: ")
    });
    for line in told {
        println!("      {line}");
    }
    if !finished.ok || Tally::of_libtest(&finished.output).passed == 0 {
        bail!("it did not hold; see {}", log.path.display());
    }
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
