//! `cargo xtask e2e`: the platform on a real cluster, done to as people and machines do.

use std::env;
use std::ffi::OsString;
use std::fs;
use std::os::unix::process::CommandExt;
use std::process::Command;
use std::time::Instant;

use anyhow::{Context, Result, bail};

use crate::args::{Image, Scenarios};
use crate::image::{self, Archive};
use crate::install;
use crate::install::kube::{self, Absent};
use crate::process::{self, Log, clock};
use crate::tally::Tally;
use crate::workspace::Workspace;

/// The server's own image, where a registry is reached.
const NATS: &str = "docker.io/library/nats:2.12-alpine";

/// The scenario that needs the image of a later release.
const ROLLOUT: &str = "rollout";

/// Where the scenarios and their names are.
const SCENARIOS: &str = "e2e/src/scenarios/mod.rs";

/// That there are such scenarios, which the `e2e` process would say after minutes of building.
fn check_names(workspace: &Workspace, names: &[String]) -> Result<()> {
    let file = workspace.root.join(SCENARIOS);
    let text =
        fs::read_to_string(&file).with_context(|| format!("cannot read {}", file.display()))?;
    let known: Vec<&str> = text
        .lines()
        .filter_map(|line| line.trim().strip_prefix("name: \"")?.strip_suffix("\","))
        .collect();
    match names.iter().find(|name| !known.contains(&&name[..])) {
        Some(name) => bail!(
            "there is no scenario {name:?}: write one of {}",
            known.join(", ")
        ),
        None => Ok(()),
    }
}

/// Builds, then becomes the `e2e` process: Ctrl-C reaches it, and what it starts ends with it.
pub(crate) fn run(workspace: &Workspace, what: &Scenarios) -> Result<()> {
    check_names(workspace, &what.only)?;
    let started = Instant::now();
    let tools = tools(workspace, what.kubeconfig.is_none())?;
    let mut e2e = prepare(workspace, what, tools, started)?;
    let error = e2e.exec();
    bail!("cannot start {}: {error}", e2e.get_program().display());
}

/// As [`run`], and comes back; whatever went wrong is shown by then.
pub(crate) fn run_and_return(workspace: &Workspace, what: &Scenarios) -> Result<()> {
    let started = Instant::now();
    let tools = tools(workspace, what.kubeconfig.is_none())?;
    let mut e2e = prepare(workspace, what, tools, started)?;
    e2e.status()
        .with_context(|| format!("cannot start {}", e2e.get_program().display()))?;
    Ok(())
}

/// The few that are always tried, as a step of the tests; none where no cluster can be made, which is then told.
pub(crate) fn smoke(workspace: &Workspace, log: &Log) -> Result<Tally> {
    let skipped = |why: &str| {
        println!("      skipped: {why}");
        Tally {
            skipped: 1,
            ..Tally::default()
        }
    };
    if let Some(why) = kube::absent(workspace)? {
        return Ok(skipped(&why));
    }
    let started = Instant::now();
    let tools = match tools(workspace, true) {
        Ok(tools) => tools,
        // What it has does not build: that is no reason to try less.
        Err(why) if !why.is::<Absent>() => return Err(why),
        Err(why) => return Ok(skipped(&format!("{why:#}"))),
    };
    let e2e = prepare(workspace, &Scenarios::default(), tools, started)?;
    let finished = process::run(&mut ending_with_us(e2e), log)?;
    for line in finished.output.lines() {
        println!("      {line}");
    }
    let mut tally = Tally::of_summary(&finished.output);
    if !finished.ok {
        tally.failed = tally.failed.max(1);
    } else if tally.passed == 0 {
        bail!("no scenario was run");
    }
    Ok(tally)
}

/// So that a run that is killed leaves none behind that goes on by itself and holds the cluster. Where the program for it is not
/// there, it is started as it is.
fn ending_with_us(command: Command) -> Command {
    let Some(setpriv) = install::find("setpriv") else {
        return command;
    };
    let mut bound = Command::new(setpriv);
    bound.args(["--pdeathsig", "TERM", "--"]);
    bound.arg(command.get_program()).args(command.get_args());
    for (name, value) in command.get_envs() {
        match value {
            Some(value) => bound.env(name, value),
            None => bound.env_remove(name),
        };
    }
    bound
}

