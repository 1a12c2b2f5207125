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

/// One of the programs of `cluster/tools.txt`, as `helm-docs`: the one that its variable (`HELM_DOCS`) names, the copy of that very
/// version that `cargo xtask` keeps, or that of `PATH`.
///
/// # Errors
/// When there is none; the text says how to get one.
pub fn chart_tool(name: &str) -> Result<PathBuf> {
    let modules = include_str!("../tools.txt").lines();
    let end = format!("/{name}");
    let version = modules
        .filter_map(|module| module.split_once('@'))
        .find_map(|(path, version)| path.ends_with(&end).then_some(version));
    let version = version.with_context(|| format!("{name} is not in cluster/tools.txt"))?;
    let variable = name.replace('-', "_").to_uppercase();
    let kept = cached(&format!("{name}-{version}"));
    first(name, &variable, [kept, in_path(name)])
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
    let named = env::var_os(variable).filter(|value| !value.is_empty());
    if let Some(named) = named.map(PathBuf::from) {
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

/// The first file of that name in the folders of `PATH`.
#[must_use]
pub fn in_path(name: impl AsRef<Path>) -> Option<PathBuf> {
    let path = env::var_os("PATH")?;
    env::split_paths(&path)
        .map(|folder| folder.join(&name))
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn chart_tools_are_those_of_the_list() {
        let error = chart_tool("helm-dogs").unwrap_err().to_string();
        assert!(error.contains("not in cluster/tools.txt"), "{error}");
        for name in ["helm", "kubeconform", "helm-docs"] {
            let why = chart_tool(name).err().map(|error| error.to_string());
            assert!(!why.unwrap_or_default().contains("tools.txt"), "{name}");
        }
    }
}
