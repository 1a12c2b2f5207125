//! `helm`, as people use it.

use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use cluster::tools;
use tokio::process::Command;

/// How long one command may take: what waits itself says so with `--timeout`.
const COMMAND_MAX: Duration = Duration::from_secs(600);

/// `helm` with one kubeconfig.
#[derive(Debug, Clone)]
pub struct Helm {
    program: PathBuf,
    kubeconfig: PathBuf,
}

impl Helm {
    /// The one that `HELM` names, the copy that `cargo xtask` keeps, or that of `PATH`.
    ///
    /// # Errors
    /// When there is none.
    pub fn find(kubeconfig: &Path) -> Result<Self> {
        let program = tools::chart_tool("helm")?;
        Ok(Self {
            program,
            kubeconfig: kubeconfig.to_owned(),
        })
    }

    /// Runs a command and gives its standard output.
    ///
    /// # Errors
    /// When it fails, with what it said, or takes longer than ten minutes.
    pub async fn run<S: AsRef<OsStr>>(&self, args: impl IntoIterator<Item = S>) -> Result<String> {
        let args: Vec<_> = args
            .into_iter()
            .map(|arg| arg.as_ref().to_owned())
            .collect();
        let done = Command::new(&self.program)
            .args(&args)
            .env("KUBECONFIG", &self.kubeconfig)
            .stdin(Stdio::null())
            .kill_on_drop(true)
            .output();
        let done = tokio::time::timeout(COMMAND_MAX, done)
            .await
            .with_context(|| format!("helm was not done within {COMMAND_MAX:?}"))?
            .with_context(|| format!("cannot start {}", self.program.display()))?;
        let out = String::from_utf8_lossy(&done.stdout).into_owned();
        if !done.status.success() {
            let line = args.join(OsStr::new(" "));
            let said = String::from_utf8_lossy(&done.stderr).into_owned();
            bail!("helm {}: {} {}", line.display(), said.trim(), out.trim());
        }
        Ok(out)
    }
}
