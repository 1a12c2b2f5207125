//! One process on the bus, with its own way there.

use std::net::SocketAddr;
use std::process::ExitStatus;
use std::time::Duration;

use anyhow::Result;

use crate::link::Link;
use crate::ports;
use crate::process::{Process, Program};
use crate::wait::PATIENCE;

/// A shard's process or a gateway, with the link by which it reaches NATS. It is gone when dropped.
#[derive(Debug)]
pub struct Member {
    process: Process,
    link: Link,
    admin: SocketAddr,
    shard: Option<usize>,
    listen: Option<SocketAddr>,
}

impl Member {
    /// Starts it with the arguments that follow from its way to NATS and its admin address.
    pub(super) async fn launch(
        program: Program,
        servers: &[SocketAddr],
        shard: Option<usize>,
        listen: Option<SocketAddr>,
        args: impl FnOnce(&str, SocketAddr) -> Vec<String>,
    ) -> Result<Self> {
        let link = Link::to(servers).await?;
        let admin = ports::free()?;
        let program = program.args(args(&link.nats_urls(), admin));
        Ok(Self {
            process: program.start()?,
            link,
            admin,
            shard,
            listen,
        })
    }

    /// Its name in leases, logs and summaries: `md-0-a`, `gw-1`.
    #[must_use]
    pub fn name(&self) -> &str {
        self.process.name()
    }

    /// The process, to be killed, paused, watched.
    pub fn process(&mut self) -> &mut Process {
        &mut self.process
    }

    /// Its way to NATS, to be cut and healed.
    #[must_use]
    pub fn link(&self) -> &Link {
        &self.link
    }

    /// Where `/livez`, `/readyz` and `/metrics` are.
    #[must_use]
    pub fn admin(&self) -> SocketAddr {
        self.admin
    }

    /// Which shard it serves; none for a gateway.
    #[must_use]
    pub fn shard(&self) -> Option<usize> {
        self.shard
    }

    /// Where clients connect to a gateway; the admin address for another process.
    #[must_use]
    pub fn listen(&self) -> SocketAddr {
        self.listen.unwrap_or(self.admin)
    }

    /// Waits until it says that it is ready.
    ///
    /// # Errors
    /// When it does not within a minute, or ends.
    pub async fn ready(&mut self) -> Result<()> {
        self.process
            .wait_for_http(self.admin, "/readyz", PATIENCE)
            .await
    }

    /// Starts it again, killed first if it runs, and waits until it is ready.
    ///
    /// # Errors
    /// As [`Member::ready`].
    pub async fn restart(&mut self) -> Result<()> {
        self.process.restart()?;
        self.ready().await
    }

    /// Stops it gracefully, as a rolling restart does, and starts it again; ready when this returns.
    ///
    /// # Errors
    /// When it does not end within `bound`, and as [`Member::ready`].
    pub async fn roll(&mut self, bound: Duration) -> Result<ExitStatus> {
        let status = self.process.terminate(bound).await?;
        self.restart().await?;
        Ok(status)
    }
}
