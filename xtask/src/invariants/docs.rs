//! Rules over the documents: what a reader is told to type or to open exists.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};

use crate::args;

/// The documents at the top of the repository; those under `docs/` are found.
const AT_THE_TOP: [&str; 3] = ["README.md", "ARCHITECTURE.md", "CONTRIBUTING.md"];

/// Documents that name a command or a file that is not there.
pub(super) fn broken(root: &Path) -> Result<Vec<String>> {
    let mut documents: Vec<PathBuf> = AT_THE_TOP.iter().map(|name| root.join(name)).collect();
    let mut folders = vec![root.join("docs")];
    while let Some(folder) = folders.pop() {
        for entry in
            fs::read_dir(&folder).with_context(|| format!("cannot read {}", folder.display()))?
        {
            let path = entry?.path();
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|ext| ext == "md") {
                documents.push(path);
            }
        }
    }
    documents.sort();
    let mut broken = Vec::new();
    for document in documents {
        let name = document
            .strip_prefix(root)
            .unwrap_or(&document)
            .display()
            .to_string();
        match fs::read_to_string(&document) {
            Err(_) => broken.push(format!("{name} cannot be read")),
            Ok(text) => {
                let folder = document.parent().unwrap_or(root);
                let problems = commands(&text).into_iter().chain(links(&text, folder));
                broken.extend(problems.map(|problem| format!("{name}: {problem}")));
            }
        }
    }
    Ok(broken)
}

/// Commands `cargo xtask ...` that this program does not have, or flags that its help lacks.
fn commands(text: &str) -> Vec<String> {
    let mut problems = Vec::new();
    for (at, start) in text.match_indices("cargo xtask ") {
        let rest = &text[at + start.len()..];
        let line = rest
            .split(['`', '\n', '#', '|', '&', ')'])
            .next()
            .unwrap_or("");
        let words: Vec<&str> = line.split_whitespace().collect();
        let Some(command) = words.first().filter(|word| is_word(word)) else {
            continue;
        };
        if !args::HELP
            .lines()
            .any(|help| help.trim_start().split(' ').next() == Some(command))
        {
            problems.push(format!("there is no `cargo xtask {command}`"));
            continue;
        }
        if *command == "bench" {
            // What follows is the bench binary's business.
            continue;
        }
        let unknown = words.iter().filter(|word| word.starts_with("--"));
        for flag in unknown.filter(|flag| !args::HELP.contains(&format!("{flag} "))) {
            if !args::HELP.contains(&format!("{flag}\n")) {
                problems.push(format!("`cargo xtask {command}` has no {flag}"));
            }
        }
    }
    problems
}

/// Relative links `[...](path)` to what is not there.
fn links(text: &str, folder: &Path) -> Vec<String> {
    let mut problems = Vec::new();
    for (at, start) in text.match_indices("](") {
        let target = text[at + start.len()..]
            .split([')', '#', ' '])
            .next()
            .unwrap_or("");
        let elsewhere =
            target.is_empty() || target.contains("://") || target.starts_with("mailto:");
        if !elsewhere && !folder.join(target).exists() {
            problems.push(format!("the link to {target} leads nowhere"));
        }
    }
    problems
}

fn is_word(word: &str) -> bool {
    !word.is_empty()
        && word
            .chars()
            .all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn commands_exist() {
        #[track_caller]
        fn check(text: &str, expect: &[&str]) {
            assert_eq!(commands(text), expect);
        }
        check(
            "Run `cargo xtask demo --replay binance-spot=x.gz --speed 5`.",
            &[],
        );
        check(
            "cargo xtask test\ncargo xtask bench aggregate --anything",
            &[],
        );
        check("`cargo xtask <command>`", &[]);
        check(
            "`cargo xtask deploy`",
            &["there is no `cargo xtask deploy`"],
        );
        check(
            "`cargo xtask cluster-local` `cargo xtask faults --runs 9`",
            &[],
        );
        check(
            "`cargo xtask cluster-far`",
            &["there is no `cargo xtask cluster-far`"],
        );
        check(
            "`cargo xtask demo --turbo`",
            &["`cargo xtask demo` has no --turbo"],
        );
        check("`cargo xtask test --only rust` and --no-flag-of-ours", &[]);
    }

    #[test]
    fn links_lead_somewhere() {
        let here = Path::new(env!("CARGO_MANIFEST_DIR"));
        assert!(
            links(
                "[a](src/main.rs) [b](https://example.org/x) [c](#part)",
                here
            )
            .is_empty()
        );
        assert_eq!(
            links("[a](src/gone.rs#top)", here),
            ["the link to src/gone.rs leads nowhere"]
        );
    }
}
