//! `cargo xtask invariants`: the structural rules of ARCHITECTURE.md, each a small function over
//! text, so that its test can show it a violation.

/// What cargo knows: who depends on whom.
mod deps;

/// The documents: commands and links in them exist.
mod docs;

/// The sources: who opens sockets, spawns tasks, claims to be pure.
mod sources;

use std::env;
use std::process::Command;

use anyhow::{Context, Result};

use crate::process;
use crate::tally::Tally;
use crate::workspace::Workspace;

use self::deps::Members;
use self::sources::Tree;

/// One rule: its name, and what breaks it. Nothing breaks it when the list is empty.
struct Rule {
    name: &'static str,
    broken_by: Vec<String>,
}

/// Checks every rule, prints one line each and what breaks it.
pub(crate) fn check(workspace: &Workspace) -> Result<Tally> {
    let mut tally = Tally::default();
    for rule in rules(workspace)? {
        println!(
            "      {} {}",
            if rule.broken_by.is_empty() {
                "ok  "
            } else {
                "FAIL"
            },
            rule.name
        );
        for violation in &rule.broken_by {
            println!("             {violation}");
        }
        tally += Tally::one(rule.broken_by.is_empty());
    }
    Ok(tally)
}

fn rules(workspace: &Workspace) -> Result<Vec<Rule>> {
    let members = Members::from_metadata(&cargo(
        workspace,
        &["metadata", "--format-version", "1", "--no-deps"],
    )?)?;
    // The whole tree of one crate, its tests included or not.
    let tree = |package: &str, edges: &str| -> Result<Vec<String>> {
        let args = [
            "tree",
            "--package",
            package,
            "--edges",
            edges,
            "--prefix",
            "none",
        ];
        Ok(deps::names(&cargo(workspace, &args)?))
    };
    let mut trees = Vec::new();
    for name in members.names() {
        trees.push((name.to_owned(), tree(name, "normal,build")?));
    }
    let duplicates = cargo(
        workspace,
        &[
            "tree",
            "--workspace",
            "--duplicates",
            "--edges",
            "normal",
            "--prefix",
            "depth",
        ],
    )?;
    let sources = Tree::read(&workspace.root)?;
    let rule = |name, broken_by| Rule { name, broken_by };
    Ok(vec![
        rule(
            "wire has no async runtime in its tree",
            deps::async_runtimes(&tree("wire", "normal,build,dev")?),
        ),
        rule(
            "only operator depends on kube",
            deps::kube_outside_operator(&trees),
        ),
        rule(
            "only runtime depends on async-nats",
            members.nats_outside_runtime(),
        ),
        rule(
            "only runtime's nats broker names async-nats",
            sources.nats_outside_its_broker(),
        ),
        rule("marketdata and gateway do not depend on each other", {
            let mut broken = deps::reaches("marketdata", "gateway", &tree("marketdata", "all")?);
            broken.extend(deps::reaches(
                "gateway",
                "marketdata",
                &tree("gateway", "all")?,
            ));
            broken
        }),
        rule(
            "the demo's tree holds no kube, NATS or OTLP",
            deps::demo_ballast(&trees),
        ),
        rule(
            "one version of each dependency",
            deps::duplicates(&duplicates),
        ),
        rule(
            "one file per crate opens a WebSocket",
            sources.websocket_openers(),
        ),
        rule(
            "tasks and threads are spawned by runtime::tasks",
            sources.detached_spawns(),
        ),
        rule("no unbounded queue", sources.unbounded_queues()),
        rule(
            "pure files deny clocks and spawns",
            sources.pure_without_deny(),
        ),
        rule("files stay under their length limit", sources.too_long()),
        rule(
            "commands and links in the documents exist",
            docs::broken(&workspace.root)?,
        ),
        rule("no large file is committed", {
            let listed = process::read(
                Command::new("git")
                    .args(["ls-files", "-z"])
                    .current_dir(&workspace.root),
            )
            .context("the committed files cannot be listed")?;
            sources::too_large(&workspace.root, &listed)
        }),
    ])
}

fn cargo(workspace: &Workspace, args: &[&str]) -> Result<String> {
    let mut cargo = Command::new(env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    process::read(cargo.args(args).current_dir(&workspace.root))
}
