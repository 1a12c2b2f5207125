//! nginx before the gateways, as in `deploy/nginx.conf`, with its files in one folder and no rights of root.

use std::fmt::Write;
use std::fs;
use std::net::SocketAddr;
use std::path::Path;

use anyhow::{Context, Result};
use tempfile::TempDir;

use crate::process::{Process, Program};
use crate::{http, ports, tools, wait};

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

/// The configuration: one worker in the foreground, everything it writes in `folder`.
fn config(folder: &Path, listen: SocketAddr, gateways: &[SocketAddr]) -> String {
    let mut servers = String::new();
    for gateway in gateways {
        // One refused connection must not take a gateway out for ten seconds while it restarts.
        let _ = writeln!(servers, "    server {gateway} max_fails=1 fail_timeout=1s;");
    }
    let folder = folder.display();
    format!(
        r#"daemon off;
worker_processes 1;
pid "{folder}/nginx.pid";
error_log "{folder}/error.log" warn;
events {{ worker_connections 4096; }}
http {{
  access_log off;
  client_body_temp_path "{folder}/body";
  proxy_temp_path "{folder}/proxy";
  fastcgi_temp_path "{folder}/fastcgi";
  uwsgi_temp_path "{folder}/uwsgi";
  scgi_temp_path "{folder}/scgi";
  map $http_upgrade $connection_upgrade {{ default upgrade; '' ''; }}
  upstream gateways {{
    least_conn;
{servers}  }}
  server {{
    listen {listen};
    location = /nginx-health {{ return 200 "ok\n"; }}
    location / {{
      proxy_pass http://gateways;
      proxy_http_version 1.1;
      proxy_set_header Host $http_host;
      proxy_set_header Upgrade $http_upgrade;
      proxy_set_header Connection $connection_upgrade;
      proxy_set_header X-Forwarded-For $proxy_add_x_forwarded_for;
      proxy_buffering off;
      proxy_connect_timeout 2s;
      proxy_read_timeout 90s;
      proxy_send_timeout 90s;
      proxy_next_upstream error timeout http_503;
    }}
  }}
}}
"#
    )
}
