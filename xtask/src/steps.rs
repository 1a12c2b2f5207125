//! `cargo xtask test`: the steps of CI, one after another, and one line at the end.

use std::process::Command;
use std::time::Instant;

use anyhow::{Result, bail};

use crate::args::Test;
use crate::install;
use crate::invariants;
use crate::process::{self, Log, clock};
use crate::scenarios;
use crate::tally::{self, Tally};
use crate::web;
use crate::workspace::Workspace;

/// One step: its name for `--only`, what it does, and how.
struct Step {
    name: &'static str,
    headline: &'static str,
    run: fn(&Workspace, &Log, &Test) -> Result<Tally>,
}

/// In the order that finds mistakes soonest; `web` comes before `rust`, so that the page is in the
/// binary that the tests start.
const STEPS: [Step; 8] = [
    Step {
        name: "fmt",
        headline: "formatting",
        run: |at, log, _| fmt(at, log),
    },
    Step {
        name: "invariants",
        headline: "structural rules",
        run: |at, _, _| invariants::check(at),
    },
    Step {
        name: "clippy",
        headline: "lints of all targets",
        run: |at, log, _| clippy(at, log),
    },
    Step {
        name: "docs",
        headline: "documentation without warnings",
        run: |at, log, _| docs(at, log),
    },
    Step {
        name: "web",
        headline: "the page: packages, build, types, tests",
        run: |at, log, _| page(at, log),
    },
    Step {
        name: "rust",
        headline: "unit, property, golden, integration tests",
        run: |at, log, _| rust(at, log),
    },
    Step {
        name: "e2e",
        headline: "chart, example and image on a real Kubernetes cluster",
        run: |at, log, _| scenarios::smoke(at, log),
    },
    Step {
        name: "browser",
        headline: "the page in headless Chromium",
        run: browser,
    },
];

/// Runs the steps and gives the sum of what ran; a step that fails does not stop the others.
pub(crate) fn run(workspace: &Workspace, test: &Test) -> Result<Tally> {
    let chosen: Vec<&Step> = STEPS
        .iter()
        .filter(|step| test.only.as_deref().is_none_or(|only| only == step.name))
        .collect();
    if chosen.is_empty() {
        let names: Vec<_> = STEPS.iter().map(|step| step.name).collect();
        bail!("--only takes one of: {}", names.join(" "));
    }
    let started = Instant::now();
    let mut sum = Tally::default();
    for (index, step) in chosen.iter().enumerate() {
        sum += run_one(
            workspace,
            test,
            step,
            &format!("[{}/{}]", index + 1, chosen.len()),
        )?;
    }
    println!(
        "\ntook {}, logs in {}",
        clock(started.elapsed()),
        workspace.logs().display()
    );
    Ok(sum)
}

fn run_one(workspace: &Workspace, test: &Test, step: &Step, position: &str) -> Result<Tally> {
    println!("{position} {}: {}", step.name, step.headline);
    let started = Instant::now();
    let path = workspace.logs().join(format!("{}.log", step.name));
    let log = Log::fresh(path, test.verbose)?;
    let tally = (step.run)(workspace, &log, test).unwrap_or_else(|error| {
        println!("{error:#}");
        Tally::one(false)
    });
    let verdict = if tally.failed == 0 { "ok" } else { "FAILED" };
    println!("      {verdict}: {tally}  ({})", clock(started.elapsed()));
    Ok(tally)
}

fn fmt(workspace: &Workspace, log: &Log) -> Result<Tally> {
    whole(
        &mut cargo(
            workspace,
            &["fmt", "--all", "--check", "--", "--color", "never"],
        ),
        log,
    )
}

fn clippy(workspace: &Workspace, log: &Log) -> Result<Tally> {
    let args = [
        "clippy",
        "--workspace",
        "--all-features",
        "--all-targets",
        "--",
        "-D",
        "warnings",
    ];
    let mut tally = whole(&mut cargo(workspace, &args), log)?;
    // What the demo builds: without encryption other lines are left over.
    let args = [
        "clippy",
        "--package",
        "standalone",
        "--all-targets",
        "--no-default-features",
        "--",
        "-D",
        "warnings",
    ];
    tally += whole(&mut cargo(workspace, &args), log)?;
    Ok(tally)
}

fn docs(workspace: &Workspace, log: &Log) -> Result<Tally> {
    let mut cargo = cargo(
        workspace,
        &["doc", "--workspace", "--all-features", "--no-deps"],
    );
    whole(cargo.env("RUSTDOCFLAGS", "-D warnings"), log)
}

fn page(workspace: &Workspace, log: &Log) -> Result<Tally> {
    web::build(workspace, log)?;
    node_tests(web::npm_command(workspace, &["run", "check"]), log)
}

