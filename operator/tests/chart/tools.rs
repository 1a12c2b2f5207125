//! The programs that read charts: named by variables as `cargo xtask test` does, or found where it keeps them.

use std::env;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use cluster::tools::chart_tool;
use tempfile::TempDir;

pub(crate) fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

pub(crate) fn chart() -> PathBuf {
    root().join("charts/marketfeed")
}

/// A program, or none where there is none, which is then told.
pub(crate) fn program(name: &str, variable: &str) -> Option<PathBuf> {
    match chart_tool(name) {
        Ok(file) => Some(file),
        Err(why) if env::var_os(variable).is_some() => panic!("{why:#}"),
        Err(why) => {
            println!("skipped: {why:#}");
            None
        }
    }
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
