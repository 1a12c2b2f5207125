//! An API server with its etcd as processes of this machine, on loopback and with a temporary folder. It has no nodes: what is
//! applied stays as it is, unless [`ApiServer::start_controllers`] names who works on it.

use std::fs;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, Result};
use cluster::wait::{self, PATIENCE};
use cluster::{Process, Program, ports};
use kube::Client;
use tempfile::TempDir;

use crate::audit::AuditLog;
use crate::client;
use crate::kubectl::Kubectl;
use crate::programs::{Programs, scripts};
use crate::scratch;

/// The command lines. Pure.
mod flags;

/// What lets go of what is deleted: owned objects go with their owner, what is in a namespace goes with it.
pub const COLLECTORS: [&str; 2] = ["garbage-collector-controller", "namespace-controller"];

/// How often other ports are tried where some were taken meanwhile.
const STARTS_MAX: usize = 5;

/// How long certificates may take to be made.
const PKI_MAX: Duration = Duration::from_secs(30);

/// A server that answers. Dropping it ends its processes and removes what they wrote.
#[derive(Debug)]
pub struct ApiServer {
    // In the order of their ends.
    controllers: Option<Process>,
    server: Process,
    etcd: Process,
    address: SocketAddr,
    programs: Programs,
    folder: TempDir,
}

impl ApiServer {
    /// Why there can be none here; none if it can be started.
    #[must_use]
    pub fn absent() -> Option<String> {
        Programs::absent()
    }

    /// Starts one and waits until it is ready.
    ///
    /// # Errors
    /// When a program is not there, or one does not get ready within a minute; the text says what it said.
    pub async fn start() -> Result<Self> {
        for _ in 1..STARTS_MAX {
            match Self::try_start().await {
                Err(error) if format!("{error:#}").contains("address already in use") => {}
                done => return done,
            }
        }
        Self::try_start().await
    }

    async fn try_start() -> Result<Self> {
        let programs = Programs::find()?;
        let own = scratch::folder()?;
        let folder = own.path();
        let (client, peer, address) = (ports::free()?, ports::free()?, ports::free()?);
        Program::new("certificates", programs.nodens(), folder.join("pki.log"))
            .args(flags::pki(folder, address))
            .run(PKI_MAX)
            .await?;
        let kube = |name: &str, args: Vec<String>| {
            Program::new(name, programs.kube(), folder.join(format!("{name}.log")))
                .args([name])
                .args(args)
        };
        let etcd = kube("etcd", flags::etcd(folder, client, peer)).start()?;
        let policy = scripts().join("audit-policy.yaml");
        let server = flags::api_server(folder, client, address, &policy);
        let server = kube("kube-apiserver", server).start()?;
        let mut started = Self {
            controllers: None,
            server,
            etcd,
            address,
            programs,
            folder: own,
        };
        started.ready().await?;
        Ok(started)
    }

    /// Waits until it answers that it is ready.
    ///
    /// # Errors
    /// When it does not within a minute, or a process ends.
    pub async fn ready(&mut self) -> Result<()> {
        let client = self.client().await?;
        wait::until("a ready API server", PATIENCE, async || {
            for process in [&mut self.etcd, &mut self.server] {
                if let Some(end) = process.poll_end()? {
                    anyhow::bail!(end);
                }
            }
            Ok(client::is_ready(&client).await.then_some(()))
        })
        .await
    }

    /// The administrator's kubeconfig.
    #[must_use]
    pub fn kubeconfig(&self) -> PathBuf {
        self.folder.path().join("pki/admin.kubeconfig")
    }

    /// Where it listens, with TLS.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Where certificates and logs are.
    #[must_use]
    pub fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// A client of the administrator.
    ///
    /// # Errors
    /// When the kubeconfig cannot be used.
    pub async fn client(&self) -> Result<Client> {
        client::of(&self.kubeconfig()).await
    }

    /// `kubectl` of the administrator.
    #[must_use]
    pub fn kubectl(&self) -> Kubectl {
        Kubectl::new(&self.programs, &self.kubeconfig())
    }

    /// What it was asked.
    #[must_use]
    pub fn audit(&self) -> AuditLog {
        AuditLog::new(self.folder.path().join(flags::AUDIT_LOG))
    }

    /// A kubeconfig of a service account that is there, with a token of its own.
    ///
    /// # Errors
    /// When there is no such account, or the file cannot be written.
    pub async fn kubeconfig_of(&self, namespace: &str, account: &str) -> Result<PathBuf> {
        let args = [
            "create",
            "token",
            account,
            "-n",
            namespace,
            "--duration",
            "2h",
        ];
        let token = self.kubectl().run(args).await?;
        let file = self
            .folder
            .path()
            .join(format!("{namespace}-{account}.kubeconfig"));
        let text = client::kubeconfig_with_token(&self.kubeconfig(), token.trim())?;
        fs::write(&file, text).with_context(|| format!("cannot write {}", file.display()))?;
        Ok(file)
    }

    /// Starts controllers of kube-controller-manager, by their names, as [`COLLECTORS`]. They know the kinds that there are at
    /// their start; of others they learn within half a minute.
    ///
    /// # Errors
    /// When they cannot be started.
    pub fn start_controllers(&mut self, names: &[&str]) -> Result<()> {
        const NAME: &str = "kube-controller-manager";
        let folder = self.folder.path();
        let log = folder.join(format!("{NAME}.log"));
        let program = Program::new(NAME, self.programs.kube(), log).args([NAME]);
        let program = program.args(flags::controllers(folder, names));
        self.controllers = Some(program.start()?);
        Ok(())
    }

    /// kill -9 of the API server; etcd stays.
    ///
    /// # Errors
    /// When the system refuses.
    pub fn kill(&mut self) -> Result<()> {
        self.server.kill()
    }

    /// Starts the API server again, killing it first if it runs, and waits until it is ready.
    ///
    /// # Errors
    /// As [`ApiServer::start`].
    pub async fn restart(&mut self) -> Result<()> {
        self.server.restart()?;
        self.ready().await
    }
}