fn rust(workspace: &Workspace, log: &Log) -> Result<Tally> {
    let servers = install::servers(workspace)?;
    let programs = install::kube::for_tests(workspace, log)?;
    let programs = programs.map(|folder| (install::kube::KUBE_PROGRAMS, folder));
    let chart_tools = install::helm::chart_tools(workspace);
    // With --show-output a test that skips itself is seen to.
    let args = [
        "test",
        "--workspace",
        "--all-features",
        "--no-fail-fast",
        "--",
        "--show-output",
    ];
    let mut tests = cargo(workspace, &args);
    tests.envs(servers).envs(programs).envs(chart_tools);
    let finished = process::run(&mut tests, log)?;
    let mut tally = Tally::of_libtest(&finished.output);
    for line in told_by_libtest(&finished.output) {
        println!("      {line}");
    }
    if !finished.ok {
        println!("{}", failures(&finished.output));
        // A crate that does not compile has no test that failed.
        tally.failed = tally.failed.max(1);
    } else if tally.passed == 0 {
        bail!("cargo test ran no test");
    }
    Ok(tally)
}

/// What tests have to tell besides whether they held: what they skipped, and what they measured.
fn told_by_libtest(output: &str) -> impl Iterator<Item = &str> {
    let marks = ["skipped: ", "measured: "];
    output
        .lines()
        .filter(move |line| marks.iter().any(|mark| line.starts_with(mark)))
}

fn browser(workspace: &Workspace, log: &Log, test: &Test) -> Result<Tally> {
    let chromium = install::chromium(workspace)?;
    web::build(workspace, log)?;
    let built = process::run(
        &mut cargo(workspace, &["build", "--package", "standalone"]),
        log,
    )?;
    if !built.ok {
        bail!("cargo build failed; its output:\n{}", built.output);
    }
    let mut npm = web::npm_command(workspace, &["run", "browser-test"]);
    npm.env("MARKETFEED_BIN", workspace.marketfeed("debug"))
        .env("CHROMIUM", chromium);
    if test.screenshots {
        npm.env("SCREENSHOT_DIR", workspace.root.join("docs/images"));
    }
    node_tests(npm, log)
}

/// A command that is one test by itself.
fn whole(command: &mut Command, log: &Log) -> Result<Tally> {
    let finished = process::run(command, log)?;
    if !finished.ok && !log.verbose {
        println!("{}", finished.output);
    }
    Ok(Tally::one(finished.ok))
}

/// A command that runs tests of node's runner.
fn node_tests(mut command: Command, log: &Log) -> Result<Tally> {
    let finished = process::run(&mut command, log)?;
    let mut tally = Tally::of_node(&finished.output);
    for line in tally::told_by_node(&finished.output) {
        println!("      {line}");
    }
    if !finished.ok {
        if !log.verbose {
            println!("{}", finished.output);
        }
        tally.failed = tally.failed.max(1);
    } else if tally.passed == 0 {
        bail!(
            "node's test runner ran no test; its output:\n{}",
            finished.output
        );
    }
    Ok(tally)
}

fn cargo(workspace: &Workspace, args: &[&str]) -> Command {
    let mut cargo = workspace.cargo();
    cargo.args(args).env("CARGO_TERM_COLOR", "never");
    cargo
}

/// What matters in the output of a failed `cargo test`: compiler errors, panics with what the test
/// printed, names; not the tests that held nor the output that those printed.
fn failures(output: &str) -> String {
    let mut kept = String::new();
    let mut shown = true;
    for line in output.lines() {
        match line {
            "successes:" => shown = false,
            "failures:" => shown = true,
            _ => {}
        }
        let held = line.starts_with("test ") && line.ends_with("... ok");
        if shown && !held {
            kept.push_str(line);
            kept.push('\n');
        }
        if line.starts_with("test result: ") {
            shown = true;
        }
    }
    kept
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn failures_are_shown_and_successes_are_not() {
        let output = "running 2 tests\ntest a ... ok\ntest b ... FAILED\n\nsuccesses:\n\n\
             ---- a stdout ----\nnoise\n\nsuccesses:\n    a\n\nfailures:\n\n---- b stdout ----\n\
             panicked at b\n\nfailures:\n    b\n\ntest result: FAILED. 1 passed; 1 failed;\n\
             error: test failed\n";
        let shown = failures(output);
        assert!(shown.contains("panicked at b") && shown.contains("error: test failed"));
        assert!(!shown.contains("noise") && !shown.contains("test a"));
    }

    #[test]
    fn what_tests_tell_is_shown() {
        let output = "---- a stdout ----\nmeasured: 3 s\nnoise\nskipped: no x\ntest a ... ok\n";
        let told: Vec<_> = told_by_libtest(output).collect();
        assert_eq!(told, ["measured: 3 s", "skipped: no x"]);
    }

    #[test]
    fn step_names_are_those_of_the_help() {
        for step in &STEPS {
            assert!(
                crate::args::HELP.contains(step.name),
                "{} is not in the help",
                step.name
            );
        }
    }
}
