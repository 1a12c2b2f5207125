//! A cluster with nodes: one of this machine's own, in namespaces of its own (`e2e/cluster/kube.sh`), or any that a kubeconfig
//! names.

use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, Result, bail};
use kube::Client;

use crate::audit::AuditLog;
use crate::client;
use crate::forward::{self, Forward};
use crate::kubectl::Kubectl;
use crate::programs::Programs;

/// One that was made here.
mod own;

/// Images into one that was given.
mod given;

use own::Own;

/// How long a cluster may take to be there: images are unpacked, and other builds may run.
pub const UP_MAX: Duration = Duration::from_secs(240);

/// How long a command inside a cluster may take.
const EXEC_MAX: Duration = Duration::from_secs(300);

/// What a cluster is made with.
#[derive(Debug, Clone)]
pub struct Options {
    /// 1 or 2. They are `node0` and `node1`.
    pub nodes: u8,
    /// Where its data and logs are; a temporary folder if none. What is there is removed.
    pub folder: Option<PathBuf>,
    /// The API server's on 127.0.0.1; a free one if none.
    pub port: Option<u16>,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            nodes: 1,
            folder: None,
            port: None,
        }
    }
}

/// A cluster that works. One that was made here ends when this is dropped or when this process ends, however it does.
#[derive(Debug)]
pub struct Cluster {
    kubectl: Kubectl,
    /// None if it was given.
    own: Option<Own>,
}

impl Cluster {
    /// Why none can be made here; none if it can.
    #[must_use]
    pub fn absent() -> Option<String> {
        Programs::absent_for_nodes()
    }

    /// Makes one and waits until its nodes, names and metrics are there: half a minute.
    ///
    /// # Errors
    /// When a program is not there or a part does not get ready; the text has the last lines of what was said and where the logs
    /// are, which stay.
    pub async fn start(options: &Options) -> Result<Self> {
        let programs = Programs::find()?;
        let own = Own::start(&programs, options).await?;
        let kubectl = Kubectl::new(&programs, &own.kubeconfig());
        Ok(Self {
            kubectl,
            own: Some(own),
        })
    }

    /// Takes one that is there, which is left as it is when this is dropped.
    ///
    /// # Errors
    /// When it does not answer.
    pub async fn given(kubeconfig: &Path) -> Result<Self> {
        let client = client::of(kubeconfig).await?;
        let version = client.apiserver_version().await;
        version
            .with_context(|| format!("the cluster of {} does not answer", kubeconfig.display()))?;
        Ok(Self {
            kubectl: Kubectl::find(kubeconfig),
            own: None,
        })
    }

    /// Whether it was made here: then its programs can be killed and its audit log be read.
    #[must_use]
    pub fn is_own(&self) -> bool {
        self.own.is_some()
    }

    /// The administrator's kubeconfig, for `helm` and others.
    #[must_use]
    pub fn kubeconfig(&self) -> &Path {
        self.kubectl.kubeconfig()
    }

    /// `kubectl` of the administrator.
    #[must_use]
    pub fn kubectl(&self) -> &Kubectl {
        &self.kubectl
    }

    /// A client of the administrator.
    ///
    /// # Errors
    /// When the kubeconfig cannot be used.
    pub async fn client(&self) -> Result<Client> {
        client::of(self.kubeconfig()).await
    }

    /// What the API server was asked; none of a given cluster.
    #[must_use]
    pub fn audit(&self) -> Option<AuditLog> {
        self.own.as_ref().map(Own::audit)
    }

    /// Where the logs of its programs are; none of a given cluster.
    #[must_use]
    pub fn logs(&self) -> Option<PathBuf> {
        self.own.as_ref().map(Own::logs)
    }

    /// Keeps data and logs when it ends: something failed.
    pub fn keep(&mut self) {
        if let Some(own) = &mut self.own {
            own.keep();
        }
    }

    /// Ends it, if it was made here, and says what went wrong in that. Dropping it does the same in silence.
    ///
    /// # Errors
    /// When something of it cannot be ended.
    pub fn stop(mut self) -> Result<()> {
        self.own.take().map_or(Ok(()), Own::stop)
    }

    /// kill -9 of one of its programs: `etcd`, `kube-apiserver`, `kube-controller-manager`, `kube-scheduler`, and of each node `n`
    /// `kubelet<n>`, `kube-proxy<n>`, `containerd<n>`.
    ///
    /// # Errors
    /// When it does not run, and on a given cluster.
    pub async fn kill(&self, program: &str) -> Result<()> {
        self.own("programs be killed")?
            .script(["stop", program])
            .await
            .map(drop)
    }

    /// Starts one of its programs again, and waits for nothing.
    ///
    /// # Errors
    /// When it cannot be started, and on a given cluster.
    pub async fn restart(&self, program: &str) -> Result<()> {
        self.own("programs be started")?
            .script(["start", program])
            .await
            .map(drop)
    }

    /// Puts the images of an archive on every node. Of the given ones kind and k3d are known.
    ///
    /// # Errors
    /// When a node does not take it, and when it is not known how a given cluster does.
    pub async fn load(&self, archive: &Path) -> Result<()> {
        match &self.own {
            Some(own) => {
                let args = [OsStr::new("load"), archive.as_os_str()];
                own.script(args).await.map(drop)
            }
            None => given::load(&self.kubectl, archive).await,
        }
    }

    /// Runs a program of this machine in the namespaces of the first node, where addresses of Services and pods are reached, and
    /// gives what it said.
    ///
    /// # Errors
    /// When it fails or takes longer than five minutes, and on a given cluster.
    pub async fn exec<S: AsRef<OsStr>>(&self, args: impl IntoIterator<Item = S>) -> Result<String> {
        let own = self.own("programs be run on a node")?;
        own.exec(args, EXEC_MAX).await
    }

    /// A way to a port of a Service. On a cluster of our own each connection is to whichever pod the Service chooses; on a given
    /// one all are to one pod (`kubectl port-forward`), and to another one when that is gone.
    ///
    /// # Errors
    /// When there is no such Service or the way is not there in time.
    pub async fn forward(&self, namespace: &str, service: &str, port: u16) -> Result<Forward> {
        let Some(own) = &self.own else {
            return forward::by_kubectl(&self.kubectl, namespace, service, port).await;
        };
        let path = "jsonpath={.spec.clusterIP}";
        let args = ["get", "service", service, "-n", namespace, "-o", path];
        let address = self.kubectl.run(args).await?;
        own.forward(&format!("{}:{port}", address.trim())).await
    }

    /// A way to an address inside the cluster, as `10.244.0.7:8080`.
    ///
    /// # Errors
    /// When the way is not there in time, and on a given cluster.
    pub async fn forward_to(&self, address: &str) -> Result<Forward> {
        self.own("addresses be reached")?.forward(address).await
    }

    fn own(&self, what: &str) -> Result<&Own> {
        let Some(own) = &self.own else {
            bail!("only on a cluster that was made here can {what}");
        };
        Ok(own)
    }
}
