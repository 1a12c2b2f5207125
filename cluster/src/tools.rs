//! Where the programs are. `cargo xtask` finds or installs them and says where in variables; a test that is started
//! by hand looks in the same places and installs nothing.

use std::env;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};

/// `nats-server`: the one that `NATS_SERVER` names, the copy that `cargo xtask` keeps, or that of `PATH`.
///
/// # Errors
/// When there is none; the text says how to get one.
pub fn nats_server() -> Result<PathBuf> {
    first(
        "nats-server",
        "NATS_SERVER",
        [cached("nats-server"), in_path("nats-server")],
    )
}

/// nginx: the one that `NGINX` names, that of `PATH`, or Debian's.
///
/// # Errors
/// When there is none; the text says how to get one.
pub fn nginx() -> Result<PathBuf> {
    let usual = Some(PathBuf::from("/usr/sbin/nginx"));
    first("nginx", "NGINX", [in_path("nginx"), usual])
}

/// One of the project's own binaries, from the folder of cargo's output that this program is in.
///
/// # Errors
/// When it has not been built.
pub fn binary(name: &str) -> Result<PathBuf> {
    let file = output_folder()?.join(name);
    if !file.is_file() {
        bail!("{} is not there: `cargo build` makes it", file.display());
    }
    Ok(file)
}

/// `target/<profile>`: that of this program, which is in it or, a test, in its `deps`.
fn output_folder() -> Result<PathBuf> {
    let own = env::current_exe().context("this program has no path")?;
    let folder = own.parent().context("this program has no folder")?;
    Ok(match folder.file_name() {
        Some(name) if name == "deps" => folder.parent().unwrap_or(folder).to_path_buf(),
        _ => folder.to_path_buf(),
    })
}

fn first(name: &str, variable: &str, places: [Option<PathBuf>; 2]) -> Result<PathBuf> {
    if let Some(named) = env::var_os(variable).map(PathBuf::from) {
        if !named.is_file() {
            bail!("{variable} names {}, which is not there", named.display());
        }
        return Ok(named);
    }
    let found = places.into_iter().flatten().find(|path| path.is_file());
    found.with_context(|| {
        format!("there is no {name}: `cargo xtask test` installs it, or set {variable} to its path")
    })
}

fn in_path(name: &str) -> Option<PathBuf> {
    let path = env::var_os("PATH")?;
    env::split_paths(&path)
        .map(|folder| folder.join(name))
        .find(|file| file.is_file())
}

/// A tool that `cargo xtask` keeps for all checkouts (`xtask/src/install/nats.rs`).
fn cached(name: &str) -> Option<PathBuf> {
    let cache = match env::var_os("XDG_CACHE_HOME").filter(|value| !value.is_empty()) {
        Some(cache) => PathBuf::from(cache),
        None => Path::new(&env::var_os("HOME")?).join(".cache"),
    };
    Some(cache.join("marketfeed/tools").join(name))
}
