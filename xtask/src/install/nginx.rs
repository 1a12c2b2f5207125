//! The nginx that tests and local clusters put before the gateways.

use std::env;
use std::path::{Path, PathBuf};

use anyhow::{Result, bail};

use super::{apt_install, find};
use crate::workspace::Workspace;

/// The variable that names an nginx, for this program and for the tests that it starts.
pub(crate) const NGINX: &str = "NGINX";

/// Where Debian has it: not in everybody's `PATH`.
const USUAL: &str = "/usr/sbin/nginx";

/// The nginx that `NGINX` names, that of `PATH`, or Debian's.
pub(crate) fn nginx(workspace: &Workspace) -> Result<PathBuf> {
    if let Some(named) = env::var_os(NGINX).map(PathBuf::from) {
        if !named.is_file() {
            bail!("{NGINX} names {}, which is not there", named.display());
        }
        return Ok(named);
    }
    let usual = || Some(PathBuf::from(USUAL)).filter(|path| Path::is_file(path));
    let found = || find("nginx").or_else(usual);
    if let Some(path) = found() {
        return Ok(path);
    }
    let by_hand = "install it (Debian: `apt-get install nginx-light`) or set NGINX to its path";
    apt_install(
        workspace,
        &["nginx-light"],
        "nginx is needed before the gateways",
        by_hand,
    )?;
    match found() {
        Some(path) => Ok(path),
        None => bail!("nginx was installed but is not in PATH; set {NGINX} to its path"),
    }
}
