//! The release that comes after this one, as it might be: another version, and bars with a field more. A rollout from
//! the one to the other is then tried with two images that differ in what they write.

use std::env;
use std::fs;
use std::path::Path;
use std::process::Command;
use std::time::Instant;

use anyhow::{Context, Result, bail};

use super::{Archive, binaries, pack};
use crate::git;
use crate::process::{self, clock};
use crate::workspace::Workspace;

/// Its version.
const VERSION: &str = "0.99.0";

/// What a feed's pods run, which is all that a feed pins.
const BINARIES: [&str; 2] = ["marketfeed-marketdata", "marketfeed-gateway"];

/// Where it differs from this release: file, what stands there once, and what is to stand there.
const CHANGES: [(&str, &str, &str); 2] = [
    (
        "Cargo.toml",
        concat!(
            "[workspace.package]\nversion = \"",
            env!("CARGO_PKG_VERSION"),
            "\""
        ),
        "[workspace.package]\nversion = \"0.99.0\"",
    ),
    (
        "wire/src/codec.rs",
        "        out.push(b'}');\n",
        "        out.extend_from_slice(br#\",\"a_field_of_a_later_release\":{\"nested\":[1,2,3]}}\"#);\n",
    ),
];

/// Builds it from a copy of this checkout. Only our own crates are compiled anew.
pub(super) fn build(workspace: &Workspace, profile: &str) -> Result<Archive> {
    let started = Instant::now();
    println!("[later] binaries of a later release ({profile} profile)");
    let root = workspace.images().join("later");
    copy_sources(workspace, &root)?;
    for (file, from, to) in CHANGES {
        change(&root.join(file), from, to)?;
    }
    let built = binaries(workspace, &root, profile, &BINARIES)?;
    let archive = pack(workspace, "marketfeed-later", VERSION, &built)?;
    println!("      packed, {}", clock(started.elapsed()));
    Ok(archive)
}

/// Files keep their times, so that cargo compiles only what has changed since it was copied last.
fn copy_sources(workspace: &Workspace, root: &Path) -> Result<()> {
    if root.exists() {
        fs::remove_dir_all(root).with_context(|| format!("cannot remove {}", root.display()))?;
    }
    fs::create_dir_all(root).with_context(|| format!("cannot create {}", root.display()))?;
    let list = root.with_extension("files");
    fs::write(&list, files(workspace)?)
        .with_context(|| format!("cannot write {}", list.display()))?;
    let script = "tar --create --null --files-from=\"$1\" --ignore-failed-read \
        | tar --extract --directory=\"$0\"";
    let mut copy = Command::new("bash");
    copy.args(["-o", "pipefail", "-c", script])
        .arg(root)
        .arg(&list);
    process::read(copy.current_dir(&workspace.root)).context("cannot copy the checkout")?;
    Ok(())
}

/// The checkout's files, each with a NUL after it; what was built is none of them.
fn files(workspace: &Workspace) -> Result<String> {
    if git::is_checkout(workspace) {
        let args = [
            "ls-files",
            "-z",
            "--cached",
            "--others",
            "--exclude-standard",
        ];
        return git::read(workspace, &args);
    }
    let target = workspace.target.strip_prefix(&workspace.root);
    let target = Path::new(".").join(target.unwrap_or(Path::new("target")));
    let mut find = Command::new("find");
    find.args([".", "-name", "node_modules", "-prune", "-o", "-path"])
        .arg(target)
        .args(["-prune", "-o", "-type", "f", "-print0"]);
    process::read(find.current_dir(&workspace.root))
}

/// The file is then as old as the newer of what it was made from: the checkout's file, and this program.
fn change(file: &Path, from: &str, to: &str) -> Result<()> {
    let shown = file.display();
    let text = fs::read_to_string(file).with_context(|| format!("cannot read {shown}"))?;
    if text.matches(from).count() != 1 {
        bail!("{shown} has not {from:?} once: a later release has to be made another way");
    }
    let ours = fs::metadata(env::current_exe()?)?.modified()?;
    let at = fs::metadata(file)?.modified()?.max(ours);
    fs::write(file, text.replacen(from, to, 1)).with_context(|| format!("cannot write {shown}"))?;
    fs::File::options()
        .write(true)
        .open(file)?
        .set_modified(at)?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_changed_is_there_once() {
        let workspace = Workspace::locate();
        for (file, from, to) in CHANGES {
            let text = fs::read_to_string(workspace.root.join(file)).unwrap();
            assert_eq!(text.matches(from).count(), 1, "{file}");
            assert_ne!(from, to);
        }
        assert!(CHANGES[0].2.contains(VERSION));
    }
}
