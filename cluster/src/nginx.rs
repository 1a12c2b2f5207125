//! nginx before the gateways, by the file that deployments use (`deploy/nginx.conf`).

use std::fmt::Write;
use std::fs;
use std::net::SocketAddr;
use std::path::Path;

use anyhow::{Context, Result};
use tempfile::TempDir;

use crate::process::{Process, Program};
use crate::{http, ports, tools, wait};

/// The file that deployments use.
const SHIPPED: &str = include_str!("../../deploy/nginx.conf");

/// A running nginx that spreads connections over gateways; gone when dropped.
#[derive(Debug)]
pub struct Nginx {
    process: Process,
    address: SocketAddr,
    /// Gone with it; none where the folder is somebody else's.
    _own: Option<TempDir>,
}

impl Nginx {
    /// nginx before these gateways, with a temporary folder.
    ///
    /// # Errors
    /// When there is no nginx, or it does not listen within a minute.
    pub async fn start(gateways: &[SocketAddr]) -> Result<Self> {
        let own = tempfile::tempdir().context("no temporary folder")?;
        let mut nginx = Self::start_in(own.path(), ports::free()?, gateways).await?;
        nginx._own = Some(own);
        Ok(nginx)
    }

    /// nginx at `listen` before these gateways, with configuration and logs in `folder`, where they stay.
    ///
    /// # Errors
    /// As [`Nginx::start`].
    pub async fn start_in(
        folder: &Path,
        listen: SocketAddr,
        gateways: &[SocketAddr],
    ) -> Result<Self> {
        fs::create_dir_all(folder)
            .with_context(|| format!("cannot create {}", folder.display()))?;
        let file = folder.join("nginx.conf");
        fs::write(&file, config(folder, listen, gateways))
            .with_context(|| format!("cannot write {}", file.display()))?;
        let log = folder.join("nginx.log");
        let program = Program::new("nginx", tools::nginx()?, log);
        let errors = folder.join("error.log");
        let mut process = program
            .args([Path::new("-p"), folder, Path::new("-c"), &file])
            .args([Path::new("-e"), &errors])
            .start()?;
        process
            .wait_for_http(listen, "/nginx-health", wait::PATIENCE)
            .await?;
        Ok(Self {
            process,
            address: listen,
            _own: None,
        })
    }

    /// Where clients connect.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// The process, to be paused, killed, restarted.
    pub fn process(&mut self) -> &mut Process {
        &mut self.process
    }

    /// Whether it answers.
    pub async fn answers(&self) -> bool {
        http::get(self.address, "/nginx-health").await.is_ok()
    }
}

/// What is shipped, with these gateways and this address, and with everything that it writes in `folder`.
fn config(folder: &Path, listen: SocketAddr, gateways: &[SocketAddr]) -> String {
    let mut text = String::new();
    let mut gateways = gateways.iter();
    for line in SHIPPED.lines() {
        match line.trim_start().strip_prefix("server gateway-") {
            None => text.push_str(line),
            // Each line of the file is one gateway's; the last one's options are those of all that are left.
            Some(rest) => {
                let options = rest.split_once(' ').map_or("", |(_, options)| options);
                let more = if rest.starts_with('1') { 1 } else { usize::MAX };
                for gateway in gateways.by_ref().take(more) {
                    let _ = writeln!(text, "    server {gateway} {options}");
                }
            }
        }
        text.push('\n');
    }
    let folder = folder.display().to_string();
    // One process without workers: the kernel ends it with its owner.
    text.replace("daemon off;", "daemon off;\nmaster_process off;")
        .replace("/tmp/nginx", &folder)
        .replace("/dev/stderr", &format!("{folder}/error.log"))
        .replace("listen 8080;", &format!("listen {listen};"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_shipped_is_used_with_other_addresses() {
        let at = |port| SocketAddr::from(([127, 0, 0, 1], port));
        let text = config(Path::new("/f"), at(1), &[at(2), at(3), at(4)]);
        assert!(text.contains("listen 127.0.0.1:1;") && text.contains("pid /f/nginx.pid;"));
        for port in 2..5 {
            let server = format!("server 127.0.0.1:{port} max_fails=1 fail_timeout=1s;");
            assert_eq!(text.matches(&server).count(), 1, "{text}");
        }
        assert!(text.contains("least_conn;") && !text.contains("gateway-"));
        assert!(!text.contains("/tmp") && !text.contains("/dev"));
    }
}