/// Where tools are, for the processes that start them.
type Variables = Vec<(String, OsString)>;

/// What is not ours: Kubernetes' programs, where a cluster is to be made of them, and helm.
fn tools(workspace: &Workspace, cluster: bool) -> Result<Variables> {
    let started = Instant::now();
    let mut variables = Variables::new();
    if cluster {
        println!("[cluster] Kubernetes' programs");
        let log = Log::fresh(workspace.logs().join("kube-build.log"), false)?;
        let programs = kube::cluster(workspace, &log)?;
        variables.push((kube::KUBE_PROGRAMS.to_owned(), programs.into_os_string()));
    }
    println!("[cluster] helm");
    variables.push(install::helm::helm(workspace)?);
    println!("[cluster] ready, {}", clock(started.elapsed()));
    Ok(variables)
}

/// All else that the `e2e` process needs, and the process.
fn prepare(
    workspace: &Workspace,
    what: &Scenarios,
    tools: Variables,
    started: Instant,
) -> Result<Command> {
    let needs_later = what.all || what.only.iter().any(|name| name == ROLLOUT);
    let images = match &what.image {
        Some(name) => vec![("--image", name.clone()), ("--nats-image", NATS.to_owned())],
        None => built(workspace, what.release, needs_later)?,
    };
    println!("[scenarios] the program that runs them");
    let log = Log::fresh(workspace.logs().join("e2e-build.log"), false)?;
    let mut cargo = workspace.cargo();
    cargo.args(["build", "--package", "e2e", "--bin", "e2e"]);
    let built = process::run(&mut cargo, &log)?;
    if !built.ok {
        bail!("cargo build failed; its output:\n{}", built.output);
    }
    println!("[scenarios] begin after {}", clock(started.elapsed()));
    let mut e2e = command_line(workspace, what, images)?;
    e2e.envs(tools);
    Ok(e2e)
}

fn command_line(
    workspace: &Workspace,
    what: &Scenarios,
    images: Vec<(&'static str, String)>,
) -> Result<Command> {
    let mut e2e = Command::new(workspace.target.join("debug/e2e"));
    e2e.arg("--root").arg(&workspace.root);
    e2e.arg("--folder").arg(workspace.target.join("e2e"));
    for (flag, image) in images {
        e2e.arg(flag).arg(image);
    }
    for (flag, given) in [("--all", what.all), ("--keep", what.keep)] {
        if given {
            e2e.arg(flag);
        }
    }
    for name in &what.only {
        e2e.arg("--only").arg(name);
    }
    if let Some(kubeconfig) = &what.kubeconfig {
        // Relative to where this was started.
        e2e.arg("--kubeconfig")
            .arg(env::current_dir()?.join(kubeconfig));
    }
    Ok(e2e)
}

/// The images that are made here, by their flags.
fn built(
    workspace: &Workspace,
    release: bool,
    needs_later: bool,
) -> Result<Vec<(&'static str, String)>> {
    let wanted = Image {
        release,
        later: needs_later,
        nats: true,
    };
    let mut images = vec![("--image", image::ours(workspace, &wanted)?)];
    images.push(("--nats-image", image::nats(workspace)?));
    if needs_later {
        images.push(("--later-image", image::later(workspace, &wanted)?));
    }
    let named = images.into_iter().map(|(flag, image)| {
        let Archive { name, file, .. } = image;
        (flag, format!("{name}={}", file.display()))
    });
    Ok(named.collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_scenario_that_there_is_not_is_told_before_anything_is_built() {
        let workspace = Workspace::locate();
        let of = |name: &str| check_names(&workspace, &[name.to_owned()]);
        of(ROLLOUT).unwrap();
        let error = of("rolout").unwrap_err().to_string();
        assert!(
            error.contains("first-bar") && error.contains("uninstall"),
            "{error}"
        );
    }
}
