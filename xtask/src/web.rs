//! Builds the page with npm when its sources have changed.

use std::collections::hash_map::DefaultHasher;
use std::fs;
use std::hash::Hasher;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail};

use crate::install;
use crate::process::{self, Log};
use crate::workspace::Workspace;

/// Folders of the page that are made, not written.
const MADE: [&str; 2] = ["node_modules", "dist"];

/// Whether the page had to be built.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Built {
    /// `npm run build` ran.
    Now,
    /// The sources are those of the last build.
    Before,
}

/// Makes sure that `web/dist` is the page as its sources say.
pub(crate) fn build(workspace: &Workspace, log: &Log) -> Result<Built> {
    install::node(workspace)?;
    packages(workspace, log)?;
    let web = workspace.web();
    let stamp = web.join("dist").join(".sources");
    let sources = hash_of(&sources(&web)?, &web)?;
    if web.join("dist/index.html").is_file() && stamp_holds(&stamp, &sources) {
        return Ok(Built::Before);
    }
    npm(workspace, &["run", "build"], log)?;
    fs::write(&stamp, sources).with_context(|| format!("cannot write {}", stamp.display()))?;
    Ok(Built::Now)
}

/// Runs npm in the page's folder; failing is an error that names the log.
fn npm(workspace: &Workspace, args: &[&str], log: &Log) -> Result<()> {
    let finished = process::run(&mut npm_command(workspace, args), log)?;
    if !finished.ok {
        bail!(
            "`npm {}` failed in web; its output:\n{}",
            args.join(" "),
            finished.output
        );
    }
    Ok(())
}

/// npm in the page's folder, without its own notices.
pub(crate) fn npm_command(workspace: &Workspace, args: &[&str]) -> Command {
    // By way of env, so that the PATH of the child is the one that is searched.
    let mut command = Command::new("env");
    command.arg("npm").args(args).current_dir(workspace.web());
    command
        .env("PATH", install::path_with_node(workspace))
        .env("NPM_CONFIG_UPDATE_NOTIFIER", "false")
        .env("NPM_CONFIG_FUND", "false");
    command
}

/// `npm ci`, unless the lock file is the one that was installed last.
fn packages(workspace: &Workspace, log: &Log) -> Result<()> {
    let web = workspace.web();
    let lock = web.join("package-lock.json");
    if !lock.is_file() {
        bail!(
            "{} is missing: this is not a whole checkout",
            lock.display()
        );
    }
    let stamp = web.join("node_modules").join(".marketfeed-lock");
    let hash = hash_of(&[lock], &web)?;
    if !stamp_holds(&stamp, &hash) {
        npm(workspace, &["ci", "--no-audit"], log)?;
        fs::write(&stamp, hash).with_context(|| format!("cannot write {}", stamp.display()))?;
    }
    Ok(())
}

fn stamp_holds(stamp: &Path, hash: &str) -> bool {
    fs::read_to_string(stamp).is_ok_and(|kept| kept == hash)
}

/// The written files of the page, sorted.
fn sources(web: &Path) -> Result<Vec<PathBuf>> {
    let mut files = Vec::new();
    let mut folders = vec![web.to_path_buf()];
    while let Some(folder) = folders.pop() {
        let entries =
            fs::read_dir(&folder).with_context(|| format!("cannot read {}", folder.display()))?;
        for entry in entries {
            let entry = entry?;
            let made = MADE.iter().any(|name| entry.file_name() == *name);
            match entry.file_type()? {
                kind if kind.is_dir() && !made => folders.push(entry.path()),
                kind if kind.is_file() => files.push(entry.path()),
                _ => {}
            }
        }
    }
    files.sort();
    Ok(files)
}

/// One hash over names and contents. It is compared only with what the same build of this program
/// wrote, so the standard library's hasher will do.
fn hash_of(files: &[PathBuf], base: &Path) -> Result<String> {
    let mut hasher = DefaultHasher::new();
    for file in files {
        let name = file.strip_prefix(base).unwrap_or(file).to_string_lossy();
        let content = fs::read(file).with_context(|| format!("cannot read {}", file.display()))?;
        for part in [name.as_bytes(), &content] {
            hasher.write_usize(part.len());
            hasher.write(part);
        }
    }
    Ok(format!("{:016x}\n", hasher.finish()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_hash_follows_sources_and_nothing_else() {
        let web = std::env::temp_dir().join(format!("xtask-web-{}", std::process::id()));
        fs::create_dir_all(web.join("src")).unwrap();
        fs::create_dir_all(web.join("dist")).unwrap();
        fs::write(web.join("src/a.ts"), "1").unwrap();
        let hash = || hash_of(&sources(&web).unwrap(), &web).unwrap();
        let first = hash();
        fs::write(web.join("dist/a.js"), "1").unwrap();
        assert_eq!(hash(), first, "what is made does not count");
        fs::write(web.join("src/a.ts"), "2").unwrap();
        let changed = hash();
        assert_ne!(changed, first, "content counts");
        fs::rename(web.join("src/a.ts"), web.join("src/b.ts")).unwrap();
        assert_ne!(hash(), changed, "names count");
        fs::remove_dir_all(&web).unwrap();
    }
}
