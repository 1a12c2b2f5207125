//! A cluster that was made here, behind a guard that ends it.

use std::ffi::{OsStr, OsString};
use std::fs;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

use anyhow::{Context, Result, bail};
use cluster::{Program, ports};
use tempfile::TempDir;

use super::{Options, UP_MAX};
use crate::audit::AuditLog;
use crate::forward::{self, Forward};
use crate::programs::{Programs, scripts};

/// How long another command of the script may take.
const SCRIPT_MAX: Duration = Duration::from_secs(120);

/// How often another port is tried where somebody else took the one that was free.
const STARTS_MAX: usize = 5;

/// The first node's process 1, whose network is the cluster's.
const HOLDER: &str = "pids/holder0";

#[derive(Debug)]
pub(super) struct Own {
    script: PathBuf,
    nodens: PathBuf,
    folder: PathBuf,
    /// The API server's, once one was chosen.
    port: u16,
    /// For the script.
    env: Vec<(&'static str, OsString)>,
    /// Data and logs stay.
    kept: bool,
    /// None where the folder is somebody else's.
    own: Option<TempDir>,
}

impl Own {
    pub(super) async fn start(programs: &Programs, options: &Options) -> Result<Self> {
        let (folder, own) = match &options.folder {
            Some(folder) => (std::path::absolute(folder)?, None),
            None => {
                let own = tempfile::Builder::new()
                    .prefix("marketfeed-kube-")
                    .tempdir();
                let own = own.context("no temporary folder")?;
                (own.path().to_path_buf(), Some(own))
            }
        };
        fs::create_dir_all(&folder)
            .with_context(|| format!("cannot create {}", folder.display()))?;
        let mut started = Self {
            script: scripts().join("kube.sh"),
            nodens: programs.nodens(),
            env: vec![
                ("KUBE_PROGRAMS", programs.folder().into()),
                ("KUBE_STATE", folder.join("state").into()),
                // Should this process be killed, the cluster ends all the same.
                ("KUBE_OWNER", std::process::id().to_string().into()),
                ("NODES", options.nodes.to_string().into()),
            ],
            folder,
            port: 0,
            kept: false,
            own,
        };
        if let Err(error) = started.up(options.port).await {
            started.keep();
            let logs = started.logs();
            bail!("{error:#} (logs: {})", logs.display());
        }
        Ok(started)
    }

    async fn up(&mut self, port: Option<u16>) -> Result<()> {
        for _ in 1..STARTS_MAX {
            match self.try_up(port).await {
                Err(error)
                    if port.is_none()
                        && format!("{error:#}").contains("address already in use") => {}
                done => return done,
            }
        }
        self.try_up(port).await
    }

    async fn try_up(&mut self, port: Option<u16>) -> Result<()> {
        self.port = port.map_or_else(|| ports::free().map(|free| free.port()), Ok)?;
        self.run("up", ["up"], UP_MAX).await.map(drop)
    }

    pub(super) fn kubeconfig(&self) -> PathBuf {
        self.state().join("pki/admin.kubeconfig")
    }

    pub(super) fn audit(&self) -> AuditLog {
        AuditLog::new(self.state().join("audit/audit.log"))
    }

    pub(super) fn logs(&self) -> PathBuf {
        self.state().join("logs")
    }

    pub(super) fn keep(&mut self) {
        self.kept = true;
        if let Some(own) = &mut self.own {
            own.disable_cleanup(true);
        }
    }

    /// A command of the script that is done soon.
    pub(super) async fn script<S: AsRef<OsStr>>(
        &self,
        args: impl IntoIterator<Item = S>,
    ) -> Result<String> {
        self.run("kube.sh", args, SCRIPT_MAX).await
    }

    pub(super) async fn exec<S: AsRef<OsStr>>(
        &self,
        args: impl IntoIterator<Item = S>,
        bound: Duration,
    ) -> Result<String> {
        let args = args.into_iter().map(|arg| arg.as_ref().to_owned());
        let args: Vec<OsString> = [OsString::from("exec")].into_iter().chain(args).collect();
        self.run("exec", args, bound).await
    }

    pub(super) async fn forward(&self, to: &str) -> Result<Forward> {
        let holder = self.state().join(HOLDER);
        let holder = fs::read_to_string(&holder)
            .with_context(|| format!("cannot read {}", holder.display()))?;
        let network = format!("/proc/{}/ns/net", holder.trim());
        forward::by_nodens(&self.nodens, Path::new(&network), to, &self.logs()).await
    }

    pub(super) fn stop(mut self) -> Result<()> {
        self.down()
    }

    fn state(&self) -> PathBuf {
        self.folder.join("state")
    }

    /// Each run has a log of its own: two may run at one time.
    async fn run<S: AsRef<OsStr>>(
        &self,
        name: &str,
        args: impl IntoIterator<Item = S>,
        bound: Duration,
    ) -> Result<String> {
        let log = tempfile::Builder::new()
            .prefix(name)
            .suffix(".log")
            .tempfile_in(&self.folder);
        let log = log.context("cannot write a log")?.into_temp_path();
        let mut program = Program::new(name, &self.script, log.to_path_buf()).args(args);
        for (name, value) in &self.env {
            program = program.env(name, value);
        }
        let program = program.env("KUBE_PORT", self.port.to_string());
        program.run(bound).await
    }

    /// Nothing happens to one that is down.
    fn down(&mut self) -> Result<()> {
        let mut down = Command::new(&self.script);
        // Ctrl-C of a terminal is for those who own a cluster, not for what ends it.
        down.arg("down")
            .process_group(0)
            .envs(self.env.iter().map(|(name, value)| (name, value)));
        let said = down
            .stdin(Stdio::null())
            .output()
            .context("cannot start kube.sh")?;
        if !said.status.success() {
            let why = String::from_utf8_lossy(&said.stderr);
            bail!(
                "the cluster in {} did not end: {}",
                self.folder.display(),
                why.trim()
            );
        }
        if !self.kept && !std::thread::panicking() {
            let state = self.state();
            if state.exists() {
                fs::remove_dir_all(&state)
                    .with_context(|| format!("cannot remove {}", state.display()))?;
            }
        }
        Ok(())
    }
}

impl Drop for Own {
    fn drop(&mut self) {
        if std::thread::panicking() {
            self.keep();
        }
        // There is nobody to tell.
        let _ = self.down();
    }
}
