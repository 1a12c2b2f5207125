//! The programs that read charts: named by variables as `cargo xtask test` does, or found where it keeps them.

use std::env;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use tempfile::TempDir;

pub(crate) fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

pub(crate) fn chart() -> PathBuf {
    root().join("charts/marketfeed")
}

/// A program, or none where there is none, which is then told.
pub(crate) fn program(name: &str, variable: &str) -> Option<PathBuf> {
    if let Some(named) = env::var_os(variable).map(PathBuf::from) {
        assert!(named.is_file(), "{variable} names {}", named.display());
        return Some(named);
    }
    let cache = env::var_os("XDG_CACHE_HOME")
        .filter(|value| !value.is_empty())
        .map(PathBuf::from)
        .or_else(|| Some(Path::new(&env::var_os("HOME")?).join(".cache")));
    let kept = cache.map(|cache| cache.join("marketfeed/tools").join(name));
    let path = env::var_os("PATH").unwrap_or_default();
    let in_path = env::split_paths(&path).map(|folder| folder.join(name));
    let found = kept.into_iter().chain(in_path).find(|file| file.is_file());
    if found.is_none() {
        println!("skipped: there is no {name}; `cargo xtask test` builds it where there is Go");
    }
    found
}

/// Helm with nothing of the user's own.
pub(crate) struct Helm {
    program: PathBuf,
    home: TempDir,
}

impl Helm {
    pub(crate) fn new() -> Option<Self> {
        let program = program("helm", "HELM")?;
        let home = TempDir::new().unwrap();
        Some(Self { program, home })
    }

    pub(crate) fn run(&self, args: &[&str]) -> Output {
        let mut command = Command::new(&self.program);
        for (name, _) in env::vars_os() {
            let text = name.to_string_lossy();
            if text.starts_with("HELM_") || text.starts_with("KUBE") {
                command.env_remove(name);
            }
        }
        for folder in ["CACHE", "CONFIG", "DATA"] {
            command.env(format!("HELM_{folder}_HOME"), self.home.path().join(folder));
        }
        command.args(args).current_dir(root()).output().unwrap()
    }

    /// What it prints, where it succeeds.
    #[track_caller]
    pub(crate) fn read(&self, args: &[&str]) -> String {
        let output = self.run(args);
        let (stdout, stderr) = (text(&output.stdout), text(&output.stderr));
        assert!(output.status.success(), "helm {args:?}: {stderr}{stdout}");
        stdout
    }
}

pub(crate) fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}
