//! `kubectl`, as people use it.

use std::ffi::{OsStr, OsString};
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use serde_json::Value;
use tokio::io::AsyncWriteExt;
use tokio::process::Command;

use crate::Programs;

/// How long one command may take: what waits itself says so with `--timeout`.
const COMMAND_MAX: Duration = Duration::from_secs(300);

/// `kubectl` with one kubeconfig.
#[derive(Debug, Clone)]
pub struct Kubectl {
    program: PathBuf,
    /// What comes before its own arguments.
    first: Vec<OsString>,
    kubeconfig: PathBuf,
}

/// How a command ended.
#[derive(Debug, Clone)]
pub struct Said {
    /// With code 0.
    pub ok: bool,
    /// Its standard output.
    pub out: String,
    /// Its standard error.
    pub err: String,
}

impl Kubectl {
    /// That of a set of programs, for the cluster of a kubeconfig.
    #[must_use]
    pub fn new(programs: &Programs, kubeconfig: &Path) -> Self {
        Self {
            program: programs.kube(),
            first: vec!["kubectl".into()],
            kubeconfig: kubeconfig.to_owned(),
        }
    }

    /// That of the set that is kept, else that of `PATH`.
    #[must_use]
    pub fn find(kubeconfig: &Path) -> Self {
        match Programs::find() {
            Ok(programs) => Self::new(&programs, kubeconfig),
            Err(_) => Self {
                program: "kubectl".into(),
                first: Vec::new(),
                kubeconfig: kubeconfig.to_owned(),
            },
        }
    }

    /// Its program and what comes before a command's own arguments, for who starts it himself.
    #[must_use]
    pub fn command_line(&self) -> (PathBuf, Vec<OsString>) {
        let mut args = self.first.clone();
        args.extend(["--kubeconfig".into(), self.kubeconfig.clone().into()]);
        (self.program.clone(), args)
    }

    /// Whose cluster it speaks to.
    #[must_use]
    pub fn kubeconfig(&self) -> &Path {
        &self.kubeconfig
    }

    /// Runs a command and gives its standard output.
    ///
    /// # Errors
    /// When it fails, with what it said, or takes longer than five minutes.
    pub async fn run<S: AsRef<OsStr>>(&self, args: impl IntoIterator<Item = S>) -> Result<String> {
        self.run_with(args, None).await
    }

    /// Runs a command, whatever comes of it.
    ///
    /// # Errors
    /// When it cannot be started or takes longer than five minutes.
    pub async fn try_run<S: AsRef<OsStr>>(
        &self,
        args: impl IntoIterator<Item = S>,
    ) -> Result<Said> {
        self.said(args, None).await
    }

    /// Client-side apply of a text of YAML or JSON.
    ///
    /// # Errors
    /// When something of it is refused, with what was said.
    pub async fn apply(&self, text: &str) -> Result<String> {
        self.run_with(["apply", "-f", "-"], Some(text)).await
    }

    /// As [`Kubectl::apply`], whatever comes of it and with further flags.
    ///
    /// # Errors
    /// As [`Kubectl::try_run`].
    pub async fn try_apply(&self, text: &str, flags: &[&str]) -> Result<Said> {
        let args = ["apply", "-f", "-"].iter().chain(flags);
        self.said(args, Some(text)).await
    }

    /// Runs a command with `-o json` and reads what it says.
    ///
    /// # Errors
    /// As [`Kubectl::run`], and when that is no JSON.
    pub async fn json<S: AsRef<OsStr>>(&self, args: impl IntoIterator<Item = S>) -> Result<Value> {
        let args = args.into_iter().map(|arg| arg.as_ref().to_owned());
        let args: Vec<_> = args.chain(["-o".into(), "json".into()]).collect();
        let said = self.run(args).await?;
        serde_json::from_str(&said).context("kubectl said no JSON")
    }

    async fn run_with<S: AsRef<OsStr>>(
        &self,
        args: impl IntoIterator<Item = S>,
        input: Option<&str>,
    ) -> Result<String> {
        let args: Vec<_> = args
            .into_iter()
            .map(|arg| arg.as_ref().to_owned())
            .collect();
        let said = self.said(&args, input).await?;
        if !said.ok {
            bail!(
                "kubectl {}: {}",
                args.join(OsStr::new(" ")).display(),
                said.err.trim()
            );
        }
        Ok(said.out)
    }

    async fn said<S: AsRef<OsStr>>(
        &self,
        args: impl IntoIterator<Item = S>,
        input: Option<&str>,
    ) -> Result<Said> {
        let (program, first) = self.command_line();
        let mut command = Command::new(&program);
        command
            .args(first)
            .args(args)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .kill_on_drop(true);
        let mut child = command
            .spawn()
            .with_context(|| format!("cannot start {}", program.display()))?;
        let stdin = child.stdin.take();
        let feed = async {
            if let (Some(mut stdin), Some(input)) = (stdin, input) {
                // One that has read enough says itself what was wrong.
                let _ = stdin.write_all(input.as_bytes()).await;
            }
        };
        let whole = async { tokio::join!(feed, child.wait_with_output()).1 };
        let output = tokio::time::timeout(COMMAND_MAX, whole)
            .await
            .with_context(|| format!("kubectl was not done within {COMMAND_MAX:?}"))?
            .context("cannot wait for kubectl")?;
        Ok(Said {
            ok: output.status.success(),
            out: String::from_utf8_lossy(&output.stdout).into_owned(),
            err: String::from_utf8_lossy(&output.stderr).into_owned(),
        })
    }
}
