//! `cargo xtask invariants`: the structural rules of ARCHITECTURE.md, each a small function over
//! text, so that its test can show it a violation.

/// What cargo knows: who depends on whom.
mod deps;

/// The documents: commands and links in them exist.
mod docs;

/// The sources: who opens sockets, spawns tasks, claims to be pure.
mod sources;

use anyhow::Result;

use crate::git;
use crate::process;
use crate::tally::Tally;
use crate::workspace::Workspace;

use self::deps::Members;
use self::sources::Tree;

/// One rule: its name, and what breaks it. Nothing breaks it when the list is empty.
struct Rule {
    name: &'static str,
    broken_by: Vec<String>,
    /// Why the rule could not be checked here; none when it was.
    skipped: Option<&'static str>,
}

impl Rule {
    fn tally(&self) -> Tally {
        match self.skipped {
            Some(_) => Tally {
                skipped: 1,
                ..Tally::default()
            },
            None => Tally::one(self.broken_by.is_empty()),
        }
    }
}

/// Checks every rule, prints one line each and what breaks it.
pub(crate) fn check(workspace: &Workspace) -> Result<Tally> {
    let mut tally = Tally::default();
    for rule in rules(workspace)? {
        match rule.skipped {
            Some(why) => println!("      skip {} (skipped: {why})", rule.name),
            None if rule.broken_by.is_empty() => println!("      ok   {}", rule.name),
            None => println!("      FAIL {}", rule.name),
        }
        for violation in &rule.broken_by {
            println!("             {violation}");
        }
        tally += rule.tally();
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
    let rule = |name, broken_by| Rule {
        name,
        broken_by,
        skipped: None,
    };
    Ok(vec![
        rule(
            "wire has no async runtime in its tree",
            deps::async_runtimes(&tree("wire", "normal,build,dev")?),
        ),
        rule(
            "only operator and e2e depend on kube",
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
            "one file per crate opens a WebSocket as a client, one as a server",
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
        no_large_file(workspace),
    ])
}

/// The one rule that needs git; a tree without a repository, as an archive holds it, has no committed files.
fn no_large_file(workspace: &Workspace) -> Rule {
    let rule = |broken_by, skipped| Rule {
        name: "no large file is committed",
        broken_by,
        skipped,
    };
    if !git::is_checkout(workspace) {
        return rule(Vec::new(), Some("this tree is not a git checkout"));
    }
    match git::read(workspace, &["ls-files", "-z"]) {
        Ok(listed) if listed.is_empty() => rule(Vec::new(), Some("git knows no file of this tree")),
        Ok(listed) => rule(sources::too_large(&workspace.root, &listed), None),
        Err(error) => rule(vec![format!("{error:#}")], None),
    }
}

fn cargo(workspace: &Workspace, args: &[&str]) -> Result<String> {
    process::read(workspace.cargo().args(args))
}
