//! One server, from its ports and folder to its end.

use std::fs;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::ExitStatus;

use anyhow::{Context, Result, bail};
use tempfile::TempDir;

use super::config::{self, NatsOptions, Place};
use super::monitor::{self, StreamState};
use crate::process::{Process, Program};
use crate::{http, ports, tools, wait};

/// How often other ports are tried where some were taken meanwhile.
const STARTS_MAX: usize = 5;

/// The oldest server that will do (major, minor).
const VERSION_MIN: (u64, u64) = (2, 12);

/// A `nats-server` with JetStream, running or killed; it and its data are gone when dropped.
#[derive(Debug)]
pub struct NatsServer {
    process: Process,
    place: Place,
    /// Gone with the server; none where the folder is somebody else's.
    _own: Option<TempDir>,
}

impl NatsServer {
    /// One server with a temporary folder, ready for clients.
    ///
    /// # Errors
    /// When there is no `nats-server`, it is too old, or it does not get ready; the text says what it said.
    pub async fn start() -> Result<Self> {
        Self::start_with(&NatsOptions::default()).await
    }

    /// As [`NatsServer::start`], with more in its configuration.
    ///
    /// # Errors
    /// As [`NatsServer::start`].
    pub async fn start_with(options: &NatsOptions) -> Result<Self> {
        for _ in 1..STARTS_MAX {
            match Self::try_start(options).await {
                Err(error) if is_port_clash(&error) => {}
                done => return done,
            }
        }
        Self::try_start(options).await
    }

    async fn try_start(options: &NatsOptions) -> Result<Self> {
        let place = Place {
            name: "n1".to_owned(),
            client: ports::free()?,
            monitor: ports::free()?,
            route: None,
            routes: Vec::new(),
        };
        let own = tempfile::tempdir().context("no temporary folder")?;
        let mut server = Self::launch(place, own.path(), options)?;
        server._own = Some(own);
        server.ready().await?;
        Ok(server)
    }

    /// Starts the process with its files in `folder`, and waits for nothing.
    pub(super) fn launch(place: Place, folder: &Path, options: &NatsOptions) -> Result<Self> {
        let file = folder.join(format!("{}.conf", place.name));
        write_config(&place, folder, options, &file)?;
        let log = folder.join(format!("{}.log", place.name));
        let program = Program::new(format!("nats {}", place.name), tools::nats_server()?, log);
        let process = program.args([Path::new("--config"), &file]).start()?;
        Ok(Self {
            process,
            place,
            _own: None,
        })
    }

    /// Waits until JetStream answers, and checks the version.
    ///
    /// # Errors
    /// When it does not within a minute, ends, or is too old.
    pub async fn ready(&mut self) -> Result<()> {
        let monitor = self.place.monitor;
        self.process
            .wait_for_http(monitor, "/healthz", wait::PATIENCE)
            .await?;
        let varz = http::get_json(monitor, "/varz").await?;
        let version = varz["version"].as_str().unwrap_or_default();
        let mut numbers = version.split('.').map_while(|part| part.parse().ok());
        let (major, minor) = (numbers.next().unwrap_or(0), numbers.next().unwrap_or(0));
        if (major, minor) < VERSION_MIN {
            bail!(
                "nats-server {version} is too old: {}.{} is needed",
                VERSION_MIN.0,
                VERSION_MIN.1
            );
        }
        Ok(())
    }

    /// `nats://127.0.0.1:<port>`
    #[must_use]
    pub fn url(&self) -> String {
        format!("nats://{}", self.place.client)
    }

    /// Where clients connect.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.place.client
    }

    /// Where `/healthz`, `/varz`, `/jsz` and `/connz` are.
    #[must_use]
    pub fn monitor(&self) -> SocketAddr {
        self.place.monitor
    }

    /// Its name in the cluster: `n1`, `n2`, `n3`.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.place.name
    }

    /// Its process id; none after it was seen to end.
    #[must_use]
    pub fn pid(&self) -> Option<u32> {
        self.process.pid()
    }

    /// As [`Process::poll_end`].
    ///
    /// # Errors
    /// As there.
    pub fn poll_end(&mut self) -> Result<Option<String>> {
        self.process.poll_end()
    }

    /// Its log.
    #[must_use]
    pub fn log(&self) -> PathBuf {
        self.process.log().to_path_buf()
    }

    /// kill -9. Its data stays.
    ///
    /// # Errors
    /// When the system refuses.
    pub fn kill(&mut self) -> Result<()> {
        self.process.kill()
    }

    /// SIGTERM, and waits for the end. Its data stays.
    ///
    /// # Errors
    /// When it does not end within a minute.
    pub async fn terminate(&mut self) -> Result<ExitStatus> {
        self.process.terminate(wait::PATIENCE).await
    }

    /// SIGSTOP.
    ///
    /// # Errors
    /// When it does not run.
    pub fn pause(&self) -> Result<()> {
        self.process.pause()
    }

    /// SIGCONT.
    ///
    /// # Errors
    /// When it does not run.
    pub fn resume(&self) -> Result<()> {
        self.process.resume()
    }

    /// Starts it again on the same ports with the same data, and waits for nothing: [`NatsServer::ready`] does.
    ///
    /// # Errors
    /// When it cannot be started.
    pub fn launch_again(&mut self) -> Result<()> {
        self.process.restart()
    }

    /// Starts it again on the same ports with the same data; ready when this returns. Needs a quorum in a cluster.
    ///
    /// # Errors
    /// As [`NatsServer::ready`].
    pub async fn restart(&mut self) -> Result<()> {
        self.launch_again()?;
        self.ready().await
    }

    /// The streams of every account as this server sees them.
    ///
    /// # Errors
    /// When it does not answer.
    pub async fn streams(&self) -> Result<Vec<StreamState>> {
        Ok(monitor::streams(&self.jsz().await?))
    }

    /// The server that leads JetStream as a whole, as this server sees it.
    ///
    /// # Errors
    /// When it does not answer.
    pub async fn meta_leader(&self) -> Result<Option<String>> {
        Ok(monitor::meta_leader(&self.jsz().await?))
    }

    async fn jsz(&self) -> Result<serde_json::Value> {
        http::get_json(
            self.place.monitor,
            "/jsz?accounts=true&streams=true&config=true",
        )
        .await
    }
}

fn write_config(place: &Place, folder: &Path, options: &NatsOptions, file: &Path) -> Result<()> {
    let store = folder.join(format!("{}-data", place.name));
    fs::create_dir_all(&store).with_context(|| format!("cannot create {}", store.display()))?;
    fs::write(file, config::text(place, &store, options))
        .with_context(|| format!("cannot write {}", file.display()))
}

/// Somebody took a port between our look and the server's start.
pub(super) fn is_port_clash(error: &anyhow::Error) -> bool {
    format!("{error:#}").contains("address already in use")
}
